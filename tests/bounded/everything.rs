//! Questions for everything, and many at once.

use crate::memory::{MIB, Memory};
use crate::neighbour::Neighbour;
use crate::place::{DAY_MS, Place, passage, published, queries, recently, until};
use crate::raw::{Raw, THROUGHPUT, WIDE, assert_overloaded, discarded, metric};
use prost::Message as _;
use quaymeter::answers::instant;
use quaymeter::pb::{self, Dimension, Grain};
use tokio::task::JoinSet;
use tonic::Code;

/// Enterprises that have a row of their own.
pub const ROWS: u32 = 12_000;

/// Makes rows: eight enterprises for each truck.
pub async fn fill(url: &str) {
    let roles = [pb::Role::Fleet, pb::Role::Yard];
    let event = |n: u32| {
        let (at, plate) = (recently(), format!("浙B{n:05}"));
        let mut event = passage(&format!("e{n}"), at, pb::GateDirection::Out, &plate);
        let party = |m: u32| pb::Party {
            role: roles[m as usize % 2].into(),
            enterprise: format!("ygt:an-enterprise-with-a-rather-long-name-{}", n * 8 + m),
        };
        event.parties = (0..8).map(party).collect();
        event
    };
    published(url, (0..ROWS / 8).map(event).collect()).await;
}

/// Asks for a row of every enterprise, as many as there may be at once.
pub fn everything() -> pb::GetThroughputRequest {
    pb::GetThroughputRequest {
        from: Some(instant(recently() - DAY_MS)),
        to: Some(instant(recently() + DAY_MS)),
        grain: Grain::Quarter.into(),
        group_by: vec![Dimension::Enterprise.into(), Dimension::Facility.into()],
        page_size: 10_000,
        ..Default::default()
    }
}

/// Whether these are all rows; one of them is the neighbour's, two if he was there as
/// a quarter-hour ended.
#[track_caller]
fn assert_whole(rows: usize) {
    let of_neighbour = rows.saturating_sub(ROWS as usize);
    assert!((1..=2).contains(&of_neighbour), "{rows} rows");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_for_everything_is_answered_a_page_at_a_time() {
    let place = Place::new();
    let service = place.serve(&[]);
    fill(&service.grpc).await;
    let neighbour = Neighbour::at(&service.grpc).await;
    let memory = Memory::of(service.pid());
    let mut client = queries(&service.grpc).await;
    let (mut question, mut rows) = (everything(), 0);
    loop {
        let answer = client.get_throughput(question.clone()).await.unwrap();
        let answer = answer.into_inner();
        assert!(answer.rows.len() <= 10_000);
        assert!(answer.encoded_len() < 4 << 20, "{}", answer.encoded_len());
        rows += answer.rows.len();
        if answer.next_page_token.is_empty() {
            break;
        }
        question.page_token = answer.next_page_token;
    }
    assert_whole(rows);
    // Every cell of every grain, in parts of at most a thousand.
    for grain in [Grain::Quarter, Grain::Day] {
        let request = pb::DumpCellsRequest {
            grain: grain.into(),
            ..Default::default()
        };
        let mut cells = 0;
        let mut dump = client.dump_cells(request).await.unwrap().into_inner();
        while let Some(part) = dump.message().await.unwrap() {
            assert!(part.cells.len() <= 1_000);
            cells += part.cells.len();
        }
        assert_whole(cells);
    }
    // Every hour of two centuries.
    let mut question = everything();
    (question.from, question.to) = (Some(instant(0)), Some(instant(7_258_118_400_000 - 1)));
    let refused = client.get_throughput(question).await.unwrap_err();
    assert!(
        matches!(refused.code(), Code::InvalidArgument | Code::OutOfRange),
        "{refused:?}"
    );
    // Rows of one question at a time: as figures, as a message, encoded.
    memory.stayed_within(3 * 6 * 3 * MIB);
    neighbour.leaves().await;
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_expensive_questions_some_are_refused_and_none_is_wrong() {
    const CLIENTS: usize = 60;
    const ANSWERS: u64 = 64 * MIB;
    let place = Place::new();
    let answers = ANSWERS.to_string();
    let service = place.serve(&[
        "--limits-concurrent-queries",
        "8",
        "--limits-answer-bytes",
        &answers,
    ]);
    fill(&service.grpc).await;
    let memory = Memory::of(service.pid());
    let mut asking = JoinSet::new();
    for _ in 0..CLIENTS {
        let mut raw = Raw::connect(&service.grpc, WIDE).await;
        let question = everything().encode_to_vec();
        asking.spawn(async move {
            let mut call = raw.call(THROUGHPUT).await;
            call.say(&question).await;
            call.ends().await
        });
    }
    let (mut answered, mut refused) = (0, 0u64);
    for status in asking.join_all().await {
        if status.code() == Code::Ok {
            answered += 1;
            continue;
        }
        refused += 1;
        let details = tonic_types::StatusExt::get_details_error_info(&status);
        let limit = details.and_then(|info| info.metadata.get("limit").cloned());
        let limit = limit.unwrap_or_default();
        assert!(
            ["calls in progress", "bytes of answers"].contains(&&*limit),
            "{status:?}"
        );
        assert_overloaded(&status, &limit);
    }
    assert!(answered > 0 && refused > 0, "{answered}, {refused}");
    let counted = discarded(&service.http, "calls_in_progress")
        + discarded(&service.http, "bytes_of_answers");
    assert_eq!(counted, refused);
    // Answers, and the rows of those that are being evaluated, one for each core.
    let cores = std::thread::available_parallelism().unwrap().get() as u64;
    memory.stayed_within(ANSWERS + cores * 18 * MIB);
    until("nothing is held for answers", async || {
        metric(&service.http, "quaymeter_answer_bytes") == 0
    })
    .await;
    let neighbour = Neighbour::at(&service.grpc).await;
    neighbour.leaves().await;
    service.stop();
}
