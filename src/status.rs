//! The one table from what can go wrong to gRPC statuses. Every status carries
//! an `ErrorInfo` of the domain `quaymeter` whose reason is stable and whose
//! metadata holds every dynamic value; INVALID_ARGUMENT names the field, and
//! what may be tried again says when.
//!
//! | what | code | reason | to be tried again |
//! |---|---|---|---|
//! | a field is wrong | INVALID_ARGUMENT | `INVALID_FIELD` | never |
//! | older than what is kept | OUT_OF_RANGE | `BEYOND_RETENTION` | never |
//! | the service is not in the state for it | FAILED_PRECONDITION | as given | never |
//! | a limit is reached | RESOURCE_EXHAUSTED | `OVERLOADED` | after `RetryInfo` |
//! | one question or answer is too large | RESOURCE_EXHAUSTED | `TOO_LARGE` | never |
//! | stopping, or a part is down | UNAVAILABLE | `UNAVAILABLE` | after `RetryInfo` |
//! | a request takes too long to arrive | DEADLINE_EXCEEDED | `TOO_SLOW` | by the caller's choice |
//! | waited in vain | DEADLINE_EXCEEDED | `NOT_REACHED` | by the caller's choice |
//! | the caller may not | PERMISSION_DENIED | `NOT_ALLOWED` | never |
//! | it is not known who calls | UNAUTHENTICATED | `UNAUTHENTICATED` | never |
//! | his credentials ended during the call | UNAUTHENTICATED | `CREDENTIALS_ENDED` | with others |
//! | a limit of time is over | DEADLINE_EXCEEDED | `TOOK_TOO_LONG` | by the caller's choice |
//! | a fault of ours | INTERNAL | `INTERNAL` | never |

use crate::meter::cell::Unread;
use std::collections::HashMap;
use std::fmt::Display;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// The domain of every `ErrorInfo`.
pub const DOMAIN: &str = "quaymeter";

/// The most characters of a found value that are shown.
const FOUND_MAX: usize = 80;

