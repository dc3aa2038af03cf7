//! Of TLS: whether clients show certificates, and what belongs together.

use super::resolve::{Found, Origin};
use super::setting::{Rule, Value};

/// Whether clients show certificates of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They are not asked for any.
    None,
    /// They are asked, and may have none. One that is shown must be good.
    Optional,
    /// Without a good one there is no connection.
    Required,
}

impl Value for ClientCertificates {
    fn expected(_: Rule) -> String {
        "none, optional or required".into()
    }

    fn parse(text: &str, _: Rule) -> Option<Self> {
        match text {
            "none" => Some(Self::None),
            "optional" => Some(Self::Optional),
            "required" => Some(Self::Required),
            _ => None,
        }
    }

    fn show(&self) -> Option<toml::Value> {
        let text = match self {
            Self::None => "none",
            Self::Optional => "optional",
            Self::Required => "required",
        };
        Some(text.into())
    }
}

/// Checks that what TLS needs is there, and that nothing is asked for in vain.
pub(super) fn check(found: &mut Found) {
    for (needed, of) in [
        ("tls.cert", "tls.key"),
        ("tls.key", "tls.cert"),
        ("tls.cert", "tls.client_ca"),
    ] {
        let asked = found.is_set(of);
        found.need(asked, needed, of, &format!("{of} is set"));
    }
    for value in ["optional", "required"] {
        found.require("tls.client_ca", "tls.clients", value);
    }
    if found.is_set("tls.client_ca") && found.has("tls.clients", "none") {
        let origin = found.said_at("tls.client_ca").cloned();
        let expected = "optional or required, because tls.client_ca is set";
        let origin = origin.unwrap_or(Origin::Default);
        found.fault("tls.clients", origin, "none", expected);
    }
}
