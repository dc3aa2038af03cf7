//! Who calls, and what he may do.
//!
//! The callers' file says who there is ([`callers`]), the key file which API keys
//! ([`keys`]), an issuer's key set which tokens are his ([`jwks`]). Together they are a
//! [`set`] in which a request's credentials are looked up ([`known`]). What each method
//! asks of its caller stands in one table ([`rule`]).

pub mod caller;
pub mod callers;
pub mod cause;
pub mod certificate;
pub mod file;
pub mod jwks;
pub mod key;
pub mod keys;
pub mod known;
pub mod peer;
pub mod pepper;
pub mod quota;
pub mod rights;
pub mod rule;
pub mod set;
pub mod token;
