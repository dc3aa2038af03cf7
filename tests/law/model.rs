//! The law by brute force: no increments, no neighbours. All that is kept is
//! the set of records; each day everything is computed from it anew.

use quaymeter::event::personal::Precedence;
use quaymeter::event::*;
use quaymeter::meter::cell::DAY_MS;
use quaymeter::meter::figure::Meaning;
use quaymeter::pb::{DurationKind, Movement};
use std::collections::{BTreeMap, BTreeSet};

/// A record: who, when, what, content hash.
#[derive(Clone, Debug)]
pub struct Rec {
    pub source: &'static str,
    pub appended_at: i64,
    pub event: Event,
    pub content: [u8; 32],
}

/// Settings, in days.
#[derive(Clone, Copy)]
pub struct Days {
    pub horizon: i64,
    pub quarters: i64,
    pub days: i64,
}

/// (family, facility, enterprise or call, role, classifier, from, to, vessel).
pub type Key = (&'static str, String, String, i32, i32, i64, i64, String);
pub type Cells = BTreeMap<Key, BTreeMap<String, i64>>;

type Identity = (String, &'static str, String);
/// Whose, and in which list: classifier, kind, side and key, a truck's by the
/// pseudonym.
type Spot = (Identity, i32, i32, bool, String);

#[derive(Clone)]
struct Posting {
    facility: String,
    statement: Statement,
    at: i64,
    slot_end: Option<i64>,
    call: Option<(String, String)>,
    figures: Vec<(Meaning, i64)>,
}

#[derive(Clone)]
struct Point {
    identity: Identity,
    kind: DurationKind,
    end: bool,
    /// All by which it is known: a truck has two pseudonyms on the first day of a key.
    keys: Vec<String>,
    at: i64,
    statement: Statement,
}

fn day(ms: i64) -> i64 {
    ms.div_euclid(DAY_MS)
}

/// All cells of these records. The reporting zone is UTC+8 without DST.
pub fn cells(records: &[Rec], days: Days) -> (Cells, BTreeMap<String, i64>) {
    let mut by_day: BTreeMap<i64, Vec<&Rec>> = BTreeMap::new();
    for record in records {
        by_day
            .entry(day(record.appended_at))
            .or_default()
            .push(record);
    }
    let mut live: BTreeMap<Identity, Vec<&Rec>> = BTreeMap::new();
    let mut settled: BTreeSet<Spot> = BTreeSet::new();
    let mut postings: Vec<Posting> = Vec::new();
    let mut clock = 0;
    for (today, records) in by_day {
        // What is due after each day that is over; none is before the first.
        let from = if clock == 0 { today } else { clock + 1 };
        for over in from..=today {
            forget(over, days, &mut live, &mut settled, &mut postings);
        }
        clock = today;
        for record in records {
            let identity = (
                record.event.facility.to_string(),
                record.source,
                record.event.event_id.to_string(),
            );
            live.entry(identity).or_default().push(record);
        }
    }
    postings.extend(
        pairs(&live, &settled, days)
            .iter()
            .map(|(s, e)| pair_posting(s, e)),
    );
    postings.extend(live.values().filter_map(|recs| posting(winner(recs))));
    (sum(&postings, clock, days), totals(&postings))
}

fn forget(
    today: i64,
    days: Days,
    live: &mut BTreeMap<Identity, Vec<&Rec>>,
    settled: &mut BTreeSet<Spot>,
    postings: &mut Vec<Posting>,
) {
    let due: BTreeSet<Identity> = live
        .iter()
        .filter(|(_, recs)| last_day(recs) + days.horizon < today)
        .map(|(identity, _)| identity.clone())
        .collect();
    for (start, end) in pairs(live, settled, days) {
        if due.contains(&start.identity) || due.contains(&end.identity) {
            postings.push(pair_posting(&start, &end));
            settled.extend(spots(&start).chain(spots(&end)));
        }
    }
    for identity in due {
        let recs = live.remove(&identity).unwrap();
        postings.extend(posting(winner(&recs)));
        settled.retain(|spot| spot.0 != identity);
    }
}

fn winner<'a>(recs: &[&'a Rec]) -> &'a Rec {
    let rank = |rec: &Rec| {
        let gone = rec.event.statement.is_none();
        (
            rec.event.revision,
            gone,
            if gone { [0; 32] } else { rec.content },
            Precedence::of(&rec.event),
        )
    };
    recs.iter().copied().max_by_key(|rec| rank(rec)).unwrap()
}

