//! How this process speaks to Kafka: one configuration for all of its clients,
//! and what becomes of what they tell.

mod context;

use super::Error;
use super::oauth::{Tokens, hand};
use crate::config::{Brokers, Config, Properties};
use rdkafka::ClientContext;
use rdkafka::admin::AdminClient;
use rdkafka::client::Client;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::producer::{BaseProducer, Producer as _, ProducerContext};
use rdkafka::types::RDKafkaConfRes;

pub use context::Context;
pub(super) use context::Trouble;

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
    /// By which brokers know us, if it is by them.
    tokens: Option<Tokens>,
    group: String,
}

/// What speaks to brokers as some client of the library.
pub trait Speaks<C: ClientContext> {
    /// That client.
    fn speaker(&self) -> &Client<C>;
}

impl<C: ConsumerContext> Speaks<C> for BaseConsumer<C> {
    fn speaker(&self) -> &Client<C> {
        self.client()
    }
}

impl<C: ProducerContext> Speaks<C> for BaseProducer<C> {
    fn speaker(&self) -> &Client<C> {
        self.client()
    }
}

impl<C: ClientContext> Speaks<C> for AdminClient<C> {
    fn speaker(&self) -> &Client<C> {
        self.inner()
    }
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
        let mut faults = faults(&config.properties);
        faults.extend(disagreement(config));
        if !faults.is_empty() {
            return Err(Error::Properties { faults });
        }
        Ok(Self {
            brokers: config.kafka.brokers.clone(),
            properties: config.properties.clone(),
            tokens: config.kafka.oauth_token_file.clone().map(Tokens::of),
            group: config.kafka.prefix.to_string(),
        })
    }

    /// The group of the instances. Who reads in no group goes by its name too, because the
    /// library asks brokers for the group in any case: so it takes one permission.
    pub fn group(&self) -> &str {
        &self.group
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
        Context::new(self.properties.clone(), self.tokens.clone())
    }

    /// Makes a client, which may speak to brokers at once.
    ///
    /// # Errors
    /// A configuration that the library does not take; there is no token.
    pub fn make<T, C>(&self, client: &ClientConfig, context: C) -> KafkaResult<T>
    where
        C: ClientContext,
        T: FromClientConfigAndContext<C> + Speaks<C>,
    {
        let made: T = client.create_with_context(context)?;
        if self.tokens.is_some() {
            let speaker = made.speaker();
            let token = speaker.context().generate_oauth_token(None);
            token
                .map_err(|fault| fault.to_string())
                .and_then(|token| hand::give(speaker, token))
                .map_err(KafkaError::ClientCreation)?;
        }
        Ok(made)
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

/// The mechanism that needs a token.
const OAUTHBEARER: &str = "OAUTHBEARER";

/// Whether brokers are to be shown a token, and whether there is one, must be the same.
fn disagreement(config: &Config) -> Option<String> {
    let mut properties = config.properties.iter();
    let mechanism = |(name, _): &(&str, &str)| name.starts_with("sasl.mechanism");
    let mechanism = properties.find(mechanism).map(|(_, value)| value);
    match (mechanism, &config.kafka.oauth_token_file) {
        (Some(OAUTHBEARER), None) => {
            Some("sasl.mechanism: OAUTHBEARER needs the setting kafka.oauth_token_file".into())
        }
        (mechanism, Some(_)) if mechanism != Some(OAUTHBEARER) => {
            Some("kafka.oauth_token_file: it needs the property sasl.mechanism=OAUTHBEARER".into())
        }
        _ => None,
    }
}

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
    fn a_token_and_the_mechanism_that_shows_it_go_together() {
        let of = |mechanism: &str, file: &str| {
            let mut config = config("a:1", &[("sasl.mechanism", mechanism)]);
            config.kafka.oauth_token_file = (!file.is_empty()).then(|| file.into());
            Connection::of(&config).map(|_| ())
        };
        let told = |mechanism, file| of(mechanism, file).unwrap_err().to_string();
        assert!(of("PLAIN", "").is_ok() && of("OAUTHBEARER", "/token").is_ok());
        let needed = "OAUTHBEARER needs the setting kafka.oauth_token_file";
        assert!(told("OAUTHBEARER", "").ends_with(needed));
        let unused = "it needs the property sasl.mechanism=OAUTHBEARER";
        assert!(told("PLAIN", "/token").ends_with(unused));
    }

    #[test]
    fn a_client_without_a_token_is_not_made() {
        let properties = [
            ("security.protocol", "sasl_plaintext"),
            ("sasl.mechanism", "OAUTHBEARER"),
        ];
        let mut config = config("a:1", &properties);
        config.kafka.oauth_token_file = Some("/nowhere/token".into());
        let connection = Connection::of(&config).unwrap();
        let made: KafkaResult<BaseProducer<Context>> =
            connection.make(&connection.client(), connection.context());
        let told = made.err().unwrap().to_string();
        assert!(told.contains("/nowhere/token: No such file"), "{told}");
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
