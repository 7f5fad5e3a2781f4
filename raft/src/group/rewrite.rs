//! Compaction of sealed points, a little at a time: only where a replica keeps its points changes, so every replica
//! does it by itself when there is time, and no entry speaks of it.
//!
//! It must not be felt: one group at a time, four fifths of the time are pauses, and a step holds up a flush by some
//! ten milliseconds.

use super::Group;
use crate::blocking;
use std::sync::{Arc, Weak};
use std::time::Duration;
use storage::ShardStore;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

/// Points rewritten in one step.
const STEP_POINTS: u64 = 50_000;
/// How long it pauses after a step, in times of the step.
const PAUSE: u32 = 4;
/// The shortest such pause.
const PAUSE_MIN: Duration = Duration::from_millis(20);
/// How often it is looked whether there is something to do.
const LOOK: Duration = Duration::from_secs(10);

/// Runs as long as the group does, and only for data groups.
pub(crate) async fn run(group: Weak<Group>, turn: Arc<Semaphore>) {
    let Some(id) = group.upgrade().map(|group| group.id()) else { return };
    loop {
        sleep(LOOK).await;
        let Ok(_turn) = turn.acquire().await else { return };
        loop {
            let Some(group) = group.upgrade() else { return };
            if group.is_stopped() {
                return;
            }
            // A replica that failed or is rebuilt comes back; a disk that is nearly full is left alone.
            if group.unfit().is_some() || group.pool().transfers.is_paused() {
                break;
            }
            let Some(store) = group.data_store() else { break };
            drop(group);
            let started = Instant::now();
            match step(store).await {
                Ok(true) => break,
                Ok(false) => sleep(PAUSE_MIN.max(started.elapsed() * PAUSE)).await,
                Err(error) => {
                    tracing::error!(group = %id, %error, "compaction of points failed");
                    break;
                }
            }
        }
    }
}

/// One step; answers whether nothing is left to do.
async fn step(store: Arc<ShardStore>) -> Result<bool, std::io::Error> {
    let step = blocking::run(move || store.compact(STEP_POINTS));
    let step = step.await.map_err(std::io::Error::other)?;
    Ok(step.map_err(std::io::Error::other)?.is_done)
}
