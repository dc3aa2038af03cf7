//! What the TLS handshake tells of who is at the other end.

use std::sync::Arc;

/// The certificate that a client showed, in DER. It is good: an authority of
/// `tls.client_ca` vouches for it, it is of its time and for clients. Requests of its
/// connection have it among their extensions; those of a client without one have none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate(Arc<[u8]>);

impl PeerCertificate {
    /// Of these bytes.
    pub fn new(der: impl Into<Arc<[u8]>>) -> Self {
        Self(der.into())
    }

    /// Its bytes.
    pub fn der(&self) -> &[u8] {
        &self.0
    }

    /// That of a request's connection.
    pub fn of(extensions: &http::Extensions) -> Option<&Self> {
        extensions.get()
    }
}
