//! The file of the pseudonyms' keys, loaded again when it changes: a key that was
//! added is known on every instance before its first day, without a restart. Once the
//! oldest is erased, tokens are sealed under another key.

use super::names::{Stamp, stamp};
use crate::event::Millis;
use crate::ingest::Clock;
use crate::metrics::Metrics;
use crate::pseudonym::{Day, Kept, Pseudonyms, key_file};
use crate::trail::Trail;
use crate::trail::record::Change;
use crate::view::token::{self, Tokens};
use std::error::Error as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// By how much an event may be ahead of the clock, and more.
const AHEAD_MS: Millis = 3_600_000;

/// A key file as it was when it was looked at.
pub(super) struct Seen {
    path: PathBuf,
    stamp: Stamp,
}

impl Seen {
    /// Looks at it; to be called before it is loaded, so that what changes meanwhile
    /// is found.
    pub fn new(path: PathBuf) -> Self {
        let stamp = stamp(&path);
        Self { path, stamp }
    }
}

/// Follows a key file.
pub(super) struct Keys {
    path: PathBuf,
    kept: Kept,
    tokens: Tokens,
    clock: Clock,
    metrics: Arc<Metrics>,
    trail: Trail,
    /// At the last look, and before the last attempt to load it.
    looked: Stamp,
    tried: Stamp,
}

impl Keys {
    /// Of a file that was loaded after it was seen, with what goes by its keys.
    pub fn new(
        seen: &Seen,
        (kept, tokens): (Kept, Tokens),
        clock: Clock,
        (metrics, trail): (Arc<Metrics>, Trail),
    ) -> Self {
        Self {
            path: seen.path.clone(),
            kept,
            tokens,
            clock,
            metrics,
            trail,
            looked: seen.stamp,
            tried: seen.stamp,
        }
    }

    /// Loads the file whenever it has changed. Ends never.
    pub async fn follow(mut self) {
        let mut beat = tokio::time::interval(LOOK_EVERY);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            // A disk may take its time.
            let looked = tokio::task::spawn_blocking(move || {
                self.look();
                self
            });
            let Ok(same) = looked.await else { return };
            self = same;
        }
    }

    /// Loads a file that has changed, once two looks found it the same.
    fn look(&mut self) {
        let now = stamp(&self.path);
        let settled = std::mem::replace(&mut self.looked, now) == now;
        if settled && self.tried != now {
            self.tried = now;
            self.load();
        }
    }

    fn load(&self) {
        let told = match Pseudonyms::load(&self.path) {
            Ok(keys) if keys.known() == self.kept.now().known() => return,
            Ok(keys) => {
                let (known, loaded) = (keys.known().len(), loaded(&keys));
                let token_key = token_key(&keys);
                let today = ((self.clock)() + AHEAD_MS).div_euclid(86_400_000) as Day;
                match self.kept.replace(keys, today) {
                    Ok(()) => {
                        self.tokens.renew(&token_key);
                        self.trail.changed(loaded);
                        return tracing::info!(known, "the pseudonyms' keys were loaded");
                    }
                    Err(changed) => changed.to_string(),
                }
            }
            Err(error) => match error.source() {
                Some(cause) => format!("{error}: {cause}"),
                None => error.to_string(),
            },
        };
        self.metrics.pseudonyms_reload_failures.increment(1);
        let failed = Change::new("pseudonym_key", "fail").with("fault", &told);
        self.trail.changed(failed);
        tracing::error!(
            fault = told,
            "the pseudonyms' keys cannot be loaded: they stay as they were"
        );
    }
}

/// What seals tokens. Instances that count one log have the same pseudonyms, and so they
/// take each other's tokens too.
pub(super) fn token_key(keys: &Pseudonyms) -> [u8; token::KEY_BYTES] {
    keys.derive("tokens")
}

/// That keys were loaded: each by its id, its first day and its check, which tell nothing
/// of it.
pub(super) fn loaded(keys: &Pseudonyms) -> Change {
    let each = keys.known().iter().map(|key| {
        let from = match (key.erased, key.from) {
            (true, _) => "erased".into(),
            (_, None) => "first".into(),
            (_, Some(from)) => key_file::date(from).to_string(),
        };
        format!("{}={from}:{}", key.id, key.check)
    });
    let named = each.collect::<Vec<_>>().join(" ");
    Change::new("pseudonym_key", "load").with("keys", named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Sources};
    use crate::view::token::Kind;
    use std::path::Path;

    const TODAY: Day = 20_786;

    /// Keys in a file, and who follows it.
    fn following(path: &Path) -> (Kept, Tokens, Keys) {
        let pseudonyms = Pseudonyms::load_or_create(path).unwrap();
        let tokens = Tokens::new(&token_key(&pseudonyms));
        let kept = Kept::from(pseudonyms);
        let clock: Clock = Arc::new(|| i64::from(TODAY) * 86_400_000);
        let metrics =
            Arc::new(Metrics::new(&Config::resolve(Sources::default()).unwrap().metrics).unwrap());
        let told = (metrics, Trail::default());
        let go_by = (kept.clone(), tokens.clone());
        let keys = Keys::new(&Seen::new(path.into()), go_by, clock, told);
        (kept, tokens, keys)
    }

    #[test]
    fn a_changed_file_is_loaded_once_it_has_settled_and_a_bad_one_leaves_the_keys() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        let (kept, _, mut keys) = following(&path);
        key_file::rotate(&path, TODAY + 2, TODAY).unwrap();
        let known = || kept.now().known().len();
        keys.look();
        assert_eq!(known(), 1);
        keys.look();
        assert_eq!(known(), 2);
        std::fs::write(&path, "1 = none\n").unwrap();
        (0..3).for_each(|_| keys.look());
        assert_eq!(known(), 2);
    }

    #[test]
    fn tokens_go_by_the_oldest_key_that_is_left_as_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        let (kept, tokens, mut keys) = following(&path);
        let seal = |tokens: &Tokens| tokens.seal(Kind::Position, b"", &7_u64);
        let opens = |tokens: &Tokens, token: &str| {
            tokens.open::<u64>(Kind::Position, b"", token) == Some(7)
        };
        let restarted = || Tokens::new(&token_key(&Pseudonyms::load(&path).unwrap()));
        let first = seal(&tokens);
        key_file::rotate(&path, TODAY + 2, TODAY).unwrap();
        (0..2).for_each(|_| keys.look());
        assert!(opens(&restarted(), &seal(&tokens)));
        key_file::erase(&path, 1, TODAY + 39, 35).unwrap();
        (0..2).for_each(|_| keys.look());
        assert!(kept.now().known()[0].erased);
        let later = seal(&tokens);
        assert!(opens(&restarted(), &later) && opens(&tokens, &seal(&restarted())));
        // What was given before is under way.
        assert!(opens(&tokens, &first) && !opens(&restarted(), &first));
    }
}
