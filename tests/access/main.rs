//! Who may call what, over the real binary and real gRPC.

#[path = "../support/authority.rs"]
#[allow(dead_code, reason = "made for another target too")]
mod authority;
mod authorities;
mod certificates;
mod client;
mod crowding;
#[path = "../support/declared.rs"]
mod declared;
mod ending;
mod enterprises;
mod expiry;
mod faulty;
mod given_up;
#[path = "../support/grid.rs"]
mod grid;
mod keys;
mod matrix;
#[path = "../bounded/memory.rs"]
#[expect(dead_code, reason = "other tests ask it more")]
mod memory;
mod methods;
#[path = "../support/noted.rs"]
mod noted;
#[path = "../e2e/place.rs"]
#[allow(dead_code, reason = "made for another target too")]
mod place;
mod port;
mod reload;
mod rules;
mod secrets;
mod publishing;
#[path = "../e2e/service.rs"]
#[allow(dead_code, reason = "made for another target too")]
mod service;
mod shares;
#[path = "../support/signer.rs"]
mod signer;
mod strangers;
mod tokens;
mod trail;
mod under_load;
mod unseen;
#[path = "../secure/wire.rs"]
#[allow(dead_code, reason = "made for another target too")]
mod wire;
