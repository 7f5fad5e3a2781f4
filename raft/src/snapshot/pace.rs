//! How fast this node sends snapshots, all of them together, and how many at once.

use hashbrown::HashMap;
use model::GroupId;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};

/// The limits of a node on snapshots under way.
#[derive(Debug)]
pub(crate) struct Transfers {
    /// Leave to send one.
    pub(crate) sending: Arc<Semaphore>,
    receiving: Arc<Semaphore>,
    paused: AtomicBool,
    /// Groups of which a snapshot is being sent, and how many.
    sent: Mutex<HashMap<GroupId, usize>>,
    /// How fast all may send together.
    pub(crate) pace: Pace,
}

impl Transfers {
    pub(crate) fn new(at_once: usize, bytes_per_second: u64) -> Self {
        let permits = || Arc::new(Semaphore::new(at_once.max(1)));
        let pace = Pace::new(bytes_per_second);
        let (paused, sent) = (AtomicBool::new(false), Mutex::default());
        Self { sending: permits(), receiving: permits(), paused, sent, pace }
    }

    /// Notes that a snapshot of the group is being sent, until the guard is dropped.
    pub(crate) fn note_sending(self: &Arc<Self>, group: GroupId) -> Sending {
        *self.sent.lock().entry(group).or_default() += 1;
        Sending { of: Arc::clone(self), group }
    }

    /// Whether a snapshot of the group is being sent.
    pub(crate) fn is_sending(&self, group: GroupId) -> bool {
        self.sent.lock().contains_key(&group)
    }

    /// Leave to receive one; none if as many are under way as may be, or there is no room on the disk.
    pub(crate) fn begin_receiving(&self) -> Option<OwnedSemaphorePermit> {
        let room = !self.paused.load(Ordering::Relaxed);
        room.then(|| Arc::clone(&self.receiving).try_acquire_owned().ok()).flatten()
    }

    /// Whether what can wait has to, because the disk is nearly full.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Receives none from now on, or goes on.
    pub(crate) fn pause(&self, pause: bool) {
        self.paused.store(pause, Ordering::Relaxed);
    }
}

/// A snapshot that is being sent.
#[derive(Debug)]
pub(crate) struct Sending {
    of: Arc<Transfers>,
    group: GroupId,
}

impl Drop for Sending {
    fn drop(&mut self) {
        let mut sent = self.of.sent.lock();
        if let Some(count) = sent.get_mut(&self.group) {
            *count -= 1;
            if *count == 0 {
                sent.remove(&self.group);
            }
        }
    }
}

/// Keeps the rate of all senders together below the limit. Whoever wants to send waits for its time slot.
#[derive(Debug)]
pub(crate) struct Pace {
    bytes_per_second: u64,
    free_at: Mutex<Instant>,
}

impl Pace {
    /// 0 is no limit.
    fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second, free_at: Mutex::new(Instant::now()) }
    }

    /// Sleeps until so many bytes may be sent.
    pub(crate) async fn wait(&self, bytes: u64) {
        if let Some(early) = self.slot(bytes, Instant::now()) {
            sleep(early).await;
        }
    }

    /// Takes the next slot; how long to wait for it.
    fn slot(&self, bytes: u64, now: Instant) -> Option<Duration> {
        if self.bytes_per_second == 0 {
            return None;
        }
        let takes = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
        let mut free_at = self.free_at.lock();
        let begin = now.max(*free_at);
        *free_at = begin + takes;
        Some(begin - now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_senders_share_the_rate_and_idle_time_is_not_saved_up() {
        let pace = Pace::new(1_000);
        let now = Instant::now() + Duration::from_secs(5);
        assert_eq!(pace.slot(500, now), Some(Duration::ZERO));
        assert_eq!(pace.slot(500, now), Some(Duration::from_millis(500)));
        assert_eq!(pace.slot(500, now), Some(Duration::from_secs(1)));
        assert_eq!(pace.slot(1, now + Duration::from_secs(60)), Some(Duration::ZERO));
        assert_eq!(Pace::new(0).slot(u64::MAX, now), None);
    }
}
