//! Which version of an event holds, of two.

use super::Record;
use super::ledger::Known;
use super::recall::{Lost, Recall};
use crate::event::personal::Precedence;
use std::cmp::Ordering;

/// In what two records of one revision differ.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tie {
    /// They say different things.
    Statements,
    /// They say the same, under other pseudonyms.
    Pseudonyms,
}

/// How a record's version stands to the one that is known, and in what the two
/// differ if they are of one revision. Versions are ordered by revision; a retraction
/// beats a statement of the same one; of two statements the greater content hash
/// wins; of two records of one statement that with the earlier key.
pub fn compare(
    record: &Record,
    old: &Known,
    past: &dyn Recall,
) -> Result<(Ordering, Option<Tie>), Lost> {
    let revision = match old.revision {
        Some(revision) => revision,
        None => past.event(old.record)?.revision,
    };
    let retracted = record.event.statement.is_none();
    let order = (record.event.revision, retracted).cmp(&(revision, old.retracted));
    if order.is_ne() || retracted || record.whence.content == old.record.content {
        return Ok((order, None));
    }
    let order = past.hash(record.whence)?.cmp(&past.hash(old.record)?);
    if order.is_ne() {
        return Ok((order, Some(Tie::Statements)));
    }
    let old = Precedence::of(&past.event(old.record)?);
    Ok((
        Precedence::of(record.event).cmp(&old),
        Some(Tie::Pseudonyms),
    ))
}
