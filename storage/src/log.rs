//! The Raft log of a node: one RocksDB for all groups, written by one thread.
//!
//! `raft` gives it entries, votes and markers as bytes it does not look into, and hears when they are durable. The
//! contract, per group: operations take effect in the order they are called; an entry is readable when
//! [`LogDb::append`] returns and durable when its callback is called; callbacks come in order, on the writer's thread;
//! after one failed write nothing succeeds any more until the node restarts.
//!
//! Many groups share one fsync, because an fsync costs the same for one entry as for a thousand. It must not know
//! openraft, nor what an entry says.

mod cache;
mod error;
mod faults;
mod keys;
mod load;
mod options;
mod read;
mod sizes;
mod stats;
#[cfg(test)]
mod tests;
mod tidy;
mod wal;
mod writer;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use model::GroupId;
use parking_lot::{Mutex, RwLock};
use rocksdb::DB;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use error::LogError;
pub use faults::{FAULT_VARIABLE, SyncFaults};
pub use options::LogOptions;
pub use read::LogBounds;
pub use stats::{LogStats, ROUND_CLASSES};
pub use tidy::LogDisk;
pub use writer::Done;

use cache::{GroupLog, Stored};
use stats::Counters;
use writer::{Op, Poison, Queued, Writer};

/// The unit in which room in the queue is counted; also what an operation without bytes takes.
const QUEUE_UNIT: usize = 4096;

/// The Raft log of all groups of this node.
pub struct LogDb {
    db: Arc<DB>,
    groups: RwLock<HashMap<GroupId, Arc<Mutex<GroupLog>>>>,
    /// Free room in the queue, in units; there are as many units as the channel has places, so sending never blocks.
    room: Arc<Semaphore>,
    room_units: usize,
    queue: Option<SyncSender<Queued>>,
    writer: Option<JoinHandle<()>>,
    /// The writer, where there is no thread for it.
    by_hand: Option<Mutex<Writer>>,
    poison: Arc<Poison>,
    counters: Arc<Counters>,
    options: LogOptions,
}

impl LogDb {
    /// Opens the log in `dir` with default limits and the faults of [`FAULT_VARIABLE`]; creates it if there is none.
    ///
    /// Recovers what the last process wrote; blocks for up to a second or two. Each directory may be open once.
    ///
    /// # Errors
    ///
    /// [`LogError::Damaged`] if records in the middle are unreadable, and the other variants for opening.
    pub fn open(dir: &Path) -> Result<Arc<Self>, LogError> {
        Self::open_with(dir, LogOptions { faults: SyncFaults::from_env()?, ..LogOptions::default() })
    }

    /// Opens the log in `dir` with these limits and faults; see [`LogDb::open`].
    pub fn open_with(dir: &Path, options: LogOptions) -> Result<Arc<Self>, LogError> {
        let db = Arc::new(load::open(dir)?);
        let cache_bytes = options.cache_bytes;
        let groups = load::stored(dir, &db)?.into_iter();
        let groups = groups.map(|(group, stored)| (group, new_group(group, stored, cache_bytes))).collect();
        let room_units = (options.queue_bytes / QUEUE_UNIT).clamp(1, Semaphore::MAX_PERMITS.min(1 << 20));
        let (queue, receiver) = sync_channel(room_units);
        let poison = Arc::new(Poison::new());
        let counters = Arc::new(Counters::default());
        let writer = Writer {
            db: Arc::clone(&db),
            queue: receiver,
            poison: Arc::clone(&poison),
            counters: Arc::clone(&counters),
            faults: options.faults.clone(),
            deletes: 0,
        };
        let (writer, by_hand) = if options.by_hand {
            (None, Some(Mutex::new(writer)))
        } else {
            let started = thread::Builder::new().name("raft-log".to_owned()).spawn(move || writer.run());
            let cause = |error: std::io::Error| error.to_string().into();
            let failed = |error| LogError::Open { dir: dir.to_owned(), cause: cause(error) };
            (Some(started.map_err(failed)?), None)
        };
        Ok(Arc::new(Self {
            db,
            groups: RwLock::new(groups),
            room: Arc::new(Semaphore::new(room_units)),
            room_units,
            queue: Some(queue),
            writer,
            by_hand,
            poison,
            counters,
            options,
        }))
    }

