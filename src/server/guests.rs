//! The places of a port's connections. When all are taken, one on which nobody is known
//! makes way for the next, the oldest of them: to refuse the newest would let strangers who
//! say nothing keep everybody else out. Those of one caller beyond his share count as
//! strangers', and so do all of his once his credentials have ended: he would keep everybody
//! else out as well.

use crate::auth::caller::Caller;
use crate::turns::{Share, Shares};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Connections that were told to go and are not gone yet; with more, nobody comes in.
/// Each has a descriptor beyond the places that there are.
pub const LEAVING_MAX: usize = 256;

/// While all places are taken, it is looked so often for those whose credentials have
/// ended: all are looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The places.
pub struct Guests {
    most: usize,
    /// Of the places, by caller.
    shares: Shares,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Those who came, ever.
    came: u64,
    /// Those who are here, but for who was told to go.
    staying: usize,
    leaving: BTreeSet<u64>,
    /// Of those who stay, on whose connection nobody is known, in the order in which they
    /// came, each with what tells it to go.
    strangers: BTreeMap<u64, oneshot::Sender<()>>,
    /// The others.
    known: BTreeMap<u64, Known>,
    /// When it was looked for those whose credentials have ended.
    looked: Option<Instant>,
}

/// A connection on which somebody is known.
struct Known {
    /// His; none where nobody has to be known.
    _share: Option<Share>,
    go: oneshot::Sender<()>,
    who: Who,
}

/// Who is known on a connection, by those of his credentials that hold longest, the newest
/// of them: a token lasts for an hour, and a connection for longer.
type Who = Arc<Mutex<Option<Caller>>>;

impl State {
    /// Tells somebody to go; whether there is such a one.
    fn dismiss(&mut self, number: u64) -> bool {
        let known = |state: &mut Self| Some(state.known.remove(&number)?.go);
        let Some(go) = self.strangers.remove(&number).or_else(|| known(self)) else {
            return false;
        };
        self.staying -= 1;
        self.leaving.insert(number);
        // Whoever does not hear it is just going.
        let _ = go.send(());
        true
    }

    fn dismiss_oldest(&mut self) -> bool {
        self.forget_former();
        let oldest = self.strangers.keys().next().copied();
        self.leaving.len() < LEAVING_MAX && oldest.is_some_and(|oldest| self.dismiss(oldest))
    }

    /// Those whose credentials have ended are strangers again.
    fn forget_former(&mut self) {
        if self.looked.is_some_and(|at| at.elapsed() < LOOK_AGAIN) {
            return;
        }
        self.looked = Some(Instant::now());
        let is_former = |known: &Known| {
            let mut who = known.who.lock();
            let ended = who.as_ref().is_none_or(Caller::has_ended);
            if ended {
                *who = None;
            }
            ended
        };
        for (number, former) in self.known.extract_if(.., |_, known| is_former(known)) {
            self.strangers.insert(number, former.go);
        }
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
            shares: Shares::new(most as u64),
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
                who: Who::default(),
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
    /// There is nobody any more who would tell it.
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
        state.known.remove(number);
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
    who: Who,
    refused: AtomicU32,
}

impl Guest {
    /// Somebody is known on this connection: it makes way for no other any more, if it is
    /// within his share of them, and until the credentials that he has shown end.
    pub fn is_known_as(&self, caller: &Caller) {
        // Nearly every call finds it so.
        if self.goes_on_as(caller) {
            return;
        }
        let Some(name) = caller.name() else {
            return self.stays();
        };
        let share = || self.0.guests.shares.take(name, 1);
        self.stay(caller, || share().map(Some));
    }

    /// Whether somebody was known before; his new credentials take the place of those,
    /// unless they hold longer, and another's once they have ended.
    fn goes_on_as(&self, caller: &Caller) -> bool {
        let mut who = self.0.who.lock();
        let Some(known) = who.as_mut() else {
            return false;
        };
        let lasts = known.name() != caller.name() || known.outlasts(caller);
        if known.has_ended() || !lasts {
            *known = caller.clone();
        }
        true
    }

    /// Nobody has to be known here.
    pub fn stays(&self) {
        self.stay(&Caller::anyone(), || Some(None));
    }

    fn stay(&self, caller: &Caller, share: impl FnOnce() -> Option<Option<Share>>) {
        let Standing {
            guests,
            number,
            who,
            ..
        } = &*self.0;
        let mut state = guests.state.lock();
        // It may have been told to go, or another call of the same moment was first.
        let Some(go) = state.strangers.remove(number) else {
            return;
        };
        let Some(share) = share() else {
            state.strangers.insert(*number, go);
            return;
        };
        *who.lock() = Some(caller.clone());
        let known = Known {
            _share: share,
            go,
            who: Arc::clone(who),
        };
        state.known.insert(*number, known);
    }

    /// Who is known on it, by his name.
    pub fn name(&self) -> Option<Arc<str>> {
        self.0.who.lock().as_ref()?.name().cloned()
    }

    /// A call was refused: how often it was before on this connection.
    pub fn refused(&self) -> u32 {
        self.0.refused.fetch_add(1, Ordering::Relaxed)
    }

