//! What of something scarce each holds: whoever takes all that he can get leaves room to
//! others, however little it is that he takes at a time.

use super::line::SHARE;
use compact_str::CompactString;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// What is held by whom: of the requests' memory by source, of calls by caller.
pub struct Shares {
    limit: u64,
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    all: u64,
    by_name: HashMap<CompactString, u64>,
}

/// A part, given back when dropped.
pub struct Share {
    held: Arc<Mutex<Held>>,
    name: CompactString,
    parts: u64,
}

impl Shares {
    /// Of so much.
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            held: Arc::default(),
        }
    }

    /// So many parts; none if they would be more than a share: so many times what is then
    /// left. Who holds nothing is never refused.
    pub fn take(&self, name: &str, parts: usize) -> Option<Share> {
        let parts = parts as u64;
        let mut held = self.held.lock();
        let own = held.by_name.get(name).copied().unwrap_or_default();
        let left = self.limit.saturating_sub(held.all + parts);
        if own > 0 && own + parts > left.saturating_mul(SHARE) {
            return None;
        }
        held.all += parts;
        *held.by_name.entry(name.into()).or_default() += parts;
        drop(held);
        Some(Share {
            held: Arc::clone(&self.held),
            name: name.into(),
            parts,
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.held.lock();
        held.all = held.all.saturating_sub(self.parts);
        if let Some(own) = held.by_name.get_mut(&self.name) {
            *own = own.saturating_sub(self.parts);
            if *own == 0 {
                held.by_name.remove(&self.name);
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
        assert!(shares.held.lock().by_name.is_empty());
    }

    #[test]
    fn a_source_without_anything_may_hold_one_batch_of_any_size() {
        let shares = Shares::new(100);
        let _large = shares.take("one", 1_000).unwrap();
        assert!(shares.take("one", 1).is_none());
        assert!(shares.take("other", 1_000).is_some());
    }
}
