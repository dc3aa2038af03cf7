//! With a real Apache Kafka broker.

mod broker;
mod counted;
mod harness;
mod instances;
mod producer;
mod records;
#[path = "../support/same.rs"]
mod same;
#[path = "../e2e/service.rs"]
#[allow(dead_code, reason = "other tests ask it more")]
mod service;
mod strangers;
mod topics;
