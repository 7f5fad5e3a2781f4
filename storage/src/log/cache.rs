//! What is known in memory about one group's log: its bounds, its vote, and the newest entries.
//!
//! [`GroupLog`] is the truth between the caller and the writer thread: an operation changes it when it is queued, so
//! an entry is readable before it is durable, and the queue replays the same operations on disk in the same order.
//! It knows nothing of RocksDB and of threads; the log puts it behind a lock.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use model::GroupId;

use super::error::LogError;
use super::sizes::Sizes;

/// Purged entries that are awaited before a range is deleted: many small range deletions slow every later read.
const PURGE_BATCH: u64 = 1000;

/// What is stored of one group when the log is opened.
#[derive(Debug, Default)]
pub(super) struct Stored {
    pub(super) vote: Option<Bytes>,
    pub(super) committed: Option<Bytes>,
    pub(super) purged: Option<(u64, Bytes)>,
    /// Index of the first entry on disk, purged or not.
    pub(super) first: Option<u64>,
    /// The last entry on disk.
    pub(super) last: Option<(u64, Bytes)>,
    /// Bytes of the entries on disk.
    pub(super) sizes: Sizes,
}

/// One group's log as its callers see it.
#[derive(Debug)]
pub(super) struct GroupLog {
    group: GroupId,
    pub(super) vote: Option<Bytes>,
    pub(super) committed: Option<Bytes>,
    purged: Option<(u64, Bytes)>,
    /// Entries `first..next` exist. `None` while the log is empty and nothing was purged: any index may come first.
    bounds: Option<Range<u64>>,
    /// Entries below are deleted on disk, or queued to be.
    deleted_below: u64,
    /// Entries below are on disk, so they may leave memory.
    durable_below: u64,
    /// Raised by each truncation, so that the completion of an older append says nothing about its successor.
    epoch: u64,
    tail: Tail,
    pub(super) sizes: Sizes,
}

/// The newest entries, up to the end of the log without a gap.
#[derive(Debug)]
struct Tail {
    start: u64,
    entries: VecDeque<Bytes>,
    bytes: usize,
    bytes_max: usize,
}

/// What a read takes from memory and what it has to fetch before.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ReadPlan {
    /// Entries to be read from disk, which come first.
    pub(super) disk: Range<u64>,
    /// The entries that follow them.
    pub(super) cached: Vec<(u64, Bytes)>,
}

impl GroupLog {
    pub(super) fn new(group: GroupId, stored: Stored, cache_bytes: usize) -> Self {
        let purged_next = stored.purged.as_ref().map(|(index, _)| index + 1);
        let first = purged_next.or(stored.first);
        let last = stored.last.filter(|(index, _)| purged_next.is_none_or(|next| *index >= next));
        let next = last.as_ref().map(|(index, _)| index + 1).or(purged_next);
        let bounds = first.zip(next).map(|(first, next)| first..next);
        let end = next.unwrap_or(0);
        let mut log = Self {
            group,
            vote: stored.vote,
            committed: stored.committed,
            purged: stored.purged,
            bounds,
            deleted_below: stored.first.unwrap_or(end),
            durable_below: end,
            epoch: 0,
            tail: Tail { start: end, entries: VecDeque::new(), bytes: 0, bytes_max: cache_bytes },
            sizes: stored.sizes,
        };
        if let Some(next) = purged_next {
            log.sizes.purge(next);
        }
        if let Some((index, entry)) = last {
            log.tail.start = index;
            log.tail.push(entry);
        }
        log
    }

    /// The purged marker.
    pub(super) fn purged(&self) -> Option<(u64, Bytes)> {
        self.purged.clone()
    }

    /// Index of the last entry.
    pub(super) fn last(&self) -> Option<u64> {
        self.bounds.as_ref().filter(|bounds| !bounds.is_empty()).map(|bounds| bounds.end - 1)
    }