    /// Ends the connection.
    pub fn dismiss(&self) {
        self.0.guests.state.lock().dismiss(self.0.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::caller::Ended;
    use crate::auth::rights::Rights;
    use std::task::Waker;
    use tokio::sync::watch;

    fn is_known(place: &Place) -> bool {
        place.guest().name().is_some()
    }

    fn is_to_go(place: &mut Place) -> bool {
        place.is_to_go(&mut Context::from_waker(Waker::noop()))
    }

    fn admit(guests: &Arc<Guests>) -> (Place, Entry) {
        guests.admit().unwrap()
    }

    /// A caller, and what tells that his credentials have ended.
    fn caller(name: &str) -> (Caller, watch::Sender<Option<Ended>>) {
        let (end, ended) = watch::channel(None);
        let rights = Arc::new(Rights::default());
        (Caller::known(name.into(), rights, ended), end)
    }

    #[test]
    fn with_all_places_taken_the_oldest_stranger_goes() {
        let guests = Guests::new(3);
        let mut come = [(); 3].map(|()| admit(&guests).0);
        let (known, _end) = caller("a");
        come[0].guest().is_known_as(&known);
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
        let callers = [caller("a"), caller("b")];
        for (place, (caller, _)) in come.iter().zip(&callers) {
            place.guest().is_known_as(caller);
        }
        assert!(guests.admit().is_none());
        assert_eq!(come.each_mut().map(is_to_go), [false; 2]);
        let [first, _second] = come;
        drop(first);
        assert_eq!(admit(&guests).1, Entry::Free);
    }

    #[test]
    fn who_has_more_than_his_share_makes_way_with_the_rest_of_it() {
        let guests = Guests::new(8);
        let (flood, _end) = caller("flood");
        let mut come: Vec<Place> = (0..8).map(|_| admit(&guests).0).collect();
        for place in &come {
            place.guest().is_known_as(&flood);
            place.guest().is_known_as(&flood);
        }
        let known = come.iter().filter(|place| is_known(place)).count();
        assert_eq!(known, 6);
        let others = [caller("a"), caller("b")].map(|(other, _end)| {
            let (place, entry) = admit(&guests);
            assert_eq!(entry, Entry::MadeWay);
            place.guest().is_known_as(&other);
            (place, _end)
        });
        assert_eq!(
            come.iter_mut().map(is_to_go).filter(|goes| *goes).count(),
            2
        );
        assert!(others.iter().all(|(place, _)| is_known(place)));
        assert!(guests.admit().is_none());
        come.clear();
        assert_eq!(admit(&guests).1, Entry::Free);
    }

    #[test]
    fn whose_credentials_have_ended_makes_way_like_a_stranger() {
        let guests = Guests::new(2);
        let mut come = [(); 2].map(|()| admit(&guests).0);
        let callers = [caller("a"), caller("b")];
        for (place, (caller, _)) in come.iter().zip(&callers) {
            place.guest().is_known_as(caller);
        }
        callers[1].1.send_replace(Some(Ended::Revoked));
        assert_eq!(admit(&guests).1, Entry::MadeWay);
        assert_eq!(come.each_mut().map(is_to_go), [false, true]);
        assert!(!is_known(&come[1]));
    }

    #[test]
    fn who_shows_other_credentials_stays_known_when_his_first_have_ended() {
        let guests = Guests::new(1);
        let (place, _) = admit(&guests);
        let (first, end) = caller("a");
        place.guest().is_known_as(&first);
        end.send_replace(Some(Ended::Expired));
        let (next, _end) = caller("a");
        place.guest().is_known_as(&next);
        assert!(guests.admit().is_none());
        assert!(is_known(&place));
    }

    #[test]
    fn who_shows_other_credentials_early_stays_known_by_those_that_hold_longer() {
        let guests = Guests::new(1);
        let (place, _) = admit(&guests);
        let hours = |hours: u64| Duration::from_secs(hours * 3_600);
        let ((first, end), (next, _end)) = (caller("a"), caller("a"));
        place.guest().is_known_as(&first.within(hours(1)));
        place.guest().is_known_as(&next.within(hours(2)));
        let ((brief, over), (other, gone)) = (caller("a"), caller("b"));
        place.guest().is_known_as(&brief.within(hours(1)));
        place.guest().is_known_as(&other);
        for end in [end, over, gone] {
            end.send_replace(Some(Ended::Revoked));
        }
        assert!(guests.admit().is_none());
        assert!(is_known(&place));
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
        let (known, _end) = caller("a");
        for knows in [false, true, false] {
            let (mut place, entry) = admit(&guests);
            assert_eq!(entry, Entry::Free);
            let guest = place.guest().clone();
            if knows {
                guest.is_known_as(&known);
            }
            assert_eq!([(); 2].map(|()| guest.refused()), [0, 1]);
            guest.dismiss();
            guest.dismiss();
            guest.is_known_as(&known);
            assert!(is_to_go(&mut place));
        }
    }

    #[test]
    fn where_nobody_has_to_be_known_nobody_makes_way() {
        let guests = Guests::new(1);
        let (mut place, _) = admit(&guests);
        place.guest().stays();
        assert!(guests.admit().is_none());
        assert!(!is_to_go(&mut place));
    }
}