fn last_day(recs: &[&Rec]) -> i64 {
    let appended = recs.iter().map(|rec| rec.appended_at).max().unwrap();
    let told = winner(recs)
        .event
        .statement
        .as_ref()
        .map_or(i64::MIN, |statement| {
            let slot_end = match &statement.detail {
                Detail::AppointmentStep(step) => step.slot_end,
                _ => i64::MIN,
            };
            statement.occurred_at.max(slot_end)
        });
    day(appended.max(told))
}

fn spots(point: &Point) -> impl Iterator<Item = Spot> {
    point.keys.iter().map(|key| {
        (
            point.identity.clone(),
            point.statement.classifier.into(),
            point.kind.into(),
            point.end,
            key.clone(),
        )
    })
}

/// What stands for a truck in all of its pseudonyms here.
fn truck(pseudonym: &str) -> String {
    let (_, truck) = pseudonym.split_once(':').unwrap_or(("", pseudonym));
    truck.to_owned()
}

/// Every pair, by sorting every list.
fn pairs(
    live: &BTreeMap<Identity, Vec<&Rec>>,
    settled: &BTreeSet<Spot>,
    days: Days,
) -> Vec<(Point, Point)> {
    let mut lists: BTreeMap<(String, i32, i32, String), Vec<Point>> = BTreeMap::new();
    for (identity, recs) in live {
        let Some(statement) = &winner(recs).event.statement else {
            continue;
        };
        for (kind, end, key) in points(&statement.detail) {
            let (list, keys) = match &statement.detail {
                Detail::GateMove(gate) if kind == DurationKind::TruckTurn => {
                    let before = Some(gate.tractor_before.to_string());
                    let before = before.filter(|before| !before.is_empty());
                    (truck(&key), [key].into_iter().chain(before).collect())
                }
                _ => (key.clone(), vec![key]),
            };
            let list = (
                identity.0.clone(),
                statement.classifier.into(),
                kind.into(),
                list,
            );
            lists.entry(list).or_default().push(Point {
                identity: identity.clone(),
                kind,
                end,
                keys,
                at: statement.occurred_at,
                statement: statement.clone(),
            });
        }
    }
    let mut pairs = Vec::new();
    for mut list in lists.into_values() {
        list.sort_by_key(|point| (point.at, point.end, point.identity.clone()));
        for two in list.windows(2) {
            let limit = if two[0].kind == DurationKind::TruckTurn {
                1
            } else {
                days.horizon
            };
            let mut both = spots(&two[0]).chain(spots(&two[1]));
            let free = !both.any(|spot| settled.contains(&spot));
            if !two[0].end && two[1].end && free && two[1].at - two[0].at <= limit * DAY_MS {
                pairs.push((two[0].clone(), two[1].clone()));
            }
        }
    }
    pairs
}

