//! A client whose end is awaited for no longer than one likes: the library joins its own
//! threads then, however long they take.

use super::answer::within;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

/// How long a client's end is awaited. It takes some hundred milliseconds, unless one of
/// its threads hangs.
const ENDED: Duration = Duration::from_secs(5);

/// The client. Dropped, it ends on a thread of its own: one that hangs costs that thread,
/// and neither a start nor a stop. A process that ends does not wait for it either.
pub struct Apart<T: Send + Sync + 'static> {
    client: Arc<T>,
    /// Dropped after the other one, so that the client ends with this.
    _last: Last<T>,
}

struct Last<T: Send + Sync + 'static> {
    client: Option<Arc<T>>,
    wait: Duration,
}

impl<T: Send + Sync + 'static> Apart<T> {
    /// This one.
    pub fn of(client: T) -> Self {
        Self::awaited(client, ENDED)
    }

    fn awaited(client: T, wait: Duration) -> Self {
        let client = Arc::new(client);
        Self {
            _last: Last {
                client: Some(Arc::clone(&client)),
                wait,
            },
            client,
        }
    }
}

impl<T: Send + Sync + 'static> Deref for Apart<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.client
    }
}

impl<T: Send + Sync + 'static> Drop for Last<T> {
    fn drop(&mut self) {
        let client = self.client.take();
        // Who comes to an end at once is awaited: at the end of a process the library's
        // threads had better be gone.
        if within(self.wait, move || drop(client)).is_none() {
            let seconds = self.wait.as_secs();
            tracing::warn!(seconds, "a client of Kafka does not end, and is left alone");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::sync::mpsc::{self, Receiver, Sender};

    /// Ends once it is let go, and tells so.
    struct Client {
        held: Mutex<Receiver<()>>,
        told: Sender<()>,
    }

    impl Drop for Client {
        fn drop(&mut self) {
            assert!(self.held.lock().recv().is_err());
            self.told.send(()).unwrap();
        }
    }

    /// A client, what holds it, and what it tells.
    fn client() -> (Client, Sender<()>, Receiver<()>) {
        let (hold, held) = mpsc::channel();
        let (told, ended) = mpsc::channel();
        let held = Mutex::new(held);
        (Client { held, told }, hold, ended)
    }

    const DEADLINE: Duration = Duration::from_secs(60);

    #[test]
    fn a_client_that_ends_is_awaited() {
        let (client, hold, ended) = client();
        let apart = Apart::awaited(client, DEADLINE);
        assert!(apart.held.try_lock().is_some());
        drop(hold);
        drop(apart);
        assert_eq!(ended.try_recv(), Ok(()));
    }

    #[test]
    fn a_client_that_hangs_holds_nobody_up() {
        let (client, hold, ended) = client();
        drop(Apart::awaited(client, Duration::from_millis(1)));
        assert_eq!(ended.try_recv(), Err(mpsc::TryRecvError::Empty));
        drop(hold);
        assert_eq!(ended.recv_timeout(DEADLINE), Ok(()));
    }
}
