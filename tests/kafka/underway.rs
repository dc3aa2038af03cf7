//! A simulated day on its way to an instance, while something happens.

use crate::instances::a_day;
use crate::service::Service;
use quaymeter::deliver::{Delivered, Delivery, deliver};
use quaymeter::simulate::Simulation;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Events a second while something is killed: as many as it takes to be always busy.
pub const RATE: u32 = 400;

/// A day on its way to an instance.
pub struct Underway {
    done: tokio::task::JoinHandle<Delivered>,
    acknowledged: Arc<AtomicU64>,
}

impl Underway {
    /// Begins to send it, at a rate or as fast as it is taken.
    pub fn begin(day: &Arc<Simulation>, to: &Service, rate: Option<u32>) -> Self {
        let delivery = Delivery {
            endpoint: to.grpc.clone(),
            streams: 2,
            batch_events: 20,
            rate,
        };
        let acknowledged = Arc::new(AtomicU64::new(0));
        let (day, told) = (Arc::clone(day), Arc::clone(&acknowledged));
        let done = tokio::spawn(async move {
            let delivered = deliver(&day, &delivery, told).await.unwrap();
            assert_eq!(delivered.surprises, 0, "{:?}", delivered.told);
            delivered
        });
        Self { done, acknowledged }
    }

    /// How many events are acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until so many events are acknowledged, or all.
    pub async fn reaches(&self, events: u64) {
        let mut beat = tokio::time::interval(Duration::from_millis(1));
        while self.acknowledged() < events && !self.done.is_finished() {
            beat.tick().await;
        }
    }

    /// Sends no more; how many events were acknowledged.
    pub fn given_up(self) -> u64 {
        self.done.abort();
        self.acknowledged()
    }

    /// Waits until all is acknowledged; positions that together cover it.
    pub async fn delivered(self) -> Vec<String> {
        self.done.await.unwrap().positions
    }
}

/// A day, whose seed is told if the test fails.
pub fn day_of(seed: u64, events: u32) -> Arc<Simulation> {
    println!("seed {seed}");
    Arc::new(a_day(seed, events))
}
