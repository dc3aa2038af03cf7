//! The real binary as the world treats it: it dies at every hand-off and at any
//! moment, its disk fills, fails, slows down and lies. Whatever happens, what
//! was acknowledged is counted, once, and what cannot be done is said.

mod backup;
mod broken;
mod chaos;
#[expect(dead_code, reason = "shared with the test of retention")]
mod clock;
mod faults;
mod full;
mod load;
#[expect(dead_code, reason = "shared with the end-to-end tests")]
#[path = "../e2e/place.rs"]
mod place;
#[cfg(feature = "failpoints")]
mod points;
#[expect(dead_code, reason = "shared with the end-to-end tests")]
#[path = "../e2e/service.rs"]
mod service;
mod site;
mod time;
