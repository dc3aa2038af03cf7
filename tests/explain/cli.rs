//! `quaymeter explain`, of a running service and of a stopped one's data.

use crate::place::{Place, passage, published, recently, retraction, text};
use crate::service::quaymeter;
use quaymeter::pb::{Event, GateDirection};
use std::path::Path;
use std::process::Output;

const MINUTE_MS: i64 = 60_000;

/// Whom to ask.
enum Of<'a> {
    Service(&'a str),
    Data(&'a Path),
}

fn explain(of: &Of<'_>, words: &str) -> Output {
    let mut command = quaymeter();
    command.arg("explain").args(words.split_whitespace());
    match of {
        Of::Service(url) => command.args(["--server", url]),
        Of::Data(dir) => command.arg("--data-dir").arg(dir),
    };
    command.output().unwrap()
}

#[track_caller]
fn told(of: &Of<'_>, words: &str, status: i32) -> String {
    let output = explain(of, words);
    let (told, errors) = text(&output);
    assert_eq!(
        output.status.code(),
        Some(status),
        "{words}: {told}{errors}"
    );
    told
}

fn a_turn() -> Vec<Event> {
    let at = recently();
    let mut late = passage("out", at + 40 * MINUTE_MS, GateDirection::Out, "浙B12345");
    late.revision = 1;
    vec![
        passage("in", at, GateDirection::In, "浙B12345"),
        passage("out", at + 50 * MINUTE_MS, GateDirection::Out, "浙B12345"),
        late,
    ]
}

fn says_all(of: &Of<'_>) {
    let event = told(of, "event cnnbo/blct2 tos out", 0);
    for line in [
        ": known (",
        "revision 1 holds (offset 2), remembered until ",
        "  actual: gate out, tractor p1:",
        ": trucks.out 1",
        "    for fleet ygt:F1",
        ": ends what began with tos in at ",
        ", 40m",
        ": revision 0 (SHA-256 ",
        "), new; held until offset 2",
        "), replaced what was known; holds",
    ] {
        assert!(event.contains(line), "{line:?} in {event}");
    }
    assert!(!event.contains("12345"), "{event}");
    let cell = "cell --facility CNNBO/BLCT2 --enterprise ygt:F1 --role fleet";
    let listed = told(of, &format!("{cell} --from -12h"), 0);
    for line in [
        ": 2 events\n",
        "  tos in (revision 0): trucks.in 1\n",
        "  tos out (revision 1): trucks.out 1, truck_turn.count 1, truck_turn.sum_ms 2400000\n",
        "    truck turn that began with tos in at ",
        "they come to the cell's figures\n",
    ] {
        assert!(listed.contains(line), "{line:?} in {listed}");
    }
    let at = recently() / 1000;
    let at = jiff::Timestamp::from_second(at).unwrap();
    let listed = told(of, &format!("{cell} --at {at} --format json"), 0);
    let part: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(part["eventsTotal"], "1");
    assert_eq!(part["events"][0]["identity"]["eventId"], "in");
    assert_eq!(part["events"][0]["figures"]["trucksIn"], "1");
    let day = told(of, &format!("{cell} --at {at} --grain day"), 0);
    assert!(day.contains(" events\n"), "{day}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_and_its_data_after_it_stopped_explain_the_same() {
    let place = Place::new();
    let service = place.serve(&[]);
    published(&service.grpc, a_turn()).await;
    says_all(&Of::Service(&service.grpc));
    let data = place.data();
    let refused = explain(&Of::Data(&data), "event CNNBO/BLCT2 tos out");
    let (_, errors) = text(&refused);
    assert!(errors.contains("in use by another process"), "{errors}");
    service.stop();
    says_all(&Of::Data(&data));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_seen_is_status_2_and_a_wrong_question_status_1() {
    let place = Place::new();
    let service = place.serve(&[]);
    published(&service.grpc, a_turn()).await;
    published(&service.grpc, vec![retraction("in", 0)]).await;
    let of = Of::Service(&service.grpc);
    let never = told(&of, "event CNNBO/BLCT3 tos out", 2);
    assert!(
        never.starts_with("CNNBO/BLCT3 tos out: never seen ("),
        "{never}"
    );
    assert!(never.contains("the log is complete and begins "), "{never}");
    assert!(never.contains("there is CNNBO/BLCT2 tos out\n"), "{never}");
    let json = told(&of, "event CNNBO/BLCT3 tos out --format json", 2);
    assert!(json.contains("EVENT_STATE_NEVER_SEEN"), "{json}");
    let retracted = told(&of, "event CNNBO/BLCT2 tos in", 0);
    assert!(
        retracted.contains("  retracted: it counts nowhere\n"),
        "{retracted}"
    );
    assert!(
        retracted.contains("took the event back; holds"),
        "{retracted}"
    );
    for (words, why) in [
        ("event CNNBO tos out", "facility"),
        (
            "cell --facility CNNBO/A --enterprise F1 --role fleet --at now",
            "enterprise",
        ),
        (
            "cell --facility CNNBO/A --enterprise ygt:F1 --role fleet",
            "--at",
        ),
        (
            "cell --facility CNNBO/A --enterprise ygt:F1 --role x --at now",
            "--role",
        ),
    ] {
        let output = explain(&of, words);
        let (_, errors) = text(&output);
        assert_eq!(output.status.code(), Some(1), "{words}: {errors}");
        assert!(errors.contains(why), "{words}: {errors}");
    }
    service.stop();
}
