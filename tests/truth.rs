//! True figures: rolled up, written, read and compared.

use jiff::tz::TimeZone;
use quaymeter::pb;
use quaymeter::simulate::{Options, Simulation};
use quaymeter::truth::{Figure, Grain, Split, Truth, diff, start_of};
use std::collections::BTreeMap;
use std::error::Error;

type Sums = BTreeMap<(pb::Role, pb::Classifier, Figure), i64>;
type Outcome = Result<(), Box<dyn Error>>;

/// 2026-05-14T03:00:00.123Z.
const END_MS: i64 = 1_778_727_600_123;

fn small(seed: u64, events: u32) -> Simulation {
    Simulation::new(&Options::new(seed, END_MS).with_events(events))
}

fn shanghai() -> Result<TimeZone, jiff::Error> {
    TimeZone::get("Asia/Shanghai")
}

#[test]
fn quarters_roll_up_to_the_same_sums_in_every_zone() -> Outcome {
    let truth = small(2, 5000).truth(&shanghai()?)?;
    let all = (i64::MIN, i64::MAX);
    let days = truth.rolled_up(Grain::Day, &shanghai()?, Split::FULL, all)?;
    let kept: BTreeMap<_, _> = truth
        .cells
        .iter()
        .filter(|(key, _)| key.grain == Grain::Day)
        .collect();
    assert!(days.iter().eq(kept));
    let sums = |grain, zone: &str| -> Result<Sums, Box<dyn Error>> {
        let split = Split {
            facility: false,
            enterprise: false,
        };
        let mut sums = BTreeMap::new();
        for (key, figures) in truth.rolled_up(grain, &TimeZone::get(zone)?, split, all)? {
            for (figure, value) in figures.iter() {
                *sums.entry((key.role, key.classifier, figure)).or_default() += value;
            }
        }
        Ok(sums)
    };
    let whole = sums(Grain::Month, "UTC")?;
    for zone in [
        "Asia/Shanghai",
        "Asia/Kathmandu",
        "America/New_York",
        "Australia/Lord_Howe",
    ] {
        for grain in [
            Grain::Quarter,
            Grain::Hour,
            Grain::Day,
            Grain::Week,
            Grain::Month,
        ] {
            assert_eq!(sums(grain, zone)?, whole, "{zone} {grain:?}");
        }
    }
    Ok(())
}

#[test]
fn every_difference_is_found_over_the_union_of_both_sides() -> Outcome {
    let truth = small(2, 1000).truth(&shanghai()?)?;
    let mut answered = truth.clone();
    let (gone, figures) = answered.cells.pop_first().ok_or("no cells")?;
    let mut more = answered.cells.last_key_value().ok_or("no cells")?.0.clone();
    more.start_ms += 1;
    answered
        .cells
        .entry(more)
        .or_default()
        .add(Figure::TrucksIn, 3);
    let (_, call) = answered.calls.iter_mut().next().ok_or("no calls")?;
    call.loaded += 1;
    let found = diff(&truth, &answered);
    assert_eq!(found.len(), figures.iter().count() + 2);
    assert!(found[0].to_string().contains(gone.facility.as_str()));
    assert!(
        found
            .iter()
            .any(|d| d.figure == "trucks.in" && d.truth == 0 && d.answered == 3)
    );
    assert!(
        found
            .iter()
            .any(|d| d.figure == "loaded" && d.truth + 1 == d.answered)
    );
    Ok(())
}