    /// Takes entries in; returns the epoch to be given to [`GroupLog::completed`].
    ///
    /// # Errors
    ///
    /// [`LogError::Hole`], with nothing changed, if the entries do not follow the log or one another.
    pub(super) fn append(&mut self, entries: &[(u64, Bytes)]) -> Result<u64, LogError> {
        let Some((first, _)) = entries.first() else { return Ok(self.epoch) };
        let next = self.bounds.as_ref().map_or(*first, |bounds| bounds.end);
        for (expected, (got, _)) in (next..).zip(entries) {
            if expected != *got {
                return Err(LogError::Hole { group: self.group, expected, got: *got });
            }
        }
        if self.bounds.is_none() {
            self.restart_at(*first);
        }
        for (index, entry) in entries {
            self.sizes.push(*index, entry.len());
            self.tail.push(entry.clone());
        }
        let end = next + entries.len() as u64;
        self.bounds = Some(self.bounds.as_ref().map_or(next, |bounds| bounds.start)..end);
        self.evict();
        Ok(self.epoch)
    }

    /// Drops the entries after `after`, all of them for `None`; returns those to be deleted on disk.
    pub(super) fn truncate_after(&mut self, after: Option<u64>) -> Range<u64> {
        let Some(bounds) = self.bounds.clone() else { return 0..0 };
        let end = after.map_or(0, |index| index.saturating_add(1)).max(bounds.start);
        if end >= bounds.end {
            return 0..0;
        }
        self.epoch += 1;
        self.durable_below = self.durable_below.min(end);
        self.tail.truncate(end);
        self.sizes.truncate(end);
        let pristine = end == bounds.start && self.purged.is_none();
        self.bounds = (!pristine).then_some(bounds.start..end);
        end..bounds.end
    }

    /// Drops the entries up to `upto`, if that is more than was purged; returns those to be deleted on disk now.
    ///
    /// If `upto` lies behind the end, the log goes on after it: a snapshot has replaced all of it.
    pub(super) fn purge(&mut self, upto: u64, marker: Bytes) -> Range<u64> {
        if self.purged.as_ref().is_some_and(|(purged, _)| *purged >= upto) {
            return 0..0;
        }
        let first = upto.saturating_add(1);
        self.purged = Some((upto, marker));
        match self.bounds.clone() {
            Some(bounds) if first < bounds.end => {
                self.bounds = Some(first..bounds.end);
                self.sizes.purge(first);
                self.tail.purge(first);
                if first - self.deleted_below < PURGE_BATCH {
                    return 0..0;
                }
                std::mem::replace(&mut self.deleted_below, first)..first
            }
            bounds => {
                let end = bounds.map_or(0, |bounds| bounds.end);
                let deleted = self.deleted_below.min(end)..end;
                self.restart_at(first);
                deleted
            }
        }
    }

    /// Notes that the entries below `next`, appended in `epoch`, are durable.
    pub(super) fn completed(&mut self, epoch: u64, next: u64) {
        if epoch == self.epoch {
            self.durable_below = self.durable_below.max(next);
            self.evict();
        }
    }

    /// Plans the read of `range`: its part that exists, cut after the entry that reaches `max_bytes`.
    pub(super) fn plan(&self, range: Range<u64>, max_bytes: usize) -> ReadPlan {
        let bounds = self.bounds.clone().unwrap_or(0..0);
        let start = range.start.max(bounds.start);
        let end = range.end.min(bounds.end).max(start);
        let disk = start..self.tail.start.clamp(start, end);
        let cached = (disk.end..end).zip(self.tail.range(disk.end..end)).scan(0, |bytes, (index, entry)| {
            let room = *bytes < max_bytes.max(1);
            *bytes += entry.len();
            room.then(|| (index, entry.clone()))
        });
        ReadPlan { disk, cached: cached.collect() }
    }

    /// Starts over as an empty log whose next entry is `next`.
    fn restart_at(&mut self, next: u64) {
        self.epoch += 1;
        self.bounds = Some(next..next);
        self.deleted_below = next;
        self.durable_below = next;
        self.sizes = Sizes::default();
        self.tail = Tail { start: next, entries: VecDeque::new(), bytes: 0, ..self.tail };
    }

    fn evict(&mut self) {
        while self.tail.bytes > self.tail.bytes_max && self.tail.start < self.durable_below {
            self.tail.pop_front();
        }
    }
}

