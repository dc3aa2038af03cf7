//! What a client's certificate says of who he is. That it is signed by one of our
//! authorities was found when the connection began, and whenever they changed
//! ([`peer`](super::peer)).

use super::cause::Cause;
use jiff::Timestamp;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Who somebody is by his certificate, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// His SPIFFE id if it has one; else the common name of its subject.
    pub name: String,
    /// From when on.
    begins: Timestamp,
    /// Until when.
    pub ends: Timestamp,
}

impl Certificate {
    /// Reads one.
    ///
    /// # Errors
    /// It is none, or has no name or several.
    pub fn read(der: &[u8]) -> Result<Self, Cause> {
        let malformed = |_| Cause::CertificateMalformed;
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|_| Cause::CertificateMalformed)?;
        let name = match spiffe(&certificate)? {
            Some(id) => id,
            None => common_name(&certificate).ok_or(Cause::CertificateMalformed)?,
        };
        if !rest.is_empty() {
            return Err(Cause::CertificateMalformed);
        }
        let validity = certificate.validity();
        Ok(Self {
            name,
            begins: Timestamp::from_second(validity.not_before.timestamp()).map_err(malformed)?,
            ends: Timestamp::from_second(validity.not_after.timestamp()).map_err(malformed)?,
        })
    }

    /// Whether it is good at a time.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.begins <= now && now < self.ends
    }
}

/// The one SPIFFE id among the names of the certificate's subject. Two would be two
/// callers.
fn spiffe(certificate: &X509Certificate<'_>) -> Result<Option<String>, Cause> {
    let names = certificate.subject_alternative_name();
    let Some(names) = names.map_err(|_| Cause::CertificateMalformed)? else {
        return Ok(None);
    };
    let ids = names
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::URI(uri) if uri.starts_with("spiffe://") => Some(*uri),
            _ => None,
        });
    let ids: Vec<_> = ids.collect();
    match ids[..] {
        [] => Ok(None),
        [id] => Ok(Some(id.into())),
        _ => Err(Cause::CertificateMalformed),
    }
}

fn common_name(certificate: &X509Certificate<'_>) -> Option<String> {
    let mut names = certificate.subject().iter_common_name();
    let name = names.next()?.as_str().ok()?;
    // Two would be two callers. One that looks like an id of another kind is none.
    let one = names.next().is_none() && !name.is_empty() && !name.starts_with("spiffe://");
    one.then(|| name.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    fn made(names: &[&str], ids: &[&str]) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for name in names {
            params.distinguished_name.push(DnType::CommonName, *name);
        }
        let id = |id: &&str| SanType::URI((*id).try_into().unwrap());
        params.subject_alt_names = ids.iter().map(id).collect();
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    fn name(names: &[&str], ids: &[&str]) -> Result<String, Cause> {
        Certificate::read(&made(names, ids)).map(|found| found.name)
    }

    #[test]
    fn a_spiffe_id_goes_before_a_common_name() {
        assert_eq!(name(&["tos"], &[]), Ok("tos".into()));
        let id = "spiffe://port/tos";
        assert_eq!(name(&["tos"], &[id]), Ok(id.into()));
        assert_eq!(name(&["tos"], &["https://port/tos"]), Ok("tos".into()));
        let none = Err(Cause::CertificateMalformed);
        assert_eq!(name(&["tos"], &[id, "spiffe://port/gate"]), none);
        assert_eq!(name(&[], &[]), none);
        assert_eq!(name(&[id], &[]), none, "an id in the wrong place");
    }

    #[test]
    fn a_certificate_has_a_beginning_and_an_end() {
        let found = Certificate::read(&made(&["tos"], &[])).unwrap();
        assert!(found.is_good(found.begins) && !found.is_good(found.ends));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(at in 0usize..600, byte: u8, cut in 0usize..600) {
            let mut der = made(&["tos"], &["spiffe://port/tos"]);
            let length = der.len();
            der[at % length] = byte;
            let _ = Certificate::read(&der);
            let _ = Certificate::read(&der[..cut % length]);
        }
    }
}
