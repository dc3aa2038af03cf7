//! What becomes of what a client of the library tells, and asks.

use crate::config::Properties;
use crate::log::kafka::oauth::Tokens;
use jiff::Timestamp;
use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;
use std::error::Error;
use std::sync::Arc;

/// The facility of a line about a connection that failed. Not every such line
/// comes as an error too.
const FAILED: &str = "FAIL";

/// Takes what a client of the library tells, to the log, and keeps the latest
/// trouble for whoever waits for it in vain. Gives it the token that it asks for.
#[derive(Clone, Debug)]
pub struct Context {
    properties: Properties,
    tokens: Option<Tokens>,
    trouble: Arc<Mutex<Trouble>>,
}

/// What a client told of its connections.
#[derive(Clone, Debug, Default)]
pub(in crate::log::kafka) struct Trouble {
    /// The latest reason.
    pub why: Option<String>,
    /// Whether no connection is left, or none ever was.
    pub all_down: bool,
    /// Whether a broker did not take who we are, or was not who he should be.
    pub refused: bool,
}

impl Context {
    /// Of a client with these properties, which is known by these tokens.
    pub(super) fn new(properties: Properties, tokens: Option<Tokens>) -> Self {
        let trouble = Arc::default();
        Self {
            properties,
            tokens,
            trouble,
        }
    }

    /// What it told so far.
    pub(in crate::log::kafka) fn trouble(&self) -> Trouble {
        self.trouble.lock().clone()
    }
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

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
        use RDKafkaErrorCode::{AllBrokersDown, Authentication, PartitionEOF, SSL};
        let code = error.rdkafka_error_code();
        // Who asks for the ends of partitions is told of them; it is no trouble.
        if code == Some(PartitionEOF) {
            return;
        }
        let reason = self.properties.hide(reason);
        tracing::warn!(target: "librdkafka", "{reason}");
        let mut trouble = self.trouble.lock();
        if code == Some(AllBrokersDown) {
            trouble.all_down = true;
        } else {
            trouble.refused = matches!(code, Some(Authentication | SSL));
            trouble.why = Some(reason);
        }
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        let tokens = self.tokens.as_ref();
        let tokens = tokens.ok_or("there is no file of a token")?;
        Ok(tokens.token(Timestamp::now().as_millisecond())?)
    }
}

impl ConsumerContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}
