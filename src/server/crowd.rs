//! Work for strangers: so much at once, and with more the oldest is cut. To refuse
//! the newest would let those who never finish keep everybody else out.

use std::collections::VecDeque;
use tokio::task::{AbortHandle, JoinSet};

/// Tasks of which each ends with a `T`, or is cut.
pub struct Crowd<T> {
    most: usize,
    tasks: JoinSet<T>,
    /// In the order in which they began; some have ended.
    oldest: VecDeque<AbortHandle>,
}

impl<T: Send + 'static> Crowd<T> {
    /// None yet, and never more than so many.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            tasks: JoinSet::new(),
            oldest: VecDeque::new(),
        }
    }

    /// Begins one; whether another was cut for it.
    pub fn begin(&mut self, work: impl Future<Output = T> + Send + 'static) -> bool {
        if self.oldest.len() >= 2 * self.most {
            self.oldest.retain(|task| !task.is_finished());
        }
        let cut = self.tasks.len() >= self.most && self.cut_oldest();
        self.oldest.push_back(self.tasks.spawn(work));
        cut
    }

    fn cut_oldest(&mut self) -> bool {
        while let Some(task) = self.oldest.pop_front() {
            if !task.is_finished() {
                task.abort();
                return true;
            }
        }
        false
    }

    /// What the next one ends with; waits as long as there is none. May be given up at
    /// any time.
    pub async fn next(&mut self) -> T {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(done)) => return done,
                // It was cut.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Waits until all have ended.
    pub async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use std::time::Duration;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn with_more_than_the_most_the_oldest_is_cut() {
        let mut crowd = Crowd::new(2);
        let (held, cut) = oneshot::channel::<()>();
        let hangs = async move {
            let _held = held;
            pending::<u8>().await
        };
        assert!(!crowd.begin(hangs));
        assert!(!crowd.begin(pending()));
        assert!(crowd.begin(ready(3)));
        assert_eq!(crowd.next().await, 3);
        let cut = tokio::time::timeout(Duration::from_secs(10), cut).await;
        assert!(cut.is_ok_and(|cut| cut.is_err()), "the first is gone");
    }

    #[tokio::test]
    async fn those_that_end_make_room() {
        let mut crowd = Crowd::new(1);
        for n in 0..10 {
            assert!(!crowd.begin(ready(n)));
            assert_eq!(crowd.next().await, n);
        }
        assert!(crowd.oldest.len() <= 2);
    }
}
