//! A log that can be read from its beginning, as often as is asked: the embedded one, or
//! a partition of one in Kafka.

use super::{Error, Offset, Record};

/// Such a log.
pub trait Readable: Send + Sync {
    /// The first offset that is kept.
    fn start(&self) -> Offset;

    /// How much there is to read, in the unit of [`Records::amount`].
    fn amount(&self) -> u64;

    /// All records, from the first that is kept.
    ///
    /// # Errors
    /// The log's.
    fn read(&self) -> Result<Box<dyn Records + '_>, Error>;
}

/// Records in order, as far as they are asked for.
pub trait Records {
    /// The next record if it begins before an offset; none at that offset and at the end
    /// of the log.
    ///
    /// # Errors
    /// The log's.
    fn next_before(&mut self, end: Offset) -> Result<Option<Record>, Error>;

    /// The offset after the last record that was read.
    fn position(&self) -> Offset;

    /// How much was read.
    fn amount(&self) -> u64;
}
