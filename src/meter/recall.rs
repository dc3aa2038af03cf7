//! What the meter asks of the log: a record of the past, when another version or
//! a neighbour makes it matter again.

use super::ledger::{Address, EntryId, Ledger, Whence};
use super::names::Names;
use super::pairing::Ties;
use crate::event::Event;
use std::cmp::Ordering;

/// Reads records again. It must answer the same whenever it is asked: then it is
/// no input, and the meter stays a function of its records.
pub trait Recall {
    /// The event of a record.
    ///
    /// # Errors
    /// A record that cannot be read, or is not what it was.
    fn event(&self, record: Whence) -> Result<Event, Lost>;

    /// The content hash of a record: of what it says, without pseudonyms.
    ///
    /// # Errors
    /// The same.
    fn hash(&self, record: Whence) -> Result<[u8; 32], Lost>;
}

/// A record that cannot be read again. The meter is not to be used any more.
#[derive(Debug, thiserror::Error)]
#[error("read the record at byte {address} of the log again")]
pub struct Lost {
    /// Where it should be.
    pub address: Address,
    /// Why it cannot.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Orders identities by their bytes, which only their records tell.
pub(super) struct ByIdentity<'a> {
    pub ledger: &'a Ledger,
    pub names: &'a Names,
    pub past: &'a dyn Recall,
}

impl Ties for ByIdentity<'_> {
    type Error = Lost;

    fn compare(&mut self, one: EntryId, other: EntryId) -> Result<Ordering, Lost> {
        // All points of a list are of one facility.
        let source = |id| self.names.get(self.ledger.source(id)).as_bytes();
        match source(one).cmp(source(other)) {
            Ordering::Equal => {
                let event = |id| self.past.event(self.ledger.get(id).record);
                Ok(event(one)?.event_id.cmp(&event(other)?.event_id))
            }
            unequal => Ok(unequal),
        }
    }
}
