//! What the library calls: reports of deliveries, its errors and its log. All on
//! the polling thread, except the log, so it must be short.

use super::pending::Pending;
use crate::log::kafka::connection;
use crate::log::{Error, Kind};
use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::ProducerContext;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Counts the reports for their batches.
pub struct Context {
    topic: Arc<str>,
    /// Whether the last report was of a failure.
    refuses: AtomicBool,
    /// Takes all else.
    other: connection::Context,
}

impl Context {
    /// For a producer of this topic; what is no report goes to the other.
    pub fn new(topic: Arc<str>, other: connection::Context) -> Self {
        let refuses = AtomicBool::new(false);
        Self {
            topic,
            refuses,
            other,
        }
    }

    /// Says when events begin to fail and when that is over, not each time.
    fn tell(&self, error: Option<&KafkaError>) {
        let refuses = error.is_some();
        if self.refuses.load(Ordering::Relaxed) == refuses {
            return;
        }
        self.refuses.store(refuses, Ordering::Relaxed);
        let topic = &self.topic;
        match error {
            Some(cause) => {
                tracing::error!(%cause, "append to {topic}: events are refused until brokers take them");
            }
            None => tracing::info!("brokers take events for {topic} again"),
        }
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Arc<Pending>;

    fn delivery(&self, report: &DeliveryResult<'_>, pending: Arc<Pending>) {
        let error = match report {
            Ok(message) => match (message.partition().try_into(), message.offset().try_into()) {
                (Ok(partition), Ok(offset)) => {
                    self.tell(None);
                    return pending.delivered(partition, offset);
                }
                // Brokers knew it as a repetition that is too old to say where it
                // is. Without a position it is not acknowledged: sent again, it
                // counts once.
                _ => &KafkaError::MessageProduction(RDKafkaErrorCode::DuplicateSequenceNumber),
            },
            Err((error, _)) => error,
        };
        self.tell(Some(error));
        pending.failed(1, || fault("append to", &self.topic, error.clone()));
    }
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.other.log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.other.error(error, reason);
    }

    fn generate_oauth_token(
        &self,
        asked: Option<&str>,
    ) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.other.generate_oauth_token(asked)
    }
}

/// An error of the library. Only what it calls fatal is: all else it has tried
/// for as long as it may, and may succeed later.
pub fn fault(operation: &'static str, topic: &Arc<str>, error: KafkaError) -> Error {
    let fatal = error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal);
    Error::Broker {
        operation,
        subject: Arc::clone(topic),
        kind: if fatal { Kind::Fatal } else { Kind::Retry },
        source: Arc::new(error),
    }
}
