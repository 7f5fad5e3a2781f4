//! Damage below RocksDB's own checksums: blocks that are not what a flush wrote.

use super::*;
use crate::chunk::{Rows, blocks};
use crate::config::StorageConfig;
use crate::key::{ChunkKey, ChunkKeyBytes, Extent, KeyKind, PartitionKey};
use crate::rocks::Table;
use model::batch::{BatchHeader, BatchWriter, Row};
use model::delete::Measurements;
use model::scan::ScanError;
use model::time::ShardOrigin;
use model::value::ValueRef;
use model::{FieldId, FieldType, TagPredicate, TimeRange};
use tempfile::TempDir;

const DB: DatabaseId = DatabaseId(1);
const RP: RetentionPolicyId = RetentionPolicyId(1);
const SERIES: SeriesId = SeriesId(0);

fn store() -> (ShardStore, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let shared = Shared::new(&StorageConfig { block_cache_bytes: 0, ..StorageConfig::default() }).unwrap();
    (ShardStore::open(&dir.path().join("state"), &shared).unwrap(), dir)
}

fn at(index: u64) -> ApplyMarker {
    ApplyMarker { index, bytes: Vec::new() }
}

fn write(store: &ShardStore, index: u64, times: impl Iterator<Item = i64>) {
    let header = BatchHeader {
        database: DB,
        policy: RP,
        shard_duration_ns: 1 << 50,
        shard_origin: ShardOrigin::Epoch,
    };
    let mut batch = BatchWriter::new(header);
    let series = batch.add_series(b"m");
    for time in times {
        batch.push(&Row { series, time, field: FieldId(0), value: ValueRef::Integer(time) });
    }
    let mut bytes = Vec::new();
    batch.finish(&mut bytes);
    assert!(store.apply_write(&bytes, at(index)).unwrap());
}

fn chunk_key(window: i32) -> ChunkKeyBytes {
    let partition = PartitionKey { policy: RP, start: 0 };
    ChunkKey::window(partition, (SERIES, FieldId(0)), window).encode()
}

fn value(store: &ShardStore, window: i32) -> Vec<u8> {
    store.inner.db.rocks().get(Table::Chunk, &chunk_key(window)).unwrap().unwrap()
}

fn overwrite(store: &ShardStore, value: &[u8]) {
    let put = |batch: &mut crate::rocks::Batch<'_>| {
        batch.put(Table::Chunk, &chunk_key(0), value);
        Ok(())
    };
    store.inner.db.write(&store.durable(), put).unwrap();
}

fn scan(store: &ShardStore) -> Result<usize, ScanError> {
    let chunks = store.reader().scan(RP, SERIES, FieldId(0), TimeRange::ALL)?;
    Ok(chunks.iter().map(|run| run.batch.times.len()).sum())
}

#[test]
fn a_damaged_block_is_told_and_later_points_are_kept() {
    let (store, _dir) = store();
    write(&store, 1, 0..100);
    store.flush().unwrap();
    let mut damaged = value(&store, 0);
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    overwrite(&store, &damaged);
    // Late points for the damaged window, in two flushes: appended, then folded.
    for (index, time) in [(2, 200), (3, 300)] {
        write(&store, index, std::iter::once(time));
        write(&store, index, std::iter::once(time + (1 << 44)));
        store.flush().unwrap();
        assert!(matches!(scan(&store), Err(ScanError::Damaged { series: SERIES, .. })));
    }
    assert!(matches!(store.checksum(), Err(StorageError::Damaged { .. })));
    let blocks: Vec<_> = blocks::split(&value(&store, 0)).unwrap().into_iter().map(<[u8]>::to_vec).collect();
    assert_eq!(blocks.len(), 3);
    // Damage is not a failed write: the store goes on.
    store.advance(at(4)).unwrap();
}

/// What the replicas have left in the index after a delete depends on what each of them can read.
#[test]
fn a_delete_that_meets_a_damaged_block_reports_it() {
    let (store, _dir) = store();
    write(&store, 1, 0..100);
    store.flush().unwrap();
    let delete = |from: i64, to: i64| Delete {
        database: DB,
        policy: None,
        measurements: Measurements::All,
        predicate: TagPredicate::All,
        range: TimeRange::new(from, to),
    };
    store.delete(&delete(0, 10), at(2)).unwrap();
    assert_eq!(store.damage(), None);
    let mut damaged = value(&store, 0);
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    overwrite(&store, &damaged);
    store.delete(&delete(10, 20), at(3)).unwrap();
    assert!(store.damage().is_some_and(|damage| damage.contains("damaged")));
}

#[test]
fn blocks_of_another_type_are_damage() {
    let (store, _dir) = store();
    write(&store, 1, 0..3);
    store.flush().unwrap();
    let other = Rows { rows: vec![(1, 0)], ..Rows::new(FieldType::Boolean) };
    let mixed = [value(&store, 0), blocks::encode(&other, &other.rows)].concat();
    overwrite(&store, &mixed);
    assert!(matches!(scan(&store), Err(ScanError::Damaged { .. })));
}

#[test]
fn a_cut_off_value_is_damage() {
    let (store, _dir) = store();
    write(&store, 1, 0..3);
    store.flush().unwrap();
    let whole = value(&store, 0);
    for len in 1..whole.len() {
        overwrite(&store, &whole[..len]);
        assert!(scan(&store).is_err(), "{len} bytes");
    }
}

