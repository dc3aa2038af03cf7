//! quaymeter: exact throughput per enterprise, metered from a port's events.

pub mod pb;

pub mod event;

pub mod meter;

pub mod wire;

pub mod pseudonym;

pub mod config;

pub mod registry;

pub mod log;

pub mod store;

pub mod view;

pub mod metrics;

pub mod worker;

pub mod status;

pub mod ingest;

pub mod query;

pub mod server;

pub mod cli;
