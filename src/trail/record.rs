//! What stands in a trail.

use super::note::{Call, Refusal};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// One record. When it was written, its number and its hash are added to it.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// The first of each file.
    Opened {
        /// The hash of the last record before it; zeros if there is none.
        previous: String,
        /// Which chain: `service` or `commands`.
        chain: &'static str,
    },
    /// A service has started.
    Started {
        /// Its version.
        version: &'static str,
        /// Whether the one before it had stopped in good order, or there was none.
        clean: bool,
    },
    /// A service has stopped in good order.
    Stopped,
    /// What a source has sent.
    Sent(Sent),
    /// What a caller was given an answer to.
    Read {
        /// Who, and which method.
        #[serde(flatten)]
        call: Call,
        /// The request's own JSON, as text.
        #[serde(skip_serializing_if = "Option::is_none")]
        asked: Option<Box<str>>,
        /// How many times.
        times: u64,
    },
    /// A call that was refused, or ended for a fault.
    Refused {
        /// Who, and which method.
        #[serde(flatten)]
        call: Call,
        /// Why.
        #[serde(flatten)]
        refusal: Refusal,
        /// How many times.
        times: u64,
    },
    /// What lets callers in, or hides persons, was changed.
    Changed(Change),
    /// A part of the last file was not whole, as after a crash, and was cut off.
    Cut {
        /// How much.
        bytes: u64,
    },
    /// The last file was found damaged; it stays as it is.
    Damaged {
        /// Its name.
        file: String,
        /// The first line that does not follow.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// The oldest file was removed, because of its age or for room.
    Removed {
        /// Its name.
        file: String,
        /// The number of its last record.
        last: u64,
        /// The hash of that.
        last_hash: String,
    },
    /// Notes that came into no record.
    Lost {
        /// How many.
        notes: u64,
    },
}

/// What a source has sent within some time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sent {
    /// Whose events: the caller's, if callers are configured.
    pub source: String,
    /// From when on.
    pub since: Timestamp,
    /// Batches that were answered.
    pub batches: u64,
    /// Events that were accepted and are durable.
    pub accepted: u64,
    /// Events that were refused.
    pub refused: u64,
    /// Events of batches that could not be made durable, as far as is known.
    #[serde(skip_serializing_if = "is_zero")]
    pub unknown: u64,
    /// How many events were refused or warned of, by reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reasons: BTreeMap<&'static str, u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A change, of what, and all that is known of it.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    /// Of what: `api_key`, `pseudonym_key`, `callers`, `certificate`, `issuer_keys`.
    pub of: &'static str,
    /// What was done: `create`, `revoke`, `rotate`, `erase`, `load`, `fail`.
    pub action: &'static str,
    /// All else, never a secret.
    #[serde(flatten)]
    pub detail: BTreeMap<&'static str, String>,
}

impl Change {
    /// A change of which no more is known.
    pub fn new(of: &'static str, action: &'static str) -> Self {
        Self {
            of,
            action,
            detail: BTreeMap::new(),
        }
    }

    /// The same, and this.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "numbers and texts alike")]
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.detail.insert(name, value.to_string());
        self
    }
}
