//! The thread that writes a service's trail.

use super::Counts;
use super::files::Writer;
use super::fold::Fold;
use super::record::Record;
use parking_lot::{Condvar, Mutex};
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long a refusal or a change waits, at most.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// How long what was sent and read is summed.
const SUM_OVER: Duration = Duration::from_secs(60);

/// Records that are written at once.
const RECORDS_AT_ONCE: usize = 4096;

/// Between those who note and the one who writes.
pub(super) struct Shared {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    counts: Counts,
}

#[derive(Default)]
struct Waiting {
    fold: Fold,
    stop: bool,
}

impl Shared {
    pub fn new(counts: Counts) -> Self {
        Self {
            waiting: Mutex::default(),
            wake: Condvar::new(),
            counts,
        }
    }
}

/// Keeps a trail until it is stopped.
pub(super) struct Keeper {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Keeper {
    /// Starts the thread.
    ///
    /// # Errors
    /// There can be no more threads.
    pub fn start(shared: Arc<Shared>, writer: Writer) -> io::Result<Self> {
        let own = Arc::clone(&shared);
        let named = thread::Builder::new().name("trail".into());
        let thread = named.spawn(move || run(&own, writer))?;
        Ok(Self {
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Makes a note; false says that there was no room for it.
    pub fn note(&self, note: impl FnOnce(&mut Fold) -> bool) {
        let mut waiting = self.shared.waiting.lock();
        let noted = note(&mut waiting.fold);
        let full = waiting.fold.is_half_full();
        drop(waiting);
        if !noted {
            self.shared.counts.lost.increment(1);
        }
        if full {
            self.shared.wake.notify_one();
        }
    }

    /// Waits until all is written.
    pub fn stop(&self) {
        self.shared.waiting.lock().stop = true;
        self.shared.wake.notify_one();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            // It does not panic, and has told if the disk refused.
            let _ = thread.join();
        }
    }
}

/// A trail in which nobody notes any more is over.
impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(shared: &Shared, mut writer: Writer) {
    let mut summed = Instant::now();
    let mut failing = false;
    loop {
        let mut waiting = shared.waiting.lock();
        if !waiting.stop && !waiting.fold.is_half_full() {
            shared.wake.wait_for(&mut waiting, WRITE_EVERY);
        }
        let stop = waiting.stop;
        let all = stop || waiting.fold.is_half_full() || summed.elapsed() >= SUM_OVER;
        let mut records = waiting.fold.take(all);
        drop(waiting);
        if all {
            summed = Instant::now();
        }
        records.extend(stop.then_some(Record::Stopped));
        for part in records.chunks(RECORDS_AT_ONCE) {
            failing = write(shared, &mut writer, part, failing);
        }
        if stop {
            return;
        }
    }
}

/// Writes a part; whether it failed. Told once, until it is mended.
fn write(shared: &Shared, writer: &mut Writer, records: &[Record], failing: bool) -> bool {
    let count = records.len() as u64;
    match writer.append(records) {
        Ok(()) => {
            shared.counts.written.increment(count);
            if failing {
                tracing::info!("the audit trail can be written again");
            }
            false
        }
        Err(error) => {
            shared.counts.lost.increment(count);
            shared.waiting.lock().fold.lose(count);
            if !failing {
                let fault: &dyn std::error::Error = &error;
                tracing::error!(fault, "the audit trail cannot be written: records are lost");
            }
            true
        }
    }
}
