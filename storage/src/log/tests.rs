//! The log as a whole: order, durability, faults. What happens to its files is in `tests/recovery.rs`, and the
//! comparison with a simple model in `tests/model.rs`.

mod model;
mod recovery;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use ::model::GroupId;
use bytes::Bytes;

use super::*;

const G: GroupId = GroupId(1);

/// Long enough for a slow machine; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

type Outcome = mpsc::Receiver<Result<(), LogError>>;

fn open(dir: &Path, faults: &SyncFaults) -> Arc<LogDb> {
    LogDb::open_with(dir, LogOptions { faults: faults.clone(), ..LogOptions::default() }).unwrap()
}

fn done() -> (Done, Outcome) {
    let (sender, outcome) = sync_channel(1);
    (Box::new(move |result| sender.send(result).unwrap_or_default()), outcome)
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn entry(index: u64) -> (u64, Bytes) {
    (index, Bytes::from(format!("entry {index}")))
}

fn entries(range: Range<u64>) -> Vec<(u64, Bytes)> {
    range.map(entry).collect()
}

fn append(log: &LogDb, group: GroupId, range: Range<u64>) -> Outcome {
    let (done, outcome) = done();
    block_on(log.append(group, entries(range), done)).unwrap();
    outcome
}

#[track_caller]
fn durable(outcome: Outcome) {
    outcome.recv_timeout(PATIENCE).unwrap().unwrap();
}

/// Appends and waits until that is durable.
fn stored(log: &LogDb, group: GroupId, range: Range<u64>) {
    durable(append(log, group, range));
}

fn vote(log: &LogDb, text: &'static str) -> Outcome {
    let (done, outcome) = done();
    block_on(log.save_vote(G, Bytes::from_static(text.as_bytes()), done)).unwrap();
    outcome
}

fn truncate(log: &LogDb, after: Option<u64>) -> Outcome {
    let (done, outcome) = done();
    block_on(log.truncate_after(G, after, done)).unwrap();
    outcome
}

fn purge(log: &LogDb, upto: u64) -> Outcome {
    let (done, outcome) = done();
    block_on(log.purge(G, upto, Bytes::from(format!("marker {upto}")), done)).unwrap();
    outcome
}

fn all(log: &LogDb, group: GroupId) -> Vec<(u64, Bytes)> {
    log.read(group, 0..u64::MAX, usize::MAX).unwrap()
}

#[track_caller]
fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn an_entry_is_readable_at_once_and_done_only_after_its_fsync() {
    let dir = tempfile::tempdir().unwrap();
    let faults = SyncFaults::default();
    let log = open(dir.path(), &faults);
    faults.hang_after(0);
    let outcome = append(&log, G, 0..3);
    assert_eq!(all(&log, G), entries(0..3));
    wait_until("the fsync hangs", || faults.is_hanging());
    assert!(outcome.try_recv().is_err(), "not durable, yet reported done");
    assert_eq!(log.stats().syncs, 0);
    faults.clear();
    durable(outcome);
    assert_eq!(log.stats().syncs, 1);
    assert_eq!(log.stats().disk_reads, 0, "fresh entries are read from memory");
}

#[test]
fn a_vote_is_visible_only_when_durable() {
    let dir = tempfile::tempdir().unwrap();
    let faults = SyncFaults::default();
    let log = open(dir.path(), &faults);
    durable(vote(&log, "first"));
    faults.hang_after(0);
    let outcome = vote(&log, "second");
    wait_until("the fsync hangs", || faults.is_hanging());
    assert_eq!(log.vote(G).unwrap().unwrap(), "first");
    faults.clear();
    durable(outcome);
    assert_eq!(log.vote(G).unwrap().unwrap(), "second");
}

#[test]
fn what_queues_up_behind_an_fsync_shares_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let faults = SyncFaults::default();
    let log = open(dir.path(), &faults);
    faults.hang_after(0);
    let first = append(&log, G, 0..1);
    wait_until("the fsync hangs", || faults.is_hanging());
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut outcomes = Vec::new();
    for number in 0..40u64 {
        let (done, outcome) = done();
        let order = Arc::clone(&order);
        let done: Done = Box::new(move |result| {
            order.lock().push(number);
            done(result);
        });
        let group = GroupId(10 + (number % 8) as u32);
        block_on(log.append(group, entries(number / 8..number / 8 + 1), done)).unwrap();
        outcomes.push(outcome);
    }
    faults.clear();
    durable(first);
    outcomes.into_iter().for_each(durable);
    let stats = log.stats();
    assert_eq!((stats.syncs, stats.rounds, stats.ops, stats.entries), (2, 2, 41, 41));
    assert_eq!(stats.round_ops[0], 1);
    assert_eq!(stats.round_ops[6], 1, "40 operations belong to the class up to 64");
    assert_eq!(*order.lock(), (0..40).collect::<Vec<_>>());
    assert_eq!(all(&log, GroupId(17)), entries(0..5));
}

