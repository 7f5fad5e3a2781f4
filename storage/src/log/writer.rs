//! The one thread that writes the Raft log: it drains the queue, writes what many groups want with one fsync, and
//! completes the operations in the order they came.
//!
//! One thread, because the order of votes and entries of a group must be the same on disk as in the queue, and because
//! completions out of order have stranded leaders. The first failed write poisons the log: what a failed fsync left on
//! the disk is unknown, and a second fsync that succeeds proves nothing about the first.

use std::ops::Range;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use model::GroupId;
use parking_lot::Mutex;
use rocksdb::{DB, WriteBatch, WriteOptions};
use tokio::sync::OwnedSemaphorePermit;

use crate::bugs::{self, Bug};

use super::cache::GroupLog;
use super::error::LogError;
use super::faults::SyncFaults;
use super::keys::{self, KeyKind};
use super::stats::Counters;

/// Operations of one round at most.
const ROUND_OPS: usize = 256;

/// Bytes after which a round takes no further operation.
const ROUND_BYTES: usize = 4 << 20;

/// Range deletions after which table files that hold nothing but purged entries are dropped as a whole.
const DELETES_PER_FILE_DROP: u32 = 16;

/// Called once, on the writer's thread, with the outcome of an operation: it must be short and must not block.
pub type Done = Box<dyn FnOnce(Result<(), LogError>) + Send>;

/// The first failure of a log, if there was one.
pub(super) type Poison = OnceLock<Arc<str>>;

/// An operation in the queue, with the room it takes there.
pub(super) struct Queued {
    pub(super) group: GroupId,
    pub(super) log: Arc<Mutex<GroupLog>>,
    pub(super) op: Op,
    pub(super) done: Option<Done>,
    pub(super) room: OwnedSemaphorePermit,
}

/// A change of one group's log.
pub(super) enum Op {
    /// Synced.
    Vote(Bytes),
    /// Synced. `epoch` is that of the group's log when the entries were taken in.
    Append { entries: Vec<(u64, Bytes)>, epoch: u64 },
    /// Synced: if a lost truncation met a vote that was kept, a new leader could take old entries for its own.
    Truncate { deleted: Range<u64> },
    /// Not synced: entries that come back after a power loss are purged again.
    Purge { upto: u64, marker: Bytes, deleted: Range<u64> },
    /// Not synced: a lost one costs some replayed entries.
    Committed(Bytes),
}

/// The writer's state; lives on its thread.
pub(super) struct Writer {
    pub(super) db: Arc<DB>,
    pub(super) queue: Receiver<Queued>,
    pub(super) poison: Arc<Poison>,
    pub(super) counters: Arc<Counters>,
    pub(super) faults: SyncFaults,
    pub(super) deletes: u32,
}

impl Op {
    fn is_synced(&self) -> bool {
        match self {
            Self::Vote(_) => !bugs::is(Bug::VoteNotSynced),
            Self::Append { .. } => !bugs::is(Bug::AckBeforeFsync),
            Self::Truncate { .. } => true,
            Self::Purge { .. } | Self::Committed(_) => false,
        }
    }

    /// Bytes this operation adds to a round, about.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Append { entries, .. } => entries.iter().map(|(_, entry)| entry.len()).sum(),
            Self::Vote(bytes) | Self::Committed(bytes) | Self::Purge { marker: bytes, .. } => bytes.len(),
            Self::Truncate { .. } => 0,
        }
    }
}

impl Writer {
    /// Runs until the queue is closed and empty. After a failed write it goes on answering, with that failure.
    pub(super) fn run(mut self) {
        let mut round = Vec::with_capacity(ROUND_OPS);
        while let Ok(first) = self.queue.recv() {
            self.fill(&mut round, first);
            let outcome = self.write(&round);
            for queued in round.drain(..) {
                complete(queued, &outcome);
            }
        }
    }

    /// Writes what is queued now, at most one round of it; answers whether it was synced, or nothing if nothing was
    /// queued.
    pub(super) fn run_round(&mut self) -> Option<bool> {
        let first = self.queue.try_recv().ok()?;
        let mut round = Vec::new();
        self.fill(&mut round, first);
        let outcome = self.write(&round);
        let synced = outcome.is_ok() && round.iter().any(|queued| queued.op.is_synced());
        for queued in round {
            complete(queued, &outcome);
        }
        Some(synced)
    }

