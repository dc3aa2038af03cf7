//! What is exported of enterprises.

use super::{Port, parse, port, settings};
use quaymeter::config::{self, Config, Sources};
use quaymeter::meter::cell::Totals;
use quaymeter::meter::figure::{Figure, Figures, Meaning};
use quaymeter::pb::{DurationKind, Fullness, Movement, Role, ServiceKind, ServiceStage};

pub fn totals() -> Totals {
    let mut totals = Totals::default();
    let mut add = |meaning, added, taken_back| {
        totals.added.add(Figure::of(meaning), added);
        totals.taken_back.add(Figure::of(meaning), taken_back);
    };
    add(Meaning::Boxes(Movement::GateIn, Fullness::Laden), 12, 2);
    add(
        Meaning::TeuMilli(Movement::GateIn, Fullness::Laden),
        22_250,
        4000,
    );
    add(
        Meaning::MassKg(Movement::GateIn, Fullness::Laden),
        300_000,
        0,
    );
    add(Meaning::TrucksIn, 11, 1);
    add(
        Meaning::Service(ServiceKind::Pilotage, ServiceStage::Completed),
        5,
        0,
    );
    add(Meaning::DurationCount(DurationKind::TruckTurn), 4, 1);
    add(
        Meaning::DurationSumMs(DurationKind::TruckTurn),
        7_200_001,
        0,
    );
    add(Meaning::DurationBucket(DurationKind::TruckTurn, 90), 3, 1);
    add(Meaning::DurationBucket(DurationKind::TruckTurn, 105), 1, 0);
    add(Meaning::DurationCount(DurationKind::Dwell), 4, 1);
    totals.latest = Some(1_793_491_200_250);
    totals
}

pub fn today() -> Figures {
    let of = |meaning, value| (Figure::of(meaning), value);
    let moved = |fullness| Meaning::Boxes(Movement::Loaded, fullness);
    [
        of(moved(Fullness::Laden), 2),
        of(moved(Fullness::Empty), 5),
        of(Meaning::TeuMilli(Movement::Loaded, Fullness::Empty), 9_250),
        of(Meaning::TrucksIn, 3),
    ]
    .into_iter()
    .collect()
}

#[test]
fn enterprise_totals_are_exported_in_their_units_each_with_what_was_taken_back() {
    let side = port(
        &settings(),
        vec![("ygt:a".into(), Role::ServiceProvider, totals())],
    );
    let owner = "enterprise=\"ygt:a\",role=\"service_provider\"";
    let boxes = format!("{owner},movement=\"gate_in\",fullness=\"laden\"");
    let samples = parse(&side.text()).samples;
    let of_enterprises = |name: &&String| name.contains(owner);
    // Five families with twins, two histograms of 13 lines, two gauges of today.
    let lines = samples.keys().filter(of_enterprises).count();
    assert_eq!(lines, 5 * 2 + 2 * 13 + 2);
    for (name, labels, added, taken_back) in [
        ("boxes", &boxes, 12.0, 2.0),
        ("teu", &boxes, 22.25, 4.0),
        ("gross_mass_tonnes", &boxes, 300.0, 0.0),
        (
            "truck_passages",
            &format!("{owner},direction=\"in\""),
            11.0,
            1.0,
        ),
        (
            "services",
            &format!("{owner},service=\"pilotage\",step=\"completed\""),
            5.0,
            0.0,
        ),
    ] {
        let at =
            |suffix: &str| samples[&format!("quaymeter_enterprise_{name}{suffix}{{{labels}}}")];
        assert_eq!(
            (at("_total"), at("_taken_back_total")),
            (added, taken_back),
            "{name}"
        );
    }
}

#[test]
fn truck_turns_are_histograms_of_what_was_added_and_of_what_was_taken_back() {
    let all = vec![("ygt:a".into(), Role::Fleet, totals())];
    let samples = parse(&port(&settings(), all).text()).samples;
    let owner = "enterprise=\"ygt:a\",role=\"fleet\"";
    let of = |name: &str, suffix: &str, le: &str| {
        samples[&format!("quaymeter_enterprise_truck_turn_{name}seconds{suffix}{{{owner}{le}}}")]
    };
    let le = |le: &str| {
        let le = format!(",le=\"{le}\"");
        let counts = ["", "taken_back_"].map(|name| of(name, "_bucket", &le));
        counts.map(|count| count as i64)
    };
    // Eighths of a doubling: 90 is below 2^11.5 s and above 2^11, 105 is above 2^13.
    assert_eq!(le("512"), [0, 0]);
    assert_eq!(le("2048"), [0, 0]);
    assert_eq!(le("2896.309"), [3, 1]);
    assert_eq!(le("8192"), [3, 1]);
    assert_eq!(le("16384"), [4, 1]);
    assert_eq!(le("+Inf"), [4, 1]);
    assert_eq!((of("", "_count", ""), of("", "_sum", "")), (4.0, 7200.001));
    let back = (
        of("taken_back_", "_count", ""),
        of("taken_back_", "_sum", ""),
    );
    assert_eq!(back, (1.0, 0.0));
}

