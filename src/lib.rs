//! quaymeter: exact throughput per enterprise, metered from a port's events.

pub mod pb;
pub mod event;
pub mod meter;
pub mod view;
pub mod status;
pub mod query;
pub mod cli;