    fn fill(&self, round: &mut Vec<Queued>, first: Queued) {
        let mut bytes = first.op.bytes();
        round.push(first);
        while round.len() < ROUND_OPS && bytes < ROUND_BYTES {
            let Ok(queued) = self.queue.try_recv() else { return };
            bytes += queued.op.bytes();
            round.push(queued);
        }
    }

    fn write(&mut self, round: &[Queued]) -> Result<(), LogError> {
        if let Some(cause) = self.poison.get() {
            return Err(LogError::Poisoned { cause: Arc::clone(cause) });
        }
        self.write_batch(round).map_err(|cause| {
            let cause: Arc<str> = cause.into();
            tracing::error!(%cause, "the raft log failed and takes nothing more until the node restarts");
            LogError::Poisoned { cause: Arc::clone(self.poison.get_or_init(|| cause)) }
        })
    }

    fn write_batch(&mut self, round: &[Queued]) -> Result<(), String> {
        let mut batch = WriteBatch::default();
        for queued in round {
            encode(&mut batch, queued.group, &queued.op);
        }
        let bytes = batch.size_in_bytes();
        let mut options = WriteOptions::default();
        if round.iter().any(|queued| queued.op.is_synced()) {
            options.set_sync(true);
            self.counters.begin_sync();
            let begun = Instant::now();
            let written = self.write_synced(batch, &options);
            self.counters.end_sync();
            written?;
            self.counters.observe_sync(begun.elapsed());
        } else {
            self.db.write_opt(batch, &options).map_err(rocksdb::Error::into_string)?;
        }
        self.counters.observe_round(round.len(), bytes);
        for queued in round {
            match &queued.op {
                Op::Append { entries, .. } => self.counters.observe_entries(entries.len(), queued.op.bytes()),
                Op::Purge { deleted, .. } => self.drop_files(queued.group, deleted)?,
                Op::Vote(_) | Op::Truncate { .. } | Op::Committed(_) => {}
            }
        }
        Ok(())
    }

    fn write_synced(&self, batch: WriteBatch, options: &WriteOptions) -> Result<(), String> {
        self.faults.before_sync()?;
        self.db.write_opt(batch, options).map_err(rocksdb::Error::into_string)
    }

    /// Drops whole table files below the end of a deletion, now and then: it frees the space without a compaction.
    fn drop_files(&mut self, group: GroupId, deleted: &Range<u64>) -> Result<(), String> {
        if deleted.is_empty() {
            return Ok(());
        }
        self.deletes += 1;
        if !self.deletes.is_multiple_of(DELETES_PER_FILE_DROP) {
            return Ok(());
        }
        // The files go at once and for good, so the marker that says they are purged must be durable before.
        self.db.flush_wal(true).map_err(rocksdb::Error::into_string)?;
        self.db
            .delete_file_in_range(keys::entry(group, 0), keys::entry(group, deleted.end - 1))
            .map_err(rocksdb::Error::into_string)
    }
}

fn encode(batch: &mut WriteBatch, group: GroupId, op: &Op) {
    match op {
        Op::Vote(vote) => batch.put(keys::group(KeyKind::Vote, group), keys::value(vote)),
        Op::Committed(id) => batch.put(keys::group(KeyKind::Committed, group), keys::value(id)),
        Op::Append { entries, .. } => {
            for (index, entry) in entries {
                batch.put(keys::entry(group, *index), entry);
            }
        }
        Op::Truncate { deleted } => delete(batch, group, deleted),
        Op::Purge { upto, marker, deleted } => {
            if !bugs::is(Bug::LostPurgeMarker) {
                batch.put(keys::group(KeyKind::Purged, group), keys::purged(*upto, marker));
            }
            delete(batch, group, deleted);
        }
    }
}

fn delete(batch: &mut WriteBatch, group: GroupId, deleted: &Range<u64>) {
    if !deleted.is_empty() {
        batch.delete_range(keys::entry(group, deleted.start), keys::entry(group, deleted.end));
    }
}

fn complete(queued: Queued, outcome: &Result<(), LogError>) {
    let Queued { log, op, done, room, .. } = queued;
    if outcome.is_ok() {
        match op {
            Op::Vote(vote) => log.lock().vote = Some(vote),
            Op::Append { entries, epoch } => {
                if let Some((last, _)) = entries.last() {
                    log.lock().completed(epoch, last + 1);
                }
            }
            Op::Truncate { .. } | Op::Purge { .. } | Op::Committed(_) => {}
        }
    }
    drop(room);
    if let Some(done) = done {
        done(outcome.clone());
    }
}
