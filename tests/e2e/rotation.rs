//! Keys that begin, and keys that are gone: no turn is lost, and nothing that is sent
//! again counts as changed.

use crate::noted::{changed, each};
use crate::place::{Place, counted, get, metric, passage, published, queries, text, until};
use crate::service::quaymeter;
use jiff::{Span, Timestamp, civil::Date, tz::TimeZone};
use quaymeter::answers::instant;
use quaymeter::pb::{self, Event, GateDirection};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const HOUR_MS: i64 = 3_600_000;

fn key_file(path: &Path, lines: &str) {
    std::fs::write(path, lines).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

/// A key of no meaning.
fn key(digit: char) -> String {
    digit.to_string().repeat(64)
}

fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}

fn in_days(days: i64) -> Date {
    today().checked_add(Span::new().days(days)).unwrap()
}

/// The start of the second key's first day, UTC.
fn midnight() -> i64 {
    let zoned = in_days(-3).to_zoned(TimeZone::UTC).unwrap();
    zoned.timestamp().as_millisecond()
}

/// Five turns around midnight: over it, inside each day, and one whose end's partner
/// comes last. The first four are of one truck.
fn turns() -> Vec<Event> {
    let at = |hours: i64| midnight() + hours * HOUR_MS;
    let one = |id: &str, hours, direction, plate| passage(id, at(hours), direction, plate);
    use GateDirection::{In, Out};
    vec![
        one("a", -5, In, "浙B10001"),
        one("b", -4, Out, "浙B10001"),
        one("c", -2, In, "浙B10001"),
        one("d", 1, Out, "浙B10001"),
        one("e", 2, In, "浙B10001"),
        one("f", 3, Out, "浙B10001"),
        one("g", 12, In, "浙B10001"),
        one("h", 26, Out, "浙B10001"),
        // 24 hours exactly.
        one("i", -1, In, "浙B10002"),
        one("j", 23, Out, "浙B10002"),
        // A second start takes the end away from the first.
        one("k", -1, In, "浙B10003"),
        one("m", 2, Out, "浙B10003"),
        one("l", 1, In, "浙B10003"),
    ]
}

