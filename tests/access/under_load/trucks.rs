//! Trucks that come and go without an end, in batches: a batch is known by its sender and
//! its number alone, and so is what all of them come to.

use crate::place::event;
use quaymeter::pb::event::Detail;
use quaymeter::pb::{Event, GateDirection, GateMove};

const MINUTE_MS: i64 = 60_000;

/// Trucks that come with a batch, and that go with it.
const TRUCKS: u64 = 2;

/// A truck goes so many batches after it came: many are inside whatever happens.
const STAY: u64 = 300;

/// Passages of a batch that were sent with an earlier one, any of them.
const AGAIN: u64 = 1;

/// What one sender sends.
#[derive(Clone, Copy)]
pub struct Trucks {
    pub seed: u64,
    pub sender: &'static str,
    pub facility: &'static str,
    /// Where the second key of the pseudonyms begins, in ms.
    pub midnight: i64,
    /// A letter of its plates: no two senders have a truck in common.
    pub letter: char,
}

/// What batches come to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sum {
    pub sent: u64,
    pub again: u64,
    pub trucks_in: i64,
    pub trucks_out: i64,
    pub turns: i64,
    pub turns_ms: i64,
}

/// Any number below a bound, always the same for the same numbers (SplitMix64's steps).
fn any(of: [u64; 3], below: u64) -> u64 {
    let stirred = of.into_iter().fold(0u64, |stirred, number| {
        let z = (stirred ^ number).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    });
    stirred % below
}

impl Trucks {
    /// The events of a batch: what is sent again is among them, not at their end.
    pub fn batch(&self, number: u64) -> Vec<Event> {
        let mut events: Vec<_> = of_batch(number).map(|truck| self.comes(truck)).collect();
        events.extend((0..again(number)).map(|which| {
            let truck = any([self.seed, number, which], number * TRUCKS);
            match truck / TRUCKS + STAY < number && truck.is_multiple_of(2) {
                true => self.goes(truck),
                false => self.comes(truck),
            }
        }));
        let gone = number.checked_sub(STAY).into_iter().flat_map(of_batch);
        events.extend(gone.map(|truck| self.goes(truck)));
        events
    }

    /// What so many batches come to, each event counted once.
    pub fn sum(&self, batches: u64) -> Sum {
        let (came, gone) = (batches * TRUCKS, batches.saturating_sub(STAY) * TRUCKS);
        let again = (0..batches).map(again).sum();
        Sum {
            sent: came + gone + again,
            again,
            trucks_in: came as i64,
            trucks_out: gone as i64,
            turns: gone as i64,
            turns_ms: (0..gone).map(|truck| self.stays(truck).1).sum(),
        }
    }

    /// When a truck comes, at most half an hour from the midnight of another key, and how
    /// long it stays, in ms.
    fn stays(&self, truck: u64) -> (i64, i64) {
        let comes = any([self.seed, truck, 100], 60) as i64 - 30;
        let stays = any([self.seed, truck, 101], 40) as i64 + 1;
        (self.midnight + comes * MINUTE_MS, stays * MINUTE_MS)
    }

    fn comes(&self, truck: u64) -> Event {
        let (at, _) = self.stays(truck);
        self.passes(GateDirection::In, truck, at)
    }

    fn goes(&self, truck: u64) -> Event {
        let (at, stays) = self.stays(truck);
        self.passes(GateDirection::Out, truck, at + stays)
    }

    fn passes(&self, direction: GateDirection, truck: u64, at: i64) -> Event {
        let gate = GateMove {
            direction: direction.into(),
            tractor_plate: format!("浙{}{truck:05}", self.letter),
            driver_ref: format!("driver-{}", truck % 97),
            ..GateMove::default()
        };
        Event {
            facility: self.facility.into(),
            ..event(
                &format!("{direction:?}-{truck}"),
                at,
                Detail::GateMove(gate),
            )
        }
    }
}

fn of_batch(number: u64) -> std::ops::Range<u64> {
    number * TRUCKS..(number + 1) * TRUCKS
}

/// Before the first batch there was none.
fn again(number: u64) -> u64 {
    AGAIN * u64::from(number > 0)
}
