//! With a real Apache Kafka broker.

mod alarmed;
mod audited;
#[path = "../support/authority.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod authority;
mod broker;
mod caught;
mod chained;
#[path = "../traces/collector.rs"]
#[allow(dead_code, reason = "shared with the tests of traces")]
mod collector;
mod compacted;
mod counted;
mod exported;
mod fed;
mod gate;
mod grants;
mod harness;
mod healed;
mod instances;
mod killed;
mod moved;
#[path = "../bounded/memory.rs"]
#[expect(dead_code, reason = "other tests ask it more")]
mod memory;
mod outage;
mod overload;
#[path = "../e2e/place.rs"]
#[expect(dead_code, reason = "shared with the end-to-end tests")]
mod place;
mod permitted;
#[cfg(feature = "failpoints")]
mod points;
mod producer;
mod proxy;
#[path = "../e2e/raw.rs"]
mod raw;
mod records;
mod requeued;
#[path = "../support/same.rs"]
mod same;
#[path = "../e2e/search.rs"]
mod search;
mod searched;
mod secured;
#[path = "../e2e/service.rs"]
#[allow(dead_code, reason = "other tests ask it more")]
mod service;
#[path = "../prometheus/server.rs"]
mod server;
#[path = "../support/signer.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod signer;
mod strangers;
#[path = "../e2e/stream.rs"]
#[expect(dead_code, reason = "other tests ask it more")]
mod stream;
mod topics;
mod traced;
mod underway;
mod unknown;
#[path = "../prometheus/watched.rs"]
#[expect(dead_code, reason = "shared with the tests of dashboards")]
mod watched;
