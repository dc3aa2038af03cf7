//! quaymeter: exact throughput per enterprise, metered from a port's events.

pub mod pb;
pub mod event;
pub mod meter;
pub mod log;
pub mod store;
