//! Why a record is not one of ours.

use crate::event::fault::Fault;
use crate::wire;

/// Why a record is left out: anybody can write to a topic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", reason.code())]
pub struct Refused {
    /// What to act on.
    pub reason: Reason,
    /// For people. It never names a plate or a driver, nor repeats a header.
    pub detail: String,
}

/// A stable reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No value: a tombstone.
    NoValue,
    /// One of our headers is missing, there twice, or not of its form.
    BadHeader,
    /// Encoded by rules that this version does not know.
    UnknownSchema,
    /// It claims to have been appended long after it was written.
    AppendedAhead,
    /// Not a protobuf event.
    Undecodable,
    /// An event that no reporter could have got accepted.
    InvalidEvent,
    /// A valid event, but not in its only spelling.
    NotCanonical,
    /// Its key is not its facility.
    WrongKey,
    /// It is not in the partition of its key.
    WrongPartition,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::NoValue,
        Self::BadHeader,
        Self::UnknownSchema,
        Self::AppendedAhead,
        Self::Undecodable,
        Self::InvalidEvent,
        Self::NotCanonical,
        Self::WrongKey,
        Self::WrongPartition,
    ];

    /// Its name, which never changes.
    pub fn code(self) -> &'static str {
        match self {
            Self::NoValue => "NO_VALUE",
            Self::BadHeader => "BAD_HEADER",
            Self::UnknownSchema => "UNKNOWN_SCHEMA",
            Self::AppendedAhead => "APPENDED_AHEAD",
            Self::Undecodable => "UNDECODABLE",
            Self::InvalidEvent => "INVALID_EVENT",
            Self::NotCanonical => "NOT_CANONICAL",
            Self::WrongKey => "WRONG_KEY",
            Self::WrongPartition => "WRONG_PARTITION",
        }
    }
}

impl Refused {
    pub(super) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { reason, detail }
    }

    /// One of our headers: how much of it there is, never what it says.
    pub(super) fn header(name: &str, found: &str, expected: &str) -> Self {
        let detail = format!("{name}: found {found}, expected {expected}");
        Self::new(Reason::BadHeader, detail)
    }
}

impl From<wire::Error> for Refused {
    fn from(error: wire::Error) -> Self {
        match error {
            wire::Error::TooLarge(_) => Self::new(Reason::Undecodable, error.to_string()),
            wire::Error::Protobuf(cause) => Self::new(Reason::Undecodable, cause.to_string()),
            wire::Error::Invalid(fault) => Self::new(Reason::InvalidEvent, told(&fault)),
        }
    }
}

fn told(fault: &Fault) -> String {
    format!("{}: {fault}", fault.reason.as_str_name())
}
