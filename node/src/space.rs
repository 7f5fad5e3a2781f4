//! The room on the disk, looked at every second, and what a node does as it gets less: a staircase.
//!
//! ```text
//! ample ─▶ low (warn) ─▶ saving (no compactions, no snapshots received) ─▶ full (no writes, leadership handed away)
//! ```
//!
//! Each step is left again by itself when a fifth more than its threshold is free. Reads, deletes, drops, membership and
//! following other leaders go on at every step: refusing them would free nothing. When a majority of the nodes is full,
//! the others refuse writes too, for these would fill the disks of their followers. It knows nothing of what lies on the
//! disk.

use crate::config::DiskConfig;
use crate::coordinator::NodeCoordinator;
use futures::future::join_all;
use raft::{NodeState, RaftHost, blocking};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often the disk is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long a node may take to tell how full it is.
const ASK_MAX: Duration = Duration::from_secs(1);
/// How often a full node tries to hand its leaderships away.
const HAND_OVER: Duration = Duration::from_secs(5);

/// How full the disk is, emptiest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Ample,
    Low,
    Saving,
    Full,
}

impl Level {
    const ALL: [Self; 4] = [Self::Ample, Self::Low, Self::Saving, Self::Full];

    /// One lower-case word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ample => "ample",
            Self::Low => "low",
            Self::Saving => "saving",
            Self::Full => "full",
        }
    }

    /// Its number in metrics: 0 is ample.
    pub(crate) fn number(name: &str) -> u64 {
        Self::ALL.iter().position(|level| level.name() == name).unwrap_or(0) as u64
    }
}

/// The free space below which each step is taken: percent of the disk and bytes, whichever is more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Thresholds {
    low: (u32, u64),
    saving: (u32, u64),
    full: (u32, u64),
}

impl Thresholds {
    pub(crate) fn of(config: &DiskConfig) -> Self {
        Self {
            low: (config.warn_percent, config.warn_bytes.bytes()),
            saving: (config.save_percent, config.save_bytes.bytes()),
            full: (config.refuse_percent, config.refuse_bytes.bytes()),
        }
    }

    fn bytes(&self, level: Level, total: u64) -> u64 {
        let (percent, bytes) = match level {
            Level::Ample => return u64::MAX,
            Level::Low => self.low,
            Level::Saving => self.saving,
            Level::Full => self.full,
        };
        bytes.max(total / 100 * u64::from(percent))
    }

    /// The level now, coming from `before`.
    fn level(&self, before: Level, disk: Disk) -> Level {
        let is_at = |level: Level| {
            let threshold = self.bytes(level, disk.total);
            // Who is at a step stays there until there is clearly more room, or every deleted file would flip it.
            let leave = if level <= before { threshold.saturating_add(threshold / 5) } else { threshold };
            disk.free < leave
        };
        Level::ALL.into_iter().rev().find(|level| is_at(*level)).unwrap_or(Level::Ample)
    }
}

/// What of a file system this process may use, used or free, and what of that is free, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Disk {
    free: u64,
    total: u64,
}

impl Disk {
    fn of(path: &Path) -> std::io::Result<Self> {
        let found = rustix::fs::statvfs(path)?;
        // What is reserved for others is neither.
        let used = found.f_blocks.saturating_sub(found.f_bfree);
        Ok(Self { free: found.f_bavail * found.f_frsize, total: (used + found.f_bavail) * found.f_frsize })
    }
}

/// Looks at the disk and acts, as long as the node runs.
pub(crate) async fn watch(node: Arc<NodeCoordinator>, data: PathBuf, thresholds: Thresholds) {
    let host = Arc::clone(&node.host);
    let mut level = Level::Ample;
    let mut handed_over: Option<Instant> = None;
    loop {
        let looked = data.clone();
        let disk = match blocking::run(move || Disk::of(&looked)).await {
            Ok(Ok(disk)) => disk,
            Ok(Err(error)) => {
                tracing::warn!(path = %data.display(), %error, "free space not known");
                sleep(LOOK).await;
                continue;
            }
            Err(_) => return,
        };
        let before = level;
        level = thresholds.level(before, disk);
        if level != before {
            tell(before, level, disk);
        }
        host.save_space(level >= Level::Saving);
        let own = (level == Level::Full).then(|| refusal(&host, disk));
        host.set_node_state(NodeState {
            disk_free: disk.free,
            disk_total: disk.total,
            disk_level: level.name().to_owned(),
            refusal: own.clone(),
            ..NodeState::default()
        });
        let others = full_nodes(&host).await;
        let refusing = own.clone().or_else(|| too_many_full(others.full, others.all));
        host.refuse_writes(refusing);
        let due = handed_over.is_none_or(|at| at.elapsed() >= HAND_OVER);
        if own.is_some() && others.full + 1 < others.all && due && host.leads_any() {
            tracing::info!("the disk is full: handing leadership to nodes that have room");
            handed_over = Some(Instant::now());
            host.hand_over().await;
        }
        sleep(LOOK).await;
    }
}

