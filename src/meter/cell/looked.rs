//! How many owners and slots were looked at, one by one. Only tests count it: a question
//! of some owners must look at nobody else, and a clock would tell that badly.

#[cfg(test)]
use std::sync::atomic::{AtomicUsize, Ordering};

/// The count; nothing at all outside of tests.
#[derive(Default)]
pub struct Looked(#[cfg(test)] AtomicUsize);

impl Looked {
    /// One more.
    pub fn note(&self) {
        #[cfg(test)]
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}
