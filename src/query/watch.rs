//! WatchThroughput: a snapshot, then what changed. The next change is only
//! looked for once the message before it was taken, so a slow reader gets fewer
//! and larger steps, and never makes the service hold more than one. After a
//! lost connection a token tells where to go on; nothing is kept for it.

use super::page::Fingerprint;
use super::sight::Sight;
use super::throughput::{self, Key, Limit, MESSAGE_BYTES_MAX, Question, Row};
use crate::meter::cell::{Ahead, Cells};
use crate::meter::figure::Figures;
use crate::view::State;
use crate::view::token::Kind;
use crate::{pb, status};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use tonic::Status;

/// The most rows that can be watched at once.
pub const ROWS_MAX: usize = 10_000;

const INTERVAL_DEFAULT: Duration = Duration::from_secs(1);
const INTERVAL_MIN: Duration = Duration::from_millis(100);
const INTERVAL_MAX: Duration = Duration::from_secs(3600);

/// All rows of a state.
pub type Rows = BTreeMap<Key, Figures>;

/// What leads from one state's rows to another's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// Rows that are new or changed, with their absolute figures.
    pub rows: Vec<Row>,
    /// Rows that are gone.
    pub removed: Vec<Key>,
}

/// What leads from `previous` to `next`.
pub fn diff(previous: &Rows, next: &Rows) -> Diff {
    let changed = next
        .iter()
        .filter(|(key, figures)| previous.get(*key) != Some(figures));
    let removed = previous.keys().filter(|key| !next.contains_key(*key));
    Diff {
        rows: changed
            .map(|(key, figures)| (key.clone(), figures.clone()))
            .collect(),
        removed: removed.cloned().collect(),
    }
}

/// The least time between two messages.
pub fn interval(found: Option<pbjson_types::Duration>) -> Result<Duration, Status> {
    let Some(found) = found else {
        return Ok(INTERVAL_DEFAULT);
    };
    let millis = found
        .seconds
        .saturating_mul(1000)
        .saturating_add(i64::from(found.nanos) / 1_000_000);
    let interval = u64::try_from(millis)
        .map(Duration::from_millis)
        .unwrap_or_default();
    if (INTERVAL_MIN..=INTERVAL_MAX).contains(&interval) {
        return Ok(interval);
    }
    Err(status::invalid(
        "interval",
        format!("{millis} ms"),
        "100 ms to 1 h",
    ))
}

/// All rows of a question. Errors: more than [`ROWS_MAX`].
pub fn rows(question: &Question, cells: &Cells, ahead: &Ahead) -> Result<Rows, Status> {
    let limit = Limit {
        rows: ROWS_MAX,
        bytes: usize::MAX,
    };
    let (rows, more) = question.rows(cells, ahead, None, limit)?;
    if more {
        let advice = "split by less, or watch less time or fewer enterprises";
        return Err(status::too_large("rows to watch", ROWS_MAX, advice));
    }
    Ok(rows.into_iter().collect())
}

/// Up to where a watch has told which rows. All take the same room, whatever they say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// The history in which the position means something.
    #[serde(with = "postcard::fixint::le")]
    history: u64,
    #[serde(with = "postcard::fixint::le")]
    position: u64,
}

impl Token {
    /// After all that the state holds. Of no history for whoever may not see all: if he
    /// may one day, what he was told is not what there was.
    pub fn after(state: &State, sight: &Sight) -> Self {
        let of_all = Self {
            history: state.history.id(),
            position: state.position,
        };
        match sight.is_everything() {
            true => of_all,
            false => Self::default(),
        }
    }

    /// As opaque text, good for this question only.
    pub fn encode(&self, question: &Fingerprint) -> String {
        question.seal(Kind::Watch, self)
    }

    /// From a request; none if it is empty. Errors: no token, or one of another
    /// question or caller.
    pub fn decode(found: &str, question: &Fingerprint) -> Result<Option<Self>, Status> {
        if found.is_empty() {
            return Ok(None);
        }
        let token = question.open(Kind::Watch, found);
        token
            .map(Some)
            .ok_or_else(|| status::no_token("resume_token"))
    }

