//! quaymeter: exact throughput per enterprise, metered from a port's events.

pub mod event;
pub mod pseudonym;
pub mod wire;
pub mod meter;
pub mod pb;
