//! Metrics that answers tell of too: an exporter's handle cannot be read.

use metrics::{Counter, Gauge};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A counter that can be read. Clones are the same one.
#[derive(Clone)]
pub struct Tally {
    exported: Counter,
    total: Arc<AtomicU64>,
}

impl Tally {
    /// Exported as this counter.
    pub(super) fn of(exported: Counter) -> Self {
        let total = Arc::default();
        Self { exported, total }
    }

    /// Counts so many more.
    pub fn increment(&self, more: u64) {
        self.exported.increment(more);
        self.total.fetch_add(more, Ordering::Relaxed);
    }

    /// How many were counted since the process started.
    pub fn get(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

/// A gauge of whole numbers that can be read. Clones are the same one.
#[derive(Clone)]
pub struct Level {
    exported: Gauge,
    value: Arc<AtomicU64>,
}

impl Level {
    /// Exported as this gauge.
    pub(super) fn of(exported: Gauge) -> Self {
        let value = Arc::default();
        Self { exported, value }
    }

    /// What it is now.
    pub fn set(&self, value: f64) {
        self.exported.set(value);
        self.value.store(value as u64, Ordering::Relaxed);
    }

    /// What it is; 0 before it was set.
    pub fn get(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }
}
