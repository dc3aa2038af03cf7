//! How long the log is kept: by age and by size, but never less than what a
//! restart reads and what may have to be read again.

use crate::event::Millis;
use crate::log::embedded::Log;
use crate::log::{Address, Offset};
use crate::meter::Meter;
use crate::meter::cell::DAY_MS;
use crate::metrics::Metrics;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How much of the log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Days before the log clock's.
    pub days: i32,
    /// Bytes; none for any number.
    pub bytes_max: Option<u64>,
}

/// Removes what is beyond the limits.
pub struct Retention {
    log: Log,
    limits: Limits,
    metrics: Arc<Metrics>,
    /// Whether it was told that the size is not kept to.
    told: AtomicBool,
}

impl Retention {
    /// Of this log.
    pub fn new(log: Log, limits: Limits, metrics: Arc<Metrics>) -> Self {
        let retention = Self {
            log,
            limits,
            metrics,
            told: AtomicBool::new(false),
        };
        retention.tell();
        retention
    }

    /// Removes what is beyond the limits at the log clock, as far as it lies
    /// before the offset that a restart reads from, and the lowest address that
    /// may be read again. What cannot be removed now is removed the next time.
    pub fn remove(&self, clock: Millis, position: Offset, needed: Address) {
        let Limits { days, bytes_max } = self.limits;
        let oldest = clock.saturating_sub((i64::from(days) + 1) * DAY_MS);
        let aged = self.log.remove_before(oldest, position, needed);
        let sized = aged.and_then(|_| match bytes_max {
            Some(most) => self.log.remove_beyond(most, position, needed),
            None => Ok(0),
        });
        if let Err(error) = sized {
            tracing::warn!(%error, "remove old files of the log");
        }
        self.tell();
    }

    /// Says once that more is needed than the limit, and once that it is over.
    fn tell(&self) {
        let bytes_max = self.limits.bytes_max.unwrap_or(u64::MAX);
        let bytes = self.log.bytes();
        let beyond = bytes.saturating_sub(bytes_max);
        self.metrics.log_kept_bytes.set(bytes as f64);
        self.metrics.log_start_offset.set(self.log.start() as f64);
        self.metrics.log_beyond_limit_bytes.set(beyond as f64);
        match (beyond > 0, self.told.swap(beyond > 0, Ordering::Relaxed)) {
            (true, false) => tracing::warn!(
                bytes,
                bytes_max,
                "the log is larger than its limit: corrections, a restart or a backup still need its records"
            ),
            (false, true) => tracing::info!(bytes, "the log keeps to its limit again"),
            _ => {}
        }
    }
}

/// Tells how much is known, all of which is to stay within bounds: the meter's
/// part, and the chunks of its journal.
pub fn tell_sizes(metrics: &Metrics, (meter, chunks): (&Meter, usize)) {
    metrics.names.set(meter.names.len() as f64);
    metrics.pairing_points.set(meter.points() as f64);
    metrics.ledger_chunks.set(chunks as f64);
}
