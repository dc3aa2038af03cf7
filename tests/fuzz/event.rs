//! What every event is held to, wherever it came from.

use prost::Message as _;
use quaymeter::event::fault::Fault;
use quaymeter::pb;
use quaymeter::pseudonym::Pseudonyms;
use quaymeter::wire::{self, Accepted, Judge};

/// 2026-11-23T04:00Z.
pub const NOW_MS: i64 = 1_795_406_400_000;

const DAY_MS: i64 = 86_400_000;

/// The most characters of what was found that are told.
const FOUND_CHARS_MAX: usize = 80;

/// Judges an event as ingest does.
pub fn judged(event: pb::Event) -> Result<Accepted, Fault> {
    let pseudonyms = Pseudonyms::with_key(1, &[7; 32]);
    let judge = Judge {
        now: NOW_MS,
        horizon_ms: 35 * DAY_MS,
        day_retention_ms: 1_095 * DAY_MS,
        backfill: event.revision % 2 == 0,
        strict: false,
        pseudonyms: &pseudonyms,
    };
    wire::accept(event, &judge)
}

/// What is accepted comes back from its bytes as it is; what is refused is told by
/// field and expectation.
pub fn hold(event: pb::Event) {
    let sent = pb::Event::decode(&event.encode_to_vec()[..]);
    assert_eq!(sent.as_ref(), Ok(&event), "not as it was sent");
    match judged(event) {
        Ok(accepted) => {
            let bytes = wire::encode(&accepted.event);
            let again = wire::decode(&bytes).expect("what was accepted");
            assert_eq!(again, accepted.event);
            assert_eq!(wire::encode(&again), bytes, "not canonical");
            for warning in accepted.warnings {
                told(&warning.field, &warning.found, warning.expected);
            }
        }
        Err(fault) => told(&fault.field, &fault.found, fault.expected),
    }
}

/// A refusal names the field, what was found, in bounds, and what was expected.
#[track_caller]
pub fn told(field: &str, found: &str, expected: &str) {
    assert!(!field.is_empty(), "no field: {found:?}, {expected:?}");
    assert!(!expected.is_empty(), "{field}: nothing expected");
    let chars = found.chars().count();
    assert!(chars <= FOUND_CHARS_MAX, "{field}: {chars} characters");
}
