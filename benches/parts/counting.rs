//! What the worker does with a day: from records to changes, and from changes to
//! cells.

use crate::sample::{Day, empty};
use criterion::{BatchSize, Criterion, Throughput};
use quaymeter::meter::Meter;
use quaymeter::meter::cell::Change;

/// A sample is a whole day.
const SAMPLES: usize = 20;

/// Changes that are published at once under load.
const PUBLISHED: usize = 16_384;

pub fn bench(criterion: &mut Criterion) {
    let day = Day::new();
    let mut group = criterion.benchmark_group("counting");
    group.throughput(Throughput::Elements(day.0.len() as u64));
    group.sample_size(SAMPLES);
    group.bench_function("meter apply", |bench| {
        let apply = |mut meter: Meter| (changes(&mut meter, &day), meter);
        bench.iter_batched(|| empty().0, apply, BatchSize::PerIteration);
    });
    let changes = changes(&mut empty().0, &day);
    group.bench_function("cells apply", |bench| {
        let apply = |mut cells: quaymeter::meter::cell::Cells| {
            changes.chunks(PUBLISHED).for_each(|part| cells.apply(part));
            cells
        };
        bench.iter_batched(|| empty().1, apply, BatchSize::PerIteration);
    });
    group.finish();
}

/// What a day changes.
pub fn changes(meter: &mut Meter, day: &Day) -> Vec<Change> {
    let mut changes = Vec::new();
    for record in day.records() {
        // Everything of the past is at hand, so that this cannot fail.
        let _ = meter.apply(&record, day, &mut changes);
    }
    changes
}
