//! Flush, snapshot and purge, by bytes and by time, so that the replay after a crash takes seconds and the log stays
//! small.
//!
//! One loop for all groups of a node, one flush at a time: a flush writes much, and eight at once would hold up the log
//! that shares the disk with them. What is purged is always in a flushed state of this node; beyond that, entries are
//! kept for members that do not have them yet, up to a number of bytes.

use super::{Group, Role};
use crate::host::RaftHost;
use hashbrown::HashMap;
use model::{GroupId, NodeId};
use openraft::async_runtime::watch::WatchReceiver;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often it is looked whether a flush is due.
const LOOK: Duration = Duration::from_millis(500);
/// How long one flush may take before the next group has its turn.
const TURN_MAX: Duration = Duration::from_secs(300);
/// How often the log is purged and its files are tidied.
const PURGE: Duration = Duration::from_secs(5);
/// How long a leader may take to tell what all members have.
const ASK_MAX: Duration = Duration::from_secs(1);
/// Bytes kept, at least, for a member that is being sent a snapshot.
const KEPT_FOR_A_SNAPSHOT: u64 = 32 << 20;
/// A log that is smaller than this is not worth asking about.
const SMALL_LOG: u64 = 256 << 10;

/// Runs as long as the host does.
pub(crate) async fn run(host: Weak<RaftHost>) {
    let mut due = Due::default();
    let mut purged = Instant::now();
    loop {
        let Some(interval) = host.upgrade().map(|host| host.tuning().snapshot_interval) else { return };
        sleep(LOOK.min(interval)).await;
        let Some(host) = host.upgrade().filter(|host| !host.is_stopping()) else { return };
        if let Some(group) = due.next(&host.groups(), &host) {
            if let Err(error) = group.flush_and_snapshot(TURN_MAX).await {
                tracing::warn!(group = %group.id(), %error, "snapshot not made");
            }
            group.purge().await;
        }
        if purged.elapsed() >= PURGE.min(interval) {
            purged = Instant::now();
            learn_what_all_hold(&host).await;
            for group in host.groups() {
                group.purge().await;
                group.forget_stale_files();
            }
            host.tidy_log().await;
        }
    }
}

/// When each group flushes because of its age.
#[derive(Default)]
struct Due(HashMap<GroupId, Instant>);

impl Due {
    /// The group that should flush now, if one should: first those with too much by themselves, then the one with
    /// most if all together have too much, then those that dropped points whose disk a flush frees, then those that
    /// have waited for long.
    fn next(&mut self, groups: &[Arc<Group>], host: &RaftHost) -> Option<Arc<Group>> {
        let tuning = host.tuning();
        let now = Instant::now();
        let changed = groups.iter().filter(|group| group.has_unsaved()).collect::<Vec<_>>();
        let full = changed.iter().find(|group| group.unsaved_bytes() >= tuning.snapshot_bytes);
        let total: u64 = changed.iter().map(|group| group.unsaved_log_bytes()).sum();
        let largest = changed.iter().max_by_key(|group| group.unsaved_log_bytes());
        let largest = largest.filter(|_| total >= tuning.unsaved_bytes_total);
        let freeing = changed.iter().find(|group| group.holds_dropped());
        let mut old = None;
        for group in groups {
            let id = group.id();
            // The first flushes by time are spread, and all later ones with them.
            let spread = tuning.snapshot_interval.mul_f64(0.5 + f64::from(id.0 % 16) / 32.0);
            let due = self.0.entry(id).or_insert(now + spread);
            if now >= *due && group.has_unsaved() {
                old.get_or_insert(group);
            } else if now >= *due {
                *due = now + tuning.snapshot_interval;
            }
        }
        let chosen = Arc::clone(full.or(largest).or(freeing).copied().or(old)?);
        self.0.insert(chosen.id(), now + tuning.snapshot_interval);
        Some(chosen)
    }
}

/// Asks the leaders of other nodes up to where all members have the log: a follower knows nothing of the others.
async fn learn_what_all_hold(host: &RaftHost) {
    let asking = |group: &Arc<Group>| {
        let leader = group.leader().filter(|leader| *leader != host.node())?;
        (group.status().log_bytes >= SMALL_LOG).then_some(leader)
    };
    let leaders: BTreeSet<NodeId> = host.groups().iter().filter_map(asking).collect();
    for leader in leaders {
        let Ok(told) = host.peer_status(leader, ASK_MAX).await else { continue };
        for status in told.iter().filter(|status| status.role == Role::Leader) {
            let held = status.peers.iter().map(|peer| peer.lag);
            let behind = held.reduce(|a, b| Some(a?.max(b?)));
            let Some((last, behind)) = status.last_log.zip(behind.flatten()) else { continue };
            if let Some(group) = host.group(status.group) {
                group.held_by_all.fetch_max(last.saturating_sub(behind), Ordering::Relaxed);
            }
        }
    }
}

impl Group {
    /// Whether a flush would make anything durable.
    fn has_unsaved(&self) -> bool {
        self.core().is_some_and(|core| {
            let applied = *core.replica.applied.borrow();
            self.failure().is_none() && core.replica.durable() != applied
        })
    }

    /// Bytes of log that a crash would have to apply again.
    fn unsaved_log_bytes(&self) -> u64 {
        self.core().map_or(0, |core| core.replica.unsaved_bytes.load(Ordering::Relaxed))
    }

    /// The same, or the bytes in memory that a flush would free, whichever is more.
    fn unsaved_bytes(&self) -> u64 {
        self.unsaved_log_bytes().max(self.core().map_or(0, |core| core.replica.state.memory_bytes()))
    }

    /// Whether a flush would give room back to the disk.
    fn holds_dropped(&self) -> bool {
        self.core().is_some_and(|core| core.replica.state.holds_dropped())
    }

    /// Lets go of entries that are in this node's flushed state and that no member lacks, or that are beyond the bytes
    /// kept for those who lag.
    async fn purge(&self) {
        let Some(core) = self.core() else { return };
        let (flushed, purged, held) = {
            let metrics = core.raft.metrics();
            let metrics = metrics.borrow_watched();
            let matched = metrics.replication.as_ref().map(|peers| {
                let others = peers.iter().filter(|(id, _)| **id != metrics.id);
                others.map(|(_, matched)| matched.map_or(0, |log_id| log_id.index)).min().unwrap_or(u64::MAX)
            });
            let held = matched.unwrap_or_else(|| self.held_by_all.load(Ordering::Relaxed));
            (metrics.snapshot.map(|id| id.index), metrics.purged.map(|id| id.index), held)
        };
        let kept = self.tuning().log_kept_bytes;
        // Whoever is being sent a snapshot needs what came after it, or it will need the next one at once.
        let kept = if self.pool().transfers.is_sending(self.id()) {
            2 * kept.max(KEPT_FOR_A_SNAPSHOT)
        } else {
            kept
        };
        let excess = core.log.excess(kept).unwrap_or(0);
        let Some(upto) = flushed.map(|flushed| held.max(excess).min(flushed)) else { return };
        if Some(upto) > purged
            && let Err(error) = core.raft.trigger().purge_log(upto).await
        {
            tracing::debug!(group = %self.id(), %error, "log not purged");
        }
    }

    /// Removes what was received of a snapshot that nobody goes on sending.
    fn forget_stale_files(&self) {
        let Some(core) = self.core() else { return };
        // Whoever receives holds the permit.
        if let Some(_none) = self.begin_receiving() {
            core.replica.snapshots.forget_stale_files();
        }
    }
}
