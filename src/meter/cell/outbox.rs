//! What of the cells is to be stored. At a cut it is settled which values these
//! are; they are encoded bit by bit, while further changes are made: a value that
//! is to be changed before its turn is encoded first. So nobody has to wait until
//! all of a checkpoint is gathered.

use super::{CellKey, DayRecord, Packed, Stored, Totals};
use crate::meter::figure::Figures;
use crate::meter::names::NameId;
use serde::Serialize;

/// When a value was changed: 0 if it is stored as it is, else the number of cuts
/// before.
pub type Mark = u32;

/// A value that is to be stored.
pub enum Value<'a> {
    /// Of [`CellKey::Day`].
    Record(&'a DayRecord),
    /// Of [`CellKey::Total`].
    Total(Option<&'a Figures>),
    /// Of [`CellKey::Facilities`].
    Facilities(&'a [NameId]),
    /// Of [`CellKey::Call`] and [`CellKey::Slot`].
    Figures(&'a Figures),
    /// Of [`CellKey::Totals`].
    Totals(&'a Totals),
}

/// What changed, and what was encoded of it.
pub struct Outbox {
    /// The number of cuts, from 1 on.
    cuts: Mark,
    changed: Vec<CellKey>,
    /// What changed until the cut and is not encoded yet.
    pending: Vec<CellKey>,
    encoded: Vec<Stored>,
    failed: Option<postcard::Error>,
    scratch: Vec<u8>,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            cuts: 1,
            changed: Vec::new(),
            pending: Vec::new(),
            encoded: Vec::new(),
            failed: None,
            scratch: Vec::new(),
        }
    }
}

impl Outbox {
    /// The number of cuts, from 1 on.
    pub fn cuts(&self) -> Mark {
        self.cuts
    }

    /// How many values changed since the cut.
    pub fn changed(&self) -> usize {
        self.changed.len()
    }

    /// Notes that a value is about to be changed, which gives its mark.
    #[must_use]
    pub fn change<'a>(
        &mut self,
        mark: Mark,
        key: impl Fn() -> CellKey,
        value: impl FnOnce() -> Value<'a>,
    ) -> Mark {
        if mark == self.cuts {
            return mark;
        }
        if mark != 0 {
            self.encode(key(), &value());
        }
        self.changed.push(key());
        self.cuts
    }

    /// Notes that a stored value is gone.
    pub fn gone(&mut self, key: CellKey) {
        self.changed.push(key);
    }

    /// Settles that all that has changed until now is to be stored. What was
    /// settled before must be encoded.
    pub fn cut(&mut self) {
        self.pending.append(&mut self.changed);
        self.cuts += 1;
    }

    /// The next value that is to be encoded unless it was.
    pub fn next(&mut self) -> Option<CellKey> {
        self.pending.pop()
    }

    /// Encodes a value whose turn it is, unless that was done when it was
    /// changed; gives its mark.
    #[must_use]
    pub fn turn(&mut self, mark: Mark, key: &CellKey, value: &Value<'_>) -> Mark {
        if mark == 0 || mark == self.cuts {
            return mark;
        }
        self.encode(key.clone(), value);
        0
    }

    /// Encodes that a value is gone.
    pub fn turn_of_none(&mut self, key: CellKey) {
        self.encoded.push((key, None));
    }

    /// What was encoded since the last call, and whether that is all.
    ///
    /// # Errors
    /// A value could not be encoded.
    pub fn take(&mut self) -> Result<(Vec<Stored>, bool), postcard::Error> {
        let encoded = std::mem::take(&mut self.encoded);
        let done = self.pending.is_empty();
        self.failed.take().map_or(Ok((encoded, done)), Err)
    }

    fn encode(&mut self, key: CellKey, value: &Value<'_>) {
        let scratch = &mut self.scratch;
        let bytes = match *value {
            Value::Record(record) if record.is_empty() => Ok(None),
            Value::Record(record) => bytes(record, scratch).map(Some),
            Value::Total(total) => Ok(total.map(|total| Packed::of(total).bytes().to_vec())),
            Value::Facilities([]) => Ok(None),
            Value::Facilities(facilities) => bytes(facilities, scratch).map(Some),
            Value::Figures(figures) if figures.is_empty() => Ok(None),
            Value::Figures(figures) => bytes(figures, scratch).map(Some),
            Value::Totals(totals) => bytes(totals, scratch).map(Some),
        };
        match bytes {
            Ok(value) => self.encoded.push((key, value)),
            Err(error) => self.failed = Some(error),
        }
    }
}

/// A value's bytes, made where the last one's were.
fn bytes<T: Serialize + ?Sized>(
    value: &T,
    scratch: &mut Vec<u8>,
) -> Result<Vec<u8>, postcard::Error> {
    let mut bytes = std::mem::take(scratch);
    bytes.clear();
    *scratch = postcard::to_extend(value, bytes)?;
    Ok(scratch.clone())
}