#[test]
fn a_full_queue_makes_an_append_wait_without_blocking_its_thread() {
    let dir = tempfile::tempdir().unwrap();
    let faults = SyncFaults::default();
    let options = LogOptions { queue_bytes: 2 * QUEUE_UNIT, faults: faults.clone(), ..LogOptions::default() };
    let log = LogDb::open_with(dir.path(), options).unwrap();
    faults.hang_after(0);
    let mut outcomes = vec![append(&log, G, 0..1), append(&log, G, 1..2)];
    assert_eq!(log.stats().queued_bytes, 2 * QUEUE_UNIT as u64);
    log.save_committed(G, Bytes::from_static(b"c")).unwrap();
    block_on(async {
        let (done, outcome) = done();
        let mut waiting = std::pin::pin!(log.append(G, entries(2..3), done));
        let early = tokio::time::timeout(Duration::from_millis(20), &mut waiting).await;
        assert!(early.is_err(), "taken although the queue is full");
        assert_eq!(all(&log, G), entries(0..2), "what waits for room is not appended");
        faults.clear();
        waiting.await.unwrap();
        outcomes.push(outcome);
    });
    outcomes.into_iter().for_each(durable);
    assert_eq!(all(&log, G), entries(0..3));
    assert_eq!(log.committed(G).unwrap().unwrap(), "c", "kept in memory when the queue was full");
}

#[test]
fn a_failed_fsync_poisons_everything_until_the_log_is_reopened() {
    let dir = tempfile::tempdir().unwrap();
    let faults = SyncFaults::default();
    let log = open(dir.path(), &faults);
    stored(&log, G, 0..2);
    faults.fail_after(0);
    let failed = append(&log, G, 2..3);
    assert!(matches!(failed.recv_timeout(PATIENCE).unwrap(), Err(LogError::Poisoned { .. })));
    faults.clear();
    let (done, _outcome) = done();
    assert!(matches!(block_on(log.append(G, entries(3..4), done)), Err(LogError::Poisoned { .. })));
    assert!(matches!(log.read(G, 0..9, 9), Err(LogError::Poisoned { .. })));
    assert!(matches!(log.read_cached(G, 0..9, 9), Err(LogError::Poisoned { .. })));
    assert!(matches!(log.bounds(G), Err(LogError::Poisoned { .. })));
    assert!(matches!(log.vote(G), Err(LogError::Poisoned { .. })));
    assert!(matches!(log.save_committed(G, Bytes::new()), Err(LogError::Poisoned { .. })));
    assert!(log.stats().poisoned);
    assert_eq!(log.stats().syncs, 1);
    drop(log);
    assert_eq!(all(&open(dir.path(), &faults), G), entries(0..2));
}

/// After a failed fsync the operating system may call pages clean that never reached the disk, so what is read back from
/// them must be written anew before anybody builds on it.
#[test]
fn what_was_recovered_is_written_to_a_table_before_the_log_opens() {
    let dir = tempfile::tempdir().unwrap();
    let bytes_of = |extension: &str| -> u64 {
        let files = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap());
        let files = files.filter(|file| file.path().extension().is_some_and(|found| found == extension));
        files.map(|file| file.metadata().unwrap().len()).sum()
    };
    let log = open(dir.path(), &SyncFaults::default());
    stored(&log, G, 0..2);
    drop(log);
    let before = bytes_of("sst");
    assert!(bytes_of("log") > 0);
    let log = open(dir.path(), &SyncFaults::default());
    assert_eq!(all(&log, G), entries(0..2));
    assert!(bytes_of("sst") > before && bytes_of("log") == 0);
}

