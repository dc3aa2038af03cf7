//! The answer to a call that heeds no time, awaited for no longer than one likes.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Calls on a thread of its own. `None`: there is no answer in time. The call goes on then,
/// and what it holds is free once it ends.
pub fn within<T: Send + 'static>(
    wait: Duration,
    call: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let answer = move || {
        let _ = sender.send(call());
    };
    // Without a thread there is no answer either: the sender is gone.
    let _ = thread::Builder::new().name("answer".into()).spawn(answer);
    receiver.recv_timeout(wait).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_awaited_and_no_longer_than_one_likes() {
        assert_eq!(within(Duration::from_secs(60), || 7), Some(7));
        let (end, ended) = mpsc::channel::<()>();
        let (held, freed) = mpsc::channel::<()>();
        let call = move || {
            let _held = held;
            ended.recv()
        };
        assert_eq!(within(Duration::from_millis(1), call), None);
        drop(end);
        // The call has gone on, has ended, and has let go of what it held.
        let wait = Duration::from_secs(60);
        let gone = Err(mpsc::RecvTimeoutError::Disconnected);
        assert_eq!(freed.recv_timeout(wait), gone);
    }
}
