//! Brokers that ask who comes, by TLS: each way to be known.

use crate::gate::{Gate, HOUR, PASSWORD, USER, gate};
use crate::instances::{PARTITIONS, World, a_day, deliver_meant};
use crate::place::{acknowledged, arrivals, get, text, trucks_in, until};
use crate::service::Service;
use std::fs::{File, read, read_to_string};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An instance that says all that it and the client library have to say, into a file.
fn started(mut command: Command, log: &Path) -> Service {
    command
        .args(["--log-level", "trace"])
        .stderr(File::create(log).unwrap());
    command.env("QUAYMETER_KAFKA_PROPERTY_DEBUG", "all");
    Service::of(command)
}

fn succeeded(output: &Output) -> String {
    let (told, errors) = text(output);
    assert!(output.status.success(), "{told}{errors}");
    told + &errors
}

/// Makes topics, counts a day, is audited and looked at, being known in one way; nothing of
/// what is said or shown on the way has one of the secrets.
async fn works(gate: &Gate, shown: &[String], secrets: &[&str]) {
    let world = World::bare(Arc::clone(&gate.broker), PARTITIONS);
    let told = |words: &[&str]| {
        let mut command = gate.command(&world, words, shown);
        succeeded(&tokio::task::block_in_place(|| command.output().unwrap()))
    };
    let mut all = told(&["topics", "create"]);
    let log = gate.path("log");
    let instance = started(gate.serving(&world, "first", shown), &log);
    let day = a_day(121, 1_500);
    deliver_meant(&instance, &day).await;
    let server = format!("--server={}", instance.grpc);
    for words in [
        &["topics", "check"][..],
        &["audit", "--quiet", &server],
        &["dead-letter", "list"],
    ] {
        all += &told(words);
    }
    assert!(all.contains("no figure differs"), "{all}");
    let of_process = |name: &str| read(format!("/proc/{}/{name}", instance.pid())).unwrap();
    let [line, environment] = ["cmdline", "environ"].map(of_process);
    let (_, metrics) = get(&instance.http, "/metrics");
    instance.stop();
    let log = read_to_string(&log).unwrap();
    assert!(
        log.contains("TRACE") && log.contains("SASL"),
        "it was to tell everything"
    );
    for secret in secrets {
        for (place, text) in [("log", &log), ("metrics", &metrics), ("commands", &all)] {
            assert!(!text.contains(secret), "a secret is in the {place}");
        }
        for bytes in [&line, &environment] {
            assert!(!String::from_utf8_lossy(bytes).contains(secret));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_a_password_it_counts_what_was_meant_and_tells_it_nobody() {
    let Some(gate) = gate() else { return };
    for mechanism in ["SCRAM-SHA-512", "PLAIN"] {
        works(&gate, &gate.by_password(mechanism), &[PASSWORD]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_a_token_it_counts_what_was_meant_and_tells_it_nobody() {
    let Some(gate) = gate() else { return };
    let file = gate.token_file(USER, HOUR);
    let token = read_to_string(&file).unwrap();
    let signature = token.rsplit('.').next().unwrap();
    works(&gate, &gate.by_token(&file), &[signature]).await;
}

/// Publishes one truck after the other until a while after the first token has ended: each
/// is acknowledged at once.
async fn published_beyond(instance: &Service, end: Duration) -> u32 {
    let (started, mut sent) = (Instant::now(), 0);
    let mut beat = tokio::time::interval(Duration::from_millis(100));
    while started.elapsed() < end {
        beat.tick().await;
        acknowledged(&instance.grpc, arrivals(sent..sent + 1)).await;
        sent += 1;
    }
    sent
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_renewed_in_its_file_is_used_before_the_former_ends() {
    const SECONDS: i64 = 6;
    let Some(gate) = gate() else { return };
    let world = World::on(Arc::clone(&gate.broker));
    let file = gate.token_file(USER, SECONDS);
    let instance = Service::of(gate.serving(&world, "first", &gate.by_token(&file)));
    // As a mounted file is renewed: another takes its place.
    std::fs::rename(gate.token_file(USER, HOUR), &file).unwrap();
    let sent = published_beyond(&instance, Duration::from_secs(SECONDS as u64 + 2)).await;
    until("all are counted", async || {
        trucks_in(&instance.grpc).await == i64::from(sent)
    })
    .await;
    instance.stop();
}
