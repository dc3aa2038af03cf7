//! The judge and the meter against the simulator: what is to be accepted is,
//! what is to be refused is refused for the reason meant, and the cells, calls
//! and slots come to what the simulator meant.

#[path = "support/past.rs"]
mod past;
#[path = "support/cells.rs"]
mod wherever;

use jiff::tz::TimeZone;
use past::Past;
use quaymeter::meter::cell::{Cells, Keeping, Owner, QUARTER_MS};
use quaymeter::meter::figure::{self, Meaning};
use quaymeter::meter::histogram::ZERO;
use quaymeter::meter::{Meter, Record, Rules};
use quaymeter::pb::{DurationKind, Movement, Reason};
use quaymeter::pseudonym::Pseudonyms;
use quaymeter::simulate::{Expected, Options, Rates, Simulation};
use quaymeter::truth::{Call, CallKey, Figure, Figures, Grain, Key, Slot, SlotKey, Truth};
use quaymeter::truth::{diff, start_of};
use quaymeter::wire::{self, Judge};
use std::collections::BTreeMap;
use std::error::Error;

type Outcome = Result<(), Box<dyn Error>>;

/// 2026-05-14T03:00:00.123Z.
const END_MS: i64 = 1_778_727_600_123;
const DAY_MS: i64 = 86_400_000;
const RULES: Rules = Rules {
    horizon_ms: 35 * DAY_MS,
    teu_45ft_milli: 2250,
};

struct Metered {
    meter: Meter,
    cells: Cells,
    /// Faults that were not meant, and how many warnings of each kind.
    surprises: Vec<String>,
    warnings: BTreeMap<Reason, usize>,
}

fn metered(simulation: &Simulation, zone: TimeZone) -> Metered {
    let pseudonyms = Pseudonyms::with_key(1, &[7; 32]);
    let judge = Judge {
        now: END_MS,
        horizon_ms: RULES.horizon_ms,
        day_retention_ms: 1096 * DAY_MS,
        backfill: false,
        strict: false,
        pseudonyms: &pseudonyms,
    };
    let keeping = Keeping {
        zone,
        quarter_days: 45,
        day_days: 1096,
    };
    let mut metered = Metered {
        meter: Meter::new(RULES, past::fingerprints()),
        cells: Cells::new(keeping),
        surprises: Vec::new(),
        warnings: BTreeMap::new(),
    };
    let mut changes = Vec::new();
    let mut log = Past::default();
    for sent in simulation.sent() {
        let verdict = wire::accept(sent.event.clone(), &judge);
        let found = match &verdict {
            Ok(_) => Expected::Accepted,
            Err(fault) => Expected::Refused(fault.reason),
        };
        if found != sent.expected {
            metered.surprises.push(format!("{sent:?}: {found:?}"));
        }
        let Ok(accepted) = verdict else { continue };
        for warning in accepted.warnings {
            *metered.warnings.entry(warning.reason).or_default() += 1;
        }
        let event = &accepted.event;
        let content = wire::content_hash(event);
        let record = Record {
            source: sent.source,
            appended_at: END_MS,
            event,
            identity: past::identity(sent.source, event),
            whence: log.keep(event, content),
        };
        metered.meter.apply(&record, &log, &mut changes).unwrap();
        metered.cells.apply(&changes);
        changes.clear();
    }
    metered
}

fn named(meaning: Meaning) -> Figure {
    match meaning {
        Meaning::Boxes(movement, fullness) => Figure::Boxes(movement, fullness),
        Meaning::TeuMilli(movement, fullness) => Figure::TeuMilli(movement, fullness),
        Meaning::MassKg(movement, fullness) => Figure::MassKg(movement, fullness),
        Meaning::TrucksIn => Figure::TrucksIn,
        Meaning::TrucksOut => Figure::TrucksOut,
        Meaning::Dispatch(stage) => Figure::Dispatch(stage),
        Meaning::Appointment(stage) => Figure::Appointment(stage),
        Meaning::VesselCall(stage) => Figure::VesselCall(stage),
        Meaning::Shipment(stage) => Figure::Shipment(stage),
        Meaning::Service(kind, stage) => Figure::Service(kind, stage),
        Meaning::DurationCount(kind) => Figure::Count(kind),
        Meaning::DurationSumMs(kind) => Figure::SumMs(kind),
        Meaning::DurationBucket(kind, ZERO) => Figure::Bucket(kind, None),
        Meaning::DurationBucket(kind, index) => Figure::Bucket(kind, Some(index)),
    }
}

fn figures(of: &figure::Figures) -> Figures {
    let mut figures = Figures::default();
    for (figure, value) in of.iter() {
        if let Some(meaning) = figure.meaning() {
            figures.add(named(meaning), value);
        }
    }
    figures
}

