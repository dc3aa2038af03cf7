//! What a hostile network can do: little. The real binary behind TLS, with clients
//! that show certificates.

#[allow(dead_code, reason = "shared with other tests")]
#[path = "../support/authority.rs"]
mod authority;
mod certificates;
mod exposure;
mod files;
mod handshakes;
mod health;
#[expect(dead_code, reason = "other tests ask it more")]
#[path = "../bounded/memory.rs"]
mod memory;
mod mutual;
#[allow(dead_code, reason = "made for other targets too")]
#[path = "../support/noted.rs"]
mod noted;
#[expect(dead_code, reason = "shared with the end-to-end tests")]
#[path = "../e2e/place.rs"]
mod place;
mod reload;
#[expect(dead_code, reason = "shared with the end-to-end tests")]
#[path = "../e2e/service.rs"]
mod service;
mod side;
mod transport;
mod wire;
mod world;
