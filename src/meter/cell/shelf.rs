//! The shelf: cells that are not in memory.

use super::{Day, DayRecord, Owner, SlotKey};
use crate::meter::figure::Figures;
use crate::meter::names::NameId;
use std::ops::Range;

/// An owner's records, each with its day and facility.
pub type Records = Vec<((Day, NameId), DayRecord)>;

/// A part of the cells that must be read from the shelf and cannot.
#[derive(Debug, thiserror::Error)]
#[error("read cells that are not in memory")]
pub struct Unread(#[from] pub Box<dyn std::error::Error + Send + Sync>);

/// Reads cells that were stored. What is in memory too may be older there, and
/// what is out of retention may still be there.
pub trait Shelf: Send + Sync {
    /// The record of an owner's day at a facility.
    ///
    /// # Errors
    /// It cannot be read.
    fn record(&self, owner: Owner, day: Day, facility: NameId)
    -> Result<Option<DayRecord>, Unread>;

    /// An owner's records of some days, in the order of day and facility.
    ///
    /// # Errors
    /// They cannot be read.
    fn records(&self, owner: Owner, days: Range<Day>) -> Result<Records, Unread>;

    /// A slot's figures.
    ///
    /// # Errors
    /// They cannot be read.
    fn slot(&self, key: &SlotKey) -> Result<Option<Figures>, Unread>;

    /// The slots that start on a UTC day, in order: all, or an owner's.
    ///
    /// # Errors
    /// They cannot be read.
    fn slots(&self, day: Day, whose: Option<Owner>) -> Result<Vec<(SlotKey, Figures)>, Unread>;
}

/// A shelf with nothing on it.
pub struct Bare;

impl Shelf for Bare {
    fn record(&self, _: Owner, _: Day, _: NameId) -> Result<Option<DayRecord>, Unread> {
        Ok(None)
    }

    fn records(&self, _: Owner, _: Range<Day>) -> Result<Records, Unread> {
        Ok(Vec::new())
    }

    fn slot(&self, _: &SlotKey) -> Result<Option<Figures>, Unread> {
        Ok(None)
    }

    fn slots(&self, _: Day, _: Option<Owner>) -> Result<Vec<(SlotKey, Figures)>, Unread> {
        Ok(Vec::new())
    }
}

/// What must be in memory before some changes are made: see
/// [`super::Cells::wanted`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Records of an owner's day at a facility.
    pub records: Vec<(Owner, Day, NameId)>,
    /// Slots.
    pub slots: Vec<SlotKey>,
}

/// The same with what stands on the shelf; what is not there is left out.
#[derive(Clone, Debug, Default)]
pub struct Warm {
    /// Records.
    pub records: Vec<((Owner, Day, NameId), DayRecord)>,
    /// Slots.
    pub slots: Vec<(SlotKey, Figures)>,
}

impl Wanted {
    /// Whether everything is in memory.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.slots.is_empty()
    }

    /// Reads it from the shelf.
    ///
    /// # Errors
    /// Something cannot be read.
    pub fn read(&self, shelf: &dyn Shelf) -> Result<Warm, Unread> {
        let mut warm = Warm::default();
        for &(owner, day, facility) in &self.records {
            let record = shelf.record(owner, day, facility)?;
            let key = (owner, day, facility);
            warm.records.extend(record.map(|record| (key, record)));
        }
        for key in &self.slots {
            let figures = shelf.slot(key)?;
            warm.slots.extend(figures.map(|figures| (*key, figures)));
        }
        Ok(warm)
    }
}
