//! Records in a small world, so that they meet: few facilities, trucks, boxes
//! and ids; days apart, so that some are forgotten.

use crate::model::{Days, Rec};
use compact_str::CompactString;
use proptest::prelude::*;
use quaymeter::event::*;
use smallvec::SmallVec;

pub const DAYS: Days = Days {
    horizon: 4,
    quarters: 6,
    days: 9,
};

const MINUTE_MS: i64 = 60_000;
/// 2026-11-01T00:00Z.
const FIRST_MS: i64 = 1_793_491_200_000;

fn name(of: &'static str, n: u8) -> CompactString {
    compact_str::format_compact!("{of}{n}")
}

fn container() -> impl Strategy<Value = Container> {
    (0..3u8, 0..4usize, 2..4i32, 0..3u32).prop_map(|(n, size, fullness, mass)| Container {
        number: name("BOX", n),
        size_type: ["22G1", "45G1", "L5G1", "?"][size].into(),
        fullness: Fullness::try_from(fullness).unwrap(),
        gross_mass_kg: mass * 4000,
    })
}

fn gate_move() -> impl Strategy<Value = Detail> {
    let boxes = prop::option::of(container());
    (1..3i32, boxes, 0..4u8).prop_map(|(direction, container, truck)| {
        Detail::GateMove(GateMove {
            direction: GateDirection::try_from(direction).unwrap(),
            containers: container.into_iter().collect(),
            tractor: if truck == 0 {
                "".into()
            } else {
                name("truck", truck)
            },
            tractor_before: "".into(),
            trailer: "".into(),
            driver: "".into(),
            visit_ref: "".into(),
        })
    })
}

fn quay_move() -> impl Strategy<Value = Detail> {
    (1..3i32, container(), 0..2u8, any::<bool>()).prop_map(|(direction, container, n, restow)| {
        Detail::QuayMove(QuayMove {
            direction: QuayDirection::try_from(direction).unwrap(),
            container,
            call_id: name("call", n),
            vessel_imo: name("imo", n),
            call_sign: "".into(),
            voyage: "".into(),
            restow,
        })
    })
}

fn other(slot_ms: i64) -> impl Strategy<Value = Detail> {
    let yard = (1..8i32, container()).prop_map(|(activity, container)| {
        let activity = YardActivity::try_from(activity).unwrap();
        Detail::YardMove(YardMove {
            activity,
            container,
        })
    });
    let dispatch = (1..5i32, 0..2u8).prop_map(|(stage, n)| {
        Detail::DispatchStep(DispatchStep {
            order_id: name("order", n),
            stage: DispatchStage::try_from(stage).unwrap(),
            tractor: "".into(),
            driver: "".into(),
        })
    });
    let appointment = (1..7i32, 0..4i64).prop_map(move |(stage, n)| {
        let slot_start = slot_ms + n * 7 * 24 * 60 * MINUTE_MS;
        Detail::AppointmentStep(AppointmentStep {
            appointment_id: "a".into(),
            stage: AppointmentStage::try_from(stage).unwrap(),
            slot_start,
            slot_end: slot_start + 30 * MINUTE_MS,
        })
    });
    let call = (1..5i32, 0..2u8, 0..2u8).prop_map(|(stage, n, vessel)| {
        Detail::VesselCall(VesselCall {
            stage: VesselCallStage::try_from(stage).unwrap(),
            call_id: name("call", n),
            vessel_imo: name("imo", vessel),
            call_sign: "".into(),
        })
    });
    let service = (1..3i32, 1..5i32, 0..2u8).prop_map(|(service, stage, n)| {
        Detail::PortService(PortService {
            service: ServiceKind::try_from(service).unwrap(),
            stage: ServiceStage::try_from(stage).unwrap(),
            order_id: name("service", n),
            call_id: "".into(),
        })
    });
    let shipment = (1..7i32).prop_map(|stage| {
        let stage = ShipmentStage::try_from(stage).unwrap();
        Detail::ShipmentStep(ShipmentStep {
            stage,
            document_ref: "".into(),
        })
    });
    prop_oneof![yard, dispatch, appointment, call, service, shipment]
}

fn parties() -> impl Strategy<Value = SmallVec<[Party; 4]>> {
    prop::collection::btree_set((1..3i32, 0..3u8), 1..3).prop_map(|set| {
        set.into_iter()
            .map(|(role, n)| Party {
                role: Role::try_from(role).unwrap(),
                enterprise: name("smdg:E", n),
            })
            .collect()
    })
}

fn statement(at: i64) -> impl Strategy<Value = Statement> {
    let classifier = prop_oneof![5 => Just(Classifier::Actual), 1 => Just(Classifier::Planned)];
    let detail = prop_oneof![4 => gate_move(), 2 => quay_move(), 3 => other(at)];
    (classifier, parties(), detail).prop_map(move |(classifier, parties, detail)| Statement {
        classifier,
        occurred_at: at,
        parties,
        detail,
    })
}

/// One record: appended within twelve days, about something up to three days
/// earlier or, rarely, long before or after.
pub fn rec() -> impl Strategy<Value = Rec> {
    let lag = prop_oneof![8 => 0..3 * 1440i64, 1 => 0..12 * 1440i64, 1 => -8 * 1440..0i64];
    (0..12 * 24i64, lag, 0..12u8, any::<bool>(), 0..2u8, 0..3i64).prop_flat_map(
        |(hour, lag, id, source, facility, revision)| {
            let appended_at = FIRST_MS + hour * 60 * MINUTE_MS;
            // Coarse instants, so that some are equal.
            let at = (appended_at - lag * MINUTE_MS).div_euclid(10 * MINUTE_MS) * 10 * MINUTE_MS;
            let statement = prop::option::weighted(0.85, statement(at));
            statement.prop_map(move |statement| {
                let content = hash(&statement);
                let event = Event {
                    event_id: name("event", id),
                    revision,
                    facility: name("CNNBO/T", facility),
                    statement,
                };
                let source = if source { "tos" } else { "eir" };
                Rec {
                    source,
                    appended_at,
                    event,
                    content,
                }
            })
        },
    )
}

/// A content hash that only has to differ where the content does.
pub fn hash(statement: &Option<Statement>) -> [u8; 32] {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    format!("{statement:?}").hash(&mut hasher);
    let low = hasher.finish();
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&low.to_be_bytes());
    hash
}