#[test]
fn intervals_start_by_the_zones_clock() -> Outcome {
    let cases = [
        (
            Grain::Day,
            "Asia/Shanghai",
            "2026-05-14T03:00:00Z",
            "2026-05-13T16:00:00Z",
        ),
        (
            Grain::Hour,
            "Asia/Kathmandu",
            "2026-05-14T03:30:00Z",
            "2026-05-14T03:15:00Z",
        ),
        (
            Grain::Week,
            "UTC",
            "2026-05-17T23:59:59Z",
            "2026-05-11T00:00:00Z",
        ),
        (
            Grain::Month,
            "America/New_York",
            "2026-05-01T03:00:00Z",
            "2026-04-01T04:00:00Z",
        ),
        (
            Grain::Hour,
            "America/New_York",
            "2026-11-01T06:30:00Z",
            "2026-11-01T06:00:00Z",
        ),
        // Lord Howe's clock goes back by half an hour at 2:00.
        (
            Grain::Hour,
            "Australia/Lord_Howe",
            "2026-04-04T15:15:00Z",
            "2026-04-04T14:00:00Z",
        ),
        (
            Grain::Quarter,
            "UTC",
            "2026-05-14T03:14:59Z",
            "2026-05-14T03:00:00Z",
        ),
    ];
    for (grain, zone, at, start) in cases {
        let at: jiff::Timestamp = at.parse()?;
        let found = start_of(grain, &TimeZone::get(zone)?, at.as_millisecond())?;
        let found = jiff::Timestamp::from_millisecond(found)?;
        assert_eq!(found.to_string(), start, "{grain:?} {zone}");
    }
    Ok(())
}

#[test]
fn every_figure_has_a_name_that_reads_back() -> Outcome {
    let truth = small(2, 5000).truth(&shanghai()?)?;
    for (figure, _) in truth
        .cells
        .values()
        .flat_map(quaymeter::truth::Figures::iter)
    {
        assert_eq!(figure.to_string().parse(), Ok(figure));
    }
    assert_eq!(
        "truck_turn.bucket.zero".parse(),
        Ok(Figure::Bucket(pb::DurationKind::TruckTurn, None))
    );
    for name in [
        "boxes.gate_in",
        "trucks.up",
        "dispatch.",
        "truck_turn.bucket.x",
    ] {
        assert!(name.parse::<Figure>().is_err(), "{name}");
    }
    Ok(())
}

#[test]
fn answered_rows_are_flattened_and_rows_of_one_cell_add_up() {
    let figures = pb::Figures {
        boxes: vec![pb::BoxFigure {
            movement: pb::Movement::GateIn.into(),
            fullness: pb::Fullness::Laden.into(),
            boxes: 2,
            teu_milli: 3000,
            gross_mass_kg: 40_000,
        }],
        trucks_in: 1,
        durations: vec![pb::DurationFigure {
            kind: pb::DurationKind::TruckTurn.into(),
            count: 2,
            sum_ms: 5000,
            buckets: vec![
                pb::DurationBucket {
                    index: Some(19),
                    count: 1,
                },
                pb::DurationBucket {
                    index: None,
                    count: 1,
                },
            ],
            p50_s: 1.0,
            ..pb::DurationFigure::default()
        }],
        ..pb::Figures::default()
    };
    let row = pb::ThroughputRow {
        facility: "CNNBO/BLCT2".into(),
        role: pb::Role::Terminal.into(),
        classifier: pb::Classifier::Actual.into(),
        figures: Some(figures),
        ..pb::ThroughputRow::default()
    };
    let mut truth = Truth::default();
    truth.add_cells(Grain::Quarter, [&row, &row]);
    let found: Vec<_> = truth
        .cells
        .values()
        .map(quaymeter::truth::Figures::by_name)
        .collect();
    let expected = [
        ("boxes.gate_in.laden", 4),
        ("mass_kg.gate_in.laden", 80_000),
        ("teu_milli.gate_in.laden", 6000),
        ("truck_turn.bucket.19", 2),
        ("truck_turn.bucket.zero", 2),
        ("truck_turn.count", 4),
        ("truck_turn.sum_ms", 10_000),
        ("trucks.in", 2),
    ];
    let expected = expected.map(|(name, value)| (name.to_string(), value));
    assert_eq!(found, [BTreeMap::from(expected)]);
}
