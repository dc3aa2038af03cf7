//! What of the requests' memory is held by each source: whoever floods leaves room to
//! others, however small his batches are.

use crate::turns::SHARE;
use compact_str::CompactString;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// The bytes that batches hold from when they were judged until they are durable, by
/// source.
pub struct Shares {
    limit: u64,
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    all: u64,
    by_source: HashMap<CompactString, u64>,
}

/// A batch's part, given back when dropped.
pub struct Share {
    held: Arc<Mutex<Held>>,
    source: CompactString,
    bytes: u64,
}

impl Shares {
    /// Of so many bytes.
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            held: Arc::default(),
        }
    }

    /// A part for a batch; none if its source would hold more than its share: so many
    /// times what is then left.
    pub fn take(&self, source: &str, bytes: usize) -> Option<Share> {
        let bytes = bytes as u64;
        let mut held = self.held.lock();
        let own = held.by_source.get(source).copied().unwrap_or_default();
        let left = self.limit.saturating_sub(held.all + bytes);
        if own > 0 && own + bytes > left.saturating_mul(SHARE) {
            return None;
        }
        held.all += bytes;
        *held.by_source.entry(source.into()).or_default() += bytes;
        drop(held);
        Some(Share {
            held: Arc::clone(&self.held),
            source: source.into(),
            bytes,
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.held.lock();
        held.all = held.all.saturating_sub(self.bytes);
        if let Some(own) = held.by_source.get_mut(&self.source) {
            *own = own.saturating_sub(self.bytes);
            if *own == 0 {
                held.by_source.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_leaves_a_quarter_and_two_a_seventh() {
        let shares = Shares::new(7_000);
        let flood = |source: &str| -> Vec<Share> {
            std::iter::from_fn(|| shares.take(source, 10)).collect()
        };
        let one = flood("one");
        assert_eq!(one.len(), 525);
        assert!(shares.take("small", 100).is_some());
        let other = flood("other");
        assert!(shares.held.lock().all <= 7_000);
        assert!(other.len() > 100, "{}", other.len());
        assert!(shares.take("small", 100).is_some());
        drop((one, other));
        assert_eq!(shares.held.lock().all, 0);
        assert!(shares.held.lock().by_source.is_empty());
    }

    #[test]
    fn a_source_without_anything_may_hold_one_batch_of_any_size() {
        let shares = Shares::new(100);
        let _large = shares.take("one", 1_000).unwrap();
        assert!(shares.take("one", 1).is_none());
        assert!(shares.take("other", 1_000).is_some());
    }
}
