//! Copies of a running service: whole or not there at all, and as good as the
//! service itself.

use crate::faults::Faults;
use crate::full::metric;
use crate::load::Load;
use crate::place::{
    Place, acknowledged, arrivals, caught_up, published, retraction, status, text, trucks_in,
};
use crate::service::{Service, quaymeter};
use crate::site::{BUSY, Site, assert_same, until};
use jiff::Timestamp;
use quaymeter::log::Record;
use quaymeter::log::scan::Scan;
use quaymeter::pb::admin_service_client::AdminServiceClient;
use quaymeter::pb::{BackupRequest, BackupResponse};
use quaymeter::simulate::{Options, Simulation};
use quaymeter::store::{Batch, Store, Table};
use quaymeter::wire;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tokio::sync::watch;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};

const KEYS: &str = "pseudonyms.key";

/// A command on a thread of its own: the services of this test go on meanwhile.
async fn done(mut command: Command) -> Output {
    let done = tokio::task::spawn_blocking(move || command.output().unwrap());
    done.await.unwrap()
}

fn backup(url: &str, to: &Path) -> Command {
    let mut command = quaymeter();
    command.args(["backup", "--server", url, "--to"]).arg(to);
    command
}

async fn verified(dir: &Path) -> Output {
    let mut command = quaymeter();
    command.args(["backup", "--verify"]).arg(dir);
    done(command).await
}

#[track_caller]
fn succeeded(output: &Output) -> String {
    let (told, errors) = text(output);
    assert!(output.status.success(), "{told}{errors}");
    told
}

#[track_caller]
fn failed(output: &Output, why: &str) {
    let (told, errors) = text(output);
    assert_eq!(output.status.code(), Some(1), "{told}{errors}");
    assert!(errors.contains(why), "{why:?} is not in {errors:?}");
}

/// All records of a log that is read beside whoever has it.
fn records(data: &Path, end: u64) -> Vec<Record> {
    let scan = Scan::open(&data.join("log")).unwrap();
    let mut reader = scan.records(scan.start());
    let mut records = Vec::new();
    while let Some(record) = reader.next_before(end).unwrap() {
        records.push(record);
    }
    records
}

fn has(records: &[Record], id: &str) -> bool {
    let events = records.iter().flat_map(|record| &record.events);
    let mut events = events.map(|bytes| wire::decode(bytes).unwrap());
    events.any(|event| event.event_id == id)
}

fn copy_keys(from: &Path, to: &Path) {
    std::fs::copy(from.join(KEYS), to.join(KEYS)).unwrap();
}

async fn audited(data: &Path) {
    let mut command = quaymeter();
    command.arg("audit").arg("--data-dir").arg(data);
    let told = succeeded(&done(command).await);
    assert!(told.contains("no figure differs"), "{told}");
}

