//! Those who send without a pause, each with our own client, which resumes by itself; and
//! what each of them knows at any moment.

use super::trucks::{Sum, Trucks};
use crate::place::until;
use quaymeter::client::{Error, Observer, Options, Publisher, Report, Settled};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Batches that a sender has on its way at most, and has at almost any moment: so few that
/// none waits for another one, so that what ends finds it being appended.
const IN_FLIGHT: usize = 1;

/// A step is over when so many batches of every sender have been acknowledged since.
const MORE: u64 = 100;

#[derive(Default)]
struct Known {
    acknowledged: AtomicU64,
    refused: AtomicU64,
    /// Why a stream was lost, or could not be opened, each time.
    lost: Mutex<Vec<String>>,
    enough: AtomicBool,
}

/// A publisher at work.
pub struct Sending {
    trucks: Trucks,
    known: Arc<Known>,
    feeding: JoinHandle<u64>,
    publishing: JoinHandle<Result<Report, Error>>,
}

impl Sending {
    /// Begins to send.
    pub fn start(trucks: Trucks, options: Options) -> Self {
        let options = Options {
            batches_in_flight: IN_FLIGHT,
            pause_min: Duration::from_millis(20),
            pause_max: Duration::from_millis(200),
            ..options
        };
        let publisher = Publisher::new(options).unwrap();
        let known = Arc::new(Known::default());
        let (batches, input) = mpsc::channel(1);
        let mut watch = Watch(Arc::clone(&known));
        let publishing = tokio::spawn(async move { publisher.run(input, &mut watch).await });
        let enough = Arc::clone(&known);
        let feeding = tokio::spawn(async move {
            let mut given = 0;
            while !enough.enough.load(Ordering::SeqCst) {
                // Who takes no more says why in the end.
                if batches.send((given, trucks.batch(given))).await.is_err() {
                    break;
                }
                given += 1;
            }
            given
        });
        Self {
            trucks,
            known,
            feeding,
            publishing,
        }
    }

    /// Why its streams were lost so far.
    pub fn lost(&self) -> Vec<String> {
        self.known.lost.lock().unwrap().clone()
    }

    fn acknowledged(&self) -> u64 {
        self.known.acknowledged.load(Ordering::SeqCst)
    }

    /// Sends no more, and waits until everything is acknowledged. What that comes to, and
    /// what the client says of it.
    pub async fn finish(self) -> (Sum, Report) {
        self.known.enough.store(true, Ordering::SeqCst);
        let given = self.feeding.await.unwrap();
        let report = self.publishing.await.unwrap().unwrap();
        assert_eq!(self.known.refused.load(Ordering::SeqCst), 0);
        assert_eq!(self.known.acknowledged.load(Ordering::SeqCst), given);
        let sum = self.trucks.sum(given);
        assert_eq!((report.sent, report.accepted), (sum.sent, sum.sent));
        assert_eq!((report.refused, report.warned), (0, 0));
        (sum, report)
    }
}

/// Waits until many more batches of each of them are acknowledged.
pub async fn go_on(all: &[Sending]) {
    let enough: Vec<_> = all.iter().map(|one| one.acknowledged() + MORE).collect();
    for (one, enough) in all.iter().zip(enough) {
        let what = format!("{} goes on", one.trucks.sender);
        until(&what, async || {
            assert!(!one.publishing.is_finished(), "{what}: {:?}", one.lost());
            one.acknowledged() >= enough
        })
        .await;
    }
}

struct Watch(Arc<Known>);

impl Observer<u64> for Watch {
    fn settled(&mut self, settled: Settled<'_, u64>) {
        // In order, each once and whole.
        let before = self.0.acknowledged.fetch_add(1, Ordering::SeqCst);
        assert_eq!(*settled.tag, before);
        let refused = settled.refused.into();
        self.0.refused.fetch_add(refused, Ordering::SeqCst);
    }

    fn interrupted(&mut self, why: &str, _pause: Duration) {
        self.0.lost.lock().unwrap().push(why.into());
    }
}
