//! What was noted and is not written yet: equal notes are one, with a number.

use super::note::{Call, Refusal};
use super::record::{Change, Record, Sent};
use crate::pb::Reason;
use jiff::Timestamp;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Different notes that may wait. The thread that writes takes them every second, or
/// when there are half as many.
pub(super) const NOTES_MAX: usize = 16_384;

/// Bytes of questions that may wait.
const ASKED_BYTES_MAX: usize = 8 << 20;

/// What became of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Events that were accepted.
    pub accepted: u32,
    /// Events that were refused.
    pub refused: u32,
    /// Whether the accepted ones are durable; else it is not known.
    pub durable: bool,
    /// How many events were refused or warned of, by reason.
    pub reasons: &'a [(Reason, u64)],
}

/// All that waits.
#[derive(Default)]
pub(super) struct Fold {
    reads: HashMap<(Call, Option<Box<str>>), u64>,
    refused: HashMap<(Call, Refusal), u64>,
    sent: HashMap<Box<str>, Sent>,
    changes: Vec<Change>,
    asked_bytes: usize,
    lost: u64,
}

impl Fold {
    /// False, here and below, if there was no room.
    pub fn read(&mut self, call: Call, asked: Option<Box<str>>) -> bool {
        let bytes = asked.as_ref().map_or(0, |asked| asked.len());
        let full = self.is_full() || self.asked_bytes + bytes > ASKED_BYTES_MAX;
        let noted = count(&mut self.reads, (call, asked), full);
        if noted == Noted::Anew {
            self.asked_bytes += bytes;
        }
        self.or_lost(noted)
    }

    pub fn refused(&mut self, call: Call, refusal: Refusal) -> bool {
        let full = self.is_full();
        let noted = count(&mut self.refused, (call, refusal), full);
        self.or_lost(noted)
    }

    pub fn sent(&mut self, source: &str, batch: &Batch<'_>) -> bool {
        if let Some(sent) = self.sent.get_mut(source) {
            sent.add(batch);
            return true;
        }
        if self.is_full() {
            return self.or_lost(Noted::Not);
        }
        let mut sent = Sent::new(source);
        sent.add(batch);
        self.sent.insert(source.into(), sent);
        true
    }

    pub fn changed(&mut self, change: Change) -> bool {
        // Whatever else there is leaves room to them.
        if self.changes.len() >= NOTES_MAX {
            return self.or_lost(Noted::Not);
        }
        self.changes.push(change);
        true
    }

    /// Notes that came into no record.
    pub fn lose(&mut self, notes: u64) {
        self.lost += notes;
    }

    /// Whether it is time to write, however short ago that was.
    pub fn is_half_full(&self) -> bool {
        self.notes() >= NOTES_MAX / 2 || self.asked_bytes >= ASKED_BYTES_MAX / 2
    }

    /// Takes what waits; of what was sent and read nothing, unless all is asked for.
    pub fn take(&mut self, all: bool) -> Vec<Record> {
        let mut kept = Self::default();
        if !all {
            kept.reads = std::mem::take(&mut self.reads);
            kept.sent = std::mem::take(&mut self.sent);
            kept.asked_bytes = self.asked_bytes;
        }
        let all = std::mem::replace(self, kept);
        let lost = (all.lost > 0).then_some(Record::Lost { notes: all.lost });
        let changes = all.changes.into_iter().map(Record::Changed);
        let refused = all.refused.into_iter();
        let refused = refused.map(|((call, refusal), times)| Record::Refused {
            call,
            refusal,
            times,
        });
        let reads = all.reads.into_iter();
        let reads = reads.map(|((call, asked), times)| Record::Read { call, asked, times });
        let sent = all.sent.into_values().map(Record::Sent);
        let records = lost.into_iter().chain(changes).chain(refused);
        records.chain(reads).chain(sent).collect()
    }

    fn is_full(&self) -> bool {
        self.notes() >= NOTES_MAX
    }

    fn notes(&self) -> usize {
        self.reads.len() + self.refused.len() + self.sent.len() + self.changes.len()
    }

