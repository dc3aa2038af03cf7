//! The simulator: the same seed makes the same bytes, what it calls valid looks
//! valid, and its truth is what an independent recount of the sent events finds.

mod simulated {
    pub mod recount;
}

use jiff::tz::TimeZone;
use quaymeter::pb::{self, Reason, event::Detail};
use quaymeter::simulate::{Expected, Options, Rates, SOURCES, Sent, Simulation};
use quaymeter::truth::{Figure, Grain, Truth, diff};
use simulated::recount::recount;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::error::Error;

type Outcome = Result<(), Box<dyn Error>>;

/// 2026-05-14T03:00:00.123Z, 11 in the morning in Ningbo.
const END_MS: i64 = 1_778_727_600_123;
const DAY_MS: i64 = 86_400_000;

fn small(seed: u64, events: u32) -> Simulation {
    Simulation::new(&Options::new(seed, END_MS).with_events(events))
}

fn shanghai() -> Result<TimeZone, jiff::Error> {
    TimeZone::get("Asia/Shanghai")
}

fn lines(simulation: &Simulation) -> Result<Vec<String>, serde_json::Error> {
    simulation
        .sent()
        .map(|sent| serde_json::to_string(&sent.event))
        .collect()
}

#[test]
fn same_seed_and_end_make_the_same_bytes() -> Outcome {
    let (first, again) = (small(7, 3000), small(7, 3000));
    assert_eq!(lines(&first)?, lines(&again)?);
    let bytes = |simulation: &Simulation| -> Result<Vec<u8>, Box<dyn Error>> {
        let mut bytes = Vec::new();
        simulation.truth(&shanghai()?)?.write(&mut bytes)?;
        Ok(bytes)
    };
    let truth = bytes(&first)?;
    assert_eq!(truth, bytes(&again)?);
    assert_eq!(Truth::read(truth.as_slice())?, first.truth(&shanghai()?)?);
    assert_ne!(lines(&first)?, lines(&small(8, 3000))?);
    Ok(())
}

#[test]
fn rates_leave_the_day_itself_as_it_was() -> Outcome {
    let plain = Options {
        rates: Rates::NONE,
        ..Options::new(7, END_MS).with_events(3000)
    };
    let usual = Options::new(7, END_MS).with_events(3000);
    let duplicated = Options {
        rates: Rates {
            duplicates: 0.5,
            disorder: 0.9,
            late: 0.3,
            ..Rates::NONE
        },
        ..usual.clone()
    };
    let truth = |options| Simulation::new(options).truth(&shanghai()?);
    assert_eq!(diff(&truth(&plain)?, &truth(&duplicated)?), []);
    assert_ne!(diff(&truth(&plain)?, &truth(&usual)?), []);
    let counts = Simulation::new(&plain).counts();
    assert_eq!(counts.sent, counts.events);
    Ok(())
}

#[test]
fn truth_is_what_a_recount_of_the_sent_events_finds() -> Outcome {
    let rough = Rates {
        duplicates: 0.2,
        disorder: 0.5,
        late: 0.1,
        revisions: 0.15,
        retractions: 0.12,
        invalid: 0.02,
        ..Rates::default()
    };
    for seed in 0..6 {
        let events = [1000, 4000, 12_000][seed as usize % 3];
        for rates in [Rates::default(), rough] {
            let options = Options {
                rates,
                ..Options::new(seed, END_MS).with_events(events)
            };
            let simulation = Simulation::new(&options);
            let found = recount(simulation.sent(), &shanghai()?)?;
            let differences = diff(&simulation.truth(&shanghai()?)?, &found);
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
        }
    }
    Ok(())
}

#[test]
fn few_trucks_make_many_turns_and_all_pair_as_meant() -> Outcome {
    let options = Options {
        drivers: Some(300),
        enterprises: Some(60),
        ..Options::new(3, END_MS).with_events(20_000)
    };
    let simulation = Simulation::new(&options);
    let truth = simulation.truth(&shanghai()?)?;
    let differences = diff(&truth, &recount(simulation.sent(), &shanghai()?)?);
    assert_eq!(differences, []);
    Ok(())
}

