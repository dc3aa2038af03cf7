//! What the library calls: reports of deliveries, its errors and its log. All on
//! the polling thread, except the log, so it must be short.

use super::pending::Pending;
use crate::log::{Error, Kind};
use rdkafka::ClientContext;
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
}

impl Context {
    /// For a producer of this topic.
    pub fn new(topic: Arc<str>) -> Self {
        let refuses = AtomicBool::new(false);
        Self { topic, refuses }
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
    fn log(&self, level: RDKafkaLogLevel, _facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error => tracing::error!("kafka: {message}"),
            RDKafkaLogLevel::Warning => tracing::warn!("kafka: {message}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => tracing::info!("kafka: {message}"),
            RDKafkaLogLevel::Debug => tracing::debug!("kafka: {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(cause = %error, "kafka: {reason}");
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
