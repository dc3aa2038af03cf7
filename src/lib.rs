//! quaymeter: exact throughput per enterprise, metered from a port's events.
//!
//! The rooms stand in reading order, and a room imports only from rooms above
//! it. The way of an event: `ingest` → `log` → `worker` with its `meter` →
//! `view` → `query`. See ARCHITECTURE.md.

// A panic must not be reachable from outside, so the code has none to reach. Tests may:
// there a panic is the verdict.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

pub mod pb;

pub mod failpoint;

pub mod allocator;

pub mod budget;

pub mod turns;

pub mod event;

pub mod pseudonym;

pub mod fingerprint;

pub mod meter;

pub mod truth;

pub mod wire;

pub mod config;

pub mod registry;

pub mod log;

pub mod store;

pub mod view;

pub mod metrics;

pub mod status;

pub mod trace;
pub mod trail;

pub mod auth;

pub mod intake;

pub mod worker;

pub mod cluster;
pub mod transfer;

pub mod audit;

pub mod ingest;

pub mod query;

pub mod backup;

pub mod server;

pub mod client;

pub mod ndjson;

pub mod dcsa;

pub mod answers;

pub mod simulate;

pub mod deliver;

pub mod cli;