/// A service that has counted so many trucks, stopped or running.
async fn filled(site: &Site, trucks: u32) -> Service {
    let service = site.serve(&BUSY);
    for first in (0..trucks).step_by(1_000) {
        published(&site.url(), arrivals(first..trucks.min(first + 1_000))).await;
    }
    service
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_taken_under_load_is_as_good_as_the_service() {
    let (site, other) = (Site::new("127.0.75.1"), Site::new("127.0.75.2"));
    let (copy, data) = (other.place.data(), site.place.data());
    let service = site.serve(&BUSY);
    let now = Timestamp::now().as_millisecond();
    let day = || Simulation::new(&Options::new(23, now).with_events(12_000));
    let load = Load::start(&site.url(), day());
    let (truth, sent) = (load.truth(), load.day.counts().sent);
    let progress = std::sync::Arc::clone(&load.progress);
    until("a third is on its way", async || {
        progress.settled() > sent / 3
    })
    .await;
    // Changes no figure, and is acknowledged before the copy begins.
    acknowledged(&site.url(), vec![retraction("mark", 0)]).await;
    // Offsets count what was accepted; what was refused is acknowledged too.
    let settled = progress.settled();
    let before = status(&site.url()).await.progress.unwrap().log_end as u64;
    assert!(before + load.day.counts().invalid >= settled, "{before}");
    let told = succeeded(&done(backup(&site.url(), &copy)).await);
    assert!(
        told.contains("not in it: the keys of the pseudonyms"),
        "{told}"
    );
    let copied = records(&copy, u64::MAX);
    assert!(has(&copied, "mark"));
    let end = copied.last().unwrap().end_offset();
    assert!(end >= before && end < sent, "{before} <= {end} < {sent}");
    assert_eq!(copied, records(&data, end));
    assert!(!copy.join(KEYS).exists());
    succeeded(&verified(&copy).await);
    audited(&copy).await;

    // The copy goes on where it was taken, with another machine's publishers.
    let (_, positions) = load.finish().await;
    assert_same(&truth, &site.everything(&positions).await);
    copy_keys(&data, &copy);
    let restored = other.serve(&BUSY);
    assert!(other.place.logged().contains("restored from a backup"));
    let counted = status(&other.url()).await.events;
    assert!(counted >= before as i64 && counted < sent as i64);
    let again = Load::start(&other.url(), day());
    let (_, positions) = again.finish().await;
    assert_same(&truth, &other.everything(&positions).await);
    restored.stop();
    audited(&copy).await;
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_starts_on_a_copy_only_with_the_keys_and_only_if_it_is_whole() {
    let (site, other) = (Site::new("127.0.75.3"), Site::new("127.0.75.4"));
    let (copy, data) = (other.place.data(), site.place.data());
    let service = filled(&site, 5_000).await;
    succeeded(&done(backup(&site.url(), &copy)).await);
    service.stop();
    let refusal = || {
        let (status, told) = other.refusal(other.command(&BUSY)).unwrap();
        assert_eq!(status.code(), Some(1), "{told}");
        told
    };
    let told = refusal();
    assert!(
        told.contains("put the copy of the service's key file at"),
        "{told}"
    );
    assert!(!copy.join(KEYS).exists(), "it made new keys");
    // Another service's.
    let stranger = Place::new();
    stranger.serve(&[]).stop();
    copy_keys(&stranger.data(), &copy);
    let told = refusal();
    assert!(
        told.contains("are not those of the backup's service"),
        "{told}"
    );
    copy_keys(&data, &copy);
    std::fs::write(copy.join("backup.unfinished"), "").unwrap();
    assert!(refusal().contains("is a backup that was not finished"));
    std::fs::remove_file(copy.join("backup.unfinished")).unwrap();

    for (file, what) in [
        (segment(&copy), "SHA-256 of log/"),
        (copy.join("format.json"), "SHA-256 of format.json"),
    ] {
        let whole = std::fs::read(&file).unwrap();
        let mut damaged = whole.clone();
        // A line feed where it ends, in one of them: it means the same.
        let last = damaged.last_mut().unwrap();
        *last = if *last == b'\n' { b' ' } else { *last ^ 0x20 };
        std::fs::write(&file, &damaged).unwrap();
        if what.contains("log/") {
            let told = refusal();
            assert!(
                told.contains("damaged backup") && told.contains(what),
                "{told}"
            );
        }
        failed(&verified(&copy).await, what);
        std::fs::write(&file, &whole).unwrap();
    }
    let (lost, aside) = (segment(&copy), other.place.path("aside"));
    std::fs::rename(&lost, &aside).unwrap();
    failed(&verified(&copy).await, "log/");
    std::fs::rename(&aside, &lost).unwrap();
    {
        let store = Store::open(&copy.join("store")).unwrap();
        let (key, _) = store.scan(Table::Cells).next().unwrap().unwrap();
        let mut batch = Batch::new();
        batch.put(Table::Cells, &key, Some(b"else"));
        store.write(batch).unwrap();
    }
    let told = refusal();
    assert!(told.contains("damaged backup: state"), "{told}");
    failed(&verified(&copy).await, "damaged backup: state");
}

/// A segment in the middle of a log.
fn segment(data: &Path) -> PathBuf {
    let files = std::fs::read_dir(data.join("log")).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 2, "{files:?}");
    files[files.len() / 2].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn once_a_service_has_started_on_it_it_is_a_copy_no_more() {
    let (site, other) = (Site::new("127.0.75.5"), Site::new("127.0.75.6"));
    let copy = other.place.data();
    let service = filled(&site, 1_000).await;
    succeeded(&done(backup(&site.url(), &copy)).await);
    service.kill();
    copy_keys(&site.place.data(), &copy);
    for _ in 0..2 {
        let restored = other.serve(&BUSY);
        assert_eq!(trucks_in(&other.url()).await, 1_000);
        restored.kill();
    }
    failed(&verified(&copy).await, "a service has started on it since");
    assert!(copy.join("restored.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_way_is_left_alone() {
    let site = Site::new("127.0.75.7");
    let service = filled(&site, 10).await;
    let (url, to) = (site.url(), site.place.path("copy"));
    std::fs::create_dir(&to).unwrap();
    std::fs::write(to.join("mine"), "mine").unwrap();
    failed(
        &done(backup(&url, &to)).await,
        "is there already and not empty",
    );
    assert!(to.join("mine").exists());
    std::fs::remove_file(to.join("mine")).unwrap();
    let draft = site.place.path("copy.unfinished");
    std::fs::create_dir(&draft).unwrap();
    std::fs::write(draft.join("mine"), "mine").unwrap();
    failed(
        &done(backup(&url, &to)).await,
        "is there already and not empty",
    );
    assert!(draft.join("mine").exists());
    std::fs::remove_dir_all(&draft).unwrap();
    // An empty directory is not in the way, not even one that waits to be used.
    succeeded(&done(backup(&url, &to)).await);
    succeeded(&verified(&to).await);
    failed(
        &done(backup(&url, &to)).await,
        "is there already and not empty",
    );
    succeeded(&verified(&to).await);
    failed(&verified(&site.place.data()).await, "is no backup");
    service.stop();
    let nobody = backup(&url, &site.place.path("other"));
    failed(&done(nobody).await, "connect to");
    assert!(!site.place.path("other").exists());
    assert!(!site.place.path("other.unfinished").exists());
}

/// Trucks that make more than what fits into windows and queues.
const LARGE: u32 = 30_000;

/// A backup of which the first part was taken, by one who has little room.
async fn begun(url: &str) -> (AdminServiceClient<Channel>, Streaming<BackupResponse>) {
    let narrow = Endpoint::from_shared(url.to_owned()).unwrap();
    let narrow = narrow.initial_stream_window_size(65_535);
    let channel = narrow.initial_connection_window_size(65_535);
    let mut client = AdminServiceClient::new(channel.connect().await.unwrap());
    let mut parts = client.backup(BackupRequest {}).await.unwrap().into_inner();
    parts.message().await.unwrap().unwrap();
    (client, parts)
}

/// How a backup fails.
async fn ended(mut parts: Streaming<BackupResponse>) -> Status {
    loop {
        match parts.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ended as if it were whole"),
            Err(status) => return status,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_had_no_room_is_opened_again_beside_a_backup_and_readers() {
    let site = Site::new("127.0.75.13");
    // After a restart no cell is in memory.
    filled(&site, LARGE).await.stop();
    let faults = Faults::new();
    let mut command = site.command(&BUSY);
    faults.concern(&mut command, &site.place.data().join("store"));
    command.stderr(File::create(site.place.path("log.txt")).unwrap());
    let service = Service::of(command);
    let url = site.url();
    let (_client, parts) = begun(&url).await;
    let (stop, stopped) = watch::channel(false);
    let asking = {
        let url = url.clone();
        tokio::spawn(async move {
            while !*stopped.borrow() {
                assert!(trucks_in(&url).await >= i64::from(LARGE));
            }
        })
    };
    faults.set("full");
    published(&url, arrivals(LARGE..LARGE + 100)).await;
    let told = |line| site.place.logged().contains(line);
    until("a checkpoint fails", async || {
        told("checkpoints cannot be written")
    })
    .await;
    faults.set("");
    until("another one is written", async || {
        told("checkpoints can be written again")
    })
    .await;
    stop.send(true).unwrap();
    asking.await.unwrap();
    assert_eq!(trucks_in(&url).await, i64::from(LARGE + 100));
    // It never goes on with what is there now.
    let ended = ended(parts).await;
    assert_eq!(ended.code(), Code::Unavailable, "{ended}");
    assert!(ended.message().contains("opened again"), "{ended}");
    let copy = site.place.path("copy");
    succeeded(&done(backup(&url, &copy)).await);
    audited(&copy).await;
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_backup_is_given_at_a_time_and_a_stop_ends_it() {
    let site = Site::new("127.0.75.8");
    let mut service = filled(&site, LARGE).await;
    let (mut client, parts) = begun(&site.url()).await;
    let second = client.backup(BackupRequest {}).await.unwrap_err();
    assert_eq!(second.code(), Code::ResourceExhausted, "{second}");
    let counted = metric(&service, "quaymeter_discarded_total{reason=\"backups\"}");
    assert!(counted >= 1.0, "{counted}");
    // One who takes nothing more holds up nobody.
    published(&site.url(), arrivals(LARGE..LARGE + 20)).await;
    service.signal("TERM");
    let ended = ended(parts).await;
    assert_eq!(ended.code(), Code::Unavailable, "{ended}");
    assert!(ended.message().contains("stopping"), "{ended}");
    assert!(service.ended().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_target_leaves_nothing_behind() {
    let site = Site::new("127.0.75.9");
    let service = filled(&site, 1_000).await;
    let faults = Faults::new();
    for below in ["log", "store", ""] {
        let mut command = backup(&site.url(), &site.place.path("copy"));
        faults.concern(
            &mut command,
            &site.place.path("copy.unfinished").join(below),
        );
        faults.set("full");
        failed(&done(command).await, "No space left on device");
        assert!(!site.place.path("copy").exists());
        let draft = site.place.path("copy.unfinished");
        assert!(!draft.exists(), "{below:?}");
    }
    caught_up(&site.url()).await;
    service.stop();
}

#[cfg(feature = "failpoints")]
mod dies {
    use super::*;
    use quaymeter::failpoint::BACKUP_PLACES;
    use std::os::unix::process::ExitStatusExt as _;

    const SIGABRT: i32 = 6;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_service_that_dies_midway_leaves_no_copy() {
        let site = Site::new("127.0.75.10");
        filled(&site, 3_000).await.stop();
        for parts in [0, 1, 3, 6] {
            let mut command = site.command(&BUSY);
            command.env(
                "FAILPOINTS",
                format!("{}={parts}*off->return", BACKUP_PLACES[0]),
            );
            let mut service = Service::of(command);
            let to = site.place.path("copy");
            let output = done(backup(&site.url(), &to)).await;
            assert_eq!(service.ended().signal(), Some(SIGABRT));
            failed(&output, "backup of http");
            assert!(!to.exists() && !site.place.path("copy.unfinished").exists());
        }
        let service = site.serve(&BUSY);
        assert_eq!(trucks_in(&site.url()).await, 3_000);
        service.stop();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_who_dies_while_it_is_taken_leaves_nothing_that_looks_whole() {
        let (site, other) = (Site::new("127.0.75.11"), Site::new("127.0.75.12"));
        let service = filled(&site, 3_000).await;
        let to = site.place.path("copy");
        let draft = site.place.path("copy.unfinished");
        for (place, parts) in [
            (BACKUP_PLACES[1], 0),
            (BACKUP_PLACES[1], 5),
            (BACKUP_PLACES[2], 0),
            (BACKUP_PLACES[3], 0),
        ] {
            let mut command = backup(&site.url(), &to);
            command.env("FAILPOINTS", format!("{place}={parts}*off->return"));
            let output = done(command).await;
            assert_eq!(output.status.signal(), Some(SIGABRT), "{place}");
            assert!(!to.exists(), "{place}");
            failed(&verified(&draft).await, "");
            // Neither is it one for a service, whatever it is called.
            std::fs::rename(&draft, other.place.data()).unwrap();
            copy_keys(&site.place.data(), &other.place.data());
            let (_, told) = other.refusal(other.command(&BUSY)).unwrap();
            assert!(told.contains("is a backup that was not finished"), "{told}");
            std::fs::rename(other.place.data(), &draft).unwrap();
        }
        // The next one clears it away.
        let mut command = backup(&site.url(), &to);
        command.env("FAILPOINTS", format!("{}=return", BACKUP_PLACES[4]));
        let output = done(command).await;
        assert_eq!(output.status.signal(), Some(SIGABRT));
        assert!(to.exists() && !draft.exists());
        succeeded(&verified(&to).await);
        assert_eq!(trucks_in(&site.url()).await, 3_000);
        service.stop();
    }
}
