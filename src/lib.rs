//! quaymeter: exact throughput per enterprise, metered from a port's events.

pub mod pb;
pub mod event;
pub mod meter;
pub mod ndjson;
pub mod client;
pub mod dcsa;
pub mod cli {
    pub mod publish;
}
