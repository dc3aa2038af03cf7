//! What the status tells of a running service, and the metrics of questions.

use crate::place::{
    Place, arrivals, ingest, metric, published, queries, recently, status, text, until,
};
use crate::service::quaymeter;
use quaymeter::answers::instant;
use quaymeter::pb::{self, Reason, ReasonCount};

async fn refused(url: &str) {
    let mut odd = arrivals(0..1);
    odd[0].facility = "nowhere".into();
    let batch = pb::PublishEventsRequest {
        source: "tos".into(),
        events: odd,
        ..Default::default()
    };
    let answer = ingest(url).await.publish_events(batch).await.unwrap();
    assert_eq!(answer.into_inner().refused, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_tells_what_was_sent_and_how_far_it_has_got() {
    let place = Place::new();
    let service = place.serve(&["--checkpoint-interval-ms", "3600000"]);
    published(&service.grpc, arrivals(0..6)).await;
    refused(&service.grpc).await;
    let mut query = quaymeter();
    query.args(["query", "--status", "--format", "csv", "--server"]);
    let (told, _) = text(&query.arg(&service.grpc).output().unwrap());
    for line in [
        "accepted,6",
        "refused: malformed,1",
        "streams,0",
        "log end,6",
        "applied,6",
        "checkpoint,0",
    ] {
        let found = told.lines().any(|found| found == line);
        assert!(found, "no {line} in\n{told}");
    }
    let mut lines = told.lines();
    let held = lines.find_map(|line| line.strip_prefix("resident bytes,"));
    assert!(held.unwrap().parse::<u64>().unwrap() > 1 << 20, "{told}");
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_it_counts_anew_what_it_is_sent_and_knows_where_it_stands() {
    let place = Place::new();
    let service = place.serve(&[]);
    published(&service.grpc, arrivals(0..6)).await;
    refused(&service.grpc).await;
    let before = status(&service.grpc).await;
    let malformed = ReasonCount {
        reason: Reason::Malformed.into(),
        count: 1,
    };
    let sent = before.intake.unwrap();
    assert_eq!((sent.accepted, sent.refused), (6, vec![malformed]));
    service.stop();
    let service = place.serve(&[]);
    let after = status(&service.grpc).await;
    let instants = |at: Option<pbjson_types::Timestamp>| at.map(|at| (at.seconds, at.nanos));
    assert!(instants(after.started_at) > instants(before.started_at));
    assert!(instants(after.now) >= instants(after.started_at));
    assert_eq!(after.intake, Some(pb::Intake::default()));
    let all = pb::Progress {
        log_end: 6,
        applied: 6,
        checkpoint: 6,
    };
    assert_eq!((after.events, after.progress), (6, Some(all)));
    for offset in ["log_end", "applied", "checkpoint"] {
        let offset = format!("quaymeter_{offset}_offset ");
        assert_eq!(metric(&service, &offset) as u64, 6, "{offset}");
    }
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn open_watches_and_the_work_of_questions_are_counted() {
    let place = Place::new();
    let service = place.serve(&[]);
    let watches = || metric(&service, "quaymeter_watches ") as u32;
    assert_eq!(watches(), 0);
    let mut client = queries(&service.grpc).await;
    let query = pb::GetThroughputRequest {
        from: Some(instant(recently())),
        to: Some(instant(recently() + 3_600_000)),
        grain: pb::Grain::Total.into(),
        ..Default::default()
    };
    let request = pb::WatchThroughputRequest {
        query: Some(query),
        ..Default::default()
    };
    let mut watch = client.watch_throughput(request).await.unwrap().into_inner();
    watch.message().await.unwrap();
    assert_eq!(watches(), 1);
    assert!(metric(&service, "quaymeter_query_seconds_count ") >= 1.0);
    drop(watch);
    until("it is gone", async || watches() == 0).await;
    service.stop();
}
