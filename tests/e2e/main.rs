//! The real binary as its users meet it: that it is exact, how it stops, what it
//! refuses to start with, what it publishes, answers and exports, and what a
//! client meets at the edges of the protocol.

mod audit;
mod boundaries;
mod completions;
mod dcsa;
mod demo;
mod exact;
#[allow(dead_code, reason = "made for other targets too")]
#[path = "../support/noted.rs"]
mod noted;
mod personal;
mod place;
mod progress;
mod publish;
mod query;
mod raw;
mod registry;
mod rotation;
#[path = "../support/same.rs"]
mod same;
mod search;
mod service;
mod settings;
mod side;
mod status;
mod stopping;
mod stream;
mod terminal;
mod top;
mod topics;
mod wire;
