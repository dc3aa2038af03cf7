//! Reading events as lines: one proto-JSON `Event` a line. A line that is no
//! event is refused with its number and the reason; it never ends the reading.

mod node;
mod fault;

use crate::pb;
use std::fmt;
use std::io::{self, BufRead as _, BufReader, Read};

/// The longest line that is read, in bytes.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// How much of a line that is too long is kept, in bytes.
const KEPT_BYTES: usize = 200;

/// How many characters of a found value a refusal repeats.
const FOUND_CHARS: usize = 80;

/// Bytes that are read from the input at once.
const BUFFER_BYTES: usize = 256 << 10;

/// Why something that was read cannot become an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Not of the required form.
    Malformed,
    /// A required field is absent or empty.
    Missing,
    /// Longer than is read.
    TooLong,
    /// A kind of event that is not counted.
    Unsupported,
    /// No facility is named, and there is no fallback.
    NoFacility,
    /// No enterprise is named in a known role, and there is no fallback.
    NoParty,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "MALFORMED",
            Self::Missing => "MISSING",
            Self::TooLong => "TOO_LONG",
            Self::Unsupported => "UNSUPPORTED",
            Self::NoFacility => "NO_FACILITY",
            Self::NoParty => "NO_PARTY",
        })
    }
}

/// One thing that keeps what was read from becoming an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {field}: found {found}, expected {expected}")]
pub struct Refusal {
    /// The stable reason.
    pub reason: Reason,
    /// The field as the input names it, or where in the line.
    pub field: String,
    /// What was found, at most 80 characters.
    pub found: String,
    /// What was expected.
    pub expected: String,
}

impl Refusal {
    /// A refusal; a long `found` is cut.
    pub fn new(reason: Reason, field: &str, found: &str, expected: &str) -> Self {
        Self {
            reason,
            field: field.into(),
            found: found.chars().take(FOUND_CHARS).collect(),
            expected: expected.into(),
        }
    }
}

/// One line that is not blank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number in the input, from 1, blank lines counted.
    pub number: u64,
    /// Its bytes without white space around them; the beginning only if it is
    /// too long.
    pub text: Vec<u8>,
    /// Whether it was longer than is read.
    pub too_long: bool,
    /// How many bytes of the input it took, its end and blank lines before it
    /// included.
    pub input_bytes: u64,
}

impl Line {
    /// The proto-JSON event of the line.
    ///
    /// # Errors
    /// The refusal, if it is not one: it repeats nothing of the line.
    pub fn event(&self) -> Result<pb::Event, Refusal> {
        self.check_length(LINE_BYTES_MAX)?;
        serde_json::from_slice(&self.text)
            .map_err(|error| fault::refusal(&self.text, error.column()))
    }

    /// Refuses a line that was longer than `max` bytes.
    pub(crate) fn check_length(&self, max: usize) -> Result<(), Refusal> {
        if self.too_long {
            let expected = format!("at most {max} bytes");
            return Err(Refusal::new(
                Reason::TooLong,
                "line",
                "a longer line",
                &expected,
            ));
        }
        Ok(())
    }
}

/// The lines of an input.
pub struct Lines<R> {
    input: BufReader<R>,
    number: u64,
    bytes_max: usize,
}

impl<R: Read> Lines<R> {
    /// Reads lines of at most `bytes_max` bytes; longer ones are cut and marked.
    pub fn new(input: R, bytes_max: usize) -> Self {
        let input = BufReader::with_capacity(BUFFER_BYTES, input);
        Self {
            input,
            number: 0,
            bytes_max,
        }
    }

    /// Whether the next line is here already, so that reading it does not wait.
    pub fn is_ready(&self) -> bool {
        self.input.buffer().contains(&b'\n')
    }

