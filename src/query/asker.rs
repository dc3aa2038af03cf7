//! Who asks a question: his name, what he may see, and the tokens that he is given.

use super::page::Fingerprint;
use super::sight::Sight;
use crate::auth::caller::Caller;
use crate::event::Millis;
use crate::status;
use crate::view::position::Position;
use crate::view::token::Tokens;
use crate::view::{NotReached, State};
use crate::{pb, query::ask};
use prost::Message;
use std::sync::Arc;
use tonic::Status;

/// Who asks, for the length of one call. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Asker {
    name: Option<Arc<str>>,
    sight: Sight,
    operates: bool,
    tokens: Tokens,
}

impl Asker {
    /// This caller, by what he may see now.
    pub fn new(caller: &Caller, tokens: &Tokens, now: Millis) -> Self {
        Self {
            name: caller.name().cloned(),
            sight: Sight::of(caller, now),
            operates: caller.rights().operate,
            tokens: tokens.clone(),
        }
    }

    /// The same, who watches: whoever runs the service watches all.
    #[must_use]
    pub fn watching(self) -> Self {
        match self.operates {
            true => Self {
                sight: self.sight.of_all(),
                ..self
            },
            false => self,
        }
    }

    /// What he may see.
    pub fn sight(&self) -> &Sight {
        &self.sight
    }

    /// Whether he may know how the whole service does.
    pub fn operates(&self) -> bool {
        self.operates
    }

    /// Only who runs the service may ask this.
    ///
    /// # Errors
    /// He does not.
    pub fn must_operate(&self, method: &str) -> Result<(), Status> {
        match self.operates {
            true => Ok(()),
            false => Err(status::not_allowed(
                method,
                "for callers who may operate only",
            )),
        }
    }

    /// A question of his, whose pages and watches only he may go on with.
    pub fn asks(&self, method: &str, request: &impl Message) -> Fingerprint {
        Fingerprint::of(&self.tokens, (self.name.as_deref(), method), request)
    }

    /// The position of a token.
    ///
    /// # Errors
    /// It is none.
    pub fn position(&self, field: &str, token: &str) -> Result<Position, Status> {
        Position::decode(token, &self.tokens).ok_or_else(|| status::no_token(field))
    }

    /// What he is told of a position that was not reached in time: how far the log
    /// reaches is known to those only who run the service.
    pub fn not_reached(&self, error: &NotReached) -> Status {
        if self.operates {
            return status::not_reached(&error.wanted, &error.reached);
        }
        status::not_reached_yet()
    }

    /// Of which state an answer is. When something came last, and how far all sources
    /// are, tells of everybody; offsets tell how much there is of everything.
    pub fn freshness(&self, state: &State, now: Millis) -> pb::Freshness {
        let of_all = (self.operates || self.sight.is_everything()).then_some(state);
        let complete_through = of_all.and_then(|state| state.complete_through(now));
        let reach = state.reach.partitions().filter(|_| self.operates);
        pb::Freshness {
            position: state.reach.encode(&self.tokens),
            appended_at: of_all.and_then(|state| state.appended_at).map(ask::message),
            complete_through: complete_through.map(ask::message),
            reach: reach
                .map(|(partition, offset)| pb::PartitionReach { partition, offset })
                .collect(),
        }
    }
}
