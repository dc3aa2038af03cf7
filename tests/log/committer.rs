//! Group commit: nothing is acknowledged that is not durable, and what fails
//! fails loudly.

use super::disk::{MemoryDisk, Sync};
use super::{Offset, batch, filled, open, read};
use futures_util::future::{FutureExt as _, join_all};
use parking_lot::Mutex;
use quaymeter::log::committer::{Committer, Group, Handle, Options};
use quaymeter::log::{Closed, Durable, Error, Kind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tokio::task::unconstrained;

/// A committer on a disk; what it hands on comes out of the receiver.
fn start(disk: &MemoryDisk, options: Options) -> (Handle<u64>, Receiver<Durable<u64>>) {
    let (sender, durable) = channel();
    let sink = move |group: Vec<Durable<u64>>| {
        let mut sent = group.into_iter().map(|batch| sender.send(batch));
        sent.all(|sent| sent.is_ok()).then_some(()).ok_or(Closed)
    };
    let appender = open(disk, 0).unwrap().appender;
    (
        Committer::start(appender, || 7, options, sink).unwrap(),
        durable,
    )
}

/// How far a power failure would leave the log, as far as it can be read.
fn durable_end(disk: &MemoryDisk) -> Offset {
    open(&disk.after_power_failure(), 0).map_or(0, |opened| opened.log.end())
}

/// Appends batches one after the other; returns how many were handed on before
/// they were durable. The sink runs right after the acknowledgements, on the
/// same thread: what is durable then was durable when they were given.
async fn handed_on_too_early(sync: Sync) -> usize {
    let disk = MemoryDisk::default();
    let appender = open(&disk, 0).unwrap().appender;
    let early = Arc::new(Mutex::new(0));
    let sink = {
        let (disk, early) = (disk.clone(), early.clone());
        move |group: Vec<Durable<()>>| {
            let end = durable_end(&disk);
            *early.lock() += group.iter().filter(|batch| batch.end_offset > end).count();
            Ok(())
        }
    };
    let handle = Committer::start(appender, || 7, Options::default(), sink).unwrap();
    disk.set_sync(sync);
    for number in 0..30 {
        handle.append(batch(number, 2), ()).await.unwrap();
    }
    handle.close().await.unwrap();
    *early.lock()
}

#[tokio::test]
async fn an_acknowledgement_comes_after_the_sync_that_covers_it() {
    assert_eq!(handed_on_too_early(Sync::Works).await, 0);
}

#[tokio::test]
async fn a_skipped_sync_would_be_seen() {
    assert_eq!(handed_on_too_early(Sync::Lies).await, 30);
}

#[tokio::test]
async fn nothing_is_acknowledged_while_the_sync_goes_on() {
    let disk = MemoryDisk::default();
    let (handle, durable) = start(&disk, Options::default());
    disk.close_gate();
    let mut append = pin!(handle.append(batch(0, 3), 0));
    assert!(append.as_mut().now_or_never().is_none());
    disk.wait_at_gate();
    assert!(append.as_mut().now_or_never().is_none());
    assert!(durable.try_recv().is_err());
    disk.open_gate();
    let appended = append.await.unwrap();
    assert_eq!((appended.first_offset, appended.end_offset), (0, 3));
    assert_eq!(appended.appended_at, 7);
    assert_eq!(durable.recv().unwrap().end_offset, 3);
}

#[tokio::test]
async fn what_waits_during_a_sync_is_made_durable_by_the_next_one() {
    let disk = MemoryDisk::default();
    let groups = Arc::new(Mutex::new(Vec::new()));
    let told = groups.clone();
    let options = Options {
        observe: Box::new(move |group: Group| told.lock().push((group.batches, group.events))),
        ..Options::default()
    };
    let (handle, durable) = start(&disk, options);
    let before = disk.syncs();
    disk.close_gate();
    let mut first = pin!(handle.append(batch(0, 1), 0));
    assert!(first.as_mut().now_or_never().is_none());
    disk.wait_at_gate();
    let others = (1..=500).map(|number| handle.append(batch(number, 2), number));
    let mut others = pin!(unconstrained(join_all(others)));
    assert!(others.as_mut().now_or_never().is_none());
    disk.open_gate();
    first.await.unwrap();
    let appended: Vec<_> = others.await.into_iter().map(Result::unwrap).collect();
    // One for each of the two groups, and one for the segment between them.
    assert_eq!(disk.syncs() - before, 3);
    assert_eq!(*groups.lock(), [(1, 1), (500, 1000)]);
    for (number, found) in (0..=500).zip(durable.try_iter()) {
        let expected = if number == 0 { 0 } else { number * 2 - 1 };
        assert_eq!((found.payload, found.first_offset), (number, expected));
        assert_eq!(found.source, format!("source-{number}"));
        if let Some(appended) = number.checked_sub(1).map(|index| appended[index as usize]) {
            assert_eq!(appended.first_offset, found.first_offset);
            assert_eq!(appended.end_offset, found.end_offset);
        }
    }
    let records = read(&open(&disk, 0).unwrap().log, 0);
    assert_eq!(records.len(), 501);
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_acknowledged_any_more() {
    let (disk, end) = filled(9);
    let (handle, durable) = start(&disk, Options::default());
    disk.close_gate();
    let mut first = pin!(handle.append(batch(0, 1), 0));
    assert!(first.as_mut().now_or_never().is_none());
    disk.wait_at_gate();
    let others = (1..=20).map(|number| handle.append(batch(number, 1), number));
    let mut others = pin!(unconstrained(join_all(others)));
    assert!(others.as_mut().now_or_never().is_none());
    assert!(handle.failed().now_or_never().is_none());
    disk.set_sync(Sync::Fails);
    disk.open_gate();
    let cause = first.await.unwrap_err();
    assert!(
        matches!(
            &cause,
            Error::Disk {
                operation: "sync",
                ..
            }
        ),
        "{cause}"
    );
    disk.set_sync(Sync::Works);
    let syncs = disk.syncs();
    for refused in others.await {
        assert!(matches!(refused, Err(Error::Poisoned(_))), "{refused:?}");
    }
    let later = handle.append(batch(21, 1), 21).await.unwrap_err();
    assert_eq!((cause.kind(), later.kind()), (Kind::Fatal, Kind::Fatal));
    assert_eq!(handle.failed().await.to_string(), cause.to_string());
    assert_eq!(
        handle.close().await.unwrap_err().to_string(),
        cause.to_string()
    );
    assert_eq!((disk.syncs(), durable.try_iter().count()), (syncs, 0));
    // What the sync left behind in the cache is not believed after a restart.
    assert_eq!(open(&disk, 0).unwrap().log.end(), end);
}

#[tokio::test]
async fn a_full_disk_refuses_and_goes_on_when_there_is_room_again() {
    let (disk, end) = filled(9);
    let (handle, durable) = start(&disk, Options::default());
    for room in 0..40 {
        disk.set_room(Some(room));
        let refused = handle.append(batch(0, 9), 0).await.unwrap_err();
        assert!(matches!(refused, Error::Refused { .. }), "{refused}");
        assert_eq!(refused.kind(), Kind::Retry);
    }
    disk.set_room(None);
    let appended = handle.append(batch(1, 1), 1).await.unwrap();
    assert_eq!(appended.first_offset, end);
    handle.close().await.unwrap();
    assert_eq!(
        durable
            .try_iter()
            .map(|batch| batch.payload)
            .collect::<Vec<_>>(),
        [1]
    );
    assert_eq!(durable_end(&disk), end + 1);
    let opened = open(&disk, 0).unwrap();
    assert_eq!(
        (opened.truncated_bytes, read(&opened.log, 0).len()),
        (0, 10)
    );
}

#[tokio::test]
async fn a_refused_write_that_cannot_be_undone_is_fatal() {
    let disk = MemoryDisk::default();
    let (handle, durable) = start(&disk, Options::default());
    disk.set_room(Some(10));
    disk.set_truncate_fails(true);
    let cause = handle.append(batch(0, 1), 0).await.unwrap_err();
    assert_eq!(cause.kind(), Kind::Fatal);
    disk.set_room(None);
    let later = handle.append(batch(1, 1), 1).await.unwrap_err();
    assert!(matches!(later, Error::Poisoned(_)), "{later}");
    assert_eq!(durable.try_iter().count(), 0);
}

#[tokio::test]
async fn who_finds_no_room_in_time_is_refused() {
    let disk = MemoryDisk::default();
    for (queue_batches, queue_bytes) in [(8192, 100), (1, 1 << 20)] {
        let options = Options {
            queue_batches,
            queue_bytes,
            ..Options::default()
        };
        let (handle, _durable) = start(&disk, options);
        disk.close_gate();
        let mut first = pin!(handle.append(batch(0, 5), 0));
        assert!(first.as_mut().now_or_never().is_none());
        disk.wait_at_gate();
        // The larger queue holds nothing beside the first batch, the shorter one
        // this.
        let mut second = pin!(handle.append(batch(1, 5), 1));
        assert!(second.as_mut().now_or_never().is_none());
        let wait = Duration::from_millis(1);
        let refused = handle
            .append_within(wait, batch(2, 5), 2)
            .await
            .unwrap_err();
        assert!(matches!(refused, Error::Overloaded { .. }), "{refused}");
        assert_eq!(refused.kind(), Kind::Retry);
        disk.open_gate();
        first.await.unwrap();
        second.await.unwrap();
        handle
            .append_within(Duration::MAX, batch(3, 5), 3)
            .await
            .unwrap();
        handle.close().await.unwrap();
    }
}

#[tokio::test]
async fn closing_finishes_what_waits_and_takes_no_more() {
    let disk = MemoryDisk::default();
    let (handle, durable) = start(&disk, Options::default());
    disk.close_gate();
    let waiting = (0..20).map(|number| handle.append(batch(number, 1), number));
    let mut waiting = pin!(unconstrained(join_all(waiting)));
    assert!(waiting.as_mut().now_or_never().is_none());
    let mut close = pin!(handle.close());
    assert!(close.as_mut().now_or_never().is_none());
    disk.open_gate();
    close.await.unwrap();
    assert!(waiting.await.iter().all(Result::is_ok));
    let refused = handle.append(batch(20, 1), 20).await.unwrap_err();
    assert!(matches!(refused, Error::Closed) && refused.kind() == Kind::Retry);
    assert!(handle.failed().now_or_never().is_none());
    handle.close().await.unwrap();
    // The sink is gone with the thread, so this ends.
    assert_eq!(durable.iter().count(), 20);
}

#[tokio::test]
async fn without_a_worker_the_log_has_failed() {
    let (handle, durable) = start(&MemoryDisk::default(), Options::default());
    drop(durable);
    handle.append(batch(0, 1), 0).await.unwrap();
    assert!(matches!(handle.failed().await, Error::WorkerGone));
    let refused = handle.append(batch(1, 1), 1).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Fatal);
}

#[tokio::test]
async fn a_dead_committing_thread_is_a_failure() {
    let appender = open(&MemoryDisk::default(), 0).unwrap().appender;
    let clock = || panic!("the clock broke");
    let sink = |_: Vec<Durable<u64>>| Ok(());
    let handle = Committer::start(appender, clock, Options::default(), sink).unwrap();
    let lost = handle.append(batch(0, 1), 0).await.unwrap_err();
    assert_eq!(lost.kind(), Kind::Fatal);
    assert!(matches!(handle.failed().await, Error::Died));
    let later = handle.append(batch(1, 1), 1).await.unwrap_err();
    assert!(matches!(later, Error::Died), "{later}");
    assert!(matches!(handle.close().await, Err(Error::Died)));
}
