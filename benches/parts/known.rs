//! What is known of millions of events: finding an identity, and a place in the
//! pairing lists.

use criterion::{BatchSize, Criterion, Throughput};
use quaymeter::fingerprint::Fingerprint;
use quaymeter::meter::contribution::PointKey;
use quaymeter::meter::ledger::{EntryId, Known, Ledger, Whence};
use quaymeter::meter::pairing::{Pairing, Place, Side, Ties};
use quaymeter::pb::DurationKind;
use rand::{Rng as _, RngCore as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::cmp::Ordering;
use std::convert::Infallible;
use std::hint::black_box;

const IDENTITIES: usize = 4_000_000;
const ASKED: usize = 10_000;
/// Trucks at facilities, and points that enter their lists.
const LISTS: usize = 40_000;
const POINTS: u32 = 400_000;
const HORIZON_MS: i64 = 35 * 86_400_000;

pub fn bench(criterion: &mut Criterion) {
    ledger(criterion);
    pairing(criterion);
}

fn ledger(criterion: &mut Criterion) {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut identity = || Fingerprint(std::array::from_fn(|_| random.next_u32()));
    let mut ledger = Ledger::new(HORIZON_MS);
    let mut known = Vec::new();
    for number in 0..IDENTITIES {
        let identity = identity();
        ledger.insert(&of(identity, number as u64));
        if number % (IDENTITIES / ASKED) == 0 {
            known.push(identity);
        }
    }
    let unknown: Vec<_> = (0..ASKED).map(|_| identity()).collect();
    let mut group = criterion.benchmark_group("ledger");
    group.throughput(Throughput::Elements(ASKED as u64));
    for (name, asked) in [("find known", known), ("find unknown", unknown)] {
        group.bench_function(name, |bench| {
            bench.iter(|| {
                let found = asked.iter().filter_map(|&one| ledger.find(black_box(one)));
                found.count()
            });
        });
    }
    group.finish();
}

fn of(identity: Fingerprint, address: u64) -> Known {
    Known {
        identity,
        source: 0,
        revision: Some(0),
        retracted: false,
        record: Whence {
            address,
            content: 0,
        },
        appended: 20_000,
        told: 20_000,
    }
}

/// No two points are at the same instant of a list.
struct NoTies;

impl Ties for NoTies {
    type Error = Infallible;

    fn compare(&mut self, one: EntryId, other: EntryId) -> Result<Ordering, Infallible> {
        Ok(one.cmp(&other))
    }
}

fn pairing(criterion: &mut Criterion) {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let lists: Vec<Fingerprint> = (0..LISTS)
        .map(|_| Fingerprint(std::array::from_fn(|_| random.next_u32())))
        .collect();
    let mut place = |entry: u32| Place {
        point: PointKey {
            kind: DurationKind::TruckTurn,
            side: if random.random() {
                Side::Start
            } else {
                Side::End
            },
            list: lists[random.random_range(0..LISTS)],
        },
        // In order but for some minutes, as events come.
        at: i64::from(entry) * 200 + random.random_range(0..600_000),
        entry,
        settled: false,
    };
    let places: Vec<Place> = (0..POINTS).map(&mut place).collect();
    let mut group = criterion.benchmark_group("pairing");
    group.throughput(Throughput::Elements(POINTS.into()));
    group.sample_size(20);
    group.bench_function("insert", |bench| {
        let insert = |mut pairing: Pairing| {
            let mut paired = Vec::new();
            for place in &places {
                let Ok(()) = pairing.insert(place, &mut NoTies, &mut paired);
            }
            (pairing, paired)
        };
        let none = || Pairing::new(HORIZON_MS);
        bench.iter_batched(none, insert, BatchSize::PerIteration);
    });
    group.finish();
}
