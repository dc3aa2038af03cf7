//! What an event holds of persons and trucks: pseudonyms, which depend on keys and
//! are no part of what the event says.

use super::{Detail, Event};
use crate::pseudonym::key_of;
use sha2::{Digest as _, Sha256};
use std::cmp::Reverse;

/// Which of two records holds that say the same under other pseudonyms: the greater.
/// The one with the earlier key does, so that what is sent again changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Precedence {
    /// The lowest id of its keys; 0 without a pseudonym.
    key: Reverse<u16>,
    /// Of all its pseudonyms.
    digest: [u8; 8],
}

impl Precedence {
    /// Of a record.
    pub fn of(event: &Event) -> Self {
        let texts = pseudonyms(event);
        let key = texts.iter().filter_map(|text| key_of(text)).min();
        let Some(key) = key.or_else(|| texts.iter().any(|text| !text.is_empty()).then_some(0))
        else {
            return Self::default();
        };
        let sum = Sha256::digest(texts.join("\0"));
        let mut digest = [0; 8];
        digest.copy_from_slice(&sum[..8]);
        Self {
            key: Reverse(key),
            digest,
        }
    }
}

/// Tractor, tractor under the key before, trailer and driver; empty if absent.
fn pseudonyms(event: &Event) -> [&str; 4] {
    match event.statement.as_ref().map(|told| &told.detail) {
        Some(Detail::GateMove(it)) => [&it.tractor, &it.tractor_before, &it.trailer, &it.driver],
        Some(Detail::DispatchStep(it)) => [&it.tractor, "", "", &it.driver],
        _ => [""; 4],
    }
}

impl Event {
    /// The same event with nothing of its pseudonyms but which of them there are;
    /// none if it has none.
    pub fn impersonal(&self) -> Option<Self> {
        if pseudonyms(self).iter().all(|text| text.is_empty()) {
            return None;
        }
        let mut event = self.clone();
        let hide = |text: &mut compact_str::CompactString| {
            if !text.is_empty() {
                *text = "p".into();
            }
        };
        match event.statement.as_mut().map(|told| &mut told.detail) {
            Some(Detail::GateMove(it)) => {
                // Whether a key was new that day is not what was told.
                it.tractor_before.clear();
                [&mut it.tractor, &mut it.trailer, &mut it.driver]
                    .into_iter()
                    .for_each(hide);
            }
            Some(Detail::DispatchStep(it)) => {
                [&mut it.tractor, &mut it.driver].into_iter().for_each(hide);
            }
            _ => {}
        }
        Some(event)
    }
}
