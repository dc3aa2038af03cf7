//! What clients may do to the real binary, and what it costs: memory has a
//! ceiling, who exceeds a limit is told, and others go on.

mod bomb;
mod churn;
mod crowd;
#[path = "../support/declared.rs"]
mod declared;
mod dribble;
mod everything;
#[expect(dead_code, reason = "shared with the tests of survival")]
#[path = "../survive/faults.rs"]
mod faults;
mod flood;
mod frames;
mod fuzz;
mod half_open;
mod headers;
mod huge;
mod memory;
mod neighbour;
#[expect(dead_code, reason = "shared with the end-to-end tests")]
#[path = "../e2e/place.rs"]
mod place;
mod raw;
mod reset;
#[expect(dead_code, reason = "shared with the end-to-end tests")]
#[path = "../e2e/service.rs"]
mod service;
#[expect(
    dead_code,
    unused_imports,
    reason = "shared with the tests of survival"
)]
#[path = "../survive/site.rs"]
mod site;
mod slow;
mod stalled;
mod tiny;
mod trap;
