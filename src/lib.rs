//! quaymeter: exact throughput per enterprise, metered from a port's events.

pub mod pb;

pub mod event;

pub mod meter;
pub mod pseudonym;
pub mod wire;

pub mod status;
pub mod view;

pub mod query;

pub mod cli;
