//! Who calls, and what he may do.

pub mod caller;
pub mod peer;
pub mod rights;
