//! Snapshots of one group on disk: where they lie, which one is current, when they go.
//!
//! A snapshot is a directory: a checkpoint of the state database, as built here or as received from the leader
//! ([`send`], [`receive`]). It says in its own marker what it covers, so nothing about it is stored elsewhere; after a
//! restart there is none until one is needed.

pub(crate) mod receive;
pub(crate) mod send;

use crate::state_machine::SnapshotOf;
use crate::type_config::SnapshotMeta;
use openraft::Snapshot;
use parking_lot::Mutex;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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

/// The snapshots of one group. One is current; others live as long as somebody sends or receives them.
#[derive(Debug)]
pub(crate) struct Snapshots {
    dir: PathBuf,
    next: AtomicU64,
    current: Mutex<Option<SnapshotOf>>,
}

impl Snapshots {
    /// Uses `dir`, which must lie on the same file system as the group's state, for nothing else. Removes what a
    /// crash left there.
    pub(crate) fn open(dir: PathBuf) -> io::Result<Self> {
        match std::fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => std::fs::create_dir_all(&dir)?,
        }
        Ok(Self { dir, next: AtomicU64::new(0), current: Mutex::new(None) })
    }

    /// A name for a new directory, which is not created.
    pub(crate) fn next(&self, kind: &str) -> SnapshotDir {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        SnapshotDir { path: self.dir.join(format!("{kind}-{number:06}")) }
    }

    /// The latest snapshot, if one was built or installed since the start.
    pub(crate) fn current(&self) -> Option<SnapshotOf> {
        self.current.lock().clone()
    }

    /// Makes a snapshot current unless a later one is.
    pub(crate) fn keep(&self, meta: SnapshotMeta, dir: SnapshotDir) -> SnapshotOf {
        let built = Snapshot { meta, snapshot: Arc::new(dir) };
        let mut current = self.current.lock();
        let later = current.as_ref().is_none_or(|kept| kept.meta.last_log_id <= built.meta.last_log_id);
        let replaced = if later { current.replace(built.clone()) } else { None };
        drop(current);
        drop(replaced);
        built
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
    fn one_snapshot_stays_and_goes_with_its_last_user() {
        let dir = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::open(dir.path().join("s")).unwrap();
        let create = |index| {
            let dir = snapshots.next("built");
            std::fs::create_dir(dir.path()).unwrap();
            snapshots.keep(meta(index), dir)
        };
        let first = create(5);
        let second = create(9);
        let late = create(7);
        assert_eq!(snapshots.current().unwrap().meta, second.meta);
        let path = first.snapshot.path().to_owned();
        assert!(path.exists());
        drop(first);
        assert!(!path.exists());
        let path = late.snapshot.path().to_owned();
        drop(late);
        assert!(!path.exists());
        assert!(second.snapshot.path().exists());
    }

    #[test]
    fn what_a_crash_left_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("s/built-000000")).unwrap();
        let snapshots = Snapshots::open(dir.path().join("s")).unwrap();
        assert!(!snapshots.next("built").path().exists());
    }
}