/// How many turns there are, and how long they take together.
async fn counted_turns(url: &str) -> (i64, i64) {
    let request = pb::GetThroughputRequest {
        from: Some(instant(midnight() - 24 * HOUR_MS)),
        to: Some(instant(midnight() + 48 * HOUR_MS)),
        grain: pb::Grain::Total.into(),
        ..Default::default()
    };
    let answer = queries(url).await.get_throughput(request).await.unwrap();
    let rows = answer.into_inner().rows.into_iter();
    let durations = rows.flat_map(|row| row.figures.unwrap().durations);
    let turns = durations.filter(|of| of.kind() == pb::DurationKind::TruckTurn);
    turns.fold((0, 0), |(count, sum), of| {
        (count + of.count, sum + of.sum_ms)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn no_change_of_keys_loses_a_turn_or_makes_what_is_sent_again_a_conflict() {
    let place = Place::new();
    let path = place.path("keys");
    let settings = ["--pseudonym-key", path.to_str().unwrap()];
    let (one, two) = (key('1'), key('2'));
    key_file(
        &path,
        &format!("1 = {one}\n2 from {} = {two}\n", in_days(-3)),
    );
    let service = place.serve(&settings);
    let sent = turns().len();
    // One by one, in an order of no meaning.
    let mut events = turns();
    events.sort_by_key(|event| event.event_id.bytes().map(|b| b.wrapping_mul(113)).max());
    for event in events {
        published(&service.grpc, vec![event]).await;
    }
    // a–b, c–d, e–f, g–h, i–j, l–m.
    let expected = (6, (1 + 3 + 1 + 14 + 24 + 1) * HOUR_MS);
    assert_eq!(counted_turns(&service.grpc).await, expected);
    published(&service.grpc, turns()).await;
    counted(&service.grpc, 2 * sent).await;
    service.stop();
    // The first key is erased; then all are lost and drawn anew, in the end with an id
    // that another had.
    let erased = "1 erased = p1:AAAAAAAAAAAAAAAAAAAA";
    let later = [
        format!("{erased}\n2 from {} = {two}\n", in_days(-3)),
        format!("7 = {}\n", key('3')),
        format!("1 = {}\n", key('4')),
    ];
    for (again, lines) in (1..).zip(later) {
        key_file(&path, &lines);
        let service = place.serve(&settings);
        published(&service.grpc, turns()).await;
        let name = "quaymeter_applied_duplicates_total ";
        let duplicates = (again + 1) * sent;
        until("all are known as duplicates", async || {
            metric(&service, name) as usize == duplicates
        })
        .await;
        assert_eq!(
            metric(&service, "quaymeter_applied_conflicts_total ") as i64,
            0
        );
        if again < 3 {
            assert_eq!(counted_turns(&service.grpc).await, expected, "{lines}");
        }
        service.stop();
    }
    let mut audit = quaymeter();
    audit.args(["audit", "--data-dir"]).arg(place.data());
    let output = audit.output().unwrap();
    assert!(output.status.success(), "{:?}", text(&output));
}

fn pseudonyms(path: &Path, words: &str) -> (Option<i32>, String) {
    let mut command = quaymeter();
    command.arg("pseudonyms").args(words.split_whitespace());
    // Where the trail of what is done to keys is.
    command.arg("--data-dir").arg(path.with_file_name("data"));
    let output = command.arg("--pseudonym-key").arg(path).output().unwrap();
    let (told, errors) = text(&output);
    (output.status.code(), told + &errors)
}

/// What the audit trail has of the keys once a second was added and the first erased, as
/// commands tried it and as services loaded it. It is told whole.
fn noted(place: &Place, from: Date, begun: Date) -> String {
    let tried = changed(place, "commands", "pseudonym_key");
    let actions = [
        "rotate", "fail", "rotate", "fail", "rotate", "erase", "fail", "erase",
    ];
    assert_eq!(each(&tried, "action"), actions);
    let failed = ["", "rotate", "", "rotate", "", "", "erase", ""];
    assert_eq!(each(&tried, "failed"), failed);
    assert_eq!(tried[0]["from"], tried[1]["from"]);
    assert_eq!(tried[2]["from"], tried[3]["from"]);
    assert_eq!(tried[4]["from"], from.to_string());
    assert_eq!(each(&tried[5..], "id"), ["1"; 3]);
    let loads = changed(place, "service", "pseudonym_key");
    assert_eq!(each(&loads, "action"), ["load"; 4]);
    let keys = each(&loads, "keys");
    let [first, second] = [from, begun].map(|day| format!(" 2={day}:"));
    let expected = [
        ["1=first:", ""],
        ["1=first:", &first],
        ["1=first:", &second],
        ["1=erased:", &second],
    ];
    for (keys, [one, two]) in keys.into_iter().zip(expected) {
        assert!(keys.starts_with(one) && keys.contains(two), "{keys}");
        assert_eq!(keys.contains(' '), !two.is_empty(), "{keys}");
    }
    format!("{tried:?}{loads:?}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_added_to_a_running_service_and_erased_when_nothing_needs_it() {
    let place = Place::new();
    let path = place.path("keys");
    let service = place.serve(&["--pseudonym-key", path.to_str().unwrap()]);
    for days in [0, 1] {
        let (status, told) = pseudonyms(&path, &format!("rotate --from {}", in_days(days)));
        assert_eq!(status, Some(1), "{told}");
        assert!(told.contains("or later: events"), "{told}");
    }
    let from = in_days(9);
    let (status, told) = pseudonyms(&path, &format!("rotate --from {from}"));
    assert_eq!(status, Some(0), "{told}");
    assert!(told.contains(&format!("key 2 begins on {from}")), "{told}");
    until("the service has the key", async || {
        place.logged().contains("the pseudonyms' keys were loaded")
    })
    .await;
    let (_, listed) = pseudonyms(&path, "list");
    assert!(listed.contains("the first"), "{listed}");
    assert!(listed.contains(&from.to_string()), "{listed}");
    let (status, told) = pseudonyms(&path, "erase 1");
    assert_eq!(status, Some(1), "{told}");
    let earliest = in_days(9 + 35 + 2);
    assert!(told.contains(&format!("before {earliest}")), "{told}");
    service.stop();
    // As if that day had come.
    let begun = in_days(-60);
    let text = std::fs::read_to_string(&path).unwrap();
    let old = text.replace(&from.to_string(), &begun.to_string());
    key_file(&path, &old);
    let service = place.serve(&["--pseudonym-key", path.to_str().unwrap()]);
    let (status, told) = pseudonyms(&path, "erase 1");
    assert_eq!(status, Some(0), "{told}");
    let (_, listed) = pseudonyms(&path, "list");
    assert!(listed.contains("erased"), "{listed}");
    let keys = old.lines().filter(|line| !line.starts_with('#'));
    let keys = keys.filter_map(|line| line.split_once("= "));
    let secrets: Vec<&str> = keys.map(|(_, key)| key).collect();
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(!kept.contains(secrets[0]) && kept.contains(secrets[1]));
    until("the service has dropped the key", async || {
        place.logged().matches("keys were loaded").count() == 2
    })
    .await;
    let (_, page) = get(&service.http, "/metrics");
    service.stop();
    let noted = noted(&place, from, begun);
    for secret in secrets {
        for told in [&place.logged(), &page, &listed, &told, &noted] {
            assert!(!told.contains(secret));
        }
    }
}

#[test]
fn a_key_is_not_erased_within_the_horizon_of_the_data_whatever_is_configured() {
    let place = Place::new();
    let path = place.path("keys");
    let begun = |days: i64| {
        let from = in_days(-days);
        key_file(
            &path,
            &format!("1 = {}\n2 from {from} = {}\n", key('1'), key('2')),
        );
        from
    };
    let refused = |words: &str, from: Date, days: i64| {
        let before = std::fs::read_to_string(&path).unwrap();
        let (status, told) = pseudonyms(&path, words);
        assert_eq!(status, Some(1), "{told}");
        let earliest = from.checked_add(Span::new().days(days)).unwrap();
        assert!(told.contains(&format!("before {earliest}")), "{told}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
    };
    let from = begun(60);
    let mut settings = vec!["--horizon-days", "90", "--quarter-days", "92"];
    settings.extend(["--pseudonym-key", path.to_str().unwrap()]);
    place.serve(&settings).stop();
    // The default is 35 days.
    refused("erase 1", from, 90 + 2);
    refused("erase 1 --horizon-days 30", from, 90 + 2);
    refused(
        "erase 1 --horizon-days 100 --quarter-days 102",
        from,
        100 + 2,
    );
    begun(92);
    let format = place.data().join("format.json");
    let whole = std::fs::read(&format).unwrap();
    std::fs::write(&format, &whole[..whole.len() / 2]).unwrap();
    let (status, told) = pseudonyms(&path, "erase 1");
    assert_eq!(status, Some(1), "{told}");
    assert!(told.contains("format.json"), "{told}");
    std::fs::write(&format, &whole).unwrap();
    let (status, told) = pseudonyms(&path, "erase 1");
    assert_eq!(status, Some(0), "{told}");
    // Without data the settings say it.
    std::fs::remove_file(&format).unwrap();
    refused("erase 1", begun(30), 35 + 2);
    begun(37);
    let (status, told) = pseudonyms(&path, "erase 1");
    assert_eq!(status, Some(0), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_file_that_cannot_be_loaded_leaves_the_keys_and_is_noted() {
    let place = Place::new();
    let path = place.path("keys");
    let [one, two] = ['5', '6'].map(key);
    key_file(&path, &format!("1 = {one}\n"));
    let service = place.serve(&["--pseudonym-key", path.to_str().unwrap()]);
    key_file(&path, &format!("1 = {one}\n1 = {two}\n"));
    let failures = "quaymeter_pseudonym_keys_reload_failures_total ";
    until("that was tried", async || metric(&service, failures) >= 1.0).await;
    service.stop();
    let kept = changed(&place, "service", "pseudonym_key");
    assert_eq!(each(&kept, "action"), ["load", "fail"]);
    let fault = each(&kept, "fault")[1];
    assert!(fault.contains("line 2 of the pseudonym keys in"), "{fault}");
    assert!(!fault.contains(&one) && !fault.contains(&two), "{fault}");
}
