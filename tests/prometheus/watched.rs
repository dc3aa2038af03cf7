//! The rules in a hurry: only how long they look back, how long they wait, and how long a
//! source may be silent is shorter; what is compared, and with what, is as it is. The tests
//! with Kafka share it.

use crate::server::{Prometheus, until_known};
use std::collections::BTreeSet;
use std::path::Path;

/// Words of the rules, and what they are here.
const HURRIED: [(&str, &str); 12] = [
    ("offset 1d", "offset 5s"),
    // Ranges: long ones a minute, so that what was is not forgotten, others ten seconds.
    ("[1d]", "[1m]"),
    ("[6h]", "[1m]"),
    ("[1h]", "[1m]"),
    ("[30m]", "[10s]"),
    ("[15m]", "[10s]"),
    ("[10m]", "[10s]"),
    ("[5m]", "[10s]"),
    // Seconds of silence.
    ("silence_seconds) > 900", "silence_seconds) > 4"),
    ("silence_seconds > 3600", "silence_seconds > 4"),
    // Of yesterday, which is just before now: so long that a scrape may be missed, and no
    // minute, of which the silent part would be a part.
    ("[1m] offset 5s", "[20s] offset 5s"),
    ("[10s] offset 5s", "[20s] offset 5s"),
];

/// A rule file with its times made short.
fn hurried(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("helm/quaymeter/alerts");
    let path = folder.join(file);
    let mut text = std::fs::read_to_string(path).unwrap();
    for (long, short) in HURRIED {
        text = text.replace(long, short);
    }
    let lines = text
        .lines()
        .map(|line| match line.trim_start().starts_with("for: ") {
            true => "        for: 1s",
            false => line,
        });
    lines.collect::<Vec<_>>().join("\n")
}

/// A Prometheus that watches these services by the hurried rules.
pub async fn watched(targets: &[&str]) -> Prometheus {
    let files = ["recording.yaml", "alerts.yaml"].map(hurried);
    Prometheus::start(targets, &[&files[0], &files[1]]).await
}

/// Waits until all of these have fired.
pub async fn until_fired(prometheus: &Prometheus, names: &[&str]) {
    let wanted: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let told = format!("{names:?} fire");
    until_known(&told, async || wanted.is_subset(&prometheus.fired(60))).await;
}

/// What may fire on any machine: how fast and how full its disk is, is its own.
const OF_THE_MACHINE: [&str; 5] = [
    "QuaymeterAnswersLate",
    "QuaymeterAppendSlow",
    "QuaymeterDiskAlmostFull",
    "QuaymeterDiskFullSoon",
    "QuaymeterSyncSlow",
];

/// Alerts that fired though no fault was made.
pub fn fired_unasked(prometheus: &Prometheus) -> BTreeSet<String> {
    let mut fired = prometheus.fired(60);
    fired.retain(|name| !OF_THE_MACHINE.contains(&name.as_str()));
    fired
}

/// Waits until so many samples were taken.
pub async fn until_watched(prometheus: &Prometheus, samples: f64) {
    until_known("there are samples", async || {
        let counted = prometheus.ask("count_over_time(quaymeter_build_info[5m])");
        counted.is_ok_and(|values| values.iter().any(|&value| value >= samples))
    })
    .await;
}

/// Waits until a scrape has succeeded once more.
pub async fn until_scraped(prometheus: &Prometheus) {
    let last = || {
        let scrapes = prometheus.ask("timestamp(up == 1)").unwrap();
        scrapes.into_iter().reduce(f64::max)
    };
    let before = last();
    until_known("it is scraped", async || last() > before).await;
}
