//! Reads files, tells their format, and hands their events over in batches.

use super::report::{At, Origin, Tally};
use super::{Args, Format};
use crate::dcsa::{self, document};
use crate::ndjson::{LINE_BYTES_MAX, Line, Lines, Reason, Refusal};
use crate::pb;
use anyhow::{Context as _, bail};
use indicatif::ProgressBar;
use prost::Message as _;
use serde_json::Value;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::mpsc;

/// A batch is sent when its events take this many bytes, encoded and as they were
/// read, however few they are.
const BATCH_BYTES: usize = 1 << 20;

/// How much of an input is looked at to tell its format.
const PEEK_BYTES: usize = 64 << 10;

/// Batches with the origins of their events.
pub(super) type Batches = mpsc::Sender<(Arc<[Origin]>, Vec<pb::Event>)>;

/// The publisher takes no more; it says why itself.
#[derive(Debug, thiserror::Error)]
#[error("hand events over: publishing ended")]
pub(super) struct Ended;

/// Reads all inputs.
pub(super) struct Reader {
    format: Format,
    batch_events: usize,
    keep_text: bool,
    mapper: dcsa::Mapper,
    tally: Tally,
    bar: ProgressBar,
    out: Batches,
    events: Vec<pb::Event>,
    origins: Vec<Origin>,
    bytes: usize,
}

impl Reader {
    pub fn new(args: &Args, tally: Tally, bar: ProgressBar, out: Batches) -> Self {
        let fallback = dcsa::Fallback {
            facility: args.facility.clone(),
            parties: args.party.clone(),
        };
        Self {
            format: args.format,
            batch_events: usize::from(args.batch),
            keep_text: args.rejects.is_some(),
            mapper: dcsa::Mapper::new(fallback),
            tally,
            bar,
            out,
            events: Vec::new(),
            origins: Vec::new(),
            bytes: 0,
        }
    }

