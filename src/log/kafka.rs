//! The seam to Kafka, and the only place that names its client library.
//!
//! What it promises: a client is configured in one place ([`connection`]), so
//! that no caller can weaken what counting exactly once depends on; topics are
//! made by a command alone and judged before they are used ([`topics`]); no wait
//! for a broker is without a deadline; the library's errors are sorted here, once;
//! and no value of a property, which may be a secret, gets into an error or a log
//! line.

pub mod alone;
mod answer;
mod apart;
pub mod connection;
pub mod copy;
pub mod dead_letter;
pub mod failure;
pub mod group;
pub mod oauth;
pub mod partition;
pub mod polled;
pub mod producer;
pub mod ranges;
pub mod record;
pub mod tail;
pub mod sweep;
pub mod topics;
pub mod transactions;
pub mod whole;

use crate::log::Kind;
use rdkafka::types::RDKafkaErrorCode as Code;
use std::time::Duration;
use topics::Difference;

/// How Kafka fails.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// No broker is known.
    #[error("connect to Kafka: kafka.brokers is not set")]
    NoBrokers,
    /// Properties that the client library does not take.
    #[error("configure Kafka's client: {}", faults.join("; "))]
    Properties {
        /// One for each property: its name and what is wrong, never its value.
        faults: Vec<String>,
    },
    /// There can be no client, for example because a file of keys is not there.
    #[error("make a client of Kafka: {why}")]
    Client {
        /// What the client library said, without values of properties.
        why: String,
    },
    /// No broker answered.
    #[error(
        "reach Kafka at {brokers}: no answer in {:.1} s{}",
        after.as_secs_f64(),
        because(why.as_deref())
    )]
    Unreachable {
        /// The brokers that were asked.
        brokers: String,
        /// For how long.
        after: Duration,
        /// What the client library told last, without values of properties.
        why: Option<String>,
    },
    /// Brokers do not take who we are, or are not who they should be.
    #[error("be let in by Kafka at {brokers}{}", because(why.as_deref()))]
    Refused {
        /// The brokers that were asked.
        brokers: String,
        /// What the client library told last, without values of properties.
        why: Option<String>,
    },
    /// A broker refused, or did not answer in time.
    #[error("{operation} {subject}")]
    Failed {
        /// What was tried.
        operation: &'static str,
        /// With what.
        subject: String,
        /// What the broker said.
        source: Code,
    },
    /// A topic is there, and nothing is told of its settings.
    #[error(
        "describe topic {topic}: the broker tells none of its settings: this client needs the \
         permission DescribeConfigs"
    )]
    Untold {
        /// The topic.
        topic: String,
    },
    /// Topics are not as planned.
    #[error("use Kafka's topics: {}", lines(differences))]
    Differ {
        /// At least one.
        differences: Vec<Difference>,
    },
}

impl Error {
    /// What to do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Unreachable { .. } => Kind::Retry,
            Self::Failed { source, .. } if is_passing(*source) => Kind::Retry,
            Self::NoBrokers
            | Self::Properties { .. }
            | Self::Client { .. }
            | Self::Refused { .. }
            | Self::Failed { .. }
            | Self::Untold { .. }
            | Self::Differ { .. } => Kind::Abort,
        }
    }
}

/// Whether the same may succeed later, with nothing changed.
fn is_passing(code: Code) -> bool {
    matches!(
        code,
        Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::NotController
            | Code::LeaderNotAvailable
            | Code::CoordinatorNotAvailable
            | Code::NetworkException
            | Code::ThrottlingQuotaExceeded
    )
}

fn because(why: Option<&str>) -> String {
    why.map_or_else(String::new, |why| format!(": {why}"))
}

fn lines(differences: &[Difference]) -> String {
    let line = |difference: &Difference| format!("\n  {difference}");
    differences.iter().map(line).collect()
}
