//! The rules of single kinds.

use super::samples::*;
use crate::event::{self, Fullness, fault::Fault};
use crate::pb::{self, Reason, event::Detail};
use crate::pseudonym::Kind;

type Outcome = Result<Vec<(Reason, String)>, (Reason, String)>;

/// What an event is refused for, or the warnings it is accepted with.
fn outcome(detail: Detail) -> Outcome {
    let short = |fault: Fault| (fault.reason, String::from(fault.field));
    match take(event(detail)) {
        Ok(accepted) => Ok(accepted.warnings.into_iter().map(short).collect()),
        Err(fault) => Err(short(fault)),
    }
}

fn refused(reason: Reason, field: &str) -> Outcome {
    Err((reason, field.to_owned()))
}

fn warned(reason: Reason, field: &str) -> Outcome {
    Ok(vec![(reason, field.to_owned())])
}

macro_rules! outcome_of {
    ($kind:ident, $sample:ident, |$it:ident| $change:expr) => {{
        let mut $it = $sample();
        $change;
        outcome(Detail::$kind($it))
    }};
}

fn gate(change: impl FnOnce(&mut pb::GateMove)) -> Outcome {
    outcome_of!(GateMove, gate_move, |it| change(&mut it))
}

fn quay(change: impl FnOnce(&mut pb::QuayMove)) -> Outcome {
    outcome_of!(QuayMove, quay_move, |it| change(&mut it))
}

fn boxed(change: impl FnOnce(&mut pb::Container)) -> Outcome {
    gate(|it| change(&mut it.containers[1]))
}

#[test]
fn required_choices_are_missing_when_unspecified_and_malformed_when_unknown() {
    for (value, reason) in [
        (0, Reason::Missing),
        (99, Reason::Malformed),
        (-1, Reason::Malformed),
    ] {
        assert_eq!(
            gate(|it| it.direction = value),
            refused(reason, "gate_move.direction")
        );
        assert_eq!(
            quay(|it| it.direction = value),
            refused(reason, "quay_move.direction")
        );
        let found = outcome_of!(YardMove, yard_move, |it| it.activity = value);
        assert_eq!(found, refused(reason, "yard_move.activity"));
        let found = outcome_of!(DispatchStep, dispatch_step, |it| it.stage = value);
        assert_eq!(found, refused(reason, "dispatch_step.stage"));
        let found = outcome_of!(AppointmentStep, appointment_step, |it| it.stage = value);
        assert_eq!(found, refused(reason, "appointment_step.stage"));
        let found = outcome_of!(VesselCall, vessel_call, |it| it.stage = value);
        assert_eq!(found, refused(reason, "vessel_call.stage"));
        let found = outcome_of!(PortService, port_service, |it| it.service = value);
        assert_eq!(found, refused(reason, "port_service.service"));
        let found = outcome_of!(PortService, port_service, |it| it.stage = value);
        assert_eq!(found, refused(reason, "port_service.stage"));
        let found = outcome_of!(ShipmentStep, shipment_step, |it| it.stage = value);
        assert_eq!(found, refused(reason, "shipment_step.stage"));
    }
}

#[test]
fn required_ids_have_1_to_64_characters_and_no_control_character() {
    let (long, fits) = ("箱".repeat(65), "箱".repeat(64));
    for (text, reason) in [
        ("", Some(Reason::Missing)),
        (&*long, Some(Reason::TooLong)),
        ("a\tb", Some(Reason::Malformed)),
        (&*fits, None),
    ] {
        let expect = |field| reason.map_or(Ok(vec![]), |reason| refused(reason, field));
        assert_eq!(
            quay(|it| it.call_id = text.into()),
            expect("quay_move.call_id")
        );
        let found = outcome_of!(DispatchStep, dispatch_step, |it| it.order_id = text.into());
        assert_eq!(found, expect("dispatch_step.order_id"));
        let found = outcome_of!(AppointmentStep, appointment_step, |it| it.appointment_id =
            text.into());
        assert_eq!(found, expect("appointment_step.appointment_id"));
        let found = outcome_of!(VesselCall, vessel_call, |it| it.call_id = text.into());
        assert_eq!(found, expect("vessel_call.call_id"));
        let found = outcome_of!(PortService, port_service, |it| it.order_id = text.into());
        assert_eq!(found, expect("port_service.order_id"));
    }
}

