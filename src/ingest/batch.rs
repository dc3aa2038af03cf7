//! One batch of a stream: it waits until its caller's own limits let it go on, and only
//! then is it judged and appended. What exceeds a limit costs no more than to be read. What
//! still waits when its caller's credentials end is given up: it would be judged by rights
//! that he has no more.

use super::check::Checked;
use super::sender::Sender;
use super::weight::Weight;
use super::{Shared, stopping};
use crate::auth::caller::Caller;
use crate::auth::quota::Queued;
use crate::budget::Held;
use crate::trace::Span;
use crate::turns::Share;
use crate::view::position::Position;
use crate::{pb, status};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;
use tonic::Status;

/// A batch that was taken.
pub struct Batch {
    pub shared: Arc<Shared>,
    pub sender: Sender,
    pub events: Vec<pb::Event>,
    /// Events beyond the horizon are accepted.
    pub backfill: bool,
    /// Warnings are refusals.
    pub strict: bool,
    /// If its caller has limits.
    pub waits: Option<Waits>,
    pub traced: Option<Span>,
}

/// A batch's place among its caller's, and what it holds meanwhile.
pub struct Waits {
    queued: Queued,
    held: (Held, Share),
}

/// What is to be told of a batch that is durable.
pub struct Appended {
    pub accepted: u32,
    pub refused: u32,
    pub results: Vec<pb::EventResult>,
    /// For the results.
    pub held: Held,
    pub position: Position,
    /// When it could go on: what a caller's own limit held back does not make the
    /// service slow.
    pub started: Instant,
}

impl Waits {
    /// For a batch with so many bytes, as its caller's limit counts them; none if he has
    /// no limits.
    ///
    /// # Errors
    /// Too much of his waits already, or there is no room.
    pub fn of(
        shared: &Shared,
        sender: &Sender,
        events: &[pb::Event],
        bytes: usize,
    ) -> Result<Option<Self>, Status> {
        let Some(taken) = sender.taken() else {
            return Ok(None);
        };
        let queued = taken.queue(events.len(), bytes)?;
        let held = shared.hold_unjudged(sender.source(), events)?;
        Ok(Some(Self { queued, held }))
    }

    /// Until it may go on: meanwhile it is not acknowledged, so that what holds its
    /// caller back is his credit. What it held is given back.
    async fn turn(self, caller: &Caller, draining: watch::Receiver<bool>) -> Result<(), Status> {
        tokio::select! {
            // Whoever's turn it is just now has no more rights than who waits on.
            biased;
            _ = caller.ended() => return Err(status::credentials_ended()),
            () = super::draining(draining) => return Err(stopping()),
            taken = self.queued.turn() => taken?,
        }
        drop(self.held);
        Ok(())
    }
}

impl Batch {
    /// Waits for its turn, judges it, and appends what is accepted.
    ///
    /// # Errors
    /// It is not in the log, or that is not known.
    pub async fn append(self) -> Result<Appended, Status> {
        let (shared, mut traced) = (self.shared, self.traced);
        if let Some(waits) = self.waits {
            let turn = waits.turn(self.sender.caller(), shared.draining.clone());
            turn.await?;
        }
        let started = Instant::now();
        let manner = shared.manner(self.backfill, self.strict);
        let mut checked = shared.check(&self.sender, self.events, manner);
        let source = self.sender.source();
        let Weight { taken, told } = shared.hold_traced(source, &checked, traced.as_mut())?;
        let appended = shared.append(source, &mut checked, traced.as_ref());
        let position = appended.await?;
        drop((traced, taken));
        let Checked {
            accepted,
            refused,
            results,
            ..
        } = checked;
        Ok(Appended {
            accepted,
            refused,
            results,
            held: told,
            position,
            started,
        })
    }
}
