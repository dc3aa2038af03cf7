//! What a hostile network can do: little. The real binary behind TLS, with clients
//! that show certificates.

#[allow(dead_code, reason = "shared with other tests")]
#[path = "../support/authority.rs"]
mod authority;
mod certificates;