fn points(detail: &Detail) -> Vec<(DurationKind, bool, String)> {
    let mut points = Vec::new();
    match detail {
        Detail::GateMove(gate) => {
            let out = gate.direction == GateDirection::Out;
            if !gate.tractor.is_empty() {
                points.push((DurationKind::TruckTurn, out, gate.tractor.to_string()));
            }
            for container in &gate.containers {
                points.push((DurationKind::Dwell, out, container.number.to_string()));
            }
        }
        Detail::QuayMove(quay) if !quay.restow => {
            let end = quay.direction == QuayDirection::Load;
            points.push((DurationKind::Dwell, end, quay.container.number.to_string()));
        }
        Detail::DispatchStep(step) => match step.stage {
            DispatchStage::Offered => {
                points.push((DurationKind::Acceptance, false, step.order_id.to_string()));
            }
            DispatchStage::Accepted => {
                points.push((DurationKind::Acceptance, true, step.order_id.to_string()));
            }
            _ => {}
        },
        Detail::VesselCall(call) => match call.stage {
            VesselCallStage::Berthed => {
                points.push((DurationKind::BerthStay, false, call.call_id.to_string()));
            }
            VesselCallStage::Unberthed => {
                points.push((DurationKind::BerthStay, true, call.call_id.to_string()));
            }
            _ => {}
        },
        Detail::PortService(service) => match service.stage {
            ServiceStage::Started => {
                points.push((
                    DurationKind::ServiceTime,
                    false,
                    service.order_id.to_string(),
                ));
            }
            ServiceStage::Completed => {
                points.push((
                    DurationKind::ServiceTime,
                    true,
                    service.order_id.to_string(),
                ));
            }
            _ => {}
        },
        _ => {}
    }
    points
}

fn posting(record: &Rec) -> Option<Posting> {
    let statement = record.event.statement.clone()?;
    let (mut at, mut slot_end, mut call) = (statement.occurred_at, None, None);
    match &statement.detail {
        Detail::AppointmentStep(step) => (at, slot_end) = (step.slot_start, Some(step.slot_end)),
        Detail::QuayMove(quay) => {
            call = Some((quay.call_id.to_string(), quay.vessel_imo.to_string()));
        }
        Detail::VesselCall(vessel) => {
            call = Some((vessel.call_id.to_string(), vessel.vessel_imo.to_string()));
        }
        _ => {}
    }
    let mut figures = steps(&statement.detail);
    for (container, movement) in boxes(&statement.detail) {
        let teu = match container.size_type.as_str() {
            "22G1" => 1000,
            "45G1" => 2000,
            "L5G1" => 2250,
            _ => 0,
        };
        let mass = i64::from(container.gross_mass_kg);
        figures.push((Meaning::Boxes(movement, container.fullness), 1));
        figures.push((Meaning::TeuMilli(movement, container.fullness), teu));
        figures.push((Meaning::MassKg(movement, container.fullness), mass));
    }
    let facility = record.event.facility.to_string();
    Some(Posting {
        facility,
        statement,
        at,
        slot_end,
        call,
        figures,
    })
}

fn boxes(detail: &Detail) -> Vec<(&Container, Movement)> {
    match detail {
        Detail::GateMove(gate) => {
            let inwards = gate.direction == GateDirection::In;
            let movement = if inwards {
                Movement::GateIn
            } else {
                Movement::GateOut
            };
            gate.containers
                .iter()
                .map(|container| (container, movement))
                .collect()
        }
        Detail::QuayMove(quay) => {
            let movement = match (quay.restow, quay.direction) {
                (true, _) => Movement::Restowed,
                (false, QuayDirection::Load) => Movement::Loaded,
                (false, _) => Movement::Discharged,
            };
            vec![(&quay.container, movement)]
        }
        Detail::YardMove(yard) => {
            let movement = match yard.activity {
                YardActivity::Stuff => Movement::Stuffed,
                YardActivity::Strip => Movement::Stripped,
                YardActivity::Pick => Movement::Picked,
                YardActivity::Drop => Movement::Dropped,
                YardActivity::Inspect => Movement::Inspected,
                YardActivity::Reseal => Movement::Resealed,
                _ => Movement::Removed,
            };
            vec![(&yard.container, movement)]
        }
        _ => Vec::new(),
    }
}

