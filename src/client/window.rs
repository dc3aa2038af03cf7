//! What was handed over and is not acknowledged yet, in order, and the credit
//! of the present stream. Pure: no clock, no I/O.

use crate::pb;
use crate::pb::stream_events_request::Message;
use prost::Message as _;
use prost::bytes::Bytes;
use std::collections::{HashMap, VecDeque};

/// A part of a caller's batch: what one `StreamBatch` carries.
struct Chunk<T> {
    tag: T,
    /// The index of its first event in the caller's batch.
    first: u32,
    events: u32,
    /// The number of its last event of all that were handed over, so that a chunk
    /// that is cut has numbers for its parts.
    sequence: u64,
    encoded: Bytes,
    /// Whether it was ever sent.
    sent: bool,
}

/// What became of a chunk.
#[derive(Debug)]
pub(super) struct Acknowledged<T> {
    pub tag: T,
    /// The index of its first event in the caller's batch.
    pub first: u32,
    pub accepted: u32,
    pub refused: u32,
    /// Indexes are those of the caller's batch.
    pub results: Vec<pb::EventResult>,
}

/// A chunk on its way.
pub(super) struct Sending {
    pub encoded: Bytes,
    pub events: u32,
    /// Whether it was sent before, on an earlier stream.
    pub again: bool,
}

pub(super) struct Window<T> {
    chunks: VecDeque<Chunk<T>>,
    /// How many of the chunks were sent on this stream.
    sent_chunks: usize,
    /// How many events were sent on this stream, acknowledged or not.
    sent_events: u64,
    /// How many may be.
    granted_events: u64,
    /// The most events of a chunk that the caller wants …
    batch_events: u32,
    /// … and that the stream takes of them; before the first one, all.
    taken_events: u32,
    last_sequence: u64,
    /// How many events are in the chunks.
    events: u64,
}

impl<T: Clone> Window<T> {
    /// An empty one, of chunks of at most `batch_events`, 1 or more.
    pub fn new(batch_events: u32) -> Self {
        Self {
            chunks: VecDeque::new(),
            sent_chunks: 0,
            sent_events: 0,
            granted_events: 0,
            batch_events,
            taken_events: batch_events,
            last_sequence: 0,
            events: 0,
        }
    }

    /// Takes a caller's batch, in parts as large as the stream takes.
    pub fn push(&mut self, tag: &T, events: Vec<pb::Event>) {
        let count = events.len() as u64;
        self.append((tag, 0, false), self.last_sequence, events);
        self.last_sequence += count;
        self.events += count;
    }

    /// Starts anew on another stream: everything is to be sent again, in batches
    /// that this one takes.
    ///
    /// # Errors
    /// It takes none, and how that is told.
    pub fn restart(&mut self, opened: &pb::StreamOpened) -> Result<(), String> {
        let most = opened.batch_events_max;
        if most == 0 {
            return Err("it takes at most 0 events in a batch".into());
        }
        self.sent_chunks = 0;
        self.sent_events = 0;
        self.granted_events = opened.granted_events;
        self.taken_events = self.batch_events.min(most);
        self.cut();
        Ok(())
    }

    /// The most events that a chunk may have. With nothing under way nothing will
    /// grant more credit, so that a larger one would wait for ever.
    fn most(&self) -> u32 {
        let credit = self.granted_events.saturating_sub(self.sent_events);
        match credit {
            1.. if self.sent_chunks == 0 => credit.min(self.taken_events.into()) as u32,
            _ => self.taken_events,
        }
    }

    /// Cuts the chunks, none of which is under way, that are too large by now. That
    /// is rare, so it may cost decoding them.
    fn cut(&mut self) {
        let most = self.most();
        if self.chunks.iter().all(|chunk| chunk.events <= most) {
            return;
        }
        for chunk in std::mem::take(&mut self.chunks) {
            if chunk.events <= most {
                self.chunks.push_back(chunk);
                continue;
            }
            let before = chunk.sequence - u64::from(chunk.events);
            match decode(&chunk) {
                Some(events) => self.append((&chunk.tag, chunk.first, chunk.sent), before, events),
                None => self.chunks.push_back(chunk),
            }
        }
    }