#[test]
fn a_full_day_is_large_enough_and_has_everything() -> Outcome {
    let simulation = Simulation::new(&Options::new(1, END_MS));
    let counts = simulation.counts();
    assert!(counts.events >= 430_000, "{counts:?}");
    for count in [
        counts.duplicates,
        counts.late,
        counts.displaced,
        counts.revisions,
        counts.retractions,
        counts.brought_back,
        counts.early_retractions,
        counts.invalid,
    ] {
        assert!(count > 100, "{counts:?}");
    }
    assert_eq!(counts.sent, simulation.sent().len() as u64);
    let truth = simulation.truth(&shanghai()?)?;
    assert!(truth.count(Grain::Quarter) >= 100_000 && truth.count(Grain::Day) >= 10_000);
    let enterprises: BTreeSet<_> = truth.cells.keys().map(|key| &key.enterprise).collect();
    assert!(
        (2_500..3_200).contains(&enterprises.len()),
        "{}",
        enterprises.len()
    );
    let facilities: BTreeSet<_> = truth.cells.keys().map(|key| &key.facility).collect();
    assert_eq!(facilities.len(), 161);
    let names: BTreeSet<String> = truth
        .cells
        .values()
        .flat_map(quaymeter::truth::Figures::iter)
        .map(|(figure, _)| figure.to_string())
        .collect();
    let expected = [
        "boxes.gate_in.laden boxes.gate_out.empty boxes.loaded.laden boxes.discharged.unknown",
        "boxes.restowed.laden boxes.stuffed.laden boxes.stripped.empty boxes.picked.laden",
        "boxes.dropped.laden boxes.inspected.laden boxes.resealed.laden boxes.removed.laden",
        "teu_milli.gate_in.laden mass_kg.loaded.laden trucks.in trucks.out dispatch.ordered",
        "dispatch.offered dispatch.accepted dispatch.rejected dispatch.withdrawn dispatch.failed",
        "dispatch.assigned dispatch.picked_up dispatch.returned dispatch.terminated",
        "appointment.requested appointment.confirmed appointment.changed appointment.cancelled",
        "appointment.used appointment.refused vessel_call.arrived vessel_call.berthed",
        "vessel_call.unberthed vessel_call.departed service.pilotage.started shipment.booked",
        "service.mooring.completed service.towage.ordered service.pilotage.cancelled",
        "shipment.released shipment.release_revoked shipment.customs_cleared shipment.held",
        "shipment.vgm_declared truck_turn.count acceptance.count berth_stay.count dwell.count",
        "service_time.count service_time.sum_ms truck_turn.bucket.90",
    ];
    for name in expected.iter().flat_map(|names| names.split(' ')) {
        assert!(names.contains(name), "{name} is missing from {names:?}");
    }
    assert_turns_are_plausible(&truth);
    Ok(())
}

/// Half of the trucks at terminals are out within 35 to 45 minutes, one in
/// twenty needs much longer.
fn assert_turns_are_plausible(truth: &Truth) {
    let mut buckets = BTreeMap::<i32, i64>::new();
    let terminals = truth
        .cells
        .iter()
        .filter(|(key, _)| key.grain == Grain::Day && key.role == pb::Role::Terminal);
    for (figure, count) in terminals.flat_map(|(_, figures)| figures.iter()) {
        if let Figure::Bucket(pb::DurationKind::TruckTurn, Some(index)) = figure {
            *buckets.entry(index).or_default() += count;
        }
    }
    let all: i64 = buckets.values().sum();
    let percentile = |percent: i64| {
        let mut below = 0;
        let at = buckets.iter().find(|(_, count)| {
            below += *count;
            below * 100 >= all * percent
        });
        at.map_or(0.0, |(&index, _)| (f64::from(index) / 8.0).exp2() / 60.0)
    };
    assert!(all > 10_000, "{all} turns");
    assert!((34.0..48.0).contains(&percentile(50)), "{}", percentile(50));
    assert!(
        (85.0..180.0).contains(&percentile(98)),
        "{}",
        percentile(98)
    );
}

