//! Flush, snapshot and purge, by bytes and by time, so that the replay after a crash takes seconds.
//!
//! Groups take turns: a flush writes much, and eight at once would hold up the log that shares the disk with them.

use super::Group;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

/// How often it is looked whether a flush is due.
const LOOK: Duration = Duration::from_millis(500);
/// How long one may take before the next group has its turn.
const TURN_MAX: Duration = Duration::from_secs(300);

/// Runs as long as the group does.
pub(crate) async fn run(group: Weak<Group>, turn: Arc<Semaphore>) {
    let Some((interval, bytes, id)) = group.upgrade().map(|group| {
        let tuning = group.tuning();
        (tuning.snapshot_interval, tuning.snapshot_bytes, group.id())
    }) else {
        return;
    };
    // The first flushes by time are spread, and all later ones with them.
    let mut due = Instant::now() + interval.mul_f64(0.5 + f64::from(id.0 % 16) / 32.0);
    loop {
        sleep(LOOK.min(interval)).await;
        let Some(group) = group.upgrade() else { return };
        if group.is_stopped() || group.failure().is_some() {
            return;
        }
        let full = group.unsaved_bytes() >= bytes;
        let old = Instant::now() >= due;
        if !full && !old {
            continue;
        }
        due = Instant::now() + interval;
        if group.replica().durable() == *group.replica().applied.borrow() {
            continue;
        }
        let Ok(_turn) = turn.acquire().await else { return };
        if let Err(error) = group.flush_and_snapshot(TURN_MAX).await {
            tracing::warn!(group = %id, %error, "snapshot not made");
        }
    }
}

impl Group {
    /// Bytes that a crash would have to apply again, or that a flush would free, whichever is more.
    fn unsaved_bytes(&self) -> u64 {
        let applied = self.replica.unsaved_bytes.load(std::sync::atomic::Ordering::Relaxed);
        applied.max(self.replica.state.memory_bytes())
    }
}
