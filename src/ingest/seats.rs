//! Who streams now: as many as are allowed, and a client once. A newer stream of
//! the same client ends the older one.

use crate::metrics::Level;
use crate::status;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tonic::Status;

/// When to come back after too many streams.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A client: its source and the name that it gave itself.
pub type Client = (String, String);

/// The seats of all streams.
pub struct Seats {
    seats_max: usize,
    taken: Arc<Mutex<Taken>>,
}

struct Taken {
    open: usize,
    next: u64,
    by_client: HashMap<Client, (u64, oneshot::Sender<()>)>,
    /// Told while this is locked: else the one who came or left first might be
    /// the last to say how many there are.
    told: Level,
}

/// A stream's seat, given up when dropped.
pub struct Seat {
    taken: Arc<Mutex<Taken>>,
    client: Option<(Client, u64)>,
}

impl Seats {
    /// So many at most; `told` tells how many are taken.
    pub fn new(seats_max: usize, told: Level) -> Self {
        let taken = Taken {
            open: 0,
            next: 0,
            by_client: HashMap::new(),
            told,
        };
        Self {
            seats_max,
            taken: Arc::new(Mutex::new(taken)),
        }
    }

    /// A seat.
    ///
    /// # Errors
    /// All are taken.
    pub fn enter(&self) -> Result<Seat, Status> {
        let mut taken = self.taken.lock();
        if taken.open >= self.seats_max {
            return Err(status::overloaded("streams", RETRY_AFTER));
        }
        taken.open += 1;
        taken.tell();
        Ok(Seat {
            taken: Arc::clone(&self.taken),
            client: None,
        })
    }
}

impl Taken {
    fn tell(&self) {
        self.told.set(self.open as f64);
    }
}

impl Seat {
    /// Says whose it is, and ends this client's older stream. What resolves when
    /// a newer one ends this.
    pub fn claim(&mut self, client: Client) -> oneshot::Receiver<()> {
        let (end, superseded) = oneshot::channel();
        let mut taken = self.taken.lock();
        taken.next += 1;
        let number = taken.next;
        if let Some((_, older)) = taken.by_client.insert(client.clone(), (number, end)) {
            // It may have ended just now; then there is nobody to tell.
            let _ = older.send(());
        }
        self.client = Some((client, number));
        superseded
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.taken.lock();
        taken.open -= 1;
        taken.tell();
        if let Some((client, number)) = &self.client {
            let newest = taken.by_client.get(client);
            if newest.is_some_and(|(newest, _)| newest == number) {
                taken.by_client.remove(client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Sources};
    use crate::metrics::Metrics;

    fn seats(seats_max: usize) -> (Seats, Level) {
        let settings = Config::resolve(Sources::default()).unwrap().metrics;
        let told = Metrics::new(&settings).unwrap().streams;
        (Seats::new(seats_max, told.clone()), told)
    }

    #[test]
    fn there_are_so_many_and_no_more() {
        let (seats, told) = seats(2);
        let (first, _second) = (seats.enter().unwrap(), seats.enter().unwrap());
        assert!(seats.enter().is_err());
        assert_eq!(told.get(), 2);
        drop(first);
        assert_eq!(told.get(), 1);
        assert!(seats.enter().is_ok());
    }

    #[test]
    fn a_newer_stream_of_a_client_ends_the_older_one_which_ends_no_other() {
        let (seats, _) = seats(9);
        let client = |name: &str| ("tos".to_owned(), name.to_owned());
        let mut older = seats.enter().unwrap();
        let mut other = seats.enter().unwrap();
        let mut newer = seats.enter().unwrap();
        let mut older_ends = older.claim(client("a"));
        let mut other_ends = other.claim(client("b"));
        let mut newer_ends = newer.claim(client("a"));
        assert!(older_ends.try_recv().is_ok());
        drop(older);
        assert!(other_ends.try_recv().is_err());
        assert!(newer_ends.try_recv().is_err());
        let _newest = seats.enter().unwrap().claim(client("a"));
        assert!(newer_ends.try_recv().is_ok());
    }

    #[test]
    fn clients_of_two_sources_are_two_whatever_they_call_themselves() {
        let (seats, _) = seats(9);
        let client = |source: &str| (source.to_owned(), "a".to_owned());
        let (mut one, mut other) = (seats.enter().unwrap(), seats.enter().unwrap());
        let mut one_ends = one.claim(client("truckers"));
        let mut other_ends = other.claim(client("depot"));
        assert!(one_ends.try_recv().is_err() && other_ends.try_recv().is_err());
        drop(other);
        assert!(one_ends.try_recv().is_err());
    }

    #[test]
    fn the_gauge_is_never_behind_however_seats_come_and_go() {
        let (seats, told) = seats(9);
        let come_and_go = || {
            for _ in 0..100_000 {
                let _seat = seats.enter().unwrap();
                assert!(told.get() > 0, "one is taken");
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(come_and_go);
            }
        });
        assert_eq!(told.get(), 0);
    }
}