    /// Reads one file, or standard input for `-`.
    ///
    /// # Errors
    /// What cannot be read, or is no JSON document. What was read before it was
    /// handed over.
    pub fn read(&mut self, path: &Path) -> anyhow::Result<()> {
        let name: Arc<str> = path.display().to_string().into();
        let input: Box<dyn Read> = if path == Path::new("-") {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(path).with_context(|| format!("open {name}"))?)
        };
        let read = self
            .read_input(&name, input)
            .with_context(|| format!("read {name}"));
        self.flush()?;
        read
    }

    fn read_input(&mut self, name: &Arc<str>, mut input: Box<dyn Read>) -> anyhow::Result<()> {
        if self.format == Format::Ndjson {
            return self.lines(name, input);
        }
        let (head, shape) = peek(&mut input)?;
        let input = io::Cursor::new(head).chain(input);
        let format = match self.format {
            Format::Auto => shape.format,
            given => given,
        };
        match (format, shape.is_document) {
            (Format::Dcsa, true) => self.document(name, input),
            (Format::Dcsa, false) => self.dcsa_lines(name, input),
            _ => self.lines(name, input),
        }
    }

    /// Our own events, one a line.
    fn lines(&mut self, name: &Arc<str>, input: impl Read) -> anyhow::Result<()> {
        let mut lines = Lines::new(input, LINE_BYTES_MAX);
        while let Some(line) = lines.next() {
            let line = line?;
            let event = line.event();
            let id = event
                .as_ref()
                .map_or(String::new(), |event| event.event_id.clone());
            let origin = Origin {
                file: name.clone(),
                at: At::Line(line.number),
                event_id: id,
                text: self
                    .keep_text
                    .then(|| String::from_utf8_lossy(&line.text).into()),
            };
            self.add(origin, event)?;
            self.bar.inc(line.input_bytes);
            if !lines.is_ready() {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// DCSA events, a document a line.
    fn dcsa_lines(&mut self, name: &Arc<str>, input: impl Read) -> anyhow::Result<()> {
        let mut lines = Lines::new(input, dcsa::DOCUMENT_BYTES_MAX);
        let mut index = 0;
        while let Some(line) = lines.next() {
            let line = line?;
            let before = self.bar.position();
            if let Err(refusal) = self.dcsa_line(name, &line, &mut index)? {
                let text = String::from_utf8_lossy(&line.text).into();
                let origin = Origin {
                    file: name.clone(),
                    at: At::Line(line.number),
                    event_id: String::new(),
                    text: Some(text),
                };
                self.add(origin, Err(refusal))?;
            }
            self.bar.set_position(before + line.input_bytes);
            if !lines.is_ready() {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn dcsa_line(
        &mut self,
        name: &Arc<str>,
        line: &Line,
        index: &mut u64,
    ) -> anyhow::Result<Result<(), Refusal>> {
        if let Err(refusal) = line.check_length(dcsa::DOCUMENT_BYTES_MAX) {
            return Ok(Err(refusal));
        }
        if let Err(refusal) = each(&line.text, |event| self.mapper.note(&event)) {
            return Ok(Err(refusal));
        }
        self.dcsa_events(name, &line.text, index)?;
        Ok(Ok(()))
    }

    /// One DCSA document, read whole.
    fn document(&mut self, name: &Arc<str>, input: impl Read) -> anyhow::Result<()> {
        let max = dcsa::DOCUMENT_BYTES_MAX;
        let mut bytes = Vec::new();
        input.take(max as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > max {
            bail!(
                "a DCSA document of more than {} MiB: split it, or write one event a line",
                max >> 20
            );
        }
        // All is checked and remembered before the first event is sent.
        each(&bytes, |event| self.mapper.note(&event)).context("parse as JSON")?;
        self.dcsa_events(name, &bytes, &mut 0)
    }

    /// The events of a document that is known to be JSON.
    fn dcsa_events(&mut self, name: &Arc<str>, text: &[u8], index: &mut u64) -> anyhow::Result<()> {
        let mut count = 0;
        each(text, |_| count += 1)?;
        let step = text.len() as u64 / u64::max(count, 1);
        let mut handed = Ok(());
        each(text, |event| {
            if handed.is_ok() {
                handed = self.dcsa_event(name, &event, *index, step);
                *index += 1;
            }
        })?;
        self.bar.inc(text.len() as u64 - step * count);
        handed.map_err(Into::into)
    }

    fn dcsa_event(
        &mut self,
        name: &Arc<str>,
        event: &Value,
        index: u64,
        bytes: u64,
    ) -> Result<(), Ended> {
        let origin = Origin {
            file: name.clone(),
            at: At::Index(index),
            event_id: dcsa::event_id(event).unwrap_or_default(),
            text: self.keep_text.then(|| event.to_string().into()),
        };
        let mapped = self.mapper.map(event);
        self.bar.inc(bytes);
        self.add(origin, mapped)
    }

    fn add(&mut self, origin: Origin, event: Result<pb::Event, Refusal>) -> Result<(), Ended> {
        match event.and_then(bounded) {
            Err(refusal) => self.tally.refuse(&origin, &refusal),
            Ok((event, bytes)) => {
                self.bytes += bytes + origin.text.as_deref().map_or(0, str::len);
                self.events.push(event);
                self.origins.push(origin);
            }
        }
        if self.events.len() >= self.batch_events || self.bytes >= BATCH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Hands over what is there; waits while the publisher has enough.
    fn flush(&mut self) -> Result<(), Ended> {
        self.bytes = 0;
        if self.events.is_empty() {
            return Ok(());
        }
        let origins = std::mem::take(&mut self.origins).into();
        let events = std::mem::take(&mut self.events);
        self.out.blocking_send((origins, events)).map_err(|_| Ended)
    }
}

/// The events of a DCSA document; of one that cannot be read nothing is repeated.
fn each(text: &[u8], each: impl FnMut(Value)) -> Result<(), Refusal> {
    document::each(text, each).map_err(|error| Refusal::no_json(&error, document::WANTED))
}

/// The event with its encoded size, if no message is too small for it.
fn bounded(event: pb::Event) -> Result<(pb::Event, usize), Refusal> {
    let bytes = event.encoded_len();
    if bytes > LINE_BYTES_MAX {
        let (found, expected) = (
            format!("{bytes} bytes"),
            format!("at most {LINE_BYTES_MAX}"),
        );
        return Err(Refusal::new(Reason::TooLong, "event", &found, &expected));
    }
    Ok((event, bytes))
}

/// What the beginning of an input tells.
struct Shape {
    format: Format,
    /// Whether it is one JSON document over several lines, not one a line.
    is_document: bool,
}

/// Reads as much as it takes to tell the format; a whole first line is enough if
/// it is a JSON document in itself.
fn peek(input: &mut dyn Read) -> io::Result<(Vec<u8>, Shape)> {
    let mut head = Vec::new();
    let mut part = [0; 4096];
    loop {
        let text = head
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(&head)
            .trim_ascii_start();
        let line = text
            .iter()
            .position(|&byte| byte == b'\n')
            .map(|end| text[..end].trim_ascii());
        if let Some(line) = line.filter(|line| is_closed(line)) {
            let shape = Shape {
                format: tell(line),
                is_document: false,
            };
            return Ok((head, shape));
        }
        let read = match input.read(&mut part) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if read == 0 || head.len() >= PEEK_BYTES {
            head.extend_from_slice(&part[..read]);
            let text = head
                .strip_prefix(b"\xef\xbb\xbf")
                .unwrap_or(&head)
                .trim_ascii();
            let is_document = line_is_open(text);
            let shape = Shape {
                format: tell(text),
                is_document,
            };
            return Ok((head, shape));
        }
        head.extend_from_slice(&part[..read]);
    }
}

/// Whether the first line does not hold a whole document.
fn line_is_open(text: &[u8]) -> bool {
    let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    !is_closed(line.trim_ascii())
}

/// Whether a line looks like a whole JSON document.
fn is_closed(line: &[u8]) -> bool {
    matches!(
        (line.first(), line.last()),
        (Some(b'{'), Some(b'}')) | (Some(b'['), Some(b']'))
    )
}

/// DCSA's events are in arrays, or have an `eventID`; ours have an `eventId`.
fn tell(text: &[u8]) -> Format {
    let has = |mark: &[u8]| text.windows(mark.len()).any(|window| window == mark);
    let dcsa = text.starts_with(b"[") || has(b"\"eventID\"") || has(b"\"events\"");
    if dcsa { Format::Dcsa } else { Format::Ndjson }
}
