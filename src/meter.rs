//! The pure core: no I/O, no clock, no async, no randomness. Time and identity
//! are arguments; the same records, in any order within their days, give the
//! same cells.

pub mod cell;
pub mod figure;
pub mod histogram;
pub mod names;

/// What became of the records so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records applied.
    pub events: i64,
    /// Records that changed nothing: a known identity, revision and content.
    pub duplicates: i64,
    /// Records that replaced an older statement of their identity.
    pub revisions: i64,
    /// Records that took an identity back.
    pub retractions: i64,
    /// Records older than what is known of their identity.
    pub superseded: i64,
    /// Records of a known revision, but with other content.
    pub conflicts: i64,
    /// Durations taken back because their neighbours were paired anew.
    pub repaired: i64,
    /// Identities forgotten so far.
    pub forgotten: i64,
    /// Identities known now.
    pub identities: i64,
}