#[test]
fn event_ids_are_unique_but_for_versions_and_repetitions() {
    let mut of_id = HashMap::<String, (&str, String)>::new();
    let mut identities = HashSet::new();
    let simulation = small(5, 20_000);
    for Sent {
        source,
        event,
        expected,
    } in simulation.sent()
    {
        assert!(SOURCES.contains(&source));
        let facility = event.facility.to_uppercase().replace("CNNGB", "CNNBO");
        if expected == Expected::Accepted {
            let place = (source, facility.clone());
            let known = of_id
                .entry(event.event_id.clone())
                .or_insert_with(|| place.clone());
            assert_eq!(*known, place, "{}", event.event_id);
            identities.insert((source, event.event_id, facility));
        }
    }
    assert_eq!(identities.len() as u64, simulation.counts().events);
}

#[test]
fn what_happened_lies_within_the_day_before_the_end() {
    for Sent {
        event, expected, ..
    } in small(5, 20_000).sent()
    {
        let Some(at) = event.occurred_at.filter(|_| expected == Expected::Accepted) else {
            continue;
        };
        let at = at.seconds * 1000 + i64::from(at.nanos) / 1_000_000;
        let actual = matches!(
            event.classifier(),
            pb::Classifier::Actual | pb::Classifier::Unspecified
        );
        let until = if actual { END_MS } else { END_MS + 4 * DAY_MS };
        let from = END_MS - DAY_MS - 20 * 60_000;
        assert!((from..=until).contains(&at), "{event:?}");
    }
}

#[test]
fn every_reason_that_can_be_made_is_made_and_looks_it() {
    let options = Options {
        rates: Rates {
            invalid: 0.01,
            ..Rates::default()
        },
        ..Options::new(9, END_MS).with_events(20_000)
    };
    let mut reasons = BTreeMap::<&str, usize>::new();
    for Sent {
        event, expected, ..
    } in Simulation::new(&options).sent()
    {
        let Expected::Refused(reason) = expected else {
            continue;
        };
        *reasons.entry(reason.as_str_name()).or_default() += 1;
        let looks = match reason {
            Reason::TooLong => event.event_id.len() > 128,
            Reason::DuplicateParty => event.parties[1..].contains(&event.parties[0]),
            Reason::SlotOrder => matches!(&event.detail, Some(Detail::AppointmentStep(step))
                if step.slot_end.map(|end| end.seconds) < step.slot_start.map(|s| s.seconds)),
            Reason::NoTruckNorContainer => matches!(&event.detail, Some(Detail::GateMove(gate))
                if gate.containers.is_empty() && gate.tractor_plate.is_empty()),
            Reason::UsccCheckCharacter => event.parties.iter().any(|party| {
                party
                    .enterprise
                    .strip_prefix("uscc:")
                    .is_some_and(|code| !uscc_is_right(code))
            }),
            Reason::Future => event
                .occurred_at
                .is_some_and(|at| at.seconds > END_MS / 1000 + 600),
            _ => true,
        };
        assert!(looks, "{reason:?}: {event:?}");
    }
    let expected = [
        "MISSING MALFORMED TOO_LONG TOO_MANY OUT_OF_RANGE DUPLICATE_PARTY DUPLICATE_CONTAINER",
        "USCC_CHECK_CHARACTER CONTAINER_NUMBER SLOT_ORDER NO_TRUCK_NOR_CONTAINER FUTURE TOO_OLD",
    ];
    let expected: BTreeSet<String> = expected
        .iter()
        .flat_map(|names| names.split(' '))
        .map(|name| format!("REASON_{name}"))
        .collect();
    assert_eq!(
        reasons
            .keys()
            .map(ToString::to_string)
            .collect::<BTreeSet<_>>(),
        expected
    );
}