#[test]
fn operations_queued_behind_a_failure_fail_too() {
    let dir = tempfile::tempdir().unwrap();
    let faults = SyncFaults::default();
    let log = open(dir.path(), &faults);
    faults.hang_after(0);
    let first = append(&log, G, 0..1);
    wait_until("the fsync hangs", || faults.is_hanging());
    let second = append(&log, GroupId(2), 0..1);
    faults.fail_after(0);
    for outcome in [first, second] {
        assert!(matches!(outcome.recv_timeout(PATIENCE).unwrap(), Err(LogError::Poisoned { .. })));
    }
}

#[test]
fn closing_does_not_wait_for_an_fsync_that_hangs() {
    let dir = tempfile::tempdir().unwrap();
    let faults = SyncFaults::default();
    let log = open(dir.path(), &faults);
    faults.hang_after(0);
    let outcome = append(&log, G, 0..1);
    drop(log);
    assert!(outcome.recv_timeout(PATIENCE).unwrap().is_err());
}

#[test]
fn a_callback_may_hold_the_last_reference() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &SyncFaults::default());
    let (done, outcome) = done();
    let held = Arc::clone(&log);
    let done: Done = Box::new(move |result| {
        drop(held);
        done(result);
    });
    block_on(log.append(G, entries(0..1), done)).unwrap();
    drop(log);
    durable(outcome);
}

#[test]
fn a_truncation_followed_by_an_append_keeps_only_the_new_entries() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &SyncFaults::default());
    stored(&log, G, 0..10);
    let truncated = truncate(&log, Some(3));
    let (done, appended) = done();
    let new = Bytes::from_static(b"new");
    block_on(log.append(G, vec![(4, new.clone())], done)).unwrap();
    durable(truncated);
    durable(appended);
    let expected: Vec<_> = entries(0..4).into_iter().chain([(4, new)]).collect();
    assert_eq!(all(&log, G), expected);
    drop(log);
    assert_eq!(all(&open(dir.path(), &SyncFaults::default()), G), expected);
}

#[test]
fn a_hole_is_refused_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &SyncFaults::default());
    stored(&log, G, 5..7);
    let (done, _outcome) = done();
    let refused = block_on(log.append(G, entries(8..9), done));
    assert!(matches!(refused, Err(LogError::Hole { expected: 7, got: 8, .. })));
    stored(&log, G, 7..8);
    assert_eq!(all(&log, G), entries(5..8));
}

#[test]
fn old_entries_come_from_disk_and_fresh_ones_from_memory_in_one_answer() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { cache_bytes: 20, ..LogOptions::default() };
    let log = LogDb::open_with(dir.path(), options).unwrap();
    stored(&log, G, 0..10);
    assert_eq!(log.read_cached(G, 0..10, 1000).unwrap(), None);
    assert_eq!(log.read_cached(G, 8..10, 1000).unwrap(), Some(entries(8..10)));
    assert_eq!(log.stats().disk_reads, 0);
    assert_eq!(log.read(G, 0..10, 1000).unwrap(), entries(0..10));
    assert_eq!(log.read(G, 5..10, 0).unwrap(), entries(5..6), "never nothing");
    assert_eq!(log.read(G, 5..10, 29).unwrap(), entries(5..10), "entries of 7 bytes: the fifth reaches 29");
    assert_eq!(log.read(G, 5..10, 28).unwrap(), entries(5..9));
    assert_eq!(log.stats().disk_reads, 4);
}

#[test]
fn many_groups_at_once_keep_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &SyncFaults::default());
    let calls = AtomicUsize::new(0);
    thread::scope(|scope| {
        for group in 0..8 {
            let (log, calls) = (&log, &calls);
            scope.spawn(move || {
                let outcomes: Vec<_> =
                    (0..50).map(|index| append(log, GroupId(group), index..index + 1)).collect();
                outcomes.into_iter().for_each(durable);
                calls.fetch_add(50, Ordering::Relaxed);
            });
        }
    });
    assert_eq!(calls.load(Ordering::Relaxed), 400);
    assert_eq!(log.stats().entries, 400);
    drop(log);
    let log = open(dir.path(), &SyncFaults::default());
    for group in 0..8 {
        assert_eq!(all(&log, GroupId(group)), entries(0..50));
    }
}
