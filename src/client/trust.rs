//! Whether a connection failed because one end does not trust the other: trying again
//! would change nothing.

use std::error::Error;
use std::io;
use tokio_rustls::rustls::{self, AlertDescription};

/// Why the other end is not trusted, or does not trust us; none if it is something
/// else.
pub(super) fn refusal(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(why) = of_tls(error).and_then(judge) {
            return Some(why);
        }
        next = error.source();
    }
    None
}

/// TLS speaks through errors of input and output, which show their own source's source.
fn of_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let inner = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    match inner {
        Some(inner) => inner.downcast_ref(),
        None => error.downcast_ref(),
    }
}

fn judge(error: &rustls::Error) -> Option<String> {
    use AlertDescription as Alert;
    match error {
        rustls::Error::InvalidCertificate(why) => {
            Some(format!("the service's certificate is not trusted: {why}"))
        }
        rustls::Error::AlertReceived(
            alert @ (Alert::AccessDenied
            | Alert::BadCertificate
            | Alert::CertificateExpired
            | Alert::CertificateRequired
            | Alert::CertificateRevoked
            | Alert::CertificateUnknown
            | Alert::DecryptError
            | Alert::UnknownCA
            | Alert::UnsupportedCertificate),
        ) => Some(format!(
            "the service does not take our certificate: {alert:?}"
        )),
        _ => None,
    }
}
