//! The state database itself, as the meta group uses it.

use crate::harness::{marker, shared};
use std::fs;
use storage::{StateDb, StorageError};

#[test]
fn a_blob_and_its_marker_are_durable_together() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("meta");
    let db = StateDb::open(&path, &shared()).unwrap();
    assert_eq!((db.applied().index, db.get_blob("catalog").unwrap()), (0, None));
    db.put_blob("catalog", b"one", &marker(1)).unwrap();
    assert_eq!(db.durable().index, 0);
    db.advance(&marker(2)).unwrap();
    assert_eq!(db.flush().unwrap(), marker(2));
    assert_eq!(db.durable(), marker(2));
    drop(db);
    let db = StateDb::open(&path, &shared()).unwrap();
    assert_eq!((db.applied(), db.get_blob("catalog").unwrap()), (marker(2), Some(b"one".to_vec())));
    assert_eq!(db.get_blob("other").unwrap(), None);
    db.destroy().unwrap();
    assert!(!path.exists());
}

#[test]
fn a_checkpoint_can_be_installed_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let from = StateDb::open(&dir.path().join("from"), &shared()).unwrap();
    from.put_blob("catalog", b"one", &marker(5)).unwrap();
    let copy = dir.path().join("copy");
    assert_eq!(from.checkpoint(&copy).unwrap(), marker(5));
    let to = StateDb::open(&dir.path().join("to"), &shared()).unwrap();
    to.put_blob("catalog", b"old", &marker(1)).unwrap();
    assert_eq!(to.install(&copy, 5).unwrap(), marker(5));
    assert_eq!(to.get_blob("catalog").unwrap(), Some(b"one".to_vec()));
    to.put_blob("catalog", b"two", &marker(6)).unwrap();
    to.flush().unwrap();
    drop(to);
    let to = StateDb::open(&dir.path().join("to"), &shared()).unwrap();
    assert_eq!((to.applied(), to.get_blob("catalog").unwrap()), (marker(6), Some(b"two".to_vec())));
}

#[test]
fn a_lost_live_file_is_not_an_empty_database() {
    let dir = tempfile::tempdir().unwrap();
    let db = StateDb::open(dir.path(), &shared()).unwrap();
    db.put_blob("catalog", b"one", &marker(1)).unwrap();
    db.flush().unwrap();
    drop(db);
    let live = fs::read(dir.path().join("LIVE")).unwrap();
    fs::remove_file(dir.path().join("LIVE")).unwrap();
    let error = StateDb::open(dir.path(), &shared()).unwrap_err();
    assert!(matches!(error, StorageError::Damaged { .. }), "{error}");
    fs::write(dir.path().join("LIVE"), b"../elsewhere\n").unwrap();
    assert!(StateDb::open(dir.path(), &shared()).is_err());
    fs::write(dir.path().join("LIVE"), b"db-000009\n").unwrap();
    assert!(StateDb::open(dir.path(), &shared()).is_err());
    fs::write(dir.path().join("LIVE"), live).unwrap();
    assert_eq!(StateDb::open(dir.path(), &shared()).unwrap().applied(), marker(1));
}

#[test]
fn a_crash_while_it_is_first_made_leaves_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    drop(StateDb::open(dir.path(), &shared()).unwrap());
    fs::remove_file(dir.path().join("LIVE")).unwrap();
    assert_eq!(StateDb::open(dir.path(), &shared()).unwrap().applied().index, 0);
}
