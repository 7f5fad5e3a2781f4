//! A queue of copies and the task that sends them. The task ends when the lane is dropped.

use super::send::Sender;
use super::{Copies, Counts, SubscriberLimits};
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Bytes of several writes that are sent in one request when the destination is slower than the writers.
const REQUEST_BYTES_AIM: usize = 1 << 20;

/// One lane.
#[derive(Debug)]
pub(super) struct Lane {
    queue: Arc<Queue>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Queue {
    waiting: Mutex<VecDeque<Copies>>,
    filled: Notify,
    bytes_max: u64,
    counts: Arc<Counts>,
}

impl Lane {
    /// A lane whose copies go to `sender`.
    pub(super) fn open(sender: Sender, limits: SubscriberLimits, counts: &Arc<Counts>) -> Self {
        let queue = Arc::new(Queue {
            waiting: Mutex::default(),
            filled: Notify::new(),
            bytes_max: limits.queue_bytes,
            counts: Arc::clone(counts),
        });
        let task = tokio::spawn(run(Arc::clone(&queue), sender));
        Self { queue, task }
    }

    /// Adds copies, or drops them when there is no room.
    pub(super) fn push(&self, copies: Copies) {
        self.queue.push(copies);
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Queue {
    fn push(&self, copies: Copies) {
        let bytes = copies.lines.len() as u64;
        // All lanes share the room; who comes first takes it.
        let taken = self.counts.queued_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if taken > self.bytes_max {
            self.counts.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.counts.dropped.fetch_add(copies.points, Ordering::Relaxed);
            return;
        }
        self.waiting.lock().push_back(copies);
        self.filled.notify_one();
    }

    /// What waits, up to about one request; `None` if nothing does.
    fn take(&self) -> Option<Copies> {
        let mut waiting = self.waiting.lock();
        let first = waiting.pop_front()?;
        let fits = |have: usize, next: Option<&Copies>| {
            next.is_some_and(|next| have + next.lines.len() <= REQUEST_BYTES_AIM)
        };
        if !fits(first.lines.len(), waiting.front()) {
            return Some(first);
        }
        let (mut lines, mut points) = (BytesMut::from(&first.lines[..]), first.points);
        while fits(lines.len(), waiting.front()) {
            let Some(next) = waiting.pop_front() else { break };
            lines.extend_from_slice(&next.lines);
            points += next.points;
        }
        Some(Copies { lines: lines.freeze(), points })
    }

    fn leave(&self, bytes: usize) {
        self.counts.queued_bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let bytes: usize = self.waiting.get_mut().iter().map(|copies| copies.lines.len()).sum();
        self.leave(bytes);
    }
}

/// Gives the room of copies back, also when the task is stopped while it sends them.
struct Room<'q>(&'q Queue, usize);

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.0.leave(self.1);
    }
}

async fn run(queue: Arc<Queue>, mut sender: Sender) {
    let mut failing = false;
    loop {
        let Some(copies) = queue.take() else {
            queue.filled.notified().await;
            continue;
        };
        let room = Room(&queue, copies.lines.len());
        let (points, lines): (u64, Bytes) = (copies.points, copies.lines);
        let counts = &queue.counts;
        match sender.send(lines).await {
            Ok(()) => {
                counts.sent.fetch_add(points, Ordering::Relaxed);
                if std::mem::take(&mut failing) {
                    tracing::info!(destinations = sender.names(), "a subscriber is back");
                }
            }
            Err(error) => {
                counts.failed.fetch_add(points, Ordering::Relaxed);
                // Once, not for each write.
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(destinations = sender.names(), %error, "a subscriber does not take points");
                }
            }
        }
        drop(room);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copies(bytes: usize) -> Copies {
        Copies { lines: Bytes::from(vec![b'x'; bytes]), points: 1 }
    }

    fn queue(bytes_max: u64) -> Queue {
        let (waiting, filled) = (Mutex::default(), Notify::new());
        Queue { waiting, filled, bytes_max, counts: Arc::default() }
    }

    #[test]
    fn what_finds_no_room_is_dropped_and_counted() {
        let queue = queue(10);
        for _ in 0..4 {
            queue.push(copies(4));
        }
        let counts = Arc::clone(&queue.counts);
        assert_eq!(counts.dropped.load(Ordering::Relaxed), 2);
        assert_eq!(counts.queued_bytes.load(Ordering::Relaxed), 8);
        let taken = queue.take().unwrap();
        assert_eq!((taken.lines.len(), taken.points), (8, 2), "what waits goes together");
        queue.leave(8);
        queue.push(copies(10));
        drop(queue);
        assert_eq!(counts.queued_bytes.load(Ordering::Relaxed), 0, "a lane that is closed holds nothing");
    }

    #[test]
    fn requests_have_a_size() {
        let queue = queue(u64::MAX);
        for bytes in [REQUEST_BYTES_AIM - 1, 1, 1, 3 * REQUEST_BYTES_AIM] {
            queue.push(copies(bytes));
        }
        let sizes: Vec<usize> = std::iter::from_fn(|| queue.take()).map(|c| c.lines.len()).collect();
        assert_eq!(sizes, [REQUEST_BYTES_AIM, 1, 3 * REQUEST_BYTES_AIM]);
    }
}
