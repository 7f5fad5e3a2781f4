//! openraft's log of one group, kept in the node's shared Raft log.
//!
//! One [`LogStore`] is given to each `Raft` instance; its clones are the readers of the replication tasks. It turns
//! entries, votes and ids into bytes and leaves order, durability and caching to [`storage::log::LogDb`], whose writer
//! thread calls openraft back in order. It must not know what a command says.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, Range, RangeBounds};
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, TryStreamExt, stream};
use model::GroupId;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{LogState, OptionalSend, RaftLogReader};
use storage::log::{Done, LogDb, LogError};
use tokio::sync::oneshot;

use crate::blocking;
use crate::codec;
use crate::type_config::{Entry, LogId, TypeConfig, Vote};

/// Bytes of entries sent to a follower at once, or handed to the state machine at once. One larger entry is still
/// sent, so the transport's limit must lie above the largest command.
const READ_BYTES: usize = 2 << 20;

/// The log of one group.
#[derive(Debug, Clone)]
pub(crate) struct LogStore {
    log: Arc<LogDb>,
    group: GroupId,
}

impl LogStore {
    /// The log of `group` within the node's log.
    pub(crate) fn new(log: Arc<LogDb>, group: GroupId) -> Self {
        Self { log, group }
    }

    /// Bytes of the entries that are not purged.
    pub(crate) fn bytes(&self) -> u64 {
        self.log.bytes(self.group)
    }

    /// The last entry to purge so that about `keep` bytes stay.
    pub(crate) fn excess(&self, keep: u64) -> Option<u64> {
        self.log.excess(self.group, keep)
    }

    /// The last purged entry. May block.
    pub(crate) fn purged(&self) -> io::Result<Option<LogId>> {
        let bounds = self.log.bounds(self.group).map_err(failed)?;
        bounds.purged.map(|(_, marker)| decode(marker)).transpose()
    }

    /// Makes the log fit a state at `at` that came from another node: if the log has another entry there, that one and
    /// all after it were never committed, and go.
    pub(crate) async fn fit(&mut self, at: LogId) -> io::Result<()> {
        let own = self.read(at.index..at.index + 1, 1).await?.pop();
        match own {
            Some(entry) if entry.log_id != at => {
                tracing::warn!(group = %self.group, own = %entry.log_id, committed = %at, "log cut before a rebuilt state");
                let last = at.index.checked_sub(1);
                self.durable(|done| self.log.truncate_after(self.group, last, done)).await
            }
            _ => Ok(()),
        }
    }

    /// Reads entries; from memory if it has them, else on a thread that may block.
    async fn read(&self, range: Range<u64>, max_bytes: usize) -> io::Result<Vec<Entry>> {
        let Self { log, group } = self.clone();
        let cached = log.read_cached(group, range.clone(), max_bytes).map_err(failed)?;
        let entries = match cached {
            Some(entries) => entries,
            None => blocking::run(move || log.read(group, range, max_bytes))
                .await
                .map_err(io::Error::other)?
                .map_err(failed)?,
        };
        entries.into_iter().map(|(index, bytes)| decode_entry(index, bytes)).collect()
    }

    /// Runs an operation and waits until it is durable.
    async fn durable<F>(&self, operation: impl FnOnce(Done) -> F) -> io::Result<()>
    where
        F: Future<Output = Result<(), LogError>>,
    {
        let (done, outcome) = oneshot::channel();
        // A caller that has gone away needs no answer.
        operation(Box::new(move |result| drop(done.send(result)))).await.map_err(failed)?;
        outcome.await.map_err(|_| failed(LogError::Closed))?.map_err(failed)
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> io::Result<Vec<Entry>>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        self.read(half_open(&range), usize::MAX).await
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.read(start..end, READ_BYTES).await
    }

    /// Reads piece by piece, so that applying a long log takes little memory.
    async fn entries_stream<RB>(&mut self, range: RB) -> impl Stream<Item = io::Result<Entry>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let pieces = stream::try_unfold((self.clone(), half_open(&range)), |(store, range)| async move {
            let entries = store.read(range.clone(), READ_BYTES).await?;
            let Some(last) = entries.last() else { return Ok::<_, io::Error>(None) };
            let rest = last.log_id.index + 1..range.end;
            Ok(Some((stream::iter(entries.into_iter().map(Ok)), (store, rest))))
        });
        Box::pin(pieces.try_flatten())
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        self.log.vote(self.group).map_err(failed)?.map(decode).transpose()
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let Self { log, group } = self.clone();
        let bounds =
            blocking::run(move || log.bounds(group)).await.map_err(io::Error::other)?.map_err(failed)?;
        let purged = bounds.purged.map(|(_, marker)| decode(marker)).transpose()?;
        let last = bounds.last.map(|(index, bytes)| decode_entry(index, bytes)).transpose()?;
        let last_log_id = last.map(|entry| entry.log_id).or(purged);
        Ok(LogState { last_purged_log_id: purged, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let vote = codec::encode(vote);
        self.durable(|done| self.log.save_vote(self.group, vote, done)).await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        match committed {
            Some(committed) => self.log.save_committed(self.group, codec::encode(&committed)).map_err(failed),
            None => Ok(()),
        }
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        self.log.committed(self.group).map_err(failed)?.map(decode).transpose()
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries = entries.into_iter().map(|entry| (entry.log_id.index, codec::encode(&entry))).collect();
        let done: Done = Box::new(move |outcome| callback.io_completed(outcome.map_err(failed)));
        self.log.append(self.group, entries, done).await.map_err(failed)
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let last = last.map(|last| last.index);
        self.durable(|done| self.log.truncate_after(self.group, last, done)).await
    }

    /// Returns before the purge is written; a failure shows in the next operation.
    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        let done: Done = Box::new(|_| {});
        self.log.purge(self.group, upto.index, codec::encode(&upto), done).await.map_err(failed)
    }
}

fn half_open(range: &impl RangeBounds<u64>) -> Range<u64> {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    start..end
}

fn decode<T: codec::Codec>(bytes: Bytes) -> io::Result<T> {
    codec::decode(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Decodes an entry and checks that it lies where it belongs.
fn decode_entry(index: u64, bytes: Bytes) -> io::Result<Entry> {
    let entry: Entry = decode(bytes)?;
    if entry.log_id.index == index {
        return Ok(entry);
    }
    let found = entry.log_id.index;
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        format!("entry {index} of the log says it is entry {found}"),
    ))
}

fn failed(error: LogError) -> io::Error {
    io::Error::other(error)
}

#[cfg(test)]
mod tests;