    /// Appends events of the caller's batch `tag` from its `first` on, `before` being
    /// the sequence number before theirs.
    fn append(
        &mut self,
        (tag, mut first, sent): (&T, u32, bool),
        before: u64,
        events: Vec<pb::Event>,
    ) {
        let most = self.most() as usize;
        let mut sequence = before;
        let mut rest = events.into_iter();
        while !rest.as_slice().is_empty() {
            // A batch that need not be cut stays where it is.
            let events: Vec<_> = match rest.len() <= most {
                true => std::mem::take(&mut rest).collect(),
                false => rest.by_ref().take(most).collect(),
            };
            let count = events.len() as u32;
            sequence += u64::from(count);
            let batch = pb::StreamBatch { sequence, events };
            let request = pb::StreamEventsRequest {
                message: Some(Message::Batch(batch)),
            };
            self.chunks.push_back(Chunk {
                tag: tag.clone(),
                first,
                events: count,
                sequence,
                encoded: request.encode_to_vec().into(),
                sent,
            });
            first += count;
        }
    }

    /// The next chunk that the credit allows.
    pub fn next(&mut self) -> Option<Sending> {
        if !self.can_send() {
            return None;
        }
        let chunk = self.chunks.get_mut(self.sent_chunks)?;
        self.sent_chunks += 1;
        self.sent_events += u64::from(chunk.events);
        let again = std::mem::replace(&mut chunk.sent, true);
        Some(Sending {
            encoded: chunk.encoded.clone(),
            events: chunk.events,
            again,
        })
    }

    pub fn can_send(&self) -> bool {
        self.chunks
            .get(self.sent_chunks)
            .is_some_and(|chunk| self.sent_events + u64::from(chunk.events) <= self.granted_events)
    }

    /// Takes out what an acknowledgement covers. An error says how it
    /// contradicts what was sent; then nothing is taken for acknowledged.
    pub fn acknowledge(&mut self, ack: pb::StreamAck) -> Result<Vec<Acknowledged<T>>, String> {
        let covered = self
            .chunks
            .iter()
            .take_while(|c| c.sequence <= ack.sequence)
            .count();
        // Of what it covers, or else of what was acknowledged before: the numbers
        // between those of two chunks are of none.
        let last = match self.chunks.iter().take(covered).next_back() {
            Some(chunk) => chunk.sequence,
            None => self.last_sequence - self.events,
        };
        if covered > self.sent_chunks || ack.sequence > last {
            return Err(format!(
                "it acknowledges batch {}, which was not sent",
                ack.sequence
            ));
        }
        let mut told: HashMap<u64, Vec<pb::EventResult>> = ack
            .results
            .into_iter()
            .map(|batch| (batch.sequence, batch.results))
            .collect();
        let mut done = Vec::with_capacity(covered);
        for chunk in self.chunks.iter().take(covered) {
            let results = told.remove(&chunk.sequence).unwrap_or_default();
            done.push(judge(chunk, results)?);
        }
        if let Some(sequence) = told.keys().next() {
            return Err(format!(
                "it tells results of batch {sequence}, which it does not cover"
            ));
        }
        let accepted: u64 = done.iter().map(|d| u64::from(d.accepted)).sum();
        let refused: u64 = done.iter().map(|d| u64::from(d.refused)).sum();
        if (accepted, refused) != (u64::from(ack.accepted), u64::from(ack.refused)) {
            return Err(format!(
                "it counts {} accepted and {} refused where its results say {accepted} and {refused}",
                ack.accepted, ack.refused
            ));
        }
        self.chunks.drain(..covered);
        self.sent_chunks -= covered;
        self.events -= accepted + refused;
        self.granted_events = self.granted_events.max(ack.granted_events);
        if self.sent_chunks == 0 {
            self.cut();
        }
        Ok(done)
    }

    /// How many chunks wait for an acknowledgement.
    pub fn len(&self) -> usize {
        self.chunks.len()
    }

    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// How many events wait for an acknowledgement.
    pub fn events(&self) -> u64 {
        self.events
    }
}

