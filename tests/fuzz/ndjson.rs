//! Lines of events, as `publish` reads them.

use crate::{event, memory};
use quaymeter::ndjson::{Line, Lines};
use quaymeter::pb;

/// The longest line here.
const LINE_MAX: usize = 2_000;

pub const WORDS: &[&str] = &[
    "\n", "\r\n", "\u{feff}", "{}", "null", "\"eventId\":", "\"occurredAt\":", "\"gateMove\":{",
    "\"parties\":[", "\"ROLE_CARRIER\"", "1e400", "-0", "\\u0000", "\\ud800", "\"retracted\":true",
    "\"revision\":\"9223372036854775807\"", "9999-12-31T23:59:60Z",
];

pub fn seeds() -> Vec<Vec<u8>> {
    let event = crate::requests::seed_events().remove(0);
    let mut line = serde_json::to_vec(&event).unwrap();
    line.push(b'\n');
    let twice = [&line[..], b"\n  \n", &line[..]].concat();
    vec![line, twice, b"\xef\xbb\xbf{}\r\n{\"nonsense\":1}\n".to_vec()]
}

pub fn judge(input: &[u8]) {
    // The reader's buffer; what a line is; and what JSON becomes in memory.
    let room = (1 << 20) + 256 * input.len();
    let lines: Vec<Line> = memory::within(room, || {
        let read = Lines::new(input, LINE_MAX).map(Result::unwrap);
        read.inspect(|line| drop(line.event())).collect()
    });
    let mut read = 0;
    let mut number = 0;
    for line in &lines {
        assert!(line.number > number, "{} after {number}", line.number);
        assert!(line.text.len() <= LINE_MAX);
        number = line.number;
        read += line.input_bytes;
        hold(line);
    }
    assert!(read <= input.len() as u64, "{read} of {}", input.len());
    // A mark of UTF-8 is dropped from the first line alone.
    let blank = |line: &&[u8]| line.trim_ascii().is_empty() || line.trim_ascii() == b"\xef\xbb\xbf";
    let all = input.split(|&byte| byte == b'\n');
    let some = all.clone().filter(|line| !blank(line)).count();
    assert!(lines.len() >= some, "{} of {some} lines", lines.len());
    assert!(lines.len() <= all.count());
}

fn hold(line: &Line) {
    match line.event() {
        Ok(event) => {
            let text = serde_json::to_vec(&event).expect("an event as text");
            let again: pb::Event = serde_json::from_slice(&text).expect("its own text");
            assert_eq!(again, event);
            event::hold(event);
        }
        Err(refusal) => event::told(&refusal.field, &refusal.found, &refusal.expected),
    }
}