#[test]
fn windows_are_folded_when_their_partition_is_over() {
    let (store, _dir) = store();
    for flush in 0..5 {
        write(&store, flush + 1, (flush as i64 * 10)..(flush as i64 * 10 + 10));
        store.flush().unwrap();
    }
    assert_eq!(blocks::split(&value(&store, 0)).unwrap().len(), 5);
    write(&store, 6, std::iter::once(1 << 50));
    store.flush().unwrap();
    assert_eq!(blocks::split(&value(&store, 0)).unwrap().len(), 1);
    assert_eq!(scan(&store).unwrap(), 51);
}

#[test]
fn appends_are_bounded() {
    let (store, _dir) = store();
    for flush in 0..40 {
        write(&store, flush + 1, std::iter::once(flush as i64));
        store.flush().unwrap();
        assert!(blocks::split(&value(&store, 0)).unwrap().len() <= 9);
    }
    assert_eq!(scan(&store).unwrap(), 40);
}

const MINUTE: i64 = 60_000_000_000;
const DAY: i64 = 1_440 * MINUTE;

fn keys(store: &ShardStore) -> Vec<ChunkKey> {
    let rocks = store.inner.db.rocks();
    let (from, to) = KeyKind::Chunk.range();
    let mut keys = Vec::new();
    let visit = |key: &[u8], _: &[u8]| {
        keys.extend(ChunkKey::parse(key));
        std::ops::ControlFlow::Continue(())
    };
    rocks.scan(Table::Chunk, &from, &to, visit).unwrap();
    keys
}

fn days(store: &ShardStore) -> usize {
    keys(store).iter().filter(|key| key.extent == Extent::Day).count()
}

fn compact(store: &ShardStore) -> u64 {
    let mut points = 0;
    loop {
        let step = store.compact(100).unwrap();
        points += step.points;
        if step.is_done {
            return points;
        }
    }
}

#[test]
fn days_that_are_over_come_under_one_key() {
    let (store, dir) = store();
    assert_eq!(compact(&store), 0);
    // Two days, and one window and a half of the third.
    write(&store, 1, (0..3_060).map(|i| i * MINUTE));
    store.flush().unwrap();
    let sum = store.checksum().unwrap();
    assert_eq!(keys(&store).len(), 26);
    assert_eq!(compact(&store), 2_880);
    assert_eq!((keys(&store).len(), days(&store)), (4, 2));
    assert_eq!(scan(&store).unwrap(), 3_060);
    assert_eq!(store.checksum().unwrap(), sum);
    assert_eq!(compact(&store), 0);
    // A late point goes to its window, and into its day when that is compacted again.
    write(&store, 2, std::iter::once(5 * MINUTE + 1));
    store.flush().unwrap();
    let late = store.checksum().unwrap().value;
    assert_eq!(keys(&store).len(), 5);
    assert_eq!(compact(&store), 1_441);
    assert_eq!((keys(&store).len(), store.checksum().unwrap().value), (4, late));
    store.flush().unwrap();
    drop(store);
    // After a restart nobody looks at days that are done.
    let shared = Shared::new(&StorageConfig::default()).unwrap();
    let store = ShardStore::open(&dir.path().join("state"), &shared).unwrap();
    write(&store, 3, std::iter::once(3_100 * MINUTE));
    store.flush().unwrap();
    assert_eq!(compact(&store), 0);
    assert_eq!(scan(&store).unwrap(), 3_062);
}

#[test]
fn the_last_day_is_compacted_when_a_later_partition_exists() {
    let (store, _dir) = store();
    write(&store, 1, (0..300).map(|i| i * MINUTE));
    store.flush().unwrap();
    assert_eq!(compact(&store), 0);
    write(&store, 2, std::iter::once(1 << 50));
    store.flush().unwrap();
    assert_eq!(compact(&store), 300);
    assert_eq!((keys(&store).len(), days(&store)), (2, 1));
}

#[test]
fn deletes_of_sealed_points_take_keys_along() {
    let (store, _dir) = store();
    write(&store, 1, (0..3_060).map(|i| i * MINUTE));
    store.flush().unwrap();
    compact(&store);
    let delete = |index, from, to| {
        let range = TimeRange::new(from, to);
        let (measurements, predicate) = (Measurements::All, TagPredicate::All);
        let delete = Delete { database: DB, policy: None, measurements, predicate, range };
        store.delete(&delete, at(index)).unwrap();
    };
    // All of the first day and half of the second.
    delete(2, 0, DAY + 700 * MINUTE);
    assert_eq!(scan(&store).unwrap(), 3_060 - 2_140);
    store.flush().unwrap();
    assert_eq!((keys(&store).len(), days(&store)), (3, 1));
    assert_eq!(scan(&store).unwrap(), 3_060 - 2_140);
    // The hidden half goes with the next compaction.
    assert_eq!(compact(&store), 740);
    assert_eq!(scan(&store).unwrap(), 3_060 - 2_140);
    delete(3, i64::MIN, i64::MAX);
    assert!(store.reader().measurements(DB).is_empty());
    store.flush().unwrap();
    assert_eq!(keys(&store), []);
    write(&store, 4, std::iter::once(MINUTE));
    store.flush().unwrap();
    assert_eq!(scan(&store).unwrap(), 1);
}