#[test]
fn optional_texts_may_be_empty_and_have_their_limits() {
    let text = |n: usize| "x".repeat(n);
    for (n, ok) in [(0, true), (64, true), (65, false)] {
        let expect = |field| {
            if ok {
                Ok(vec![])
            } else {
                refused(Reason::TooLong, field)
            }
        };
        assert_eq!(
            gate(|it| it.visit_ref = text(n)),
            expect("gate_move.visit_ref")
        );
        assert_eq!(
            gate(|it| it.driver_ref = text(n)),
            expect("gate_move.driver_ref")
        );
        let found = outcome_of!(DispatchStep, dispatch_step, |it| it.driver_ref = text(n));
        assert_eq!(found, expect("dispatch_step.driver_ref"));
        let found = outcome_of!(PortService, port_service, |it| it.call_id = text(n));
        assert_eq!(found, expect("port_service.call_id"));
        let found = outcome_of!(ShipmentStep, shipment_step, |it| it.document_ref = text(n));
        assert_eq!(found, expect("shipment_step.document_ref"));
    }
    assert_eq!(
        quay(|it| it.voyage = text(33)),
        refused(Reason::TooLong, "quay_move.voyage")
    );
    assert_eq!(
        quay(|it| it.call_sign = text(17)),
        refused(Reason::TooLong, "quay_move.call_sign")
    );
    assert_eq!(
        quay(|it| (it.voyage, it.call_sign) = (text(32), text(16))),
        Ok(vec![])
    );
    assert_eq!(
        quay(|it| it.voyage = "\u{1b}".into()),
        refused(Reason::Malformed, "quay_move.voyage")
    );
}

#[test]
fn a_gate_move_has_0_to_4_distinct_containers() {
    let more = ["TCNU6225360", "HDMU6804878", "MSKU2666542"].map(container);
    assert_eq!(gate(|it| it.containers.clear()), Ok(vec![]));
    assert_eq!(
        gate(|it| it.containers.extend_from_slice(&more[..2])),
        Ok(vec![])
    );
    let many = refused(Reason::TooMany, "gate_move.containers");
    assert_eq!(gate(|it| it.containers.extend(more)), many);
    let twice = refused(Reason::DuplicateContainer, "gate_move.containers[1].number");
    assert_eq!(boxed(|it| it.number = "csqu 305438-3".into()), twice);
}

#[test]
fn a_gate_move_needs_a_tractor_or_a_container() {
    assert_eq!(gate(|it| it.tractor_plate.clear()), Ok(vec![]));
    let neither = gate(|it| {
        it.tractor_plate.clear();
        it.containers.clear();
    });
    assert_eq!(neither, refused(Reason::NoTruckNorContainer, "gate_move"));
}

#[test]
fn a_container_number_is_refused_for_its_form_and_warned_for_check_digit_and_category() {
    let field = "gate_move.containers[1].number";
    assert_eq!(
        boxed(|it| it.number.clear()),
        refused(Reason::Missing, field)
    );
    for bad in ["MSКU0000000", "CSQU305438", "12345678901"] {
        assert_eq!(
            boxed(|it| it.number = bad.into()),
            refused(Reason::ContainerNumber, field)
        );
    }
    let wrong = warned(Reason::ContainerCheckDigit, field);
    assert_eq!(boxed(|it| it.number = "CSQU3054384".into()), wrong);
    let found = boxed(|it| it.number = "CSQX3054389".into());
    assert!(
        found
            .unwrap()
            .contains(&(Reason::ContainerCategory, field.into()))
    );
}

#[test]
fn a_size_type_code_is_folded_and_warned_when_unknown_or_absent() {
    let field = "gate_move.containers[1].size_type";
    assert_eq!(boxed(|it| it.size_type = "l5g1".into()), Ok(vec![]));
    for code in ["", "40HC", "4510", "0000", "2ZG1", "箱"] {
        assert_eq!(
            boxed(|it| it.size_type = code.into()),
            warned(Reason::UnknownSizeType, field)
        );
    }
    let long = boxed(|it| it.size_type = "2".repeat(11));
    assert_eq!(long, refused(Reason::TooLong, field));
}

#[test]
fn fullness_is_unknown_unless_said() {
    assert_eq!(
        boxed(|it| it.fullness = 9),
        refused(Reason::Malformed, "gate_move.containers[1].fullness")
    );
    let mut yard_move = yard_move();
    yard_move.container.as_mut().unwrap().fullness = 0;
    let statement = take(event(Detail::YardMove(yard_move)))
        .unwrap()
        .event
        .statement
        .unwrap();
    let event::Detail::YardMove(kept) = statement.detail else {
        panic!()
    };
    assert_eq!(kept.container.fullness, Fullness::Unknown);
}

#[test]
fn mass_is_1_to_999_999_kg_and_warned_when_absent() {
    let field = "gate_move.containers[1].gross_mass_kg";
    assert_eq!(
        boxed(|it| it.gross_mass_kg = None),
        warned(Reason::MissingMass, field)
    );
    for kg in [0, 1_000_000, u32::MAX] {
        assert_eq!(
            boxed(|it| it.gross_mass_kg = Some(kg)),
            refused(Reason::OutOfRange, field)
        );
    }
    assert_eq!(boxed(|it| it.gross_mass_kg = Some(999_999)), Ok(vec![]));
}

#[test]
fn a_move_needs_its_container() {
    assert_eq!(
        quay(|it| it.container = None),
        refused(Reason::Missing, "quay_move.container")
    );
    let found = outcome_of!(YardMove, yard_move, |it| it.container = None);
    assert_eq!(found, refused(Reason::Missing, "yard_move.container"));
    let found = outcome_of!(YardMove, yard_move, |it| it.container =
        Some(pb::Container::default()));
    assert_eq!(
        found,
        refused(Reason::Missing, "yard_move.container.number")
    );
}