fn found(cells: &Cells, zone: &TimeZone) -> Result<Truth, Box<dyn Error>> {
    let mut found = Truth::default();
    for ((owner, day, facility), record) in wherever::records(cells) {
        let noon = i64::from(day) * DAY_MS + DAY_MS / 6;
        let day_ms = start_of(Grain::Day, zone, noon)?;
        let day_key = key(cells, owner, facility, Grain::Day, day_ms);
        found.cells.insert(day_key, figures(&record.day));
        for (quarter, of) in record.quarters.iter() {
            let start_ms = i64::from(quarter) * QUARTER_MS;
            let key = key(cells, owner, facility, Grain::Quarter, start_ms);
            found.cells.insert(key, figures(&of));
        }
    }
    calls(cells, &mut found);
    slots(cells, &mut found);
    Ok(found)
}

fn key(cells: &Cells, owner: Owner, facility: u32, grain: Grain, start_ms: i64) -> Key {
    Key {
        grain,
        facility: cells.names.get(facility).into(),
        enterprise: cells.names.get(owner.enterprise).into(),
        role: owner.role,
        classifier: owner.classifier,
        start_ms,
    }
}

fn calls(cells: &Cells, found: &mut Truth) {
    for (call, of) in cells.calls.iter() {
        let key = CallKey {
            facility: cells.names.get(call.facility).into(),
            call_id: call.call.id.clone(),
            classifier: call.classifier,
        };
        let of = figures(of);
        let boxes = |movement| {
            let of_movement = |(figure, value)| match figure {
                Figure::Boxes(of, _) if of == movement => value,
                _ => 0,
            };
            of.iter().map(of_movement).sum::<i64>()
        };
        let Call {
            loaded,
            discharged,
            restowed,
            berth_stays,
            berth_stay_ms,
        } = found.calls.entry(key).or_default();
        *loaded += boxes(Movement::Loaded);
        *discharged += boxes(Movement::Discharged);
        *restowed += boxes(Movement::Restowed);
        *berth_stays += of.get(Figure::Count(DurationKind::BerthStay));
        *berth_stay_ms += of.get(Figure::SumMs(DurationKind::BerthStay));
    }
}

fn slots(cells: &Cells, found: &mut Truth) {
    use quaymeter::pb::AppointmentStage as Stage;
    for (slot, of) in wherever::slots(cells) {
        let key = SlotKey {
            slot_start_ms: slot.start,
            slot_end_ms: slot.end,
            facility: cells.names.get(slot.facility).into(),
            enterprise: cells.names.get(slot.owner.enterprise).into(),
            role: slot.owner.role,
            classifier: slot.owner.classifier,
        };
        let of = figures(&of);
        let count = |stage| of.get(Figure::Appointment(stage));
        let slot = Slot {
            confirmed: count(Stage::Confirmed),
            changed: count(Stage::Changed),
            cancelled: count(Stage::Cancelled),
            used: count(Stage::Used),
        };
        found.slots.insert(key, slot);
    }
}

#[test]
fn judge_and_meter_come_to_what_the_simulator_meant() -> Outcome {
    let zone = TimeZone::get("Asia/Shanghai")?;
    let rough = Rates {
        duplicates: 0.2,
        late: 0.1,
        revisions: 0.15,
        retractions: 0.12,
        invalid: 0.02,
        ..Rates::default()
    };
    for (seed, rates) in [(1, Rates::default()), (2, rough), (3, rough)] {
        let options = Options {
            rates,
            ..Options::new(seed, END_MS).with_events(15_000)
        };
        let simulation = Simulation::new(&options);
        let metered = metered(&simulation, zone.clone());
        assert_eq!(metered.surprises, Vec::<String>::new());
        let differences = diff(&simulation.truth(&zone)?, &found(&metered.cells, &zone)?);
        let shown: Vec<_> = differences
            .iter()
            .take(5)
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            shown,
            Vec::<String>::new(),
            "{} differ, seed {seed}",
            differences.len()
        );
        let counts = metered.meter.counts();
        assert_eq!(counts.identities as u64, simulation.counts().events);
        assert_eq!(counts.conflicts, 0);
        for count in [
            counts.duplicates,
            counts.revisions,
            counts.retractions,
            counts.repaired,
        ] {
            assert!(count > 0, "{counts:?}");
        }
    }
    Ok(())
}

#[test]
fn real_world_oddities_are_warned_of() -> Outcome {
    let simulation = Simulation::new(&Options::new(5, END_MS).with_events(60_000));
    let metered = metered(&simulation, TimeZone::get("Asia/Shanghai")?);
    let warned: Vec<Reason> = metered.warnings.into_keys().collect();
    let expected = [
        Reason::ContainerCheckDigit,
        Reason::PlateShape,
        Reason::UnknownSizeType,
        Reason::MissingMass,
    ];
    assert_eq!(warned, expected);
    Ok(())
}
