//! A restart loses nothing and makes up nothing: checkpoint and log together
//! give what a worker has that never stopped, forgotten identities included.

use quaymeter::config::{Config, Sources};
use quaymeter::event::*;
use quaymeter::fingerprint::Fingerprints;
use quaymeter::log::Durable;
use quaymeter::log::appender::Appender;
use quaymeter::log::archive::Archive;
use quaymeter::log::disk::RealDisk;
use quaymeter::log::embedded::{Log, Options as LogOptions};
use quaymeter::log::frame::Draft;
use quaymeter::meter::Rules;
use quaymeter::meter::cell::{
    CallKey, Cells, Census, DAY_MS, Day, DayRecord, Keeping, Owner, SlotKey, Totals,
};
use quaymeter::meter::figure::Figures;
use quaymeter::meter::names::NameId;
use quaymeter::metrics::Metrics;
use quaymeter::store::{Store, Table};
use quaymeter::wire;
use quaymeter::worker::checkpoint::{self, Progress};
use quaymeter::worker::inbox::inbox;
use quaymeter::worker::past::Past;
use quaymeter::worker::retention::Limits;
use quaymeter::worker::{Batch, Item, Options, Worker};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

#[path = "support/cells.rs"]
mod wherever;

/// 2026-11-01T00:00Z.
const FIRST_MS: i64 = 1_793_491_200_000;
const HORIZON_DAYS: i64 = 4;
const DAYS: i64 = 14;
const BATCHES_A_DAY: i64 = 6;
const BATCH_EVENTS: usize = 8;

const RULES: Rules = Rules {
    horizon_ms: HORIZON_DAYS * DAY_MS,
    teu_45ft_milli: 2250,
};

fn keeping() -> Keeping {
    Keeping {
        zone: jiff::tz::TimeZone::get("Asia/Shanghai").unwrap(),
        quarter_days: 6,
        day_days: 9,
    }
}

fn detail(random: &mut ChaCha8Rng, at: i64) -> Detail {
    let number = random.random_range(0..4);
    match random.random_range(0..5) {
        0 => Detail::AppointmentStep(AppointmentStep {
            appointment_id: "appointment".into(),
            stage: AppointmentStage::Confirmed,
            slot_start: at,
            slot_end: at + DAY_MS,
        }),
        1 => Detail::VesselCall(VesselCall {
            stage: [VesselCallStage::Berthed, VesselCallStage::Unberthed][number / 2],
            call_id: format!("call {number}").into(),
            vessel_imo: "9321483".into(),
            call_sign: "".into(),
        }),
        _ => Detail::GateMove(GateMove {
            direction: [GateDirection::In, GateDirection::Out][random.random_range(0..2)],
            containers: [Container {
                number: format!("CSQU305438{number}").into(),
                size_type: "45G1".into(),
                fullness: Fullness::Laden,
                gross_mass_kg: 20_000,
            }]
            .into_iter()
            .collect(),
            // In the log, plates are pseudonyms.
            tractor: format!("p1:{number:020}").into(),
            tractor_before: "".into(),
            trailer: "".into(),
            driver: "".into(),
            visit_ref: "".into(),
        }),
    }
}

/// About something up to three days before; some correct, retract or repeat.
fn event(random: &mut ChaCha8Rng, now: i64) -> Event {
    let at = now - random.random_range(0..3 * DAY_MS / 60_000) * 60_000;
    let party = Party {
        role: Role::Carrier,
        enterprise: ["smdg:COS", "smdg:MSC"][random.random_range(0..2)].into(),
    };
    let statement = Statement {
        classifier: Classifier::Actual,
        occurred_at: at,
        parties: [party].into_iter().collect(),
        detail: detail(random, at),
    };
    Event {
        event_id: format!("event {}", random.random_range(0..300)).into(),
        revision: random.random_range(0..4),
        facility: "CNNBO/BLCT2".into(),
        statement: random.random_bool(0.9).then_some(statement),
    }
}

/// Two weeks of batches, each with the time of its append.
fn batches() -> Vec<(i64, Vec<Event>)> {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let times = (0..DAYS * BATCHES_A_DAY).map(|n| FIRST_MS + n * DAY_MS / BATCHES_A_DAY);
    times
        .map(|now| {
            (
                now,
                (0..BATCH_EVENTS).map(|_| event(&mut random, now)).collect(),
            )
        })
        .collect()
}

/// A log and a store, and workers that live one after another.
struct Life {
    log: Log,
    appender: Appender,
    store: PathBuf,
    interval: Duration,
    _dir: tempfile::TempDir,
}

