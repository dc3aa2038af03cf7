//! The places of a port's connections. When all are taken, one on which nobody was ever
//! known makes way for the next, the oldest of them: to refuse the newest would let
//! strangers who say nothing keep everybody else out.

use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// Connections that were told to go and are not gone yet; with more, nobody comes in.
/// Each has a descriptor beyond the places that there are.
pub const LEAVING_MAX: usize = 256;

/// The places.
pub struct Guests {
    most: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Those who came, ever.
    came: u64,
    /// Those who are here, but for who was told to go.
    staying: usize,
    leaving: BTreeSet<u64>,
    /// Of those who stay, on whose connection nobody was known yet, in the order in which
    /// they came, each with what tells it to go.
    strangers: BTreeMap<u64, oneshot::Sender<()>>,
}

impl State {
    /// Tells a stranger to go; whether there is such a one.
    fn dismiss(&mut self, number: u64) -> bool {
        let Some(go) = self.strangers.remove(&number) else {
            return false;
        };
        self.staying -= 1;
        self.leaving.insert(number);
        // Whoever does not hear it is just going.
        let _ = go.send(());
        true
    }

    fn dismiss_oldest(&mut self) -> bool {
        let oldest = self.strangers.keys().next().copied();
        self.leaving.len() < LEAVING_MAX && oldest.is_some_and(|oldest| self.dismiss(oldest))
    }
}

/// How a connection came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// There was a place.
    Free,
    /// Another one had to go.
    MadeWay,
}

impl Guests {
    /// So many places.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            state: Mutex::default(),
        })
    }

    /// A place for a connection; none if those who are known hold them all, or too many
    /// were told to go just now.
    pub fn admit(self: &Arc<Self>) -> Option<(Place, Entry)> {
        let mut state = self.state.lock();
        let entry = match state.staying < self.most {
            true => Entry::Free,
            false => state.dismiss_oldest().then_some(Entry::MadeWay)?,
        };
        let number = state.came;
        state.came += 1;
        state.staying += 1;
        let (go, told) = oneshot::channel();
        state.strangers.insert(number, go);
        let place = Place {
            told: Told::Nothing(told),
            guest: Guest(Arc::new(Standing {
                guests: Arc::clone(self),
                number,
                known: AtomicBool::new(false),
                refused: AtomicU32::new(0),
            })),
        };
        Some((place, entry))
    }
}

/// A connection's place, until this is dropped.
pub struct Place {
    told: Told,
    guest: Guest,
}

/// What a connection was told.
enum Told {
    Nothing(oneshot::Receiver<()>),
    ToGo,
    /// It is known, and may stay.
    ToStay,
}

impl Place {
    /// Whose it is, for its calls.
    pub fn guest(&self) -> &Guest {
        &self.guest
    }

    /// Whether the connection has to go; if not, its task hears of it.
    pub fn is_to_go(&mut self, cx: &mut Context<'_>) -> bool {
        if let Told::Nothing(told) = &mut self.told {
            match Pin::new(told).poll(cx) {
                Poll::Pending => return false,
                Poll::Ready(Ok(())) => self.told = Told::ToGo,
                Poll::Ready(Err(_)) => self.told = Told::ToStay,
            }
        }
        matches!(self.told, Told::ToGo)
    }

    /// Resolves when the connection has to go.
    pub async fn dismissed(&mut self) {
        poll_fn(|cx| match self.is_to_go(cx) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Standing { guests, number, .. } = &*self.guest.0;
        let mut state = guests.state.lock();
        state.strangers.remove(number);
        if !state.leaving.remove(number) {
            state.staying -= 1;
        }
    }
}

/// Who has a place, as his calls see it.
#[derive(Clone)]
pub struct Guest(Arc<Standing>);

struct Standing {
    guests: Arc<Guests>,
    number: u64,
    known: AtomicBool,
    refused: AtomicU32,
}

impl Guest {
    /// Somebody is known on this connection: it makes way for no other any more.
    pub fn is_known(&self) {
        // Nearly every call finds it so.
        if !self.0.known.load(Ordering::Relaxed) && !self.0.known.swap(true, Ordering::Relaxed) {
            // Dropping what tells it to go tells it to stay.
            self.0.guests.state.lock().strangers.remove(&self.0.number);
        }
    }

    /// A call was refused because nobody knows whose it is: how often it was before on
    /// this connection; none if somebody is known on it.
    pub fn refused(&self) -> Option<u32> {
        match self.0.known.load(Ordering::Relaxed) {
            true => None,
            false => Some(self.0.refused.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// Ends the connection, if nobody is known on it.
    pub fn dismiss(&self) {
        self.0.guests.state.lock().dismiss(self.0.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    fn is_to_go(place: &mut Place) -> bool {
        place.is_to_go(&mut Context::from_waker(Waker::noop()))
    }

    fn admit(guests: &Arc<Guests>) -> (Place, Entry) {
        guests.admit().unwrap()
    }

    #[test]
    fn with_all_places_taken_the_oldest_stranger_goes() {
        let guests = Guests::new(3);
        let mut come = [(); 3].map(|()| admit(&guests).0);
        come[0].guest().is_known();
        let (mut fourth, entry) = admit(&guests);
        assert_eq!(entry, Entry::MadeWay);
        assert_eq!(come.each_mut().map(is_to_go), [false, true, false]);
        assert!(is_to_go(&mut come[1]), "it stays so");
        drop(come);
        assert!(!is_to_go(&mut fourth));
        assert_eq!([(); 2].map(|()| admit(&guests).1), [Entry::Free; 2]);
    }

    #[test]
    fn nobody_goes_for_one_who_comes_when_all_are_known() {
        let guests = Guests::new(2);
        let mut come = [(); 2].map(|()| admit(&guests).0);
        come.iter().for_each(|place| place.guest().is_known());
        assert!(guests.admit().is_none());
        assert_eq!(come.each_mut().map(is_to_go), [false; 2]);
        let [first, _second] = come;
        drop(first);
        assert_eq!(admit(&guests).1, Entry::Free);
    }

    #[test]
    fn those_who_are_told_to_go_and_do_not_are_bounded() {
        let guests = Guests::new(1);
        let mut here = vec![admit(&guests).0];
        here.extend((0..LEAVING_MAX).map(|_| admit(&guests).0));
        assert!(guests.admit().is_none());
        here.swap_remove(0);
        assert_eq!(admit(&guests).1, Entry::MadeWay);
    }

    #[test]
    fn places_are_counted_once_however_they_end() {
        let guests = Guests::new(1);
        for _ in 0..3 {
            let (mut place, entry) = admit(&guests);
            assert_eq!(entry, Entry::Free);
            let guest = place.guest().clone();
            assert_eq!([(); 2].map(|()| guest.refused()), [Some(0), Some(1)]);
            guest.dismiss();
            guest.dismiss();
            guest.is_known();
            assert!(is_to_go(&mut place));
            assert_eq!(guest.refused(), None);
        }
    }
}
