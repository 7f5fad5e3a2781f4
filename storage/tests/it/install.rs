//! Snapshots: a checkpoint of one replica becomes the state of another.

use crate::harness::*;
use model::TagPredicate;
use std::fs;
use storage::StorageError;

fn leader() -> Replica {
    let mut replica = Replica::new();
    for round in 0..30 {
        replica.write(&[int("m,a=1", round * HOUR, round), int("m,a=2", round * HOUR, -round)]);
    }
    replica
}

#[test]
fn a_checkpoint_is_the_whole_state() {
    let leader = leader();
    let follower = Replica::new();
    let copy = follower.dir.path().join("received");
    assert_eq!(leader.store().checkpoint(&copy).unwrap(), marker(30));
    let reader = follower.store().reader();
    assert_eq!(follower.store().install(&copy, 30).unwrap(), marker(30));
    assert!(!copy.exists());
    assert_eq!(follower.store().applied(), marker(30));
    assert_eq!(follower.store().durable(), marker(30));
    assert_eq!(follower.store().checksum().unwrap(), leader.store().checksum().unwrap());
    assert_eq!(reader.series(DB, "m", &TagPredicate::All).len(), 2);
    assert_eq!(follower.all("m,a=1", 0), leader.all("m,a=1", 0));
}

#[test]
fn an_install_replaces_what_was_there_and_survives_a_restart() {
    let leader = leader();
    let mut follower = Replica::new();
    follower.write(&[int("old,x=1", 1, 1)]);
    follower.store().flush().unwrap();
    follower.write(&[int("old,x=1", 2, 2)]);
    let copy = follower.dir.path().join("received");
    leader.store().checkpoint(&copy).unwrap();
    follower.store().install(&copy, 30).unwrap();
    assert_eq!(follower.store().head_bytes(), 0);
    assert!(follower.store().reader().measurements(DB).iter().all(|m| &**m == "m"));
    follower.log.clone_from(&leader.log);
    follower.write(&[int("m,a=3", 31 * HOUR, 31)]);
    follower.crash_and_replay();
    assert_eq!(follower.all("m,a=2", 0), leader.all("m,a=2", 0));
    assert_eq!(follower.all("m,a=3", 0).len(), 1);
    let directories = fs::read_dir(follower.dir.path().join("state")).unwrap();
    let left: Vec<_> = directories.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(left.iter().filter(|name| name.starts_with("db-")).count(), 1, "{left:?}");
}

#[test]
fn a_snapshot_of_another_index_is_refused() {
    let leader = leader();
    let mut follower = Replica::new();
    follower.write(&[int("old", 1, 1)]);
    let copy = follower.dir.path().join("received");
    leader.store().checkpoint(&copy).unwrap();
    let error = follower.store().install(&copy, 29).unwrap_err();
    assert!(matches!(error, StorageError::WrongSnapshot { expected: 29, found: 30 }), "{error}");
    assert!(!copy.exists());
    follower.write(&[int("old", 2, 2)]);
    assert_eq!(follower.all("old", 0).len(), 2);
    follower.store().flush().unwrap();
}

#[test]
fn a_snapshot_with_a_missing_or_damaged_file_is_refused() {
    for damage in [
        |p: &std::path::Path| fs::remove_file(p).unwrap(),
        |p: &std::path::Path| {
            let len = fs::metadata(p).unwrap().len();
            fs::File::options().write(true).open(p).unwrap().set_len(len / 2).unwrap();
        },
    ] {
        let leader = leader();
        let mut follower = Replica::new();
        follower.write(&[int("old", 1, 1)]);
        let copy = follower.dir.path().join("received");
        leader.store().checkpoint(&copy).unwrap();
        let files = fs::read_dir(&copy).unwrap().map(|e| e.unwrap().path());
        let sst = files
            .filter(|p| p.extension().is_some_and(|e| e == "sst"))
            .max_by_key(|p| fs::metadata(p).unwrap().len());
        // The received file is a hard link: cut it loose from the leader's own before damaging it.
        let sst = sst.unwrap();
        let bytes = fs::read(&sst).unwrap();
        fs::remove_file(&sst).unwrap();
        fs::write(&sst, bytes).unwrap();
        damage(&sst);
        assert!(follower.store().install(&copy, 30).is_err());
        follower.write(&[int("old", 2, 2)]);
        follower.crash_and_replay();
        assert_eq!(follower.all("old", 0).len(), 2);
    }
}

#[test]
fn a_crash_before_the_switch_keeps_the_old_state() {
    let leader = leader();
    let mut follower = Replica::new();
    follower.write(&[int("old", 1, 1)]);
    follower.store().flush().unwrap();
    // The files were moved in, LIVE was not written yet.
    let state = follower.dir.path().join("state");
    leader.store().checkpoint(&state.join("db-000002")).unwrap();
    fs::write(state.join("LIVE.new"), "db-00").unwrap();
    follower.crash_and_replay();
    assert_eq!(follower.all("old", 0).len(), 1);
    assert!(!state.join("db-000002").exists());
}

#[test]
fn damaged_files_are_errors_not_other_points() {
    let mut replica = leader();
    replica.store().flush().unwrap();
    let id = replica.id("m,a=1");
    replica.store = None;
    let live = replica.dir.path().join("state/db-000001");
    for entry in fs::read_dir(&live).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "sst") {
            let mut bytes = fs::read(&path).unwrap();
            // The first block of data; the last bytes name what the file is.
            for byte in bytes.iter_mut().skip(8).take(24) {
                *byte ^= 0x55;
            }
            fs::write(&path, bytes).unwrap();
        }
    }
    // Either the records are read at open and it is refused, or the chunk is read and the scan is.
    if let Ok(store) = storage::ShardStore::open(&replica.dir.path().join("state"), &shared()) {
        assert!(store.reader().scan(RP, id, model::FieldId(0), model::TimeRange::ALL).is_err());
        assert!(store.checksum().is_err());
    }
}