impl Life {
    fn new(interval: Duration) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (path, options) = (dir.path().join("log"), LogOptions::default());
        let opened = Log::open(Arc::new(RealDisk), &path, options, 0).unwrap();
        Self {
            log: opened.log,
            appender: opened.appender,
            store: dir.path().join("store"),
            interval,
            _dir: dir,
        }
    }

    fn append(&mut self, of: &Fingerprints, (now, events): &(i64, Vec<Event>)) -> Durable<Batch> {
        let encoded: Vec<bytes::Bytes> = events.iter().map(|e| wire::encode(e).into()).collect();
        let items = events.iter().zip(&encoded);
        let payload = items
            .map(|(event, bytes)| Item::of(of, "tos", event.clone(), bytes))
            .collect();
        let batch = quaymeter::log::Batch {
            source: "tos".into(),
            headers: Vec::new(),
            schema: wire::SCHEMA,
            events: encoded,
        };
        let frame = Draft::new(batch).unwrap().encode();
        let written = self.appender.append(&mut [frame], *now).unwrap();
        Durable {
            first_offset: written.first_offset,
            end_offset: written.first_offset + events.len() as u64,
            end_address: written.address + written.bytes,
            appended_at: written.appended_at,
            source: "tos".into(),
            payload,
        }
    }

    /// A worker that starts, takes these batches and stops in good order; what
    /// it had in memory.
    fn work(&mut self, batches: &[(i64, Vec<Event>)]) -> Kept {
        let store = Arc::new(Store::open(&self.store).unwrap());
        let settings = Config::resolve(Sources::default()).unwrap().metrics;
        let options = Options {
            rules: RULES,
            keeping: keeping(),
            checkpoint_interval: self.interval,
            log: Limits {
                days: DAYS as i32,
                bytes_max: None,
            },
        };
        let metrics = Arc::new(Metrics::new(&settings).unwrap());
        let worker = Worker::open(store, &self.log, options, metrics).unwrap();
        let (give, inbox) = inbox(usize::MAX);
        for batch in batches {
            let group = vec![self.append(&worker.fingerprints(), batch)];
            give.send(group, batch.1.len()).unwrap();
        }
        drop(give);
        let view = Arc::clone(worker.view());
        worker.run(&inbox).unwrap();
        view.read(|state| Kept::of(&state.cells))
    }

    fn cells(&self) -> Kept {
        let store = Arc::new(Store::open(&self.store).unwrap());
        let of = checkpoint::fingerprints(&store).unwrap();
        let past = Past::new(Archive::new(self.log.clone()), of);
        let restored = checkpoint::restore(&store, RULES, keeping(), of, &past);
        Kept::of(&restored.unwrap().cells)
    }
}

/// All cells.
#[derive(PartialEq)]
struct Kept {
    records: Vec<((Owner, Day, NameId), DayRecord)>,
    slots: Vec<(SlotKey, Figures)>,
    calls: BTreeMap<CallKey, Figures>,
    totals: BTreeMap<Owner, Totals>,
    census: Census,
}

impl Kept {
    fn of(cells: &Cells) -> Self {
        Self {
            records: wherever::records(cells),
            slots: wherever::slots(cells),
            calls: (cells.calls.iter())
                .map(|(key, figures)| (key.clone(), figures.clone()))
                .collect(),
            totals: cells
                .totals()
                .into_iter()
                .map(|(owner, of)| (owner, of.clone()))
                .collect(),
            census: cells.census().clone(),
        }
    }
}

fn stored(store: &Path, table: Table) -> Vec<(Vec<u8>, Vec<u8>)> {
    let store = Store::open(store).unwrap();
    let pairs = store.scan(table).map(Result::unwrap);
    pairs.map(|(k, v)| (k.to_vec(), v.to_vec())).collect()
}

#[test]
fn a_worker_that_restarts_is_where_one_is_that_never_stopped() {
    let batches = batches();
    let mut whole = Life::new(Duration::from_secs(3600));
    let never_stopped = whole.work(&batches);
    // A checkpoint after each batch, if the one before is written.
    let mut parts = Life::new(Duration::ZERO);
    for part in batches.chunks(7) {
        let (taken, missed) = part.split_at(part.len().min(4));
        parts.work(taken);
        // These are durable, and no worker is there to take them.
        for batch in missed {
            parts.append(&Fingerprints::new(&[0; 16]), batch);
        }
    }
    parts.work(&[]);
    // Which chunks the ledger is in depends on when it was stored.
    let progress = |life: &Life| Progress {
        chunks: Default::default(),
        ..checkpoint::progress(&Store::open(&life.store).unwrap()).unwrap()
    };
    let (reached, counts) = (progress(&whole).position, progress(&whole).counts);
    assert_eq!(reached, whole.log.end());
    assert_eq!(progress(&parts), progress(&whole));
    for met in [
        counts.forgotten,
        counts.repaired,
        counts.duplicates + counts.conflicts,
    ] {
        assert!(met > 20, "the events are too tame: {counts:?}");
    }
    for table in [
        Table::Names,
        Table::Calls,
        Table::Slots,
        Table::Totals,
        Table::Days,
        Table::Facilities,
    ] {
        let (parts, whole) = (stored(&parts.store, table), stored(&whole.store, table));
        assert_eq!(parts.len(), whole.len(), "{}", table.name());
        assert!(parts == whole, "{} differs", table.name());
    }
    // Quarter-hours that are out of retention may still stand in the values.
    let keys = |life: &Life| -> Vec<Vec<u8>> {
        let cells = stored(&life.store, Table::Cells).into_iter();
        cells.map(|(key, _)| key).collect()
    };
    assert_eq!(keys(&parts), keys(&whole));
    assert!(!never_stopped.calls.is_empty() && !never_stopped.slots.is_empty());
    let restored = parts.cells();
    assert!(restored.records == never_stopped.records);
    assert!(restored == never_stopped);
}
