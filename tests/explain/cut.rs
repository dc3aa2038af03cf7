//! A log whose beginning was removed: what is known is still explained, and what
//! cannot be told is said.

use crate::place::{self, Place, acknowledged, arrivals, queries, text};
use crate::service::quaymeter;
use quaymeter::pb::{self, EventState};

/// A service whose log lost the segment with the first events, and the offset at
/// which it begins.
async fn cut(place: &Place) -> u64 {
    let service = place.serve(&["--log-segment-bytes=65536"]);
    let mut last = String::new();
    for n in 0..12 {
        last = acknowledged(&service.grpc, arrivals(n * 200..(n + 1) * 200)).await;
    }
    place::reached(&service.grpc, &last).await;
    // The first event once more, at the log's end.
    place::published(&service.grpc, arrivals(0..1)).await;
    service.stop();
    let log = place.data().join("log");
    let first = std::fs::remove_file(log.join("00000000000000000000.log"));
    first.unwrap();
    let names = std::fs::read_dir(log).unwrap();
    let names = names.map(|name| name.unwrap().file_name().into_string().unwrap());
    let offsets = names.filter_map(|name| name.strip_suffix(".log")?.parse::<u64>().ok());
    offsets.min().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_cut_says_from_where_on_it_tells() {
    let place = Place::new();
    let start = cut(&place).await;
    let service = place.serve(&["--log-segment-bytes=65536"]);
    let mut client = queries(&service.grpc).await;
    for (id, state) in [
        ("in-2399", EventState::Known),
        ("in-0", EventState::Known),
        ("in-1", EventState::NeverSeen),
    ] {
        let request = pb::LookupEventRequest {
            facility: "CNNBO/BLCT2".into(),
            source: "tos".into(),
            event_id: id.into(),
            at_least: String::new(),
        };
        let answer = client.lookup_event(request).await.unwrap().into_inner();
        assert_eq!(answer.state(), state, "{id}");
        let log = answer.log.unwrap();
        assert_eq!(log.start_offset, start);
        let times = [log.start_at, log.acts_from, log.plans_from];
        let [start_at, acts, plans] = times.map(|at| at.unwrap().seconds);
        assert!(acts > start_at && plans > acts);
    }
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_says_what_a_cut_log_cannot_tell() {
    let place = Place::new();
    cut(&place).await;
    let mut command = quaymeter();
    command.args([
        "explain",
        "event",
        "CNNBO/BLCT2",
        "tos",
        "in-1",
        "--data-dir",
    ]);
    let output = command.arg(place.data()).output().unwrap();
    let (told, errors) = text(&output);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(told.contains("older records were removed"), "{told}");
    assert!(told.contains("if it is sent now, it is new"), "{told}");
    let mut command = quaymeter();
    command.args([
        "explain",
        "cell",
        "--facility=CNNBO/BLCT2",
        "--enterprise=ygt:F1",
    ]);
    command.args(["--role=fleet", "--from=-12h", "--data-dir"]);
    let output = command.arg(place.data()).output().unwrap();
    let (told, errors) = text(&output);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    assert!(
        told.contains("because older records were removed"),
        "{told}"
    );
}