    /// Does what the writer's thread would do next, for a log that is written by hand ([`LogOptions::by_hand`]): writes
    /// what is queued, and calls back. Answers whether it was synced, or nothing if there was nothing to do.
    pub fn write_round(&self) -> Option<bool> {
        self.by_hand.as_ref()?.lock().run_round()
    }

    /// Appends `entries` to a group's log. They are readable on return; `done` is called when they are durable.
    ///
    /// Waits, without blocking the thread, while the queue is full; if the future is dropped while it waits, nothing
    /// was appended. The indexes must go on where the log ends (anywhere, if it never held anything).
    ///
    /// # Errors
    ///
    /// [`LogError::Hole`], [`LogError::Poisoned`] or [`LogError::Closed`]: nothing was appended and `done` is dropped
    /// without being called. An error given to `done` means that the outcome is unknown until the log is reopened.
    pub async fn append(
        &self,
        group: GroupId,
        entries: Vec<(u64, Bytes)>,
        done: Done,
    ) -> Result<(), LogError> {
        let bytes = entries.iter().map(|(_, entry)| entry.len() + 64).sum();
        let room = self.reserve(bytes).await?;
        self.enqueue(group, room, Some(done), |log| {
            let epoch = log.append(&entries)?;
            Ok(Op::Append { entries, epoch })
        })
    }

    /// Saves a group's vote; `done` is called when it is durable, and only then [`LogDb::vote`] returns it.
    ///
    /// # Errors
    ///
    /// As for [`LogDb::append`].
    pub async fn save_vote(&self, group: GroupId, vote: Bytes, done: Done) -> Result<(), LogError> {
        let room = self.reserve(vote.len()).await?;
        self.enqueue(group, room, Some(done), |_| Ok(Op::Vote(vote)))
    }

    /// Drops a group's entries after index `after`, all of them for `None`; `done` is called when that is durable.
    ///
    /// They are unreadable on return. Purged entries stay purged.
    ///
    /// # Errors
    ///
    /// As for [`LogDb::append`].
    pub async fn truncate_after(
        &self,
        group: GroupId,
        after: Option<u64>,
        done: Done,
    ) -> Result<(), LogError> {
        let room = self.reserve(0).await?;
        self.enqueue(group, room, Some(done), |log| {
            let deleted = log.truncate_after(after);
            Ok(Op::Truncate { deleted })
        })
    }

    /// Drops a group's entries up to index `upto`, and keeps `marker` to tell what the last of them was.
    ///
    /// They are unreadable on return. Not synced: after a power loss some may be there again, with the old marker. If
    /// `upto` lies behind the end of the log, the log is empty and goes on at `upto + 1`. Purging less than was purged
    /// before changes nothing. `done` is called when the purge has been written.
    ///
    /// # Errors
    ///
    /// As for [`LogDb::append`].
    pub async fn purge(&self, group: GroupId, upto: u64, marker: Bytes, done: Done) -> Result<(), LogError> {
        let room = self.reserve(marker.len()).await?;
        self.enqueue(group, room, Some(done), |log| {
            // Even a purge that changes nothing goes through the queue, so that its callback keeps its place.
            let deleted = log.purge(upto, marker);
            let (upto, marker) = log.purged().unwrap_or_default();
            Ok(Op::Purge { upto, marker, deleted })
        })
    }

    /// Remembers what is known to be committed. Cheap: never waits, is never synced, and is kept in memory only while
    /// the queue is full.
    ///
    /// # Errors
    ///
    /// [`LogError::Poisoned`] or [`LogError::Closed`].
    pub fn save_committed(&self, group: GroupId, committed: Bytes) -> Result<(), LogError> {
        self.check()?;
        let room = Arc::clone(&self.room).try_acquire_owned();
        let log = self.group(group);
        log.lock().committed = Some(committed.clone());
        match room {
            Ok(room) => self.enqueue(group, room, None, |_| Ok(Op::Committed(committed))),
            Err(_) => Ok(()),
        }
    }

