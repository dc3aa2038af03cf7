//! The values of settings about traces.

use super::setting::{Rule, Value};
use http::Uri;

/// Where a collector takes spans, as an `http` URL of a host and perhaps a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector(String);

impl Collector {
    /// As a URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for Option<Collector> {
    fn expected(_: Rule) -> String {
        "an http URL of a host and a port, such as http://127.0.0.1:4317, or nothing".into()
    }
    fn parse(text: &str, _: Rule) -> Option<Self> {
        if text.is_empty() {
            return Some(None);
        }
        let uri: Uri = text.parse().ok()?;
        let of_host = uri.authority().is_some_and(|at| !at.as_str().contains('@'));
        let root = matches!(uri.path(), "" | "/") && uri.query().is_none();
        let taken = uri.scheme_str() == Some("http") && of_host && root;
        taken.then(|| Some(Collector(text.into())))
    }
    fn show(&self) -> Option<toml::Value> {
        self.as_ref().map(|of| of.as_str().into())
    }
}

/// A part of a whole: from 0, none of it, to 1, all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(f64);

impl Share {
    /// As a number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Value for Share {
    const QUOTED: bool = false;
    fn expected(_: Rule) -> String {
        "a number from 0 to 1, such as 0.01".into()
    }
    fn parse(text: &str, _: Rule) -> Option<Self> {
        let share: f64 = text.parse().ok()?;
        (0.0..=1.0).contains(&share).then_some(Self(share))
    }
    fn show(&self) -> Option<toml::Value> {
        Some(self.0.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_a_host_that_is_spoken_to_in_clear() {
        let taken = |text: &str| Option::<Collector>::parse(text, Rule::Any).is_some();
        for text in [
            "",
            "http://127.0.0.1:4317",
            "http://otel:4317/",
            "http://[::1]:1",
        ] {
            assert!(taken(text), "{text}");
        }
        for text in [
            "otel:4317",
            "https://otel:4317",
            "http://",
            "http://me:secret@otel:4317",
            "http://otel:4317/v1/traces",
            "http://otel:4317/?x",
            "/otel",
        ] {
            assert!(!taken(text), "{text}");
        }
    }

    #[test]
    fn a_share_is_no_less_than_nothing_and_no_more_than_all() {
        let parsed = |text: &str| Share::parse(text, Rule::Any).map(Share::get);
        for (text, share) in [("0", 0.0), ("1", 1.0), ("0.25", 0.25), ("1e-3", 0.001)] {
            assert!(
                parsed(text).is_some_and(|of| (of - share).abs() < 1e-12),
                "{text}"
            );
        }
        for text in ["-0.1", "1.1", "NaN", "inf", "", "half", "10%"] {
            assert!(parsed(text).is_none(), "{text}");
        }
    }
}