    /// The next line, blank or not; none at the end.
    fn next_line(&mut self) -> io::Result<Option<Line>> {
        let mut line = Line {
            number: self.number + 1,
            text: Vec::new(),
            too_long: false,
            input_bytes: 0,
        };
        loop {
            let buffer = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                buffer => buffer?,
            };
            if buffer.is_empty() && line.input_bytes == 0 {
                return Ok(None);
            }
            let end = buffer.iter().position(|&byte| byte == b'\n');
            let part = &buffer[..end.unwrap_or(buffer.len())];
            if line.text.len() + part.len() > self.bytes_max {
                line.too_long = true;
            }
            let room = if line.too_long {
                KEPT_BYTES
            } else {
                self.bytes_max
            };
            line.text.truncate(room);
            line.text
                .extend_from_slice(&part[..part.len().min(room - line.text.len())]);
            let taken = part.len() + usize::from(end.is_some());
            let ended = end.is_some() || buffer.is_empty();
            self.input.consume(taken);
            line.input_bytes += taken as u64;
            if ended {
                self.number += 1;
                return Ok(Some(trimmed(line)));
            }
        }
    }
}

/// Without white space around it, and without the mark of UTF-8 on the first
/// line.
fn trimmed(mut line: Line) -> Line {
    let mut text = line.text.as_slice();
    if line.number == 1 {
        text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    }
    line.text = text.trim_ascii().to_vec();
    line
}

impl<R: Read> Iterator for Lines<R> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut skipped = 0;
        loop {
            match self.next_line() {
                Ok(Some(line)) if line.text.is_empty() && !line.too_long => {
                    skipped += line.input_bytes;
                }
                Ok(Some(mut line)) => {
                    line.input_bytes += skipped;
                    return Some(Ok(line));
                }
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8], max: usize) -> Vec<Line> {
        Lines::new(input, max)
            .map(|line| line.expect("no i/o here"))
            .collect()
    }

    #[test]
    fn blank_lines_count_but_are_skipped_and_a_mark_of_utf8_is_dropped() {
        let read = lines(b"\xef\xbb\xbf{}\r\n\n  \n{\"eventId\":\"b\"}", 100);
        let told: Vec<_> = read.iter().map(|l| (l.number, l.input_bytes)).collect();
        assert_eq!(told, [(1, 7), (4, 19)]);
        assert_eq!(read[0].text, b"{}");
        assert_eq!(read[1].event().expect("an event").event_id, "b");
    }

    #[test]
    fn an_unparsable_line_is_refused_with_its_column_and_reading_goes_on() {
        let read = lines(
            b"{\"eventId\":\"a\"}\n{\"nonsense\":1}\n{\"eventId\":\"c\"}\n",
            100,
        );
        assert_eq!(read.len(), 3);
        let refusal = read[1].event().expect_err("an unknown field");
        assert_eq!(refusal.reason, Reason::Malformed);
        assert_eq!(
            (&*refusal.field, &*refusal.found),
            ("line", "a field of another name at column 11")
        );
        assert_eq!(read[2].event().expect("an event").event_id, "c");
    }

    #[test]
    fn a_line_that_is_too_long_is_refused_and_does_not_fill_memory() {
        let mut input = vec![b'x'; 5_000_000];
        input.extend_from_slice(b"\n{}\n");
        let read = lines(&input, 1000);
        assert_eq!((read.len(), read[0].text.len()), (2, KEPT_BYTES));
        assert_eq!(
            read[0].event().expect_err("too long").reason,
            Reason::TooLong
        );
        assert_eq!((read[1].number, read[1].too_long), (2, false));
        assert!(!lines(b"1234567890\n", 10)[0].too_long);
        assert!(lines(b"12345678901\n", 10)[0].too_long);
    }

    #[test]
    fn all_proto_json_forms_of_an_event_are_read() {
        let text = br#"{"event_id":"a","revision":"7","occurredAt":"2026-01-20T14:15:00.5Z","classifier":"CLASSIFIER_PLANNED","gateMove":{"direction":1}}"#;
        let event = lines(text, 1000)[0].event().expect("an event");
        assert_eq!((event.revision, event.classifier), (7, 3));
        assert_eq!(event.occurred_at.map(|at| at.nanos), Some(500_000_000));
    }
}
