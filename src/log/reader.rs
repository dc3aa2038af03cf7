//! Reads the log in order, also while it grows: what was durable when the
//! reader was made.

use super::embedded::Log;
use super::segment::{Cursor, HEADER_BYTES, Step};
use super::{Error, Offset, Record};
use std::path::PathBuf;

/// Records in order.
pub struct Reader {
    log: Log,
    segment: Option<(PathBuf, Cursor)>,
    /// The first offset that is wanted.
    from: Offset,
    /// Where the next frame begins.
    next: Offset,
    /// Where it stops.
    end: Offset,
}

impl Reader {
    /// Reads from a segment's first offset on, but yields from `from` on.
    pub(super) fn new(log: Log, segment: Offset, from: Offset, end: Offset) -> Self {
        Self {
            log,
            segment: None,
            from,
            next: segment,
            end,
        }
    }

    /// Stops at this offset, if that is earlier.
    #[must_use]
    pub fn until(self, end: Offset) -> Self {
        let end = self.end.min(end);
        Self { end, ..self }
    }

    fn read(&mut self) -> Result<Option<Record>, Error> {
        while self.next < self.end && self.from < self.end {
            let (path, mut cursor) = match self.segment.take() {
                Some(segment) => segment,
                None => self.log.open_segment(self.next)?,
            };
            let at = cursor.at();
            let corrupt = |fault: String| Error::Corrupt {
                path: path.clone(),
                at,
                fault,
            };
            match cursor.step()? {
                Step::Frame(head, body) => {
                    if head.first_offset != self.next {
                        let found = head.first_offset;
                        let fault = format!("offset {found} where {} belongs", self.next);
                        return Err(corrupt(fault));
                    }
                    self.next = head.end_offset;
                    let wanted = self.next > self.from;
                    let end_address = cursor.address();
                    let record = wanted.then(|| head.record(body, end_address).map_err(corrupt));
                    self.segment = Some((path.clone(), cursor));
                    if let Some(record) = record {
                        return record.map(Some);
                    }
                }
                Step::End if at > HEADER_BYTES => {}
                Step::End => return Err(corrupt("the end of the file".to_owned())),
                Step::Bad(fault) => return Err(corrupt(fault.to_owned())),
            }
        }
        Ok(None)
    }
}

impl Iterator for Reader {
    type Item = Result<Record, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read().transpose();
        if !matches!(read, Some(Ok(_))) {
            self.end = 0;
        }
        read
    }
}
