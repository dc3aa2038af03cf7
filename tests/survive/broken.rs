//! A disk that fails or lies: found, named, and never served.

use crate::faults::Faults;
use crate::load::{Load, a_day};
use crate::place::{arrivals, ingest, published, trucks_in};
use crate::service::Service;
use crate::site::{BUSY, Site, assert_same};
use quaymeter::log::Error;
use quaymeter::pb;
use quaymeter::truth::Truth;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use tonic::Code;

/// Small segments, and no checkpoint but the last one of a stop.
const UNSTORED: [&str; 4] = [
    "--log-segment-bytes",
    "65536",
    "--checkpoint-interval-ms",
    "3600000",
];

/// A delivered day: what it comes to, and where it ends.
struct Day {
    truth: Truth,
    positions: Vec<String>,
}

/// Delivers a day; the service is killed, so that there is no later checkpoint
/// than the settings made.
async fn delivered(site: &Site, settings: &[&str]) -> Day {
    let service = site.serve(settings);
    let load = Load::start(&site.url(), a_day(23, 3_000));
    let truth = load.truth();
    let (_, positions) = load.finish().await;
    assert_same(&truth, &site.everything(&positions).await);
    service.kill();
    Day { truth, positions }
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// It does not start, and says where the fault is.
#[track_caller]
fn assert_refuses(site: &Site, told: &[&str]) {
    let refusal = site.refusal(site.command(&UNSTORED));
    let (ended, said) = refusal.expect("it serves");
    assert_eq!(ended.code(), Some(1), "{said}");
    for words in told {
        assert!(said.contains(words), "no {words:?} in {said}");
    }
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// Where a segment's first frame begins: behind its header.
const FIRST_FRAME: usize = 56;

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_tail_and_a_half_written_batch_are_cut_off_and_nothing_else() {
    let site = Site::new("127.0.74.1");
    let day = delivered(&site, &UNSTORED).await;
    let last = site.segments().pop().unwrap();
    let whole = fs::read(&last).unwrap();
    // A header's beginning; a whole header with half of its batch.
    for torn in [20, 100] {
        edit(&last, |bytes| {
            bytes.extend_from_slice(&whole[FIRST_FRAME..FIRST_FRAME + torn]);
        });
        let service = site.serve(&UNSTORED);
        assert_same(&day.truth, &site.everything(&day.positions).await);
        service.kill();
        assert_eq!(fs::read(&last).unwrap(), whole);
        let told =
            format!("cut off a torn tail of the log: it was never acknowledged bytes={torn}");
        assert!(
            site.place.logged().contains(&told),
            "{}",
            site.place.logged()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_that_is_to_be_replayed_keeps_the_service_from_starting() {
    let site = Site::new("127.0.74.2");
    delivered(&site, &UNSTORED).await;
    let segments = site.segments();
    // A last frame that is damaged looks as if it were torn.
    for segment in &segments[..segments.len() - 1] {
        // In the first frame's body.
        edit(segment, |bytes| bytes[FIRST_FRAME + 36 + 10] ^= 4);
        assert_refuses(
            &site,
            &[
                "corrupt log",
                name(segment),
                &format!("at byte {FIRST_FRAME}"),
            ],
        );
        edit(segment, |bytes| bytes[FIRST_FRAME + 36 + 10] ^= 4);
    }
    site.serve(&UNSTORED).stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_before_the_checkpoint_is_named_when_it_is_read() {
    let site = Site::new("127.0.74.3");
    let day = delivered(&site, &UNSTORED).await;
    // The checkpoint of a stop stands at the log's end.
    site.serve(&UNSTORED).stop();
    let segment = &site.segments()[1];
    edit(segment, |bytes| bytes[FIRST_FRAME + 36 + 10] ^= 4);
    let service = site.serve(&UNSTORED);
    assert_same(&day.truth, &site.everything(&day.positions).await);
    service.stop();
    let records = site.records();
    let found = records.last().unwrap().as_ref().unwrap_err();
    let Error::Corrupt { path, at, .. } = found else {
        panic!("{found}");
    };
    assert_eq!((name(path), *at), (name(segment), FIRST_FRAME as u64));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_segment_keeps_the_service_from_starting() {
    let site = Site::new("127.0.74.4");
    delivered(&site, &UNSTORED).await;
    site.serve(&UNSTORED).stop();
    let segments = site.segments();
    let missing = |segment: &PathBuf, told: &[&str]| {
        let aside = site.place.path("aside");
        fs::rename(segment, &aside).unwrap();
        assert_refuses(&site, told);
        fs::rename(&aside, segment).unwrap();
    };
    let (middle, next) = (&segments[1], &segments[2]);
    missing(middle, &["corrupt log", name(next), name(middle)]);
    missing(segments.last().unwrap(), &["the log in", "is needed"]);
    site.serve(&UNSTORED).stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn any_flipped_bit_is_named_or_harmless() {
    let site = Site::new("127.0.74.5");
    let day = delivered(&site, &BUSY).await;
    let seed = getrandom::u64().unwrap() >> 32;
    println!("seed {seed}");
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let data = site.place.data();
    let whole = copy(&data, &site.place.path("whole"));
    let mut refused = 0;
    for round in 0..16 {
        let (file, size) = &whole[dice.random_range(0..whole.len())];
        let (at, bit) = (dice.random_range(0..*size), dice.random_range(0..8_u8));
        let what = format!("seed {seed}, round {round}: {} at {at}", file.display());
        flip(&data.join(file), at as u64, 1 << bit);
        match site.refusal(site.command(&BUSY)) {
            Some((ended, said)) => {
                assert_eq!(ended.code(), Some(1), "{what}: {said}");
                assert!(said.contains("quaymeter: "), "{what}: {said}");
                refused += 1;
            }
            None => {
                println!("{what}: harmless");
                let service = site.serve(&BUSY);
                assert_same(&day.truth, &site.everything(&day.positions).await);
                service.kill();
            }
        }
        fs::remove_dir_all(&data).unwrap();
        copy(&site.place.path("whole"), &data);
    }
    println!("{refused} of 16 were refused");
}

fn flip(path: &Path, at: u64, bits: u8) {
    let file = fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ bits], at).unwrap();
}

/// Copies a directory; its files that hold something, and how many bytes. What
/// is empty up to its end is not worth a flip.
fn copy(from: &Path, to: &Path) -> Vec<(PathBuf, usize)> {
    let (mut files, mut left) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(inner) = left.pop() {
        fs::create_dir_all(to.join(&inner)).unwrap();
        for entry in fs::read_dir(from.join(&inner)).unwrap() {
            let entry = entry.unwrap();
            let path = inner.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                left.push(path);
                continue;
            }
            let bytes = fs::read(entry.path()).unwrap();
            let held = bytes.iter().rposition(|&byte| byte != 0);
            let held = held.map_or(0, |last| last + 1);
            // The rest stays a hole.
            fs::write(to.join(&path), &bytes[..held]).unwrap();
            let copied = fs::File::options().write(true).open(to.join(&path));
            copied.unwrap().set_len(bytes.len() as u64).unwrap();
            files.extend((held > 0).then_some((path, held)));
        }
    }
    files.sort();
    files
}

async fn a_failed_sync(part: &str, ip: &str) {
    let site = Site::new(ip);
    let faults = Faults::new();
    let mut command = site.command(&BUSY);
    faults.concern(&mut command, &site.place.data().join(part));
    command.stderr(fs::File::create(site.place.path("log.txt")).unwrap());
    let mut service = Service::of(command);
    let url = site.url();
    published(&url, arrivals(0..100)).await;
    faults.set("nosync");
    let request = pb::PublishEventsRequest {
        source: "tos".into(),
        events: arrivals(100..200),
        ..Default::default()
    };
    let answer = ingest(&url).await.publish_events(request).await;
    let acknowledged = answer.is_ok();
    if let Err(refused) = answer {
        assert_eq!(refused.code(), Code::Unavailable);
    }
    assert_eq!(acknowledged, part == "store");
    assert_eq!(service.ended().code(), Some(1));
    let told = site.place.logged();
    assert!(told.contains("Input/output error"), "{told}");
    let service = site.serve(&BUSY);
    let counted = trucks_in(&url).await;
    assert_eq!(counted, if acknowledged { 200 } else { 100 });
    published(&url, arrivals(100..200)).await;
    assert_eq!(trucks_in(&url).await, 200);
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_of_the_log_acknowledges_nothing_and_stops_the_service() {
    a_failed_sync("log", "127.0.74.6").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_of_a_checkpoint_stops_the_service_and_loses_nothing() {
    a_failed_sync("store", "127.0.74.7").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_may_not_be_written_keeps_the_service_from_starting() {
    let site = Site::new("127.0.74.8");
    delivered(&site, &BUSY).await;
    let faults = Faults::new();
    faults.set("readonly");
    let mut command = site.command(&BUSY);
    faults.concern(&mut command, &site.place.data());
    let (ended, said) = site.refusal(command).expect("it serves");
    assert_eq!(ended.code(), Some(1), "{said}");
    let data = site.place.data().display().to_string();
    assert!(
        said.contains("Read-only file system") && said.contains(&data),
        "{said}"
    );
    site.serve(&BUSY).stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_store_is_told_with_what_to_do_and_then_that_helps() {
    let site = Site::new("127.0.74.9");
    let day = delivered(&site, &BUSY).await;
    let (store, data) = (site.place.data().join("store"), site.place.data());
    // The engine would abort the process for it.
    fs::create_dir(store.join("keyspaces/lost+found")).unwrap();
    assert_refuses(
        &site,
        &["open the store", "files are damaged", "anew from the log"],
    );
    // As it is left by an opening that ended in an abort.
    fs::write(data.join("store.opening"), "").unwrap();
    fs::rename(&store, data.join("aside")).unwrap();
    let service = site.serve(&BUSY);
    let told = site.place.logged();
    assert!(
        told.contains("died the last time while it opened its store"),
        "{told}"
    );
    assert!(!data.join("store.opening").exists());
    assert_same(&day.truth, &site.everything(&day.positions).await);
    service.stop();
}
