//! The generated messages and services of `proto/quaymeter/v1`, and their JSON
//! form (the proto's own mapping). Nothing here is written by hand.

#![allow(clippy::all, clippy::pedantic, missing_docs)]

include!(concat!(env!("OUT_DIR"), "/quaymeter.v1.rs"));
include!(concat!(env!("OUT_DIR"), "/quaymeter.v1.serde.rs"));

/// The compiled file descriptors, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
