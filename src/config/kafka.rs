//! The values of settings that are about Kafka.

use super::setting::{Rule, Value};
use std::fmt;

/// Where the event log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogKind {
    /// In the data directory, on this machine's disk.
    Embedded,
    /// In Kafka's topics.
    Kafka,
}

impl Value for LogKind {
    fn expected(_: Rule) -> String {
        "embedded or kafka".into()
    }
    fn parse(text: &str, _: Rule) -> Option<Self> {
        match text {
            "embedded" => Some(Self::Embedded),
            "kafka" => Some(Self::Kafka),
            _ => None,
        }
    }
    fn show(&self) -> Option<toml::Value> {
        let text = match self {
            Self::Embedded => "embedded",
            Self::Kafka => "kafka",
        };
        Some(text.into())
    }
}

/// Brokers by which a client finds all others: each a host and a port. May be
/// empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Brokers(Vec<String>);

impl Brokers {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each as `host:port`.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// Separated by commas, as librdkafka reads them.
impl fmt::Display for Brokers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

impl Value for Brokers {
    fn expected(_: Rule) -> String {
        "host:port, or several with commas between".into()
    }
    fn parse(text: &str, _: Rule) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        let brokers: Vec<String> = text.split(',').map(|one| one.trim().into()).collect();
        brokers
            .iter()
            .all(|one| is_address(one))
            .then_some(Self(brokers))
    }
    fn show(&self) -> Option<toml::Value> {
        (!self.is_empty()).then(|| self.to_string().into())
    }
}

/// A name or an address, and a port. A scheme is refused: how brokers are
/// spoken to is told by properties, once for all.
fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let host_is_good = match inner {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        }
    };
    host_is_good && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// A name that may be part of a topic's: letters, digits, `.`, `_` and `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

/// A topic's name has at most 249 characters, and some follow ours.
const NAME_CHARS_MAX: usize = 200;

impl Name {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Value for Name {
    fn expected(_: Rule) -> String {
        format!("letters, digits, '.', '_' and '-', at most {NAME_CHARS_MAX}")
    }
    fn parse(text: &str, _: Rule) -> Option<Self> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let good = (1..=NAME_CHARS_MAX).contains(&text.len()) && text.chars().all(allowed);
        good.then(|| Self(text.into()))
    }
    fn show(&self) -> Option<toml::Value> {
        Some(self.0.as_str().into())
    }
}

impl Value for Option<Name> {
    fn expected(rule: Rule) -> String {
        format!("{}, or nothing", Name::expected(rule))
    }
    fn parse(text: &str, rule: Rule) -> Option<Self> {
        match text {
            "" => Some(None),
            text => Name::parse(text, rule).map(Some),
        }
    }
    fn show(&self) -> Option<toml::Value> {
        self.as_ref().and_then(Value::show)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brokers(text: &str) -> Option<String> {
        Brokers::parse(text, Rule::Any).map(|brokers| brokers.to_string())
    }

    #[test]
    fn brokers_are_hosts_with_ports() {
        for good in ["a:1", "kafka-0.kafka:9092,10.0.0.1:65535", "[::1]:9092", ""] {
            assert_eq!(brokers(good).as_deref(), Some(good));
        }
        assert_eq!(brokers("a:1, b:2").as_deref(), Some("a:1,b:2"));
        for bad in [
            "a",
            "a:",
            ":1",
            "a:0",
            "a:65536",
            "a:1,",
            ",",
            "SSL://a:1",
            "::1:9092",
            "[a]:1",
            "a b:1",
            "a:1;b:2",
        ] {
            assert_eq!(brokers(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_name_fits_into_a_topics() {
        let name = |text: &str| Name::parse(text, Rule::Any).is_some();
        assert!(name("quaymeter") && name("port-7.A_b") && name(&"x".repeat(200)));
        for bad in ["", "a b", "宁波", "a/b", &"x".repeat(201)] {
            assert!(!name(bad), "{bad}");
        }
        assert_eq!(Option::<Name>::parse("", Rule::Any), Some(None));
        assert_eq!(Option::<Name>::parse("a b", Rule::Any), None);
    }
}
