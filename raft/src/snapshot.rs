//! Snapshots of one group: what the current one covers, and the directories of those on their way.
//!
//! The flushed state *is* the snapshot; no copy of it lies around. One is made when somebody must be sent it
//! ([`send`]): hard links, in milliseconds. What is received ([`receive`]) is collected in one directory that outlives
//! a broken connection and a restart, so that a transfer goes on where it was cut off.

pub(crate) mod files;
pub(crate) mod pace;
pub(crate) mod receive;
pub(crate) mod send;
pub(crate) mod staging;

use crate::applied;
use crate::state_machine::{GroupState, SnapshotOf, StateError};
use crate::type_config::SnapshotMeta;
use openraft::Snapshot;
use parking_lot::Mutex;
use staging::Staging;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// A directory that is removed when nobody needs it any more.
#[derive(Debug)]
pub(crate) struct SnapshotDir {
    path: PathBuf,
}

impl SnapshotDir {
    /// Where it is, or will be created.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SnapshotDir {
    fn drop(&mut self) {
        match std::fs::remove_dir_all(&self.path) {
            Ok(()) => {}
            // It was installed, which moves it away, or never created.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(path = %self.path.display(), %error, "snapshot not removed"),
        }
    }
}

/// The files of a snapshot, as openraft hands it around.
#[derive(Clone)]
pub(crate) enum SnapshotData {
    /// Those of this node's replica; they are linked when it is sent.
    Own(Weak<dyn GroupState>, Arc<Places>),
    /// Received and checked.
    Received(PathBuf),
}

impl fmt::Debug for SnapshotData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(..) => f.write_str("Own"),
            Self::Received(path) => f.debug_tuple("Received").field(path).finish(),
        }
    }
}

impl SnapshotData {
    /// The state as it is now, in a directory of its own: at least what the snapshot was made of. May block; flushes.
    pub(crate) fn link(&self) -> Result<(SnapshotMeta, SnapshotDir), StateError> {
        let Self::Own(state, places) = self else { return Err(StateError::Gone) };
        let state = state.upgrade().ok_or(StateError::Gone)?;
        let dir = places.next();
        let marker = state.checkpoint(dir.path())?;
        Ok((applied::read(&marker)?, dir))
    }
}

/// Where the copies that are being sent lie.
#[derive(Debug)]
pub(crate) struct Places {
    dir: PathBuf,
    next: AtomicU64,
}

impl Places {
    /// A name for a new directory, which is not created.
    fn next(&self) -> SnapshotDir {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        SnapshotDir { path: self.dir.join(format!("sent-{number:06}")) }
    }
}

/// The snapshots of one group.
#[derive(Debug)]
pub(crate) struct Snapshots {
    places: Arc<Places>,
    staging: Arc<Staging>,
    current: Mutex<Option<SnapshotMeta>>,
}

impl Snapshots {
    /// Uses `dir`, which must lie on the same file system as the group's state, for nothing else. Removes what a
    /// crash left there of copies that were being sent; what was received stays.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let staging = Arc::new(Staging::open(dir.join("received"))?);
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            if path != staging.dir() {
                std::fs::remove_dir_all(&path)?;
            }
        }
        let places = Arc::new(Places { dir: dir.to_owned(), next: AtomicU64::new(0) });
        Ok(Self { places, staging, current: Mutex::new(None) })
    }

    /// Where files are collected that come from another node.
    pub(crate) fn staging(&self) -> Arc<Staging> {
        Arc::clone(&self.staging)
    }

    /// Removes what was received if nothing was added to it for a while. Nobody may be receiving.
    pub(crate) fn forget_stale_files(&self) {
        if let Err(error) = self.staging.forget_stale() {
            tracing::warn!(dir = %self.staging.dir().display(), %error, "stale files not removed");
        }
    }

    /// What the latest snapshot covers: what is durable, as far as openraft was told.
    pub(crate) fn current(&self) -> Option<SnapshotMeta> {
        self.current.lock().clone()
    }

    /// Tells that the state is durable up to here.
    pub(crate) fn keep(&self, meta: &SnapshotMeta) {
        let mut current = self.current.lock();
        if current.as_ref().is_none_or(|kept| kept.last_log_id <= meta.last_log_id) {
            *current = Some(meta.clone());
        }
    }

    /// A snapshot of `state`, of at least what `meta` says.
    pub(crate) fn of(&self, state: &Arc<dyn GroupState>, meta: SnapshotMeta) -> SnapshotOf {
        Snapshot { meta, snapshot: self.files(state) }
    }

    /// The files of `state`, as it is when they are linked.
    pub(crate) fn files(&self, state: &Arc<dyn GroupState>) -> SnapshotData {
        SnapshotData::Own(Arc::downgrade(state), Arc::clone(&self.places))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::type_config::{LeaderId, LogId};

    fn meta(index: u64) -> SnapshotMeta {
        let log_id = LogId { leader_id: LeaderId { term: 1, node_id: 1 }, index };
        SnapshotMeta { last_log_id: Some(log_id), ..SnapshotMeta::default() }
    }

    #[test]
    fn the_latest_is_current() {
        let dir = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::open(dir.path()).unwrap();
        assert_eq!(snapshots.current(), None);
        for index in [5, 9, 7] {
            snapshots.keep(&meta(index));
        }
        assert_eq!(snapshots.current(), Some(meta(9)));
    }

    #[test]
    fn a_copy_goes_with_its_last_user_and_a_crash_leaves_only_what_was_received() {
        let dir = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::open(dir.path()).unwrap();
        let copy = snapshots.places.next();
        std::fs::create_dir(copy.path()).unwrap();
        let path = copy.path().to_owned();
        drop(copy);
        assert!(!path.exists());
        std::fs::create_dir(&path).unwrap();
        std::fs::write(dir.path().join("received/000007.sst"), b"x").unwrap();
        Snapshots::open(dir.path()).unwrap();
        assert!(!path.exists());
        assert!(dir.path().join("received/000007.sst").exists());
    }
}
