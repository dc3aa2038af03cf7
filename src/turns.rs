//! Turns between many sources at one scarce place: however many batches one has
//! waiting, another's goes ahead of them when it is its turn, and finds room at once
//! unless all others together have left none. A source waits behind itself alone.

mod line;
mod share;

pub use line::{Limits, Size};
pub use share::{Share, Shares};

use compact_str::CompactString;
use line::Lines;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Who waits, to be given his place.
type Waiting = oneshot::Sender<Place>;

/// The turns of all sources. Clones share them.
#[derive(Clone)]
pub struct Turns(Arc<Mutex<Lines<Waiting>>>);

/// What a batch holds from its turn on: bytes until it is durable, events until they
/// are taken to be counted. Whatever it still holds is given back when it is dropped.
pub struct Place {
    lines: Arc<Mutex<Lines<Waiting>>>,
    source: CompactString,
    size: Size,
}

/// More waits than may, and it was not its turn in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too much waits for its turn")]
pub struct Full;

impl Turns {
    /// Turns within these limits.
    pub fn new(limits: Limits) -> Self {
        Self(Arc::new(Mutex::new(Lines::new(limits))))
    }

    /// Bytes of batches that wait for their turn.
    pub fn waiting_bytes(&self) -> u64 {
        self.0.lock().waiting_bytes()
    }

    /// The most bytes that may wait for their turn or to be durable.
    pub fn waiting_bytes_max(&self) -> u64 {
        self.0.lock().waiting_bytes_max()
    }

    /// Waits until it is the turn of a source's batch. If more waits already than may,
    /// it waits no longer than `wait`. Who gives up loses its turn to the next.
    ///
    /// # Errors
    /// It would have to wait longer.
    pub async fn enter(&self, wait: Duration, source: &str, size: Size) -> Result<Place, Full> {
        let (told, full) = {
            let mut lines = self.0.lock();
            if lines.enter(source, size) {
                return Ok(self.place(source.into(), size));
            }
            let (tell, told) = oneshot::channel();
            let full = lines.is_full(size);
            lines.wait(source, size, tell);
            (told, full)
        };
        let place = match full {
            true => tokio::time::timeout(wait, told).await.map_err(|_| Full)?,
            false => told.await,
        };
        // We hold the lines, so whoever tells cannot be gone.
        place.map_err(|_| Full)
    }

    fn place(&self, source: CompactString, size: Size) -> Place {
        Place {
            lines: Arc::clone(&self.0),
            source,
            size,
        }
    }

    /// Takes back what a source has held, and lets in whose turn it is.
    fn give_back(&self, source: &str, size: Size) {
        let mut unwanted = vec![(CompactString::from(source), size)];
        // Not by dropping places that nobody took: each would come here again.
        while !unwanted.is_empty() {
            let mut admitted = Vec::new();
            {
                let mut lines = self.0.lock();
                for (source, size) in unwanted.drain(..) {
                    lines.give_back(&source, size);
                }
                lines.admit(Waiting::is_closed, &mut admitted);
            }
            for (source, size, tell) in admitted {
                if let Err(mut place) = tell.send(self.place(source, size)) {
                    let size = std::mem::take(&mut place.size);
                    unwanted.push((place.source.clone(), size));
                }
            }
        }
    }
}

impl Place {
    /// The batch is durable.
    pub fn durable(&mut self) {
        let bytes = std::mem::take(&mut self.size.bytes);
        self.give_back(Size { bytes, events: 0 });
    }

    fn give_back(&self, size: Size) {
        if size != Size::default() {
            Turns(Arc::clone(&self.lines)).give_back(&self.source, size);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let rest = std::mem::take(&mut self.size);
        self.give_back(rest);
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Place({:?}, {:?})", self.source, self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    const LONG: Duration = Duration::from_secs(3600);

    fn turns(ahead_bytes: u64) -> Turns {
        Turns::new(Limits {
            ahead_bytes,
            uncounted_events: u64::MAX,
            waiting_bytes: 1_000,
        })
    }

    fn of(bytes: u64) -> Size {
        Size { bytes, events: 1 }
    }

    #[tokio::test]
    async fn who_gives_up_leaves_its_turn_to_the_next() {
        let turns = turns(100);
        let held = turns.enter(LONG, "flood", of(100)).await.unwrap();
        let mut gone = Box::pin(turns.enter(LONG, "flood", of(10)));
        let mut next = Box::pin(turns.enter(LONG, "flood", of(10)));
        assert!((&mut gone).now_or_never().is_none());
        assert!((&mut next).now_or_never().is_none());
        drop(gone);
        drop(held);
        assert!(next.now_or_never().unwrap().is_ok());
        assert_eq!(turns.waiting_bytes(), 0);
    }

    #[tokio::test]
    async fn a_place_that_nobody_takes_any_more_is_the_next_ones() {
        let turns = turns(100);
        let held = turns.enter(LONG, "flood", of(100)).await.unwrap();
        let mut told = Box::pin(turns.enter(LONG, "flood", of(100)));
        let mut next = Box::pin(turns.enter(LONG, "flood", of(100)));
        assert!((&mut told).now_or_never().is_none());
        assert!((&mut next).now_or_never().is_none());
        drop(held);
        // Its place is on its way to it.
        drop(told);
        assert!(next.now_or_never().unwrap().is_ok());
    }

    #[tokio::test]
    async fn room_is_given_back_once_in_two_parts() {
        let turns = Turns::new(Limits {
            ahead_bytes: 100,
            uncounted_events: 10,
            waiting_bytes: 1_000,
        });
        let size = Size {
            bytes: 100,
            events: 10,
        };
        let mut held = turns.enter(LONG, "flood", size).await.unwrap();
        let mut next = Box::pin(turns.enter(LONG, "flood", of(1)));
        assert!((&mut next).now_or_never().is_none());
        held.durable();
        assert!((&mut next).now_or_never().is_none(), "not counted yet");
        drop(held);
        assert!(next.now_or_never().unwrap().is_ok());
    }

    #[tokio::test]
    async fn once_too_much_waits_it_waits_only_for_a_while() {
        let turns = turns(100);
        let _held = turns.enter(LONG, "flood", of(100)).await.unwrap();
        let mut waits = Box::pin(turns.enter(LONG, "flood", of(900)));
        assert!((&mut waits).now_or_never().is_none());
        let late = turns.enter(Duration::from_millis(1), "flood", of(1));
        assert_eq!(late.await.unwrap_err(), Full);
        assert!((&mut waits).now_or_never().is_none());
    }
}
