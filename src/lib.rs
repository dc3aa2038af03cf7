//! quaymeter: exact throughput per enterprise, metered from a port's events.

pub mod pb;
pub mod event;
pub mod meter;
pub mod config;
pub mod registry;
pub mod metrics;
pub mod server;
pub mod cli;