fn steps(detail: &Detail) -> Vec<(Meaning, i64)> {
    let step = match detail {
        Detail::GateMove(gate) if gate.tractor.is_empty() => return Vec::new(),
        Detail::GateMove(gate) if gate.direction == GateDirection::In => Meaning::TrucksIn,
        Detail::GateMove(_) => Meaning::TrucksOut,
        Detail::DispatchStep(step) => Meaning::Dispatch(step.stage),
        Detail::AppointmentStep(step) => Meaning::Appointment(step.stage),
        Detail::VesselCall(vessel) => Meaning::VesselCall(vessel.stage),
        Detail::PortService(service) => Meaning::Service(service.service, service.stage),
        Detail::ShipmentStep(step) => Meaning::Shipment(step.stage),
        Detail::QuayMove(_) | Detail::YardMove(_) => return Vec::new(),
    };
    vec![(step, 1)]
}

fn pair_posting(start: &Point, end: &Point) -> Posting {
    let duration = end.at - start.at;
    // Bounds by floating point, against the meter's integers; the generated
    // instants are whole minutes, so none lies on a bound but powers of two.
    let bucket = if duration == 0 {
        i32::MIN
    } else {
        (8.0 * (duration as f64 / 1000.0).log2() - 1e-9).ceil() as i32
    };
    let kind = end.kind;
    let call = match &end.statement.detail {
        Detail::VesselCall(call) => Some((call.call_id.to_string(), call.vessel_imo.to_string())),
        _ => None,
    };
    Posting {
        facility: end.identity.0.clone(),
        statement: end.statement.clone(),
        at: end.at,
        slot_end: None,
        call,
        figures: vec![
            (Meaning::DurationCount(kind), 1),
            (Meaning::DurationSumMs(kind), duration),
            (Meaning::DurationBucket(kind, bucket), 1),
        ],
    }
}

fn sum(postings: &[Posting], clock: i64, days: Days) -> Cells {
    let mut cells = Cells::new();
    for posting in postings {
        let quarter = posting.at.div_euclid(900_000);
        let local_day = day(posting.at + 8 * 3_600_000);
        let in_quarters = quarter >= (clock - days.quarters) * 96;
        let in_days = local_day >= clock - days.days;
        let (facility, classifier) = (
            posting.facility.clone(),
            posting.statement.classifier.into(),
        );
        for party in &posting.statement.parties {
            let key = |family, from, to| {
                let (enterprise, role) = (party.enterprise.to_string(), party.role.into());
                (
                    family,
                    facility.clone(),
                    enterprise,
                    role,
                    classifier,
                    from,
                    to,
                    String::new(),
                )
            };
            if in_quarters {
                add(&mut cells, key("quarter", quarter, 0), posting);
            }
            if in_days {
                add(&mut cells, key("day", local_day, 0), posting);
            }
            if let Some(end) = posting.slot_end.filter(|_| in_quarters) {
                add(&mut cells, key("slot", posting.at, end), posting);
            }
        }
        if let Some((call, vessel)) = posting.call.clone().filter(|_| in_days) {
            let key = (
                "call",
                facility.clone(),
                call,
                0,
                classifier,
                local_day,
                0,
                vessel,
            );
            add(&mut cells, key, posting);
        }
    }
    cells.retain(|_, figures| !figures.is_empty());
    cells
}

fn add(cells: &mut Cells, key: Key, posting: &Posting) {
    let figures = cells.entry(key).or_default();
    for &(meaning, value) in posting.figures.iter().filter(|&&(_, value)| value != 0) {
        *figures.entry(format!("{meaning:?}")).or_default() += value;
    }
}

/// What is counted in all, for ACTUAL, per owner and figure, whatever is kept.
fn totals(postings: &[Posting]) -> BTreeMap<String, i64> {
    let mut totals = BTreeMap::new();
    for posting in postings
        .iter()
        .filter(|p| p.statement.classifier == Classifier::Actual)
    {
        for party in &posting.statement.parties {
            for &(meaning, value) in posting.figures.iter().filter(|&&(_, value)| value != 0) {
                let key = format!("{} {:?} {meaning:?}", party.enterprise, party.role);
                *totals.entry(key).or_default() += value;
            }
        }
    }
    totals
}
