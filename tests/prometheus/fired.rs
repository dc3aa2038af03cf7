//! Alerts that really fire, for faults that are really made.

use crate::faults::small;
use crate::place::{metric, published};
use crate::server::{Prometheus, until_known};
use crate::service::Service;
use crate::site::{Site, until};
use crate::stage::Stage;
use crate::watched::{fired_unasked, until_fired, until_scraped, until_watched, watched};
use std::collections::BTreeSet;
use std::io::Write as _;

#[tokio::test(flavor = "multi_thread")]
async fn alerts_fire_for_the_faults_that_they_are_of_and_not_before() {
    let stage = Stage::new("127.0.82.1");
    let settings = [
        "--checkpoint-interval-ms",
        "100",
        "--limits-append-wait-ms",
        "50",
    ];
    let service = stage.serve(&settings);
    let prometheus = watched(&[&stage.http]).await;
    let sender = stage.sender("tos", true);
    until_watched(&prometheus, 12.0).await;
    assert_eq!(fired_unasked(&prometheus), BTreeSet::new());

    let faulty = stage.sender("careless", false);
    until_fired(&prometheus, &["QuaymeterSourceRefused"]).await;
    faulty.abort();

    stage.faults.set("slow");
    until_fired(&prometheus, &["QuaymeterSyncSlow"]).await;
    filled(&stage, &service, &prometheus).await;
    stage.faults.set("");
    // A source that was active: as the alert asks.
    until_known("it takes events again", async || {
        let taken =
            "changes(quaymeter_source_last_acknowledged_timestamp_seconds[10s] offset 1s) > 5";
        prometheus.ask(taken).is_ok_and(|values| !values.is_empty())
    })
    .await;
    sender.abort();
    until_fired(
        &prometheus,
        &["QuaymeterSourceSilent", "QuaymeterNothingAcknowledged"],
    )
    .await;

    let flaps = "QuaymeterInstanceFlaps";
    let mut running = Some(service);
    until("an instance that flaps is told", async || {
        running.take().unwrap().kill();
        running = Some(stage.serve(&settings));
        until_scraped(&prometheus).await;
        prometheus.fired(60).contains(flaps)
    })
    .await;
    running.unwrap().kill();
    until_fired(&prometheus, &["QuaymeterDown"]).await;
}

/// Fills the disk until all that is of it is told. A checkpoint fails only if something
/// came since the last one, so there may be room again, and then none.
async fn filled(stage: &Stage, service: &Service, prometheus: &Prometheus) {
    let of = |name: &str| metric(service, name);
    until("a checkpoint fails", async || {
        stage.faults.set("");
        let end = of("quaymeter_log_end_offset ");
        let taken = async || of("quaymeter_log_end_offset ") > end;
        until("events are taken", taken).await;
        stage.faults.set("full");
        // The sender's beat is longer than that of checkpoints.
        let refused = of("quaymeter_log_refused_batches_total ");
        let twice = async || of("quaymeter_log_refused_batches_total ") >= refused + 2.0;
        until("events are refused", twice).await;
        of("quaymeter_checkpoint_failures_total ") > 0.0
    })
    .await;
    let told = ["QuaymeterLogRefusesBatches", "QuaymeterCheckpointsFail"];
    until_fired(prometheus, &told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_is_told_before_it_is_full() {
    let site = Site::new("127.0.82.2");
    let Some(command) = small(&site, &[], 256) else {
        println!("no filesystems of our own here: tests/rules has these alerts alone");
        return;
    };
    let service = Service::of(command);
    let prometheus = watched(&[&service.http]).await;
    let data = crate::faults::seen_by(service.pid(), &site);
    published(&site.url(), crate::place::arrivals(0..100)).await;
    until_watched(&prometheus, 5.0).await;
    let mut ballast = std::fs::File::create(data.join("ballast")).unwrap();
    ballast.write_all(&vec![0xab; 170 << 20]).unwrap();
    until_fired(&prometheus, &["QuaymeterDiskFullSoon"]).await;
    let early = prometheus.fired(60);
    assert!(!early.contains("QuaymeterDiskAlmostFull"), "{early:?}");
    // All but some MiB.
    while ballast.write_all(&[0xab; 1 << 16]).is_ok() {}
    let filled = ballast.metadata().unwrap().len();
    ballast.set_len(filled - (4 << 20)).unwrap();
    until_fired(&prometheus, &["QuaymeterDiskAlmostFull"]).await;
    service.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_dashboards_cannot_show_is_told() {
    let stage = Stage::new("127.0.82.3");
    let service = stage.serve(&["--metrics-enterprises-max", "3"]);
    let prometheus = watched(&[&stage.http]).await;
    let simulator = stage.simulate(500);
    until_fired(&prometheus, &["QuaymeterSeriesOmitted"]).await;
    drop(simulator);
    service.stop();
}
