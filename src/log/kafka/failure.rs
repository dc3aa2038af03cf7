//! How Kafka fails, sorted once: what may be tried again, what ends a transaction, and
//! what ends the client.

use crate::log::Kind;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;
use std::fmt;
use std::time::Duration;

/// An operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("{operation}{subject}")]
pub struct Failure {
    /// What was tried.
    pub operation: &'static str,
    /// What to do about it.
    pub kind: Kind,
    /// With what, after a blank; empty if that is not told.
    subject: String,
    source: Box<Source>,
}

/// What the client said, without what may be secret.
#[derive(Debug, thiserror::Error)]
enum Source {
    /// Its own text has the value in it.
    #[error("property {0}: librdkafka does not take its value beside the others")]
    Property(String),
    #[error("the client has not answered for {0:?}")]
    Unanswered(Duration),
    #[error(transparent)]
    Said(KafkaError),
}

impl Source {
    fn of(error: KafkaError) -> Box<Self> {
        Box::new(match error {
            KafkaError::ClientConfig(_, _, name, _) => Self::Property(name),
            other => Self::Said(other),
        })
    }
}

impl Failure {
    /// For `map_err`.
    pub fn of(operation: &'static str) -> impl FnOnce(KafkaError) -> Self {
        move |source| Self {
            operation,
            kind: kind(&source),
            subject: String::new(),
            source: Source::of(source),
        }
    }

    /// The same, whatever happened: the transaction that is open must be aborted.
    pub fn aborting(operation: &'static str) -> impl FnOnce(KafkaError) -> Self {
        move |source| Self {
            operation,
            kind: match kind(&source) {
                Kind::Fatal => Kind::Fatal,
                Kind::Retry | Kind::Abort => Kind::Abort,
            },
            subject: String::new(),
            source: Source::of(source),
        }
    }

    /// The client did not answer: what became of it is not known, and only a new client
    /// goes on.
    pub fn unanswered(operation: &'static str, wait: Duration) -> Self {
        Self {
            operation,
            kind: Kind::Fatal,
            subject: String::new(),
            source: Box::new(Source::Unanswered(wait)),
        }
    }

    /// The same, saying with what it was tried.
    pub fn with(mut self, subject: impl fmt::Display) -> Self {
        self.subject = format!(" {subject}");
        self
    }

    /// Whether the brokers do not let us, which trying again does not change.
    pub fn is_denied(&self) -> bool {
        match &*self.source {
            Source::Property(_) | Source::Unanswered(_) => false,
            Source::Said(error) => error.rdkafka_error_code().is_some_and(is_denial),
        }
    }
}

/// A fatal error ends the client. Of the others, those that a transaction meets say
/// themselves what they want; whatever is not known ends the transaction, because an
/// outcome that is not known is no success.
pub(super) fn kind(error: &KafkaError) -> Kind {
    if let KafkaError::Transaction(error) = error {
        return match () {
            () if error.is_fatal() => Kind::Fatal,
            // Another call is unfinished, which only a new client ends.
            () if error.code() == Code::Conflict => Kind::Fatal,
            () if error.txn_requires_abort() => Kind::Abort,
            () if error.is_retriable() => Kind::Retry,
            () => Kind::Abort,
        };
    }
    match error.rdkafka_error_code() {
        Some(Code::Fatal | Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch) => {
            Kind::Fatal
        }
        // Nothing left to try: the records before the first are gone.
        Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => Kind::Fatal,
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) => {
            Kind::Fatal
        }
        Some(code) if is_denial(code) => Kind::Fatal,
        _ => Kind::Retry,
    }
}

/// What an error of a consumer is about: the topic that it reads, and the group by whose
/// name it goes, if it is that.
pub(super) fn subject(error: &KafkaError, topic: &str, group: &str) -> String {
    match error.rdkafka_error_code() {
        Some(Code::GroupAuthorizationFailed) => format!("{topic} as group {group}"),
        _ => topic.to_owned(),
    }
}

/// Whether a permission is missing.
fn is_denial(code: Code) -> bool {
    matches!(
        code,
        Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
            | Code::ClusterAuthorizationFailed
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn what_is_fatal_what_may_help_and_what_ends_a_transaction() {
        let fatal = [
            Code::Fatal,
            Code::ProducerFenced,
            Code::AutoOffsetReset,
            Code::UnknownTopic,
        ];
        for code in fatal {
            let failure = Failure::of("read")(KafkaError::MessageConsumption(code));
            assert_eq!(failure.kind, Kind::Fatal, "{code:?}");
            let failure = Failure::aborting("write")(KafkaError::MessageProduction(code));
            assert_eq!(failure.kind, Kind::Fatal, "{code:?}");
        }
        for code in [
            Code::BrokerTransportFailure,
            Code::RequestTimedOut,
            Code::QueueFull,
        ] {
            let failure = Failure::of("read")(KafkaError::MessageConsumption(code));
            assert_eq!(failure.kind, Kind::Retry, "{code:?}");
            let failure = Failure::aborting("write")(KafkaError::MessageProduction(code));
            assert_eq!(failure.kind, Kind::Abort, "{code:?}");
        }
    }

    #[test]
    fn what_is_denied_is_known_and_says_with_what_it_was_tried() {
        let denied = KafkaError::MessageConsumption(Code::TopicAuthorizationFailed);
        let failure = Failure::of("read topic")(denied).with("port.events");
        assert_eq!(failure.to_string(), "read topic port.events");
        assert!(failure.is_denied());
        let late = KafkaError::MessageConsumption(Code::RequestTimedOut);
        assert_eq!(subject(&late, "port.events", "port"), "port.events");
        assert!(!Failure::of("read topic")(late).is_denied());
        let group = KafkaError::MessageConsumption(Code::GroupAuthorizationFailed);
        let about = subject(&group, "port.events", "port");
        assert_eq!(about, "port.events as group port");
    }

    #[test]
    fn a_propertys_value_is_not_told() {
        let error = rdkafka::ClientConfig::new()
            .set("security.protocol", "hunter22")
            .create_native_config()
            .err()
            .unwrap();
        assert!(error.to_string().contains("hunter22"), "{error}");
        let failure = Failure::of("make a consumer")(error);
        let told = format!("{failure} {failure:?} {}", failure.source().unwrap());
        assert!(told.contains("security.protocol"), "{told}");
        assert!(!told.contains("hunter22"), "{told}");
    }
}
