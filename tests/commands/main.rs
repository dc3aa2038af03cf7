//! The commands of the real binary as their users meet them: how it stops, what
//! it refuses to start with, what it publishes, answers and exports, and what a
//! client meets at the edges of the protocol.

mod boundaries;
mod dcsa;
mod place;
mod publish;
mod query;
#[path = "../e2e/service.rs"]
mod service;
mod settings;
mod side;
mod stopping;
mod stream;
mod wire;
