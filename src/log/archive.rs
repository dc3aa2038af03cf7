//! Reads single events again, by address.

use super::disk::File;
use super::embedded::Log;
use super::frame::event_at;
use super::{Address, Error, Offset};
use std::cell::RefCell;
use std::io;

/// The most segments that are held open.
const OPEN_MAX: usize = 32;

/// What is read at once, in bytes: most events are shorter.
const READ_BYTES: usize = 512;

/// Events by address, for one reader.
pub struct Archive {
    log: Log,
    /// The latest used last.
    open: RefCell<Vec<(Offset, Box<dyn File>)>>,
}

impl Archive {
    /// Reads this log.
    pub fn new(log: Log) -> Self {
        Self {
            log,
            open: RefCell::default(),
        }
    }

    /// The canonical bytes of the event at an address. What stands there is not
    /// checked but for its form: who asks knows its fingerprint.
    ///
    /// # Errors
    /// The disk's; an address at which no event begins.
    pub fn event(&self, address: Address) -> Result<Vec<u8>, Error> {
        let wrong = |fault: &str| Error::Corrupt {
            path: self.log.dir().to_owned(),
            at: address,
            fault: fault.to_owned(),
        };
        let Some((segment, first)) = self.log.segment_of(address) else {
            return Err(wrong("an address before the log's beginning"));
        };
        let at = address - first;
        let mut bytes = vec![0; READ_BYTES];
        let got = self.read(segment, at, &mut bytes)?;
        bytes.truncate(got);
        let event = event_at(&bytes).ok_or_else(|| wrong("no event begins here"))?;
        if event.end > bytes.len() {
            // What stands here is not checked yet: nothing is held for a length that
            // the file does not have.
            if at.saturating_add(event.end as u64) > self.size(segment)? {
                return Err(wrong("an incomplete event"));
            }
            bytes.resize(event.end, 0);
            if self.read(segment, at, &mut bytes)? < event.end {
                return Err(wrong("an incomplete event"));
            }
        }
        bytes.truncate(event.end);
        bytes.drain(..event.start);
        Ok(bytes)
    }

    fn read(&self, segment: Offset, at: u64, bytes: &mut [u8]) -> Result<usize, Error> {
        self.with(segment, "read", |file| file.read_at(at, bytes))
    }

    fn size(&self, segment: Offset) -> Result<u64, Error> {
        self.with(segment, "measure", |file| file.size())
    }

    fn with<T>(
        &self,
        segment: Offset,
        operation: &'static str,
        work: impl FnOnce(&dyn File) -> io::Result<T>,
    ) -> Result<T, Error> {
        let path = self.log.path(segment);
        let mut open = self.open.borrow_mut();
        let found = open.iter().position(|(offset, _)| *offset == segment);
        let file = match found {
            Some(at) => open.remove(at).1,
            None => {
                let file = self.log.disk().open(&path);
                file.map_err(Error::disk("open", &path))?
            }
        };
        let done = work(&*file);
        if open.len() == OPEN_MAX {
            open.remove(0);
        }
        open.push((segment, file));
        done.map_err(Error::disk(operation, &path))
    }
}
