//! How this process speaks to Kafka: one configuration for all of its clients,
//! and what becomes of what they tell.

use super::Error;
use crate::config::{Brokers, Config, Properties};
use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;
use rdkafka::types::RDKafkaConfRes;
use std::sync::Arc;

/// What every client has unless a property says otherwise. A request's time is
/// below a transaction's, as librdkafka demands of transactional producers.
const DEFAULTS: [(&str, &str); 5] = [
    ("client.id", "quaymeter"),
    ("reconnect.backoff.max.ms", "2000"),
    ("socket.connection.setup.timeout.ms", "5000"),
    ("socket.keepalive.enable", "true"),
    ("socket.timeout.ms", "9000"),
];

/// Whom to ask, and how to speak to them. `Debug` tells no property's value.
#[derive(Clone, Debug)]
pub struct Connection {
    brokers: Brokers,
    properties: Properties,
}

impl Connection {
    /// As configured. Nobody is asked yet.
    ///
    /// # Errors
    /// No brokers; properties that the client library does not know, or whose
    /// values it does not take: all of them.
    pub fn of(config: &Config) -> Result<Self, Error> {
        if config.kafka.brokers.is_empty() {
            return Err(Error::NoBrokers);
        }
        let faults = faults(&config.properties);
        if !faults.is_empty() {
            return Err(Error::Properties { faults });
        }
        Ok(Self {
            brokers: config.kafka.brokers.clone(),
            properties: config.properties.clone(),
        })
    }

    /// The brokers, with commas between.
    pub fn brokers(&self) -> String {
        self.brokers.to_string()
    }

    /// What all clients have in common, for the caller to add what is his own.
    /// Print it nowhere: it holds the properties' values.
    pub fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        // Which of the lines are told, the log's own filter decides.
        client.set_log_level(RDKafkaLogLevel::Debug);
        for (name, value) in DEFAULTS.into_iter().chain(self.properties.iter()) {
            client.set(name, value);
        }
        client.set("bootstrap.servers", self.brokers());
        // A producer that asks for a topic would have it made, by the broker's
        // defaults, if the broker is so inclined.
        client.set("allow.auto.create.topics", "false");
        client
    }

    /// For a client's own words.
    pub fn context(&self) -> Context {
        Context {
            properties: self.properties.clone(),
            trouble: Arc::default(),
        }
    }

    /// A text of the client library, without values of properties.
    pub(super) fn hide(&self, text: &str) -> String {
        self.properties.hide(text)
    }

    /// Why there can be no client.
    pub(super) fn no_client(&self, error: &KafkaError) -> Error {
        let why = match error {
            // Its own text has the value in it.
            KafkaError::ClientConfig(_, _, name, _) => format!("{name}: {REFUSED}"),
            other => self.hide(&other.to_string()),
        };
        Error::Client { why }
    }
}

const UNKNOWN: &str = "librdkafka knows no such property";
const REFUSED: &str = "librdkafka does not take its value";

/// Each property is tried alone, so that all faults are found. What librdkafka
/// says of a value repeats it, and so is not told.
fn faults(properties: &Properties) -> Vec<String> {
    let fault = |(name, value): (&str, &str)| {
        let tried = ClientConfig::new().set(name, value).create_native_config();
        let what = match tried.err()? {
            KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..) => UNKNOWN,
            _ => REFUSED,
        };
        Some(format!("{name}: {what}"))
    };
    properties.iter().filter_map(fault).collect()
}

/// The facility of a line about a connection that failed. Not every such line
/// comes as an error too.
const FAILED: &str = "FAIL";

/// Takes what a client of the library tells, to the log, and keeps the latest
/// trouble for whoever waits for it in vain.
#[derive(Clone, Debug)]
pub struct Context {
    properties: Properties,
    trouble: Arc<Mutex<Trouble>>,
}

/// What a client told of its connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Trouble {
    /// The latest reason.
    pub why: Option<String>,
    /// Whether no connection is left, or none ever was.
    pub all_down: bool,
}

