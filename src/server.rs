//! The service as a whole.

pub mod http;