    /// The last durable vote of a group.
    ///
    /// # Errors
    ///
    /// [`LogError::Poisoned`].
    pub fn vote(&self, group: GroupId) -> Result<Option<Bytes>, LogError> {
        self.check()?;
        Ok(self.group(group).lock().vote.clone())
    }

    /// What was last given to [`LogDb::save_committed`]; after a crash possibly something older, or nothing.
    ///
    /// # Errors
    ///
    /// [`LogError::Poisoned`].
    pub fn committed(&self, group: GroupId) -> Result<Option<Bytes>, LogError> {
        self.check()?;
        Ok(self.group(group).lock().committed.clone())
    }

    /// Bytes of a group's entries that are not purged.
    pub fn bytes(&self, group: GroupId) -> u64 {
        self.group(group).lock().sizes.bytes()
    }

    /// The last entry of a group to purge so that about `keep` bytes of the newest ones stay; `None` if there are no
    /// more.
    pub fn excess(&self, group: GroupId, keep: u64) -> Option<u64> {
        self.group(group).lock().sizes.excess(keep)
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        self.db.path()
    }

    /// What it was opened with.
    pub fn options(&self) -> LogOptions {
        self.options.clone()
    }

    /// The first failed write, after which nothing is taken any more.
    pub fn failure(&self) -> Option<String> {
        self.poison.get().map(ToString::to_string)
    }

    /// Counters since the log was opened.
    pub fn stats(&self) -> LogStats {
        let queued = self.room_units.saturating_sub(self.room.available_permits());
        self.counters.snapshot((queued * QUEUE_UNIT) as u64, self.poison.get().is_some())
    }

    /// Waits for room in the queue. What is larger than the whole queue waits until it is empty.
    async fn reserve(&self, bytes: usize) -> Result<OwnedSemaphorePermit, LogError> {
        self.check()?;
        let units = (bytes / QUEUE_UNIT + 1).min(self.room_units) as u32;
        Arc::clone(&self.room).acquire_many_owned(units).await.map_err(|_| LogError::Closed)
    }

    /// Changes the group's log in memory and queues the operation, under one lock, so that both keep the same order.
    fn enqueue(
        &self,
        group: GroupId,
        room: OwnedSemaphorePermit,
        done: Option<Done>,
        change: impl FnOnce(&mut GroupLog) -> Result<Op, LogError>,
    ) -> Result<(), LogError> {
        self.check()?;
        let log = self.group(group);
        let mut locked = log.lock();
        let op = change(&mut locked)?;
        let queued = Queued { group, log: Arc::clone(&log), op, done, room };
        let queue = self.queue.as_ref().ok_or(LogError::Closed)?;
        queue.try_send(queued).map_err(|_| LogError::Closed)
    }

    fn check(&self) -> Result<(), LogError> {
        match self.poison.get() {
            Some(cause) => Err(LogError::Poisoned { cause: Arc::clone(cause) }),
            None => Ok(()),
        }
    }

    fn group(&self, group: GroupId) -> Arc<Mutex<GroupLog>> {
        if let Some(log) = self.groups.read().get(&group) {
            return Arc::clone(log);
        }
        let mut groups = self.groups.write();
        let log = groups
            .entry(group)
            .or_insert_with(|| new_group(group, Stored::default(), self.options.cache_bytes));
        Arc::clone(log)
    }
}

impl Drop for LogDb {
    fn drop(&mut self) {
        self.options.faults.close();
        drop(self.queue.take());
        // A callback may hold the last reference; the writer cannot wait for itself.
        if let Some(writer) =
            self.writer.take().filter(|writer| writer.thread().id() != thread::current().id())
            && writer.join().is_err()
        {
            tracing::error!("the writer of the raft log panicked");
        }
    }
}

impl fmt::Debug for LogDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogDb")
            .field("dir", &self.db.path())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

fn new_group(group: GroupId, stored: Stored, cache_bytes: usize) -> Arc<Mutex<GroupLog>> {
    Arc::new(Mutex::new(GroupLog::new(group, stored, cache_bytes)))
}