#[test]
fn a_vessel_is_named_by_imo_number_or_call_sign() {
    let field = "quay_move.vessel_imo";
    assert_eq!(quay(|it| it.vessel_imo.clear()), Ok(vec![]));
    let neither = quay(|it| {
        it.vessel_imo.clear();
        it.call_sign.clear();
    });
    assert_eq!(neither, refused(Reason::Missing, field));
    assert_eq!(
        quay(|it| it.vessel_imo = "8814274".into()),
        warned(Reason::ImoCheckDigit, field)
    );
    for bad in ["0000000", "93194667", "９３１９４６６"] {
        assert_eq!(
            quay(|it| it.vessel_imo = bad.into()),
            refused(Reason::Malformed, field)
        );
    }
    let found = outcome_of!(VesselCall, vessel_call, |it| it.vessel_imo.clear());
    assert_eq!(found, refused(Reason::Missing, "vessel_call.vessel_imo"));
}

#[test]
fn a_slot_ends_after_it_starts() {
    let (start, end) = ("appointment_step.slot_start", "appointment_step.slot_end");
    let slot = |from: i64, to: i64| {
        outcome_of!(AppointmentStep, appointment_step, |it| {
            (it.slot_start, it.slot_end) = (instant(NOW + from), instant(NOW + to));
        })
    };
    assert_eq!(slot(0, 1), Ok(vec![]));
    assert_eq!(slot(1, 1), refused(Reason::SlotOrder, end));
    assert_eq!(slot(2, 1), refused(Reason::SlotOrder, end));
    let found = outcome_of!(AppointmentStep, appointment_step, |it| it.slot_start = None);
    assert_eq!(found, refused(Reason::Missing, start));
    let found = outcome_of!(AppointmentStep, appointment_step, |it| it.slot_end = None);
    assert_eq!(found, refused(Reason::Missing, end));
}

#[test]
fn a_slot_is_at_most_400_days_ahead_and_its_start_not_too_old() {
    let (start, end) = ("appointment_step.slot_start", "appointment_step.slot_end");
    let slot = |from: i64, to: i64| {
        outcome_of!(AppointmentStep, appointment_step, |it| {
            (it.slot_start, it.slot_end) = (instant(NOW + from), instant(NOW + to));
        })
    };
    let far = 400 * DAY_MS;
    assert_eq!(slot(far - 1, far), Ok(vec![]));
    assert_eq!(slot(far - 1, far + 1), refused(Reason::Future, end));
    assert_eq!(slot(far + 1, far + 2), refused(Reason::Future, start));
    assert_eq!(slot(-HORIZON_MS, 0), Ok(vec![]));
    assert_eq!(slot(-HORIZON_MS - 1, 0), refused(Reason::TooOld, start));
}

#[test]
fn plates_and_drivers_become_pseudonyms_of_what_tells_them_apart() {
    let pseudonyms = judge().pseudonyms.in_force(0).key;
    let plate = |text: &str| {
        let mut gate_move = gate_move();
        gate_move.tractor_plate = text.into();
        let accepted = take(event(Detail::GateMove(gate_move))).unwrap();
        let event::Detail::GateMove(kept) = accepted.event.statement.unwrap().detail else {
            panic!()
        };
        (kept, accepted.warnings)
    };
    let (kept, _) = plate("浙B12345");
    assert_eq!(kept.tractor, pseudonyms.pseudonym(Kind::Plate, "浙B12345"));
    assert_eq!(kept.trailer, pseudonyms.pseudonym(Kind::Plate, "浙BA123挂"));
    assert_eq!(kept.driver, pseudonyms.pseudonym(Kind::Driver, "driver 7"));
    for odd in ["浙b12345", "浙B·12345", "浙B 12345"] {
        let (same, warnings) = plate(odd);
        assert_eq!(same.tractor, kept.tractor, "{odd}");
        assert_eq!(warnings[0].reason, Reason::PlateShape);
    }
    assert_eq!(plate("").0.tractor, "");
}

#[test]
fn no_fault_tells_a_plate_or_a_driver() {
    let secret = "SECRET\u{7}";
    let changes: [fn(&mut pb::GateMove, String); 3] = [
        |it, text| it.tractor_plate = text,
        |it, text| it.trailer_plate = text,
        |it, text| it.driver_ref = text,
    ];
    for change in changes {
        for text in [secret.to_owned(), secret.repeat(20), "SECRET".into()] {
            let mut gate_move = gate_move();
            change(&mut gate_move, text);
            let shown = format!("{:?}", take(event(Detail::GateMove(gate_move))));
            assert!(!shown.contains("SECRET"), "{shown}");
        }
    }
    let found = gate(|it| it.tractor_plate = " · ".into());
    assert_eq!(found, refused(Reason::Malformed, "gate_move.tractor_plate"));
    let found = gate(|it| it.trailer_plate = "x".repeat(33));
    assert_eq!(found, refused(Reason::TooLong, "gate_move.trailer_plate"));
    let found = gate(|it| it.driver_ref = "a\n".into());
    assert_eq!(found, refused(Reason::Malformed, "gate_move.driver_ref"));
}