    /// What leads from the rows at the token to these of the state: rows that
    /// may have changed, and keys that may have gone. None if it is not known
    /// any more, and for whoever may not see all: how long it is known depends on
    /// how much others change, which a snapshot does not tell.
    pub fn since(&self, question: &Question, state: &State, rows: &Rows) -> Option<Diff> {
        if !question.sight().is_everything() {
            return None;
        }
        if self.history != state.history.id() || self.position > state.position {
            return None;
        }
        let touched = state.history.since(self.position)?;
        let keys = question.affected(&state.cells, touched);
        Some(of_keys(rows, keys))
    }
}

/// Whether a token is due though no row changed, so long after the last was told. The
/// tokens of whoever may not see all grow no older: he is told a snapshot anyway, and is
/// not to notice that others were busy.
pub fn is_token_due(sight: &Sight, told: Duration, every: Duration) -> bool {
    sight.is_everything() && told >= every
}

fn of_keys(rows: &Rows, keys: BTreeSet<Key>) -> Diff {
    let mut diff = Diff::default();
    for key in keys {
        match rows.get(&key) {
            Some(figures) => diff.rows.push((key, figures.clone())),
            None => diff.removed.push(key),
        }
    }
    diff
}

/// One step of a watch.
#[derive(Clone, Debug)]
pub struct Step {
    /// What is told.
    pub diff: Diff,
    /// Whether it is all there is.
    pub snapshot: bool,
    /// Whether it is told even if there is nothing in it.
    pub always: bool,
    /// Of which state it tells.
    pub freshness: pb::Freshness,
    /// The token of the state before; empty before the first.
    pub before: String,
    /// The token of this state.
    pub after: String,
}

/// The bytes of all these rows, once encoded.
pub fn weight(rows: &Rows) -> usize {
    let each = |(key, figures): (&Key, &Figures)| throughput::weight_of(key, figures);
    rows.iter().map(each).sum()
}

/// A step as messages, none too large for a client. Only the first of a snapshot
/// says that it is one; what follows it adds to it. Until the last one, who is
/// cut off has to resume from the state before, and without one anew.
pub fn messages(step: Step) -> VecDeque<pb::WatchThroughputResponse> {
    let new = |snapshot| pb::WatchThroughputResponse {
        snapshot,
        rows: Vec::new(),
        removed: Vec::new(),
        freshness: Some(step.freshness.clone()),
        resume_token: if step.snapshot {
            String::new()
        } else {
            step.before.clone()
        },
    };
    let mut messages = VecDeque::new();
    let (mut message, mut bytes) = (new(step.snapshot), 0);
    let changed = step.diff.rows.into_iter();
    let changed = changed.map(|(key, figures)| (key, Some(figures)));
    let removed = step.diff.removed.into_iter().map(|key| (key, None));
    for (key, figures) in changed.chain(removed) {
        let row = (key, figures.clone().unwrap_or_default());
        bytes += throughput::weight(&row);
        if bytes > MESSAGE_BYTES_MAX && !(message.rows.is_empty() && message.removed.is_empty()) {
            messages.push_back(std::mem::replace(&mut message, new(false)));
            bytes = throughput::weight(&row);
        }
        let to = if figures.is_some() {
            &mut message.rows
        } else {
            &mut message.removed
        };
        to.push(throughput::message(row.0, figures.as_ref()));
    }
    let holds = !message.rows.is_empty() || !message.removed.is_empty();
    if holds || step.snapshot || step.always {
        message.resume_token = step.after;
        messages.push_back(message);
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::caller::Caller;
    use crate::auth::rights::{Read, Rights};
    use std::sync::Arc;

    #[test]
    fn only_who_may_see_all_is_given_a_token_when_nothing_changed_for_him() {
        let sight = |read| {
            let rights = Rights {
                read: Some(read),
                ..Rights::default()
            };
            let (_, ended) = tokio::sync::watch::channel(None);
            Sight::of(&Caller::known("a".into(), Arc::new(rights), ended), 0)
        };
        let (all, few) = (sight(Read::All), sight(Read::These(BTreeMap::new())));
        let (every, before) = (Duration::from_secs(60), Duration::from_secs(59));
        assert!(is_token_due(&all, every, every) && !is_token_due(&all, before, every));
        assert!(!is_token_due(&few, 10 * every, every));
    }
}