#[test]
fn enterprises_are_named_and_told_of_today() {
    let all = vec![
        ("ygt:a".into(), Role::Fleet, totals()),
        ("ygt:a".into(), Role::Yard, totals()),
    ];
    let samples = parse(&port(&settings(), all).text()).samples;
    for (series, value) in [
        (
            "today_boxes{enterprise=\"ygt:a\",role=\"yard\",movement=\"loaded\"}",
            7.0,
        ),
        (
            "today_teu{enterprise=\"ygt:a\",role=\"fleet\",movement=\"loaded\"}",
            9.25,
        ),
        (
            "last_event_timestamp_seconds{enterprise=\"ygt:a\"}",
            1_793_491_200.25,
        ),
        (
            "info{enterprise=\"ygt:a\",name_zh=\"甲\\\"公司\\\"\",name_en=\"A & Co\"}",
            1.0,
        ),
    ] {
        let series = format!("quaymeter_enterprise_{series}");
        assert_eq!(samples.get(&series), Some(&value), "{series}");
    }
}

#[test]
fn what_the_settings_leave_out_is_counted() {
    let shown = |set: &[(&'static str, &str)]| {
        let flags = set.iter().map(|&(name, value)| (name, value.to_owned()));
        let sources = Sources {
            flags: flags.collect(),
            ..Sources::default()
        };
        let settings = Config::resolve(sources).unwrap().metrics;
        let all = vec![
            ("ygt:a".into(), Role::Fleet, totals()),
            ("ygt:a".into(), Role::Yard, totals()),
        ];
        let samples = parse(&port(&settings, all).text()).samples;
        let of_roles = |name: &&String| name.contains("role=\"");
        let lines = samples.keys().filter(of_roles).count();
        (
            lines,
            samples["quaymeter_enterprise_series_omitted"] as usize,
            samples,
        )
    };
    let (all, none, _) = shown(&[]);
    assert_eq!((all, none), (76, 0));
    for set in [
        [("metrics.enterprise_roles", "yard")].as_slice(),
        &[("metrics.enterprise_figures", "teu,truck_turns")],
        &[
            ("metrics.enterprise_figures", "boxes,today"),
            ("metrics.enterprise_roles", "fleet,shipper"),
        ],
    ] {
        let (lines, omitted, _) = shown(set);
        assert!(lines > 0 && omitted > 0, "{set:?}");
        assert_eq!(lines + omitted, 76, "{set:?}");
    }
    let (lines, _, samples) = shown(&[("metrics.enterprise_fullness", "false")]);
    let owner = "enterprise=\"ygt:a\",role=\"yard\",movement=\"gate_in\"";
    let boxes = samples[&format!("quaymeter_enterprise_boxes_total{{{owner}}}")];
    assert_eq!(boxes as i64, 12);
    assert_eq!(lines, 76);
}

#[test]
fn enterprises_beyond_the_limit_are_left_out_and_counted() {
    let some = |id: &str, role| (id.to_owned(), role, totals());
    let all = vec![
        some("ygt:a", Role::Fleet),
        some("ygt:a", Role::Yard),
        some("ygt:b", Role::Fleet),
        some("ygt:c", Role::Fleet),
        some("ygt:c", Role::Yard),
    ];
    let shown = |settings: &config::Metrics| {
        let samples = parse(&port(settings, all.clone()).text()).samples;
        let boxes = |name: &&String| name.starts_with("quaymeter_enterprise_boxes_total");
        (
            samples.keys().filter(boxes).count(),
            samples["quaymeter_enterprises_omitted"],
        )
    };
    let mut limited = settings();
    assert_eq!(shown(&limited), (5, 0.0));
    limited.enterprises_max = 1;
    assert_eq!(shown(&limited), (2, 2.0));
    limited.per_enterprise = false;
    assert_eq!(shown(&limited), (0, 0.0));
}

#[test]
fn two_services_in_one_process_count_apart() {
    let (one, other) = (port(&settings(), vec![]), port(&settings(), vec![]));
    one.metrics.events_accepted.increment(7);
    let accepted = |side: &Port| parse(&side.text()).samples["quaymeter_events_accepted_total"];
    assert_eq!((accepted(&one), accepted(&other)), (7.0, 0.0));
}