impl Tail {
    fn push(&mut self, entry: Bytes) {
        self.bytes += entry.len();
        self.entries.push_back(entry);
    }

    fn pop_front(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= entry.len();
            self.start += 1;
        }
    }

    fn purge(&mut self, first: u64) {
        while self.start < first && !self.entries.is_empty() {
            self.pop_front();
        }
        self.start = self.start.max(first);
    }

    fn truncate(&mut self, end: u64) {
        let kept = end.saturating_sub(self.start) as usize;
        let dropped: usize = self.entries.iter().skip(kept).map(Bytes::len).sum();
        self.entries.truncate(kept);
        self.bytes -= dropped;
        self.start = self.start.min(end);
    }

    /// The entries of a part of the tail; `range` lies in it.
    fn range(&self, range: Range<u64>) -> impl Iterator<Item = &Bytes> {
        let skipped = range.start.saturating_sub(self.start) as usize;
        self.entries.iter().skip(skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(cache_bytes: usize) -> GroupLog {
        GroupLog::new(GroupId(1), Stored::default(), cache_bytes)
    }

    fn entries(range: Range<u64>) -> Vec<(u64, Bytes)> {
        range.map(|index| (index, Bytes::from(vec![index as u8; 10]))).collect()
    }

    #[test]
    fn a_pristine_log_starts_anywhere_and_then_has_no_holes() {
        let mut log = log(1000);
        log.append(&entries(5..8)).unwrap();
        assert!(matches!(log.append(&entries(9..10)), Err(LogError::Hole { expected: 8, got: 9, .. })));
        assert!(matches!(log.append(&entries(7..8)), Err(LogError::Hole { expected: 8, got: 7, .. })));
        assert_eq!(log.last(), Some(7));
    }

    #[test]
    fn entries_leave_memory_only_when_durable() {
        let mut log = log(25);
        let epoch = log.append(&entries(0..5)).unwrap();
        assert_eq!(log.plan(0..5, 1000).disk, 0..0);
        log.completed(epoch, 5);
        assert_eq!(log.plan(0..5, 1000).disk, 0..3);
        assert_eq!(log.plan(0..5, 1000).cached, entries(3..5));
    }

    #[test]
    fn a_completion_from_before_a_truncation_counts_nothing() {
        let mut log = log(0);
        let old = log.append(&entries(0..5)).unwrap();
        assert_eq!(log.truncate_after(Some(1)), 2..5);
        let new = log.append(&entries(2..6)).unwrap();
        log.completed(old, 5);
        assert_eq!(log.plan(0..6, 1000).disk, 0..0, "none of the new entries is known to be on disk");
        log.completed(new, 6);
        assert_eq!(log.plan(0..6, 1000).disk, 0..6);
    }

    #[test]
    fn purges_are_deleted_in_batches_and_at_once_when_they_empty_the_log() {
        let mut log = log(1 << 20);
        log.append(&entries(0..3000)).unwrap();
        assert_eq!(log.purge(500, Bytes::new()), 0..0);
        assert_eq!(log.purge(1500, Bytes::new()), 0..1501);
        assert_eq!(log.purge(1500, Bytes::new()), 0..0);
        assert_eq!(log.purge(1600, Bytes::new()), 0..0);
        assert_eq!(log.purge(9000, Bytes::new()), 1501..3000);
        assert_eq!(log.last(), None);
        assert!(matches!(log.append(&entries(9000..9001)), Err(LogError::Hole { expected: 9001, .. })));
        log.append(&entries(9001..9002)).unwrap();
    }

    #[test]
    fn a_read_stops_at_the_entry_that_reaches_the_limit_and_returns_at_least_one() {
        let mut log = log(1000);
        log.append(&entries(0..5)).unwrap();
        assert_eq!(log.plan(1..5, 0).cached, entries(1..2));
        assert_eq!(log.plan(1..5, 20).cached, entries(1..3));
        assert_eq!(log.plan(1..5, 21).cached, entries(1..4));
        assert_eq!(log.plan(3..90, 1000).cached, entries(3..5));
        assert_eq!(log.plan(7..9, 1000), ReadPlan { disk: 7..7, cached: Vec::new() });
    }
}
