//! What was counted, traced to what was sent: single events by LookupEvent,
//! cells by ListCellEvents, and both as `quaymeter explain` tells them.

mod all;
mod cells;
mod cli;
#[expect(dead_code, reason = "shared with the test of retention")]
#[path = "../survive/clock.rs"]
mod clock;
mod cut;
mod events;
mod forgotten;
#[expect(dead_code, reason = "shared with the end-to-end tests")]
#[path = "../e2e/place.rs"]
mod place;
#[expect(dead_code, reason = "shared with the end-to-end tests")]
#[path = "../e2e/service.rs"]
mod service;
mod world;