    fn or_lost(&mut self, noted: Noted) -> bool {
        self.lost += u64::from(noted == Noted::Not);
        noted != Noted::Not
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Noted {
    Again,
    Anew,
    Not,
}

fn count<K: std::hash::Hash + Eq>(notes: &mut HashMap<K, u64>, key: K, full: bool) -> Noted {
    match notes.entry(key) {
        Entry::Occupied(mut times) => {
            *times.get_mut() += 1;
            Noted::Again
        }
        Entry::Vacant(_) if full => Noted::Not,
        Entry::Vacant(place) => {
            place.insert(1);
            Noted::Anew
        }
    }
}

impl Sent {
    fn new(source: &str) -> Self {
        Self {
            source: source.into(),
            since: Timestamp::now(),
            batches: 0,
            accepted: 0,
            refused: 0,
            unknown: 0,
            reasons: std::collections::BTreeMap::new(),
        }
    }

    fn add(&mut self, batch: &Batch<'_>) {
        self.batches += 1;
        self.refused += u64::from(batch.refused);
        *match batch.durable {
            true => &mut self.accepted,
            false => &mut self.unknown,
        } += u64::from(batch.accepted);
        for &(reason, events) in batch.reasons {
            *self.reasons.entry(reason.as_str_name()).or_default() += events;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(caller: &str) -> Call {
        Call {
            caller: Some(caller.into()),
            peer: None,
            method: "GetThroughput",
        }
    }

    fn batch(accepted: u32, durable: bool) -> Batch<'static> {
        Batch {
            accepted,
            refused: 1,
            durable,
            reasons: &[(Reason::ContainerCheckDigit, 1)],
        }
    }

    #[test]
    fn equal_notes_are_one_record_and_others_are_their_own() {
        let mut fold = Fold::default();
        for caller in ["a", "b", "a"] {
            assert!(fold.read(call(caller), Some("{}".into())));
        }
        assert!(fold.take(false).is_empty());
        let mut times = fold.take(true).into_iter().map(|record| match record {
            Record::Read { call, times, .. } => (call.caller.unwrap().to_string(), times),
            other => panic!("{other:?}"),
        });
        let mut found: Vec<_> = times.by_ref().collect();
        found.sort();
        assert_eq!(found, [("a".into(), 2), ("b".into(), 1)]);
        assert!(fold.take(true).is_empty());
    }

    #[test]
    fn what_was_sent_is_summed_until_it_is_asked_for() {
        let mut fold = Fold::default();
        fold.sent("tos", &batch(10, true));
        assert!(fold.take(false).is_empty());
        fold.sent("tos", &batch(5, true));
        fold.sent("tos", &batch(3, false));
        let [Record::Sent(sent)] = &fold.take(true)[..] else {
            panic!("one sum")
        };
        let found = (sent.batches, sent.accepted, sent.refused, sent.unknown);
        assert_eq!(found, (3, 15, 3, 3));
        assert_eq!(sent.reasons.values().sum::<u64>(), 3);
    }

    #[test]
    fn more_notes_than_there_is_room_for_are_counted_and_the_count_is_told() {
        let mut fold = Fold::default();
        for number in 0..NOTES_MAX {
            assert!(fold.read(call("a"), Some(number.to_string().into())));
        }
        assert!(fold.is_half_full());
        assert!(!fold.read(call("a"), Some("more".into())));
        assert!(
            fold.changed(Change::new("callers", "load")),
            "whatever waits"
        );
        assert!(fold.read(call("a"), Some("0".into())), "one that is known");
        let records = fold.take(true);
        assert_eq!(records.len(), NOTES_MAX + 2);
        assert!(matches!(records[0], Record::Lost { notes: 1 }));
        assert!(fold.read(call("a"), Some("more".into())));
    }

    #[test]
    fn long_questions_leave_no_more_than_their_room() {
        let mut fold = Fold::default();
        let long = |number: usize| Some(format!("{number:04096}").into());
        let noted = (0..3000).filter(|&n| fold.read(call("a"), long(n))).count();
        assert_eq!(noted, ASKED_BYTES_MAX / 4096);
    }
}
