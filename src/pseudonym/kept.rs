//! The keys of now, shared by all who make pseudonyms: a changed file takes their
//! place while the service runs.

use super::{Day, Pseudonyms};
use parking_lot::RwLock;
use std::sync::Arc;

/// The keys of now.
#[derive(Clone, Debug)]
pub struct Kept(Arc<RwLock<Arc<Pseudonyms>>>);

impl From<Pseudonyms> for Kept {
    fn from(keys: Pseudonyms) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(keys))))
    }
}

impl Kept {
    /// The keys of now: one look for a batch.
    pub fn now(&self) -> Arc<Pseudonyms> {
        Arc::clone(&self.0.read())
    }

    /// Puts others in their place, if they are what may have become of them.
    /// `today` is the UTC day on which an event may be told by now.
    ///
    /// # Errors
    /// A key that was changed, taken away without a trace, or that is in force too
    /// early: the keys stay as they were.
    pub fn replace(&self, keys: Pseudonyms, today: Day) -> Result<(), Changed> {
        self.now().may_become(&keys, today)?;
        *self.0.write() = Arc::new(keys);
        Ok(())
    }
}

/// Keys that cannot take the place of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key {id} {what}")]
pub struct Changed {
    /// The key.
    pub id: u16,
    /// What is wrong with it.
    pub what: &'static str,
}

impl Pseudonyms {
    fn may_become(&self, next: &Self, today: Day) -> Result<(), Changed> {
        for old in self.known() {
            let id = old.id;
            let what = match next.known().iter().find(|new| new.id == id) {
                None => "is not there any more: `quaymeter pseudonyms erase` erases keys",
                Some(new) if new.check != old.check => "is another key than before",
                Some(new) if old.erased && !new.erased => "was erased, and is there again",
                Some(new) if !new.erased && new.from != old.from => "begins on another day",
                Some(_) => continue,
            };
            return Err(Changed { id, what });
        }
        let known = |id| self.known().iter().any(|old| old.id == id);
        for new in next.known().iter().filter(|new| !known(new.id)) {
            if !new.erased && new.from.is_none_or(|from| from <= today) {
                let (id, what) = (new.id, "begins too early: events of its days may have come");
                return Err(Changed { id, what });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Key;
    use super::*;

    const TODAY: Day = 20_000;

    fn keys(later: &[(u16, Day, u8)]) -> Pseudonyms {
        let key = |&(id, from, byte): &(u16, Day, u8)| Key::new(id, Some(from), &[byte; 32]);
        let later = later.iter().map(key).collect();
        Pseudonyms::of(Key::new(1, None, &[1; 32]), later)
    }

    #[test]
    fn a_key_that_begins_later_is_taken_in() {
        let kept = Kept::from(keys(&[]));
        let shared = kept.clone();
        kept.replace(keys(&[(2, TODAY + 1, 2)]), TODAY).unwrap();
        assert_eq!(shared.now().known().len(), 2);
        kept.replace(keys(&[(2, TODAY + 1, 2)]), TODAY + 9).unwrap();
    }

    #[test]
    fn what_would_change_an_events_pseudonyms_is_not_taken_in() {
        let kept = Kept::from(keys(&[(2, TODAY + 1, 2)]));
        for (next, what) in [
            (keys(&[]), "not there any more"),
            (keys(&[(2, TODAY + 1, 3)]), "another key"),
            (keys(&[(2, TODAY + 2, 2)]), "another day"),
            (keys(&[(2, TODAY + 1, 2), (3, TODAY + 5, 3)]), "too early"),
        ] {
            let error = kept.replace(next, TODAY + 5).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
        assert_eq!(kept.now().known().len(), 2);
    }
}