/// The events of a chunk; there are always some, for we encoded them.
fn decode<T>(chunk: &Chunk<T>) -> Option<Vec<pb::Event>> {
    let request = pb::StreamEventsRequest::decode(chunk.encoded.clone()).ok()?;
    match request.message? {
        Message::Batch(batch) => Some(batch.events),
        Message::Open(_) => None,
    }
}

/// Counts a chunk's results and gives them the caller's indexes.
fn judge<T: Clone>(
    chunk: &Chunk<T>,
    mut results: Vec<pb::EventResult>,
) -> Result<Acknowledged<T>, String> {
    let mut next = 0;
    let mut refused = 0;
    for result in &mut results {
        if result.index < next || result.index >= chunk.events {
            return Err(format!(
                "it tells a result of event {} of batch {}, out of order or out of range",
                result.index, chunk.sequence
            ));
        }
        next = result.index + 1;
        result.index += chunk.first;
        match result.outcome() {
            pb::Outcome::Refused => refused += 1,
            pb::Outcome::Accepted => {}
            pb::Outcome::Unspecified => return Err("it tells a result without an outcome".into()),
        }
    }
    let accepted = chunk.events - refused;
    Ok(Acknowledged {
        tag: chunk.tag.clone(),
        first: chunk.first,
        accepted,
        refused,
        results,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(ids: std::ops::Range<u32>) -> Vec<pb::Event> {
        let event = |n| pb::Event {
            event_id: format!("e{n}"),
            ..Default::default()
        };
        ids.map(event).collect()
    }

    fn opened(granted_events: u64, batch_events_max: u32) -> pb::StreamOpened {
        pb::StreamOpened {
            granted_events,
            batch_events_max,
        }
    }

    /// Sends what may be sent: each batch's sequence number and event ids.
    fn send(window: &mut Window<char>) -> Vec<(u64, Vec<String>)> {
        let sent = std::iter::from_fn(|| window.next()).map(|sending| {
            let request = pb::StreamEventsRequest::decode(sending.encoded).unwrap();
            let Some(Message::Batch(batch)) = request.message else {
                panic!("no batch")
            };
            assert_eq!(batch.events.len(), sending.events as usize);
            let ids = batch.events.into_iter().map(|event| event.event_id);
            (batch.sequence, ids.collect())
        });
        sent.collect()
    }

    fn sizes(sent: &[(u64, Vec<String>)]) -> Vec<(u64, usize)> {
        sent.iter().map(|(n, ids)| (*n, ids.len())).collect()
    }

    fn ids(sent: &[(u64, Vec<String>)]) -> Vec<String> {
        sent.iter().flat_map(|(_, ids)| ids.clone()).collect()
    }

    fn accepted(sequence: u64, accepted: u32, granted_events: u64) -> pb::StreamAck {
        pb::StreamAck {
            sequence,
            accepted,
            granted_events,
            ..Default::default()
        }
    }

    #[test]
    fn what_waits_is_cut_for_a_stream_that_takes_fewer_and_keeps_its_order_and_places() {
        let mut window = Window::new(5);
        window.restart(&opened(100, 10)).unwrap();
        window.push(&'a', events(0..8));
        window.push(&'b', events(8..12));
        let sent = send(&mut window);
        assert_eq!(sizes(&sent), [(5, 5), (8, 3), (12, 4)]);
        let done = window.acknowledge(accepted(5, 5, 105)).unwrap();
        assert_eq!((done[0].tag, done[0].first), ('a', 0));

        window.restart(&opened(100, 2)).unwrap();
        let sent = send(&mut window);
        assert_eq!(sizes(&sent), [(7, 2), (8, 1), (10, 2), (12, 2)]);
        let expected: Vec<_> = (5..12).map(|n| format!("e{n}")).collect();
        assert_eq!(ids(&sent), expected);
        let refused = pb::EventResult {
            index: 1,
            outcome: pb::Outcome::Refused.into(),
            ..Default::default()
        };
        let results = [7, 12].map(|sequence| pb::BatchResult {
            sequence,
            results: vec![refused.clone()],
        });
        let ack = pb::StreamAck {
            refused: 2,
            results: results.into(),
            ..accepted(12, 5, 107)
        };
        let done = window.acknowledge(ack).unwrap();
        let told: Vec<_> = done
            .iter()
            .map(|part| (part.tag, part.first, part.accepted, part.refused))
            .collect();
        let expected = [
            ('a', 5, 1, 1),
            ('a', 7, 1, 0),
            ('b', 0, 2, 0),
            ('b', 2, 1, 1),
        ];
        assert_eq!(told, expected);
        let of_caller = |n: usize| done[n].results[0].index;
        assert_eq!((of_caller(0), of_caller(3)), (6, 3));
        assert_eq!((window.events(), window.len()), (0, 0));

        // What fitted once does so again, up to what the caller wants.
        window.restart(&opened(100, 10)).unwrap();
        window.push(&'c', events(12..20));
        assert_eq!(sizes(&send(&mut window)), [(17, 5), (20, 3)]);
    }

    #[test]
    fn what_was_sent_is_sent_again_and_is_not_encoded_anew_where_it_fits() {
        let mut window = Window::new(4);
        window.push(&'a', events(0..6));
        window.restart(&opened(4, 4)).unwrap();
        let whole = window.next().unwrap();
        assert!(!whole.again && window.next().is_none());
        window.restart(&opened(100, 4)).unwrap();
        let same = window.next().unwrap();
        assert!(same.again && same.encoded.as_ptr() == whole.encoded.as_ptr());
        window.restart(&opened(100, 3)).unwrap();
        let again: Vec<_> = std::iter::from_fn(|| window.next())
            .map(|sending| (sending.events, sending.again))
            .collect();
        assert_eq!(again, [(3, true), (1, true), (2, false)]);
    }

    #[test]
    fn credit_for_less_than_a_batch_is_used_once_nothing_is_under_way() {
        let mut window = Window::new(10);
        window.push(&'a', events(0..10));
        window.restart(&opened(4, 10)).unwrap();
        assert_eq!(sizes(&send(&mut window)), [(4, 4)]);
        // Under way nothing is cut: there will be more credit.
        window.push(&'b', events(10..20));
        assert_eq!(sizes(&send(&mut window)), []);
        window.acknowledge(accepted(4, 4, 7)).unwrap();
        assert_eq!(sizes(&send(&mut window)), [(7, 3)]);
        window.acknowledge(accepted(7, 3, 7)).unwrap();
        assert_eq!(sizes(&send(&mut window)), []);
        // More may be granted without anything acknowledged.
        window.acknowledge(accepted(7, 0, 9)).unwrap();
        assert_eq!(sizes(&send(&mut window)), [(8, 1)]);
        window.acknowledge(accepted(8, 1, 100)).unwrap();
        let sent = send(&mut window);
        assert_eq!(sent.last().map(|(n, _)| *n), Some(20));
        let expected: Vec<_> = (8..20).map(|n| format!("e{n}")).collect();
        assert_eq!(ids(&sent), expected);
    }

    #[test]
    fn a_number_that_no_batch_has_is_not_acknowledged() {
        let mut window = Window::new(5);
        window.restart(&opened(10, 5)).unwrap();
        window.push(&'a', events(0..15));
        assert_eq!(sizes(&send(&mut window)), [(5, 5), (10, 5)]);
        for (sequence, events) in [(3, 0), (7, 5), (12, 10), (15, 15), (16, 15)] {
            let told = window.acknowledge(accepted(sequence, events, 100));
            let why = told.expect_err("a contradiction");
            assert!(why.contains("which was not sent"), "{sequence}: {why}");
        }
        assert_eq!(window.acknowledge(accepted(10, 10, 100)).unwrap().len(), 2);
        // One that says again what is known says nothing.
        assert!(window.acknowledge(accepted(5, 0, 100)).unwrap().is_empty());
        assert_eq!(window.events(), 5);
    }

    #[test]
    fn a_stream_that_takes_no_events_is_an_error() {
        let mut window = Window::new(5);
        window.push(&'a', events(0..5));
        let why = window.restart(&opened(10, 0)).unwrap_err();
        assert_eq!(why, "it takes at most 0 events in a batch");
    }
}
