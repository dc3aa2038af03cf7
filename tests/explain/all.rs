//! A simulated day with all that goes wrong in it, explained event by event and
//! cell by cell: it comes to what is answered, to the last figure.

use crate::place::{self, Place, assert_same, everything, queries};
use jiff::Timestamp;
use quaymeter::answers::instant;
use quaymeter::deliver::{Delivery, deliver};
use quaymeter::pb::{self, EventState, RecordFate};
use quaymeter::simulate::{Expected, Options, Simulation};
use quaymeter::truth::{Grain, Truth, flatten};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const SEED: u64 = 73;

/// Adds shares to a truth, as the cells that they say.
fn add(truth: &mut Truth, shares: &[pb::CellShare]) {
    for share in shares {
        let row = |start: &Option<_>| pb::ThroughputRow {
            start: *start,
            facility: share.facility.clone(),
            enterprise: share.enterprise.clone(),
            role: share.role,
            classifier: share.classifier,
            figures: share.figures.clone(),
        };
        truth.add_cells(Grain::Quarter, [&row(&share.quarter)]);
        truth.add_cells(Grain::Day, [&row(&share.day)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_events_explained_come_to_all_that_is_answered() {
    let place = Place::new();
    let service = place.serve(&[]);
    let now = Timestamp::now().as_millisecond();
    let day = Simulation::new(&Options::new(SEED, now).with_events(600));
    let to = Delivery {
        endpoint: service.grpc.clone(),
        streams: 1,
        batch_events: 20,
        rate: None,
    };
    let delivered = deliver(&day, &to, Arc::default()).await.unwrap();
    for position in &delivered.positions {
        place::reached(&service.grpc, position).await;
    }
    let answered = everything(&service.grpc).await;
    let accepted = day
        .sent()
        .filter(|sent| sent.expected == Expected::Accepted);
    let identities: BTreeSet<(String, &str, String)> = accepted
        .map(|sent| {
            let facility = sent.event.facility.to_uppercase();
            let facility = facility.replace("CNNGB", "CNNBO").replace("CNNBG", "CNNBO");
            (facility, sent.source, sent.event.event_id)
        })
        .collect();
    let mut client = queries(&service.grpc).await;
    let (mut told, mut fates) = (Truth::default(), BTreeMap::<i32, i64>::new());
    for (facility, source, event_id) in identities {
        let request = pb::LookupEventRequest {
            facility,
            source: source.into(),
            event_id,
            at_least: String::new(),
        };
        let answer = client.lookup_event(request.clone()).await.unwrap();
        let answer = answer.into_inner();
        assert_eq!(
            answer.state(),
            EventState::Known,
            "seed {SEED}: {request:?}"
        );
        for life in &answer.lives {
            add(&mut told, &life.cells);
            let ended = life.pairs.iter().filter(|pair| pair.is_end);
            ended.for_each(|pair| add(&mut told, &pair.cells));
        }
        for record in &answer.records {
            *fates.entry(record.fate).or_default() += 1;
        }
    }
    let cells = Truth {
        cells: answered.cells.clone(),
        ..Truth::default()
    };
    assert!(cells.cells.len() > 1_000, "seed {SEED}");
    assert_same(&cells, &told);
    let status = place::status(&service.grpc).await;
    let count = |fate: RecordFate| fates.get(&fate.into()).copied().unwrap_or_default();
    assert_eq!(fates.values().sum::<i64>(), status.events, "seed {SEED}");
    assert!(count(RecordFate::New) <= status.identities);
    assert_eq!(count(RecordFate::Duplicate), status.duplicates);
    assert_eq!(count(RecordFate::Revised), status.revisions);
    assert_eq!(count(RecordFate::Retracted), status.retractions);
    assert_eq!(count(RecordFate::Superseded), status.superseded);
    cell_by_cell(&service.grpc, &answered).await;
    service.stop();
}

/// Every day cell, listed.
async fn cell_by_cell(url: &str, answered: &Truth) {
    let mut client = queries(url).await;
    let days = answered
        .cells
        .iter()
        .filter(|(key, _)| key.grain == Grain::Day);
    for (key, figures) in days {
        let request = pb::ListCellEventsRequest {
            facility: key.facility.to_string(),
            enterprise: key.enterprise.to_string(),
            role: key.role.into(),
            classifier: key.classifier.into(),
            from: Some(instant(key.start_ms)),
            to: Some(instant(key.start_ms + place::DAY_MS)),
            at_least: String::new(),
        };
        let mut parts = client.list_cell_events(request).await.unwrap().into_inner();
        let part = parts.message().await.unwrap().unwrap();
        let mut sum = quaymeter::truth::Figures::default();
        for event in &part.events {
            sum.merge(&flatten(event.figures.as_ref().unwrap()));
        }
        assert_eq!(sum, *figures, "seed {SEED}: {key:?}");
        assert_eq!(flatten(part.figures.as_ref().unwrap()), *figures);
    }
}
