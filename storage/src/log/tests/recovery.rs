//! What is there when the log is opened again: after a kill, after a power loss that tore the tail, after a flipped
//! bit, and after purges.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::*;

/// Names the directory to a child process of these tests.
const CHILD_DIR: &str = "STEADFAST_TEST_RAFT_LOG_DIR";

/// Runs one test of this file again in a process of its own, as a program to be killed.
fn child(test: &str, dir: &Path, fault: Option<&str>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([&format!("log::tests::recovery::{test}"), "--exact", "--nocapture", "--test-threads=1"]);
    command.env(CHILD_DIR, dir).stdout(Stdio::piped()).stderr(Stdio::null());
    if let Some(fault) = fault {
        command.env(FAULT_VARIABLE, fault);
    }
    command.spawn().unwrap()
}

/// The numbers that a child prints in lines of `acked N`.
fn acked(child: &mut Child) -> impl Iterator<Item = u64> + use<> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("acked ")?.parse().ok())
}

/// Not a test unless it is run by [`child`]: appends to three groups until it is killed or an append fails.
#[test]
fn appends_until_killed() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    let log = LogDb::open(Path::new(&dir)).unwrap();
    for index in 0..100_000 {
        let outcomes: Vec<_> = (1..4).map(|group| append(&log, GroupId(group), index..index + 1)).collect();
        if outcomes.into_iter().any(|outcome| outcome.recv().unwrap().is_err()) {
            println!("\nfailed after {} fsyncs", log.stats().syncs);
            return;
        }
        println!("\nacked {index}");
    }
}

#[test]
fn everything_acknowledged_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = child("appends_until_killed", dir.path(), None);
    let mut acked = acked(&mut process);
    let seen = acked.by_ref().find(|index| *index >= 100).expect("the child appends");
    process.kill().unwrap();
    let last = acked.last().unwrap_or(seen);
    process.wait().unwrap();
    let log = open(dir.path(), &SyncFaults::default());
    for group in 1..4 {
        let found = all(&log, GroupId(group));
        assert!(found.len() as u64 > last, "group {group} lost entries: {} of {last}", found.len());
        assert_eq!(found, entries(0..found.len() as u64));
    }
}

#[test]
fn the_environment_makes_fsyncs_fail_or_hang() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = child("appends_until_killed", dir.path(), Some("fail_after:7"));
    let acks = acked(&mut process).count();
    process.wait().unwrap();
    assert!((1..=7).contains(&acks), "{acks} acknowledged appends with 7 fsyncs");
    let log = open(dir.path(), &SyncFaults::default());
    assert!(all(&log, G).len() >= acks);

    let dir = tempfile::tempdir().unwrap();
    let mut process = child("appends_until_killed", dir.path(), Some("hang_after:0"));
    thread::sleep(Duration::from_millis(300));
    process.kill().unwrap();
    assert_eq!(acked(&mut process).count(), 0);
    process.wait().unwrap();
}

/// Copies the files of an open log, as a power loss would leave them.
fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for file in fs::read_dir(from).unwrap() {
        let path = file.unwrap().path();
        if path.file_name().is_some_and(|name| name != "LOCK") {
            fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    to
}

/// The write-ahead log of RocksDB that is written now.
fn wal(dir: &Path) -> PathBuf {
    let files = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "log")).max().unwrap()
}

fn filled(dir: &Path) -> Arc<LogDb> {
    let log = open(dir, &SyncFaults::default());
    for index in 0..1000 {
        stored(&log, G, index..index + 1);
    }
    log
}

#[test]
fn a_torn_tail_costs_only_the_last_record() {
    let dir = tempfile::tempdir().unwrap();
    let _open = filled(dir.path());
    let torn = copy(dir.path());
    let wal = fs::OpenOptions::new().write(true).open(wal(torn.path())).unwrap();
    wal.set_len(wal.metadata().unwrap().len() - 5).unwrap();
    assert_eq!(all(&open(torn.path(), &SyncFaults::default()), G), entries(0..999));
}

#[test]
fn a_flipped_bit_in_the_middle_refuses_to_open_and_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let _open = filled(dir.path());
    let intact = fs::read(wal(dir.path())).unwrap();
    for position in [20, intact.len() / 3, intact.len() / 2, intact.len() - 20] {
        let damaged = copy(dir.path());
        let mut bytes = intact.clone();
        bytes[position] ^= 0x10;
        fs::write(wal(damaged.path()), bytes).unwrap();
        let options = LogOptions::default();
        let error =
            LogDb::open_with(damaged.path(), options).expect_err("opened with acknowledged entries gone");
        assert!(matches!(error, LogError::Damaged { .. }), "at {position}: {error}");
        assert!(error.to_string().contains("under a new node id"), "{error}");
    }
}

