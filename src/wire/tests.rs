//! The rules of what is accepted, and the round trip of what is kept.

mod common;
mod keys;
mod kinds;
mod properties;
mod samples;
