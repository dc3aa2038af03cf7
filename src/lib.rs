//! quaymeter: exact throughput per enterprise, metered from a port's events.

pub mod pb;
pub mod event;
pub mod meter;
pub mod truth;
pub mod simulate;
pub mod cli {
    //! The command line.

    pub mod simulate;
}
