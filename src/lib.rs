//! quaymeter: exact throughput per enterprise, metered from a port's events.
//!
//! The rooms stand in reading order, and a room imports only from rooms above
//! it. The way of an event: `ingest` → `log` → `worker` with its `meter` →
//! `view` → `query`. See ARCHITECTURE.md.

pub mod pb;

pub mod event;

pub mod pseudonym;

pub mod meter;
pub mod log;
pub mod store;
