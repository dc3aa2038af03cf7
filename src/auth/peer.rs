//! What the TLS handshake tells of who is at the other end, and whether it holds still.

use parking_lot::Mutex;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use std::future::pending;
use std::sync::Arc;
use tokio::sync::watch;

/// What judges clients' certificates, if they are asked for.
pub type Verifier = Option<Arc<dyn ClientCertVerifier>>;

/// That of now: another takes its place when the authorities' file changes.
pub type Authorities = watch::Receiver<Verifier>;

/// The certificate that a client showed. It was good when his connection began: an
/// authority of `tls.client_ca` vouched for it, it was of its time and for clients.
/// Requests of its connection have it among their extensions; those of a client without
/// one have none.
#[derive(Clone, Debug)]
pub struct PeerCertificate(Arc<Shown>);

#[derive(Debug)]
struct Shown {
    own: CertificateDer<'static>,
    /// Those between it and its authority.
    between: Vec<CertificateDer<'static>>,
    judged: Mutex<Judged>,
}

/// What the authorities said that were looked at last.
#[derive(Debug)]
struct Judged {
    authorities: Authorities,
    good: bool,
}

impl PeerCertificate {
    /// That of a chain which is good by the authorities that were looked at last; none of
    /// an empty one.
    pub fn new(chain: &[CertificateDer<'static>], authorities: Authorities) -> Option<Self> {
        let (own, between) = chain.split_first()?;
        let good = true;
        Some(Self(Arc::new(Shown {
            own: own.clone(),
            between: between.to_vec(),
            judged: Mutex::new(Judged { authorities, good }),
        })))
    }

    /// Its bytes in DER.
    pub fn der(&self) -> &[u8] {
        &self.0.own
    }

    /// That of a request's connection.
    pub fn of(extensions: &http::Extensions) -> Option<&Self> {
        extensions.get()
    }

    /// Whether an authority of now vouches for it. It is judged once for all calls of its
    /// connection, and again when the authorities have changed.
    pub fn is_trusted(&self) -> bool {
        let mut judged = self.0.judged.lock();
        // Without who would tell nothing changes any more.
        if judged.authorities.has_changed().unwrap_or(false) {
            let verifier = judged.authorities.borrow_and_update().clone();
            judged.good = verifier.is_some_and(|verifier| self.0.is_good_for(verifier.as_ref()));
        }
        judged.good
    }

    /// Waits until no authority vouches for it any more.
    pub async fn distrusted(&self) {
        let mut authorities = self.0.judged.lock().authorities.clone();
        while self.is_trusted() {
            if authorities.changed().await.is_err() {
                return pending().await;
            }
        }
    }
}

impl Shown {
    fn is_good_for(&self, verifier: &dyn ClientCertVerifier) -> bool {
        let judged = verifier.verify_client_cert(&self.own, &self.between, UnixTime::now());
        judged.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
    use rustls::RootCertStore;
    use rustls::crypto::aws_lc_rs;
    use rustls::server::WebPkiClientVerifier;

    /// An authority, and its own certificate.
    type Authority = (Issuer<'static, KeyPair>, CertificateDer<'static>);

    fn authority(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let own = params.self_signed(&key).unwrap();
        (Issuer::new(params, key), own.der().clone())
    }

    fn vouching(authorities: &[&Authority]) -> Verifier {
        let mut roots = RootCertStore::empty();
        for (_, own) in authorities {
            roots.add(own.clone()).unwrap();
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        Some(builder.build().unwrap())
    }

    fn client(of: &Authority, authorities: Authorities) -> PeerCertificate {
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::default().signed_by(&key, &of.0).unwrap();
        PeerCertificate::new(&[own.der().clone()], authorities).unwrap()
    }

    #[tokio::test]
    async fn a_certificate_is_judged_by_the_authorities_of_now() {
        let (ours, other) = (authority("ours"), authority("other"));
        let (change, authorities) = watch::channel(vouching(&[&ours]));
        let shown = client(&ours, authorities);
        let mut distrusted = Box::pin(shown.distrusted());
        assert!(shown.is_trusted());
        for stays in [&[&ours, &other][..], &[&ours]] {
            change.send_replace(vouching(stays));
            assert!(distrusted.as_mut().now_or_never().is_none());
            assert!(shown.is_trusted());
        }
        change.send_replace(vouching(&[&other]));
        distrusted.await;
        assert!(!shown.is_trusted());
        change.send_replace(vouching(&[&other, &ours]));
        assert!(shown.is_trusted());
        drop(change);
        assert!(shown.distrusted().now_or_never().is_none());
    }

    #[tokio::test]
    async fn who_waits_is_told_although_a_call_was_judged_before() {
        let (ours, other) = (authority("ours"), authority("other"));
        let (change, authorities) = watch::channel(vouching(&[&ours]));
        let shown = client(&ours, authorities);
        let mut distrusted = Box::pin(shown.distrusted());
        assert!(distrusted.as_mut().now_or_never().is_none());
        change.send_replace(vouching(&[&other]));
        assert!(!shown.is_trusted());
        distrusted.await;
    }
}