/// A flipped bit of a length in the last block looks like a torn tail to RocksDB; see `wal.rs`.
#[test]
fn a_flipped_bit_in_any_byte_of_a_late_record_refuses_to_open() {
    let dir = tempfile::tempdir().unwrap();
    let _open = filled(dir.path());
    let intact = fs::read(wal(dir.path())).unwrap();
    let last = |needle: &[u8]| intact.windows(needle.len()).rposition(|window| window == needle).unwrap();
    let damaged = copy(dir.path());
    for position in last(b"entry 989")..last(b"entry 991") {
        let mut bytes = intact.clone();
        bytes[position] ^= 0x80;
        fs::write(wal(damaged.path()), bytes).unwrap();
        let opened = LogDb::open_with(damaged.path(), LogOptions::default());
        assert!(matches!(opened, Err(LogError::Damaged { .. })), "opened with byte {position} flipped");
    }
}

#[test]
fn purged_entries_stay_purged() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &SyncFaults::default());
    stored(&log, G, 0..5000);
    for upto in [10, 1200, 1300, 4000] {
        durable(purge(&log, upto));
    }
    assert_eq!(all(&log, G), entries(4001..5000));
    drop(log);
    let log = open(dir.path(), &SyncFaults::default());
    let purged = Some((4000, Bytes::from_static(b"marker 4000")));
    assert_eq!(log.bounds(G).unwrap(), LogBounds { purged, last: Some(entry(4999)) });
    assert_eq!(all(&log, G), entries(4001..5000));
    stored(&log, G, 5000..5001);
}

#[test]
fn a_purge_past_the_end_restarts_the_log_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &SyncFaults::default());
    stored(&log, G, 0..10);
    durable(purge(&log, 99));
    stored(&log, G, 100..103);
    durable(truncate(&log, None));
    assert_eq!(log.bounds(G).unwrap().purged.unwrap().0, 99, "a truncation takes no purged entry back");
    stored(&log, G, 100..102);
    drop(log);
    let log = open(dir.path(), &SyncFaults::default());
    assert_eq!(all(&log, G), entries(100..102));
}

#[test]
fn whole_files_of_purged_entries_are_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &SyncFaults::default());
    let count = 40_000;
    for first in (0..count).step_by(1000) {
        let (done, outcome) = done();
        let entries = (first..first + 1000).map(|index| (index, Bytes::from(vec![7; 64]))).collect();
        block_on(log.append(G, entries, done)).unwrap();
        durable(outcome);
    }
    log.db.flush().unwrap();
    log.db.compact_range(None::<&[u8]>, None::<&[u8]>);
    for upto in (1000..count - 1).step_by(1000) {
        durable(purge(&log, upto));
    }
    assert_eq!(all(&log, G).len(), 999);
    drop(log);
    assert_eq!(all(&open(dir.path(), &SyncFaults::default()), G).len(), 999);
}

#[test]
fn groups_keep_apart_what_they_store() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &SyncFaults::default());
    durable(vote(&log, "v"));
    log.save_committed(G, Bytes::from_static(b"c")).unwrap();
    stored(&log, GroupId(0), 0..3);
    stored(&log, GroupId(u32::MAX), 7..9);
    drop(log);
    let log = open(dir.path(), &SyncFaults::default());
    assert_eq!(log.vote(G).unwrap().unwrap(), "v");
    assert_eq!(log.committed(G).unwrap().unwrap(), "c");
    assert_eq!(log.bounds(G).unwrap(), LogBounds::default());
    assert_eq!(log.vote(GroupId(0)).unwrap(), None);
    assert_eq!(all(&log, GroupId(0)), entries(0..3));
    assert_eq!(all(&log, GroupId(u32::MAX)), entries(7..9));
}

#[test]
fn a_newer_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &SyncFaults::default());
    log.db.put(keys::FORMAT, [9]).unwrap();
    drop(log);
    let error = LogDb::open_with(dir.path(), LogOptions::default()).unwrap_err();
    assert!(matches!(error, LogError::Format { found: 9, known: 1, .. }), "{error}");
}

#[test]
fn a_second_open_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _log = open(dir.path(), &SyncFaults::default());
    let error = LogDb::open_with(dir.path(), LogOptions::default()).unwrap_err();
    assert!(matches!(error, LogError::Open { .. }), "{error}");
}
