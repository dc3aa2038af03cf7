//! Who may call what, over the real binary and real gRPC.

mod keys;
#[path = "../e2e/place.rs"]
#[allow(dead_code, reason = "made for another target too")]
mod place;
mod port;
#[path = "../e2e/service.rs"]
#[allow(dead_code, reason = "made for another target too")]
mod service;
