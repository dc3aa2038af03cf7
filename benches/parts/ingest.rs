//! What ingest does with a batch: decoding, judging and normalising, encoding
//! canonically, and taking fingerprints.

use crate::sample::{fingerprints, judge, pseudonyms, sent};
use criterion::{BatchSize, Criterion, Throughput};
use prost::Message as _;
use quaymeter::event::Event;
use quaymeter::{pb, wire};
use std::hint::black_box;

/// Events in the batch.
const BATCH: usize = 500;

pub fn bench(criterion: &mut Criterion) {
    let sent = sent();
    // From the middle of the day, when everything happens.
    let middle = sent.len() / 2;
    let batch: Vec<pb::Event> = sent[middle..middle + BATCH]
        .iter()
        .map(|(_, event)| event.clone())
        .collect();
    let mut group = criterion.benchmark_group("ingest");
    group.throughput(Throughput::Elements(BATCH as u64));

    let encoded = pb::StreamBatch {
        sequence: 1,
        events: batch.clone(),
    }
    .encode_to_vec();
    group.bench_function("decode", |bench| {
        bench.iter(|| pb::StreamBatch::decode(black_box(&encoded[..])));
    });

    let pseudonyms = pseudonyms();
    let judge = judge(&pseudonyms);
    group.bench_function("accept", |bench| {
        let accept = |batch: Vec<pb::Event>| {
            let accepted = batch.into_iter().map(|event| wire::accept(event, &judge));
            accepted.filter_map(Result::ok).collect::<Vec<_>>()
        };
        bench.iter_batched(|| batch.clone(), accept, BatchSize::SmallInput);
    });

    let events: Vec<Event> = batch
        .into_iter()
        .filter_map(|event| Some(wire::accept(event, &judge).ok()?.event))
        .collect();
    group.bench_function("encode", |bench| {
        let mut buffer = Vec::new();
        bench.iter(|| {
            buffer.clear();
            for event in &events {
                wire::encode_into(event, &mut buffer);
            }
            buffer.len()
        });
    });

    let fingerprints = fingerprints();
    let canonical: Vec<Vec<u8>> = events.iter().map(wire::encode).collect();
    group.bench_function("fingerprint", |bench| {
        bench.iter(|| {
            for (event, canonical) in events.iter().zip(&canonical) {
                black_box(fingerprints.identity(&event.facility, "ygt", &event.event_id));
                black_box(fingerprints.content(canonical));
            }
        });
    });
    group.finish();
}