impl Context {
    /// What it told so far.
    pub(super) fn trouble(&self) -> Trouble {
        self.trouble.lock().clone()
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        use RDKafkaLogLevel::{Alert, Critical, Debug, Emerg, Error, Info, Notice, Warning};
        let line = self.properties.hide(line);
        if facility == FAILED {
            // Before it comes the thread's name.
            let why = line.split_once("]: ").map_or(line.as_str(), |(_, why)| why);
            self.trouble.lock().why = Some(why.into());
        }
        match level {
            Emerg | Alert | Critical | Error => {
                tracing::error!(target: "librdkafka", facility, "{line}");
            }
            Warning => tracing::warn!(target: "librdkafka", facility, "{line}"),
            Notice | Info => tracing::info!(target: "librdkafka", facility, "{line}"),
            Debug => tracing::debug!(target: "librdkafka", facility, "{line}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // Who asks for the ends of partitions is told of them; it is no trouble.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
            return;
        }
        let reason = self.properties.hide(reason);
        tracing::warn!(target: "librdkafka", "{reason}");
        let mut trouble = self.trouble.lock();
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            trouble.all_down = true;
        } else {
            trouble.why = Some(reason);
        }
    }
}

impl ConsumerContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;
    use crate::config::properties::FIXED;

    fn config(brokers: &str, properties: &[(&str, &str)]) -> Config {
        let variable = |(name, value): &(&str, &str)| {
            let name = name.replace('.', "_").to_uppercase();
            (
                format!("QUAYMETER_KAFKA_PROPERTY_{name}").into(),
                value.into(),
            )
        };
        Config::resolve(Sources {
            environment: properties.iter().map(variable).collect(),
            flags: vec![("kafka.brokers", brokers.into())],
            ..Sources::default()
        })
        .unwrap()
    }

    #[test]
    fn without_brokers_there_is_no_connection() {
        let error = Connection::of(&config("", &[])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "connect to Kafka: kafka.brokers is not set"
        );
    }

    #[test]
    fn properties_win_over_defaults_but_not_over_what_is_fixed() {
        let properties = [("client.id", "berth"), ("ssl.key.password", "hunter22")];
        let connection = Connection::of(&config("a:1,b:2", &properties)).unwrap();
        let client = connection.client();
        assert_eq!(client.get("client.id"), Some("berth"));
        assert_eq!(client.get("ssl.key.password"), Some("hunter22"));
        assert_eq!(client.get("bootstrap.servers"), Some("a:1,b:2"));
        assert_eq!(client.get("allow.auto.create.topics"), Some("false"));
        assert!(!format!("{connection:?}{:?}", connection.context()).contains("hunter22"));
        client.create_native_config().unwrap();
    }

    #[test]
    fn every_property_that_librdkafka_refuses_is_told_and_no_value() {
        let properties = [
            ("sasl.passwort", "hunter22"),
            ("security.protocol", "hunter23"),
            ("linger.ms", "-77"),
            ("ssl.key.password", "hunter24"),
        ];
        let error = Connection::of(&config("a:1", &properties)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "configure Kafka's client: linger.ms: librdkafka does not take its value; \
             sasl.passwort: librdkafka knows no such property; security.protocol: librdkafka does \
             not take its value"
        );
        let client = Connection::of(&config("a:1", &[("ssl.key.password", "hunter24")])).unwrap();
        let key = "ssl.key.password".to_owned();
        let text = "Bad hunter24".to_owned();
        let refused = RDKafkaConfRes::RD_KAFKA_CONF_INVALID;
        for error in [
            KafkaError::ClientConfig(refused, text.clone(), key, "hunter24".into()),
            KafkaError::ClientCreation(text),
        ] {
            let told = client.no_client(&error);
            assert!(!format!("{told} {told:?}").contains("hunter24"), "{told}");
        }
    }

    #[test]
    fn librdkafka_knows_whatever_is_fixed() {
        for (name, _) in FIXED {
            let tried = ClientConfig::new().set(*name, "x").create_native_config();
            let unknown = matches!(
                tried.err(),
                Some(KafkaError::ClientConfig(
                    RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN,
                    ..
                ))
            );
            assert!(!unknown, "{name}");
        }
    }
}
