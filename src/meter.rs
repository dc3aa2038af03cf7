//! The pure core: no I/O, no clock, no async, no randomness. Time and identity
//! are arguments; the same records, in any order within their days, give the
//! same cells.

pub mod cell;
pub mod figure;
pub mod histogram;
pub mod names;
