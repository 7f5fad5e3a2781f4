//! Whose turn it is: so many statements run at once, so many more wait, and the rest is told to come back later.

use api::coordinator::ExecuteError;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// The turns of a node.
#[derive(Debug)]
pub(crate) struct QueryTurns {
    slots: Arc<Semaphore>,
    running_max: usize,
    waiting: AtomicUsize,
    waiting_max: usize,
}

/// Counts a waiting statement as long as it waits.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl QueryTurns {
    /// `running_max` statements at once, at least one; `waiting_max` behind them.
    pub(crate) fn new(running_max: usize, waiting_max: usize) -> Self {
        let running_max = running_max.max(1);
        let slots = Arc::new(Semaphore::new(running_max));
        Self { slots, running_max, waiting: AtomicUsize::new(0), waiting_max }
    }

    /// Waits for a turn, which lasts until the permit is dropped.
    ///
    /// # Errors
    ///
    /// [`ExecuteError::Unavailable`] when too many wait already, or when the turn did not come before `deadline`.
    pub(crate) async fn take(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, ExecuteError> {
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            return Ok(slot);
        }
        let waiting = Waiting(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.waiting_max {
            let (running, max) = (self.running_max, self.waiting_max);
            if max == 0 {
                // Without a queue it is 1.x's limit, told as 1.x does.
                let text = format!("max-concurrent-queries limit exceeded({running}, {running})");
                return Err(ExecuteError::Statement(text));
            }
            return Err(ExecuteError::Unavailable(format!(
                "{max} queries wait already (query.max_queued); try again later"
            )));
        }
        let slot = timeout_at(deadline, Arc::clone(&self.slots).acquire_owned()).await;
        drop(waiting);
        match slot {
            Ok(Ok(slot)) => Ok(slot),
            Ok(Err(_)) => Err(ExecuteError::Unavailable("this node is stopping".to_owned())),
            Err(_) => Err(ExecuteError::Unavailable(format!(
                "no turn within query.timeout: {} queries run at once (query.max_concurrent); try again later",
                self.running_max
            ))),
        }
    }

    /// Statements that run now.
    pub(crate) fn running(&self) -> usize {
        self.running_max.saturating_sub(self.slots.available_permits())
    }

    /// Statements that wait now.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn so_many_run_so_many_wait_and_the_rest_is_refused() {
        let turns = QueryTurns::new(1, 1);
        let late = Instant::now() + Duration::from_secs(60);
        let running = turns.take(late).await.expect("a free turn");
        let mut waiting = Box::pin(turns.take(late));
        assert!(futures::poll!(&mut waiting).is_pending());
        assert_eq!((turns.running(), turns.waiting()), (1, 1));
        let refused = turns.take(late).await;
        assert!(
            matches!(&refused, Err(ExecuteError::Unavailable(text)) if text.contains("query.max_queued"))
        );
        assert_eq!(turns.waiting(), 1, "who was refused does not wait");
        drop(running);
        let turn = waiting.await.expect("the turn that was given back");
        assert_eq!((turns.running(), turns.waiting()), (1, 0));
        let timed_out = turns.take(Instant::now()).await;
        assert!(
            matches!(&timed_out, Err(ExecuteError::Unavailable(text)) if text.contains("query.max_concurrent"))
        );
        drop(turn);
        assert_eq!((turns.running(), turns.waiting()), (0, 0));
    }

    #[tokio::test]
    async fn who_leaves_the_queue_makes_room() {
        let turns = QueryTurns::new(1, 1);
        let late = Instant::now() + Duration::from_secs(60);
        let _running = turns.take(late).await.expect("a free turn");
        let mut gone = Box::pin(turns.take(late));
        assert!(futures::poll!(&mut gone).is_pending());
        drop(gone);
        assert_eq!(turns.waiting(), 0);
    }
}
