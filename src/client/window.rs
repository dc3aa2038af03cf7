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
    sequence: u64,
    encoded: Bytes,
    /// Whether it was ever sent.
    sent: bool,
}

/// What became of a chunk.
pub(super) struct Acknowledged<T> {
    pub tag: T,
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
    last_sequence: u64,
    /// How many events are in the chunks.
    events: u64,
}

impl<T: Clone> Window<T> {
    pub fn new() -> Self {
        Self {
            chunks: VecDeque::new(),
            sent_chunks: 0,
            sent_events: 0,
            granted_events: 0,
            last_sequence: 0,
            events: 0,
        }
    }

    /// Takes a caller's batch, in parts of at most `batch_events`.
    pub fn push(&mut self, tag: &T, mut events: Vec<pb::Event>, batch_events: usize) {
        let mut first = 0;
        while !events.is_empty() {
            let rest = events.split_off(events.len().min(batch_events));
            let count = events.len() as u32;
            self.last_sequence += 1;
            let batch = pb::StreamBatch {
                sequence: self.last_sequence,
                events,
            };
            let request = pb::StreamEventsRequest {
                message: Some(Message::Batch(batch)),
            };
            self.chunks.push_back(Chunk {
                tag: tag.clone(),
                first,
                events: count,
                sequence: self.last_sequence,
                encoded: request.encode_to_vec().into(),
                sent: false,
            });
            self.events += u64::from(count);
            first += count;
            events = rest;
        }
    }

    /// Starts anew on another stream: everything is to be sent again.
    pub fn restart(&mut self, granted_events: u64) {
        self.sent_chunks = 0;
        self.sent_events = 0;
        self.granted_events = granted_events;
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
        if covered > self.sent_chunks || ack.sequence > self.last_sequence {
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

    /// How many events the largest chunk has.
    pub fn largest(&self) -> u32 {
        self.chunks
            .iter()
            .map(|chunk| chunk.events)
            .max()
            .unwrap_or(0)
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
        accepted,
        refused,
        results,
    })
}