fn tell(before: Level, level: Level, disk: Disk) {
    let (free, total) = (disk.free, disk.total);
    let (from, to) = (before.name(), level.name());
    match level {
        _ if level < before => tracing::info!(from, to, free, total, "there is room on the disk again"),
        Level::Full => tracing::error!(from, to, free, total, "the disk is full: writes are refused"),
        Level::Saving | Level::Low | Level::Ample => {
            tracing::warn!(from, to, free, total, "the disk is filling up");
        }
    }
}

fn refusal(host: &RaftHost, disk: Disk) -> String {
    let mib = |bytes: u64| bytes >> 20;
    format!(
        "no space left on node {}: {} MiB of {} MiB are free; drop data or enlarge the disk, writes go on by themselves",
        host.node(),
        mib(disk.free),
        mib(disk.total)
    )
}

/// Other nodes that are full, and all nodes of the catalog.
struct Others {
    full: usize,
    all: usize,
}

async fn full_nodes(host: &RaftHost) -> Others {
    let catalog = host.catalog();
    let others: Vec<_> = catalog.nodes.keys().copied().filter(|id| *id != host.node()).collect();
    let told = join_all(others.iter().map(|id| host.peer_node_state(*id, ASK_MAX))).await;
    // Who does not answer cannot be helped by refusing.
    let full = told.iter().flatten().filter(|state| state.refusal.is_some()).count();
    Others { full, all: others.len() + 1 }
}

/// Whether so many are full that every write fills the disk of one that is.
fn too_many_full(full: usize, all: usize) -> Option<String> {
    (full > all / 2).then(|| format!("no space left on {full} of {all} nodes; writes go on by themselves"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn thresholds() -> Thresholds {
        Thresholds { low: (20, 0), saving: (10, 2 * GIB), full: (5, GIB) }
    }

    fn walk(free: &[u64], total: u64) -> Vec<&'static str> {
        let mut level = Level::Ample;
        let step = |free: &u64| {
            level = thresholds().level(level, Disk { free: *free, total });
            level.name()
        };
        free.iter().map(step).collect()
    }

    #[test]
    fn each_step_is_taken_at_its_threshold_and_left_with_room_to_spare() {
        let gib = |numbers: &[u64]| numbers.iter().map(|n| n * GIB).collect::<Vec<_>>();
        assert_eq!(
            walk(&gib(&[50, 19, 9, 4, 5, 7, 11, 13, 23, 25]), 100 * GIB),
            ["ample", "low", "saving", "full", "full", "saving", "saving", "low", "low", "ample"]
        );
    }

    #[test]
    fn on_a_small_disk_the_bytes_count() {
        // 5 % of 10 GiB would be half a GiB.
        assert_eq!(
            walk(&[3 * GIB, GIB * 3 / 2, GIB - 1, GIB + GIB / 10, 3 * GIB], 10 * GIB),
            ["ample", "saving", "full", "full", "ample"]
        );
    }

    #[test]
    fn a_healthy_node_refuses_only_when_most_others_are_full() {
        assert_eq!(too_many_full(0, 1), None);
        assert_eq!(too_many_full(1, 3), None);
        assert!(too_many_full(2, 3).is_some());
        assert_eq!(too_many_full(2, 5), None);
        assert!(too_many_full(3, 5).is_some());
    }

    #[test]
    fn the_disk_of_a_directory_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::of(dir.path()).unwrap();
        assert!(disk.free <= disk.total && disk.total > 0);
    }
}