#[test]
fn identifiers_have_right_check_characters_unless_meant_otherwise() {
    let (mut right, mut wrong) = (BTreeSet::new(), BTreeSet::new());
    for Sent {
        event, expected, ..
    } in small(5, 60_000).sent()
    {
        if expected != Expected::Accepted {
            continue;
        }
        for party in &event.parties {
            if let Some(code) = party.enterprise.strip_prefix("uscc:") {
                assert!(uscc_is_right(code), "{code}");
            }
        }
        let imo = match &event.detail {
            Some(Detail::QuayMove(quay)) => &quay.vessel_imo,
            Some(Detail::VesselCall(call)) => &call.vessel_imo,
            _ => "",
        };
        assert!(imo.is_empty() || imo_is_right(imo), "{imo}");
        for container in containers(&event) {
            let number = container.number.to_uppercase().replace([' ', '-'], "");
            if container_is_right(&number) {
                right.insert(number)
            } else {
                wrong.insert(number)
            };
        }
    }
    assert!(right.len() > 6000, "{}", right.len());
    assert!(
        (1..right.len() / 200).contains(&wrong.len()),
        "{} are wrong",
        wrong.len()
    );
}

fn containers(event: &pb::Event) -> Vec<&pb::Container> {
    match &event.detail {
        Some(Detail::GateMove(gate)) => gate.containers.iter().collect(),
        Some(Detail::QuayMove(quay)) => quay.container.iter().collect(),
        Some(Detail::YardMove(yard)) => yard.container.iter().collect(),
        _ => Vec::new(),
    }
}

fn uscc_is_right(code: &str) -> bool {
    let alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    let values: Option<Vec<usize>> = code.chars().map(|c| alphabet.find(c)).collect();
    let weights = [
        1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28, 1,
    ];
    values.is_some_and(|values| {
        values.len() == 18
            && values
                .iter()
                .zip(weights)
                .map(|(v, w)| v * w)
                .sum::<usize>()
                % 31
                == 0
    })
}

fn imo_is_right(imo: &str) -> bool {
    let digits: Vec<u32> = imo.chars().filter_map(|c| c.to_digit(10)).collect();
    digits.len() == 7 && (0..6).map(|i| digits[i] * (7 - i as u32)).sum::<u32>() % 10 == digits[6]
}

fn container_is_right(number: &str) -> bool {
    let value = |c: char| match c.to_digit(36).unwrap_or(0) {
        digit @ 0..=9 => digit,
        10 => 10,
        letter @ 11..=20 => letter + 1,
        letter @ 21..=30 => letter + 2,
        letter => letter + 3,
    };
    let sum: u32 = number[..10]
        .chars()
        .enumerate()
        .map(|(place, c)| value(c) << place)
        .sum();
    number.len() == 11 && number[10..].parse() == Ok(sum % 11 % 10)
}

#[test]
fn vessel_calls_add_up_to_the_terminals_throughput() -> Outcome {
    let truth = small(4, 20_000).truth(&shanghai()?)?;
    let of_calls: i64 = truth
        .calls
        .values()
        .map(|call| call.loaded + call.discharged)
        .sum();
    let moved = |figure: &Figure| {
        matches!(
            figure,
            Figure::Boxes(pb::Movement::Loaded | pb::Movement::Discharged, _)
        )
    };
    let of_terminals: i64 = truth
        .cells
        .iter()
        .filter(|(key, _)| key.grain == Grain::Quarter && key.role == pb::Role::Terminal)
        .flat_map(|(_, figures)| figures.iter())
        .filter(|(figure, _)| moved(figure))
        .map(|(_, count)| count)
        .sum();
    assert_eq!(of_calls, of_terminals);
    assert!(of_calls > 500, "{of_calls}");
    assert!(
        truth
            .calls
            .values()
            .map(|call| call.berth_stays)
            .sum::<i64>()
            > 0
    );
    Ok(())
}
