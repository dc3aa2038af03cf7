//! Dead letters: shown, and put back once they are events of ours.

use crate::instances::{DEADLINE, World, a_day, assert_audited, assert_meant};
use crate::producer::client_of;
use crate::strangers::poison;
use bytes::Bytes;
use quaymeter::deliver::{Delivery, deliver};
use quaymeter::log::kafka::record;
use quaymeter::log::{Batch, Record};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use std::collections::BTreeMap;
use std::process::Output;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What travels with all of them.
fn parent() -> (String, Bytes) {
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    ("traceparent".to_owned(), parent.into())
}

/// Writes events as a stranger might: none under its facility.
pub fn misplaced(world: &World, records: &[Record]) {
    let producer: BaseProducer = client_of(&world.broker).create().unwrap();
    let topic = world.topic("events");
    for of in records {
        let batch = Batch {
            source: of.source.clone(),
            headers: vec![parent()],
            schema: of.schema,
            events: Vec::new(),
        };
        let headers = record::owned(&record::headers(&batch, of.appended_at));
        let event = BaseRecord::to(&topic)
            .key("ELSEWHERE")
            .payload(&of.events[0][..]);
        let sent = producer.send(event.headers(headers));
        sent.map_err(|(error, _)| error).unwrap();
    }
    producer.flush(DEADLINE).unwrap();
}

/// What a command tells of each letter, line by line.
fn lines(output: &Output) -> Vec<serde_json::Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn list(world: &World, more: &[&str]) -> Vec<serde_json::Value> {
    let more = [more, &["--format=json", "--limit=100000"]].concat();
    let output = world.command(&["dead-letter", "list"], &more);
    assert!(output.status.success(), "{output:?}");
    lines(&output)
}

/// How many letters there are of each reason, once there are so many.
pub async fn reasons(world: &World, wanted: usize) -> BTreeMap<String, usize> {
    let (started, mut beat) = (
        Instant::now(),
        tokio::time::interval(Duration::from_millis(200)),
    );
    loop {
        let letters = list(world, &[]);
        if letters.len() >= wanted {
            let mut counts = BTreeMap::new();
            for letter in letters {
                *counts
                    .entry(letter["reason"].as_str().unwrap().to_owned())
                    .or_default() += 1;
            }
            return counts;
        }
        assert!(started.elapsed() < DEADLINE, "{} letters", letters.len());
        beat.tick().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_away_counts_once_it_is_put_back_in_its_place() {
    let (right, wrong) = (World::new(), World::new());
    let day = a_day(101, 1_500);
    let instance = right.start("first");
    let delivery = Delivery {
        endpoint: instance.grpc.clone(),
        streams: 1,
        batch_events: 100,
        rate: None,
    };
    deliver(&day, &delivery, Arc::default()).await.unwrap();
    instance.stop();
    let records: Vec<Record> = right.events().into_iter().flatten().collect();
    let instance = wrong.start("first");
    misplaced(&wrong, &records);
    poison(&wrong);
    let expected = [
        ("BAD_HEADER".into(), 4),
        ("WRONG_KEY".into(), records.len()),
    ];
    assert_eq!(reasons(&wrong, records.len() + 4).await, expected.into());
    let one = list(&wrong, &["--reason=BAD_HEADER"]);
    assert_eq!(one.len(), 4);
    assert!(
        one.iter()
            .all(|letter| letter["from_topic"] == wrong.topic("events"))
    );

    let requeue = |what: &[&str]| {
        let more = [what, &["--format=json"]].concat();
        let output = wrong.command(&["dead-letter", "requeue"], &more);
        (output.status.code(), lines(&output))
    };
    let place = format!("{}:{}", one[0]["partition"], one[0]["offset"]);
    let (status, told) = requeue(&["--at", &place]);
    assert_eq!((status, told.len()), (Some(2), 1), "{told:?}");
    assert_eq!(told[0]["requeued"], false);
    // Twice, and it counts once.
    for _ in 0..2 {
        let (status, told) = requeue(&["--reason=WRONG_KEY"]);
        assert_eq!((status, told.len()), (Some(0), records.len()));
        assert!(told.iter().all(|letter| letter["requeued"] == true));
    }
    assert_meant(&instance, &day, &[wrong.end()]).await;
    // With what they came with, and nothing of what was told of them meanwhile.
    let back: Vec<Record> = wrong.events().into_iter().flatten().collect();
    assert_eq!(back.len(), 2 * records.len());
    assert!(back.iter().all(|of| of.headers == [parent()]));
    let (status, told) = requeue(&["--all"]);
    assert_eq!((status, told.len()), (Some(2), records.len() + 4));
    let nothing = wrong.command(&["dead-letter", "requeue"], &[]);
    let errors = String::from_utf8_lossy(&nothing.stderr);
    assert!(
        !nothing.status.success() && errors.contains("--all"),
        "{errors}"
    );
    assert_audited(&wrong, &instance);
    instance.stop();
}
