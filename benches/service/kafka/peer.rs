//! The same job on the same topic, as a Kafka Streams program; see its README.

use super::Place;
use super::counting::Counted;
use crate::stage::Stage;
use anyhow::{Context as _, ensure};
use serde_json::Value;
use std::fs::File;
use std::io::BufWriter;
use std::process::Command;

/// Counts the day, compares all cells with the truth, and reports both beside ours.
pub fn run(stage: &mut Stage, place: &Place<'_>, ours: Counted) -> anyhow::Result<()> {
    let (truth, state) = (place.dir.join("truth.ndjson"), place.dir.join("peer"));
    stage
        .corpus
        .truth(0)?
        .write(&mut BufWriter::new(File::create(&truth)?))?;
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/benches/peers/kafka-streams/run"
    );
    let mut command = Command::new(script);
    command
        .args(["count", "--brokers", &place.broker.bootstrap])
        .args(["--prefix", &place.prefix])
        .arg("--state")
        .arg(&state)
        .arg("--compare")
        .arg(&truth);
    let output = command.output().context("run the peer")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the peer: {errors}");
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next().context("the peer said nothing")?;
    let told: Value = serde_json::from_str(line).context("read what the peer said")?;
    let number = |name: &str| {
        told[name]
            .as_f64()
            .with_context(|| format!("no {name} in {line}"))
    };
    let (rate, memory) = (number("events_per_s")?, number("rss_mib")?);
    let report = &mut stage.report;
    report.add("peer.kafka_streams_per_s", rate);
    report.add("peer.kafka_streams_rss_mib", memory);
    report.note("peer.kafka_streams_per_s", "cpu_s", number("cpu_seconds")?);
    report.add("kafka.worker_per_peer", ours.0 / rate);
    report.add("kafka.rss_per_peer", ours.1 / memory);
    Ok(())
}