/// A field of the request is wrong: its path, what was found, what was expected.
pub fn invalid(field: &str, found: impl Display, expected: impl Display) -> Status {
    let found: String = found.to_string().chars().take(FOUND_MAX).collect();
    let expected = expected.to_string();
    let message = format!("{field}: found {found:?}, expected {expected}");
    let metadata = [("field", field), ("found", &found), ("expected", &expected)];
    let mut details = info("INVALID_FIELD", &metadata);
    details.add_bad_request_violation(field, format!("expected {expected}"));
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// A field holds no token of ours that is good here. Whether it was forged, cut, another
/// caller's or of another question is not told.
pub fn no_token(field: &str) -> Status {
    let message = format!("{field}: not a token of this service");
    let mut details = info("INVALID_FIELD", &[("field", field)]);
    details.add_bad_request_violation(field, "not a token of this service");
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// The question reaches further back than what is kept; `earliest` is the first
/// instant, in RFC 3339, from which on it can be answered.
pub fn beyond_retention(field: &str, found: &str, earliest: &str, why: &str) -> Status {
    let message = format!("{field} is {found}, but answers reach back to {earliest}: {why}");
    let metadata = [("field", field), ("found", found), ("earliest", earliest)];
    Status::with_error_details(
        Code::OutOfRange,
        message,
        info("BEYOND_RETENTION", &metadata),
    )
}

/// The service is not in the state that the call needs.
pub fn failed_precondition(reason: &str, message: &str, metadata: &[(&str, &str)]) -> Status {
    Status::with_error_details(Code::FailedPrecondition, message, info(reason, metadata))
}

/// The limit of `what` is reached; it is worth trying again after a while.
pub fn overloaded(what: &str, retry_after: Duration) -> Status {
    let message = format!("too many {what}, try again in {retry_after:?}");
    let mut details = info("OVERLOADED", &[("limit", what)]);
    details.set_retry_info(Some(retry_after));
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

/// One question or answer is larger than the limit of `what`, however often it
/// is tried.
pub fn too_large(what: &str, limit: usize, advice: &str) -> Status {
    let message = format!("more than {limit} {what}: {advice}");
    let details = info(
        "TOO_LARGE",
        &[("limit", what), ("most", &limit.to_string())],
    );
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

/// The service is stopping, or a part of it is down.
pub fn unavailable(why: &str, retry_after: Duration) -> Status {
    let mut details = info("UNAVAILABLE", &[("cause", why)]);
    details.set_retry_info(Some(retry_after));
    Status::with_error_details(Code::Unavailable, why, details)
}

/// The caller took too long for `what`.
pub fn too_slow(what: &str, within: Duration) -> Status {
    let message = format!("waited {within:?} for {what}");
    let metadata = [("limit", what), ("within", &format!("{within:?}"))];
    Status::with_error_details(Code::DeadlineExceeded, message, info("TOO_SLOW", &metadata))
}

/// The same status with an `ErrorInfo`, if it has none: those that are made below
/// us have not. Their reason is the code's name, `RESOURCE_EXHAUSTED` for example.
pub fn explained(status: Status) -> Status {
    if status.code() == Code::Ok || !status.details().is_empty() {
        return status;
    }
    let details = info(reason_of(status.code()), &[]);
    Status::with_error_details(status.code(), status.message(), details)
}

/// What limit a status is about, if it says that one is reached or exceeded.
pub fn limit_of(status: &Status) -> Option<String> {
    let limited = matches!(
        status.code(),
        Code::ResourceExhausted | Code::DeadlineExceeded
    );
    let info = limited.then(|| status.get_details_error_info()).flatten();
    info.and_then(|mut info| info.metadata.remove("limit"))
}

fn reason_of(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// The answer did not reach the wanted position in time.
pub fn not_reached(wanted: &impl Display, reached: &impl Display) -> Status {
    let message =
        format!("waited for offset {wanted} until the deadline, but offset {reached} is reached");
    let metadata = [
        ("wanted", &*wanted.to_string()),
        ("reached", &*reached.to_string()),
    ];
    Status::with_error_details(
        Code::DeadlineExceeded,
        message,
        info("NOT_REACHED", &metadata),
    )
}

/// The same for whoever may not know how far the log reaches.
pub fn not_reached_yet() -> Status {
    let message = "waited for a position until the deadline, but it is not reached yet";
    Status::with_error_details(Code::DeadlineExceeded, message, info("NOT_REACHED", &[]))
}

/// The caller may not do this; `advice` says who may.
pub fn not_allowed(what: &str, advice: &str) -> Status {
    let details = info("NOT_ALLOWED", &[("method", what)]);
    Status::with_error_details(Code::PermissionDenied, format!("{what}: {advice}"), details)
}

/// It is not known who calls. What was wrong with his credentials is not said: it
/// would help who guesses.
pub fn unauthenticated() -> Status {
    let message = "credentials that are known here are needed";
    let details = info("UNAUTHENTICATED", &[]);
    Status::with_error_details(Code::Unauthenticated, message, details)
}

/// The caller's credentials were taken back, or have expired, while he was answered.
pub fn credentials_ended() -> Status {
    let message = "the credentials are good no more: call again with others";
    let details = info("CREDENTIALS_ENDED", &[]);
    Status::with_error_details(Code::Unauthenticated, message, details)
}

/// The caller sends as another source than himself.
pub fn foreign_source(found: &str, own: &str) -> Status {
    let found: String = found.chars().take(FOUND_MAX).collect();
    let message = format!("source: found {found:?}, expected nothing or the caller, {own:?}");
    let metadata = [("field", "source"), ("found", &found), ("expected", own)];
    let details = info("NOT_ALLOWED", &metadata);
    Status::with_error_details(Code::PermissionDenied, message, details)
}

/// Whether a status says [`credentials_ended`].
pub fn is_credentials_ended(status: &Status) -> bool {
    let info = status.get_details_error_info();
    info.is_some_and(|info| info.domain == DOMAIN && info.reason == "CREDENTIALS_ENDED")
}

/// The reason that a status gives, and the right that it says is lacking.
pub fn told_in(status: &Status) -> (String, Option<String>) {
    let info = status.get_details_error_info();
    let info = info.filter(|info| info.domain == DOMAIN);
    info.map_or_else(Default::default, |mut info| {
        (info.reason, info.metadata.remove("right"))
    })
}

/// The caller is known, and has not the right that a method asks for.
pub fn lacks(method: &str, right: &str) -> Status {
    let message = format!("{method}: the caller may not {right}");
    let details = info("NOT_ALLOWED", &[("method", method), ("right", right)]);
    Status::with_error_details(Code::PermissionDenied, message, details)
}

/// What was asked for took longer than a setting allows.
pub fn took_too_long(setting: &str, limit: Duration) -> Status {
    let message = format!("it took longer than {setting} allows: {limit:?}");
    let limit = limit.as_secs().to_string();
    let details = info(
        "TOOK_TOO_LONG",
        &[("setting", setting), ("seconds", &limit)],
    );
    Status::with_error_details(Code::DeadlineExceeded, message, details)
}

/// A fault of ours. `what` must say nothing about other callers' data.
pub fn internal(what: &str) -> Status {
    Status::with_error_details(Code::Internal, what, info("INTERNAL", &[]))
}

fn info(reason: &str, metadata: &[(&str, &str)]) -> ErrorDetails {
    let metadata: HashMap<String, String> = metadata
        .iter()
        .map(|&(key, value)| (key.into(), value.into()))
        .collect();
    ErrorDetails::with_error_info(reason, DOMAIN, metadata)
}

/// Cells that cannot be read: the caller cannot mend it, and may come again.
impl From<Unread> for Status {
    fn from(error: Unread) -> Self {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "answer a question"
        );
        unavailable("stored cells cannot be read", Duration::from_secs(5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_callers() -> [(Status, Code, &'static str); 6] {
        let late = took_too_long("a", Duration::from_secs(1));
        let (ended, foreign) = (credentials_ended(), foreign_source("a", "b"));
        [
            (not_allowed("a", "b"), Code::PermissionDenied, "NOT_ALLOWED"),
            (foreign, Code::PermissionDenied, "NOT_ALLOWED"),
            (late, Code::DeadlineExceeded, "TOOK_TOO_LONG"),
            (lacks("a", "read"), Code::PermissionDenied, "NOT_ALLOWED"),
            (unauthenticated(), Code::Unauthenticated, "UNAUTHENTICATED"),
            (ended, Code::Unauthenticated, "CREDENTIALS_ENDED"),
        ]
    }

    #[test]
    fn every_status_has_reason_and_domain_and_retryable_ones_a_delay() {
        let second = Duration::from_secs(1);
        let missed = not_reached(&2, &1);
        let table = [
            (
                invalid("from", 1, "more"),
                Code::InvalidArgument,
                "INVALID_FIELD",
                None,
            ),
            (
                beyond_retention("from", "a", "b", "c"),
                Code::OutOfRange,
                "BEYOND_RETENTION",
                None,
            ),
            (
                failed_precondition("X", "y", &[]),
                Code::FailedPrecondition,
                "X",
                None,
            ),
            (
                overloaded("calls", second),
                Code::ResourceExhausted,
                "OVERLOADED",
                Some(second),
            ),
            (
                too_large("rows", 1, "ask less"),
                Code::ResourceExhausted,
                "TOO_LARGE",
                None,
            ),
            (
                unavailable("stopping", second),
                Code::Unavailable,
                "UNAVAILABLE",
                Some(second),
            ),
            (missed, Code::DeadlineExceeded, "NOT_REACHED", None),
            (internal("oh"), Code::Internal, "INTERNAL", None),
        ];
        let more = of_callers().map(|(status, code, reason)| (status, code, reason, None));
        for (status, code, reason, delay) in table.into_iter().chain(more) {
            assert_eq!(status.code(), code);
            let details = status.get_error_details();
            let info = details.error_info().unwrap();
            assert_eq!((&*info.reason, &*info.domain), (reason, DOMAIN));
            assert_eq!(
                details.retry_info().and_then(|info| info.retry_delay),
                delay
            );
            assert_eq!(
                details.bad_request().is_some(),
                code == Code::InvalidArgument
            );
        }
    }

    #[test]
    fn what_tells_no_more_has_its_reason_too() {
        let no_token = no_token("page_token");
        let details = no_token.get_error_details();
        assert_eq!(no_token.code(), Code::InvalidArgument);
        assert_eq!(
            no_token.message(),
            "page_token: not a token of this service"
        );
        assert_eq!(details.error_info().unwrap().reason, "INVALID_FIELD");
        let field = &details.bad_request().unwrap().field_violations[0].field;
        assert_eq!(field, "page_token");
        let waited = not_reached_yet();
        assert_eq!(waited.code(), Code::DeadlineExceeded);
        let info = waited.get_details_error_info().unwrap();
        assert_eq!((&*info.reason, info.metadata.len()), ("NOT_REACHED", 0));
    }

    #[test]
    fn a_status_from_below_is_given_a_reason_and_one_of_ours_keeps_its_own() {
        let reason = |status: &Status| {
            let info = status.get_details_error_info().unwrap();
            (status.code(), info.reason)
        };
        let below = explained(Status::unimplemented("no such method"));
        assert_eq!(
            reason(&below),
            (Code::Unimplemented, "UNIMPLEMENTED".into())
        );
        assert_eq!(below.message(), "no such method");
        let second = Duration::from_secs(1);
        let ours = explained(overloaded("calls", second));
        assert_eq!(
            reason(&ours),
            (Code::ResourceExhausted, "OVERLOADED".into())
        );
        assert!(ours.get_details_retry_info().is_some());
    }

    #[test]
    fn credentials_that_ended_are_told_from_those_that_never_were_good() {
        assert!(is_credentials_ended(&credentials_ended()));
        assert!(!is_credentials_ended(&unauthenticated()));
        assert!(!is_credentials_ended(&Status::unauthenticated("no")));
    }

    #[test]
    fn a_status_tells_which_limit_was_met() {
        let second = Duration::from_secs(1);
        let limit = |status: &Status| limit_of(status).unwrap_or_default();
        assert_eq!(limit(&overloaded("calls", second)), "calls");
        assert_eq!(limit(&too_large("rows", 1, "ask less")), "rows");
        assert_eq!(limit(&too_slow("a request", second)), "a request");
        assert_eq!(limit_of(&not_reached(&2, &1)), None);
        assert_eq!(limit_of(&internal("oh")), None);
        assert_eq!(limit_of(&Status::resource_exhausted("below")), None);
    }

    #[test]
    fn a_long_found_value_is_cut() {
        let status = invalid("page_token", "甲".repeat(500), "a token");
        assert_eq!(
            status.get_error_details().error_info().unwrap().metadata["found"]
                .chars()
                .count(),
            80
        );
    }
}
