//! Counters of the Raft log: what metrics export and what the durability tests assert on.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Number of size classes of [`LogStats::round_ops`].
pub const ROUND_CLASSES: usize = 9;

/// Counters since the log was opened, and two gauges.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Writes that were followed by an fsync, successful ones only.
    pub syncs: u64,
    /// Rounds of the writer, synced or not, successful ones only.
    pub rounds: u64,
    /// Operations taken in these rounds.
    pub ops: u64,
    /// Entries appended.
    pub entries: u64,
    /// Bytes of the entries appended.
    pub entry_bytes: u64,
    /// Bytes given to the write-ahead file: entries with their keys, votes, markers.
    pub written_bytes: u64,
    /// Rounds by number of operations: class `i` counts rounds of at most 2^i that are in no smaller class.
    pub round_ops: [u64; ROUND_CLASSES],
    /// Time spent in synced writes, in nanoseconds.
    pub sync_ns: u64,
    /// The longest synced write, in nanoseconds.
    pub sync_ns_max: u64,
    /// Gauge: how long the synced write that is under way has taken so far, in nanoseconds; 0 if there is none.
    pub sync_running_ns: u64,
    /// Reads that had to go to disk, because the tail in memory did not hold all of the range.
    pub disk_reads: u64,
    /// Gauge: bytes that wait for the writer, rounded up to the queue's unit.
    pub queued_bytes: u64,
    /// Gauge: whether a write failed, so that nothing is taken any more.
    pub poisoned: bool,
}

/// The counters behind [`LogStats`]; written by the writer and by readers, with no order between them.
#[derive(Debug, Default)]
pub(super) struct Counters {
    syncs: AtomicU64,
    rounds: AtomicU64,
    ops: AtomicU64,
    entries: AtomicU64,
    entry_bytes: AtomicU64,
    written_bytes: AtomicU64,
    round_ops: [AtomicU64; ROUND_CLASSES],
    sync_ns: AtomicU64,
    sync_ns_max: AtomicU64,
    sync_begun: Mutex<Option<Instant>>,
    disk_reads: AtomicU64,
}

impl Counters {
    pub(super) fn observe_round(&self, ops: usize, bytes: usize) {
        add(&self.rounds, 1);
        add(&self.written_bytes, bytes as u64);
        add(&self.ops, ops as u64);
        let class = ops.next_power_of_two().trailing_zeros() as usize;
        add(&self.round_ops[class.min(ROUND_CLASSES - 1)], 1);
    }

    /// A synced write begins.
    pub(super) fn begin_sync(&self) {
        *self.sync_begun.lock() = Some(Instant::now());
    }

    /// It ended, well or not.
    pub(super) fn end_sync(&self) {
        *self.sync_begun.lock() = None;
    }

    pub(super) fn observe_sync(&self, took: Duration) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        add(&self.syncs, 1);
        add(&self.sync_ns, ns);
        self.sync_ns_max.fetch_max(ns, Ordering::Relaxed);
    }

    pub(super) fn observe_entries(&self, entries: usize, bytes: usize) {
        add(&self.entries, entries as u64);
        add(&self.entry_bytes, bytes as u64);
    }

    pub(super) fn observe_disk_read(&self) {
        add(&self.disk_reads, 1);
    }

    /// The counters, with the gauges as given.
    pub(super) fn snapshot(&self, queued_bytes: u64, poisoned: bool) -> LogStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LogStats {
            syncs: get(&self.syncs),
            rounds: get(&self.rounds),
            ops: get(&self.ops),
            entries: get(&self.entries),
            entry_bytes: get(&self.entry_bytes),
            written_bytes: get(&self.written_bytes),
            round_ops: std::array::from_fn(|class| get(&self.round_ops[class])),
            sync_ns: get(&self.sync_ns),
            sync_ns_max: get(&self.sync_ns_max),
            sync_running_ns: self.sync_begun.lock().map_or(0, |begun| begun.elapsed().as_nanos() as u64),
            disk_reads: get(&self.disk_reads),
            queued_bytes,
            poisoned,
        }
    }
}

fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_classed_by_powers_of_two() {
        let counters = Counters::default();
        for ops in [1, 2, 3, 4, 5, 256, 1000] {
            counters.observe_round(ops, 10);
        }
        let stats = counters.snapshot(0, false);
        assert_eq!(stats.round_ops, [1, 1, 2, 1, 0, 0, 0, 0, 2]);
        assert_eq!((stats.rounds, stats.ops), (7, 1271));
    }
}
