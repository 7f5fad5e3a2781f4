//! SIGKILL at any moment leaves exactly the state at the durable marker.

use crate::harness::*;
use model::FieldId;
use model::batch::{BatchWriter, Row};
use model::value::ValueRef;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use storage::ShardStore;

const DIR: &str = "STORAGE_KILL_DIR";

/// Entry `index` of a log that never ends: late points, overwrites, new series, expired partitions.
fn apply(store: &ShardStore, index: u64) {
    let day = index as i64 / 40;
    if index.is_multiple_of(40) {
        return store.drop_before(RP, (day - 1) * 24 * HOUR, marker(index)).unwrap();
    }
    let mut batch = BatchWriter::new(header(DB, RP));
    for i in 0..40 {
        let series = batch.add_series(format!("m,pod={}", (index / 40 * 7 + i) % 300).as_bytes());
        let time = day * 24 * HOUR + (index as i64 * 7919 % 1_440) * 60 * SECOND;
        let value = ValueRef::Integer(index as i64 * i as i64);
        batch.push(&Row { series, time, field: FieldId(0), value });
    }
    let mut bytes = Vec::new();
    batch.finish(&mut bytes);
    assert!(store.apply_write(&bytes, marker(index)).unwrap());
}

/// Does nothing unless it is started by the test below, which kills it.
#[test]
fn writes_until_killed() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else { return };
    let store = open(&dir);
    for index in store.applied().index + 1.. {
        apply(&store, index);
        if index % 3 == 0 {
            store.flush().unwrap();
            println!("durable {index}");
        }
    }
}

fn run_and_kill(dir: &Path, flushes: usize) -> u64 {
    let test = ["kill::writes_until_killed", "--exact", "--nocapture", "--test-threads=1"];
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(test)
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let durable = lines.filter_map(|line| line.rsplit("durable ").next()?.parse().ok());
    let last: u64 = durable.take(flushes).last().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    last
}

#[test]
fn a_killed_store_is_the_state_at_its_durable_marker() {
    let dir = tempfile::tempdir().unwrap();
    let (killed, replayed) = (dir.path().join("killed"), dir.path().join("replayed"));
    let replay = open(&replayed);
    for flushes in [1, 9, 30, 3, 17] {
        let told = run_and_kill(&killed, flushes);
        let store = open(&killed);
        let index = store.applied().index;
        assert!(index >= told, "flushed {told}, found {index}");
        for entry in replay.applied().index + 1..=index {
            apply(&replay, entry);
        }
        assert_eq!(store.checksum().unwrap(), replay.checksum().unwrap());
        assert_eq!(store.stats().series_indexed, replay.stats().series_indexed);
    }
}
