//! Writes, flushes, reads and drops, one behaviour at a time.

use crate::harness::*;
use model::batch::{BatchWriter, Row, RowSeries};
use model::value::ValueRef;
use model::{
    DatabaseId, FieldId, FieldType, FieldValue, RetentionPolicyId, SeriesId, TagPredicate, TimeRange,
};
use storage::StorageError;

fn ints(points: &[(i64, i64)]) -> Vec<(i64, FieldValue)> {
    points.iter().map(|(t, v)| (*t, FieldValue::Integer(*v))).collect()
}

#[test]
fn a_write_is_read_before_and_after_it_is_sealed() {
    let mut replica = Replica::new();
    replica.write(&[int("m,a=1", 5, 50), int("m,a=1", 3, 30), int("m,a=2", 4, 40)]);
    for _ in 0..2 {
        assert_eq!(replica.all("m,a=1", 0), ints(&[(3, 30), (5, 50)]));
        assert_eq!(replica.all("m,a=2", 0), ints(&[(4, 40)]));
        assert_eq!(replica.points("m,a=1", 0, TimeRange::new(4, 5)), []);
        replica.store().flush().unwrap();
    }
    assert_eq!(replica.store().head_bytes(), 0);
    let stats = replica.store().stats();
    assert_eq!((stats.series, stats.series_indexed, stats.head_points), (2, 2, 0));
    assert!(stats.disk_bytes > 0);
}

#[test]
fn a_crash_goes_back_to_the_last_flush() {
    let mut replica = Replica::new();
    replica.write(&[int("m,a=1", 1, 1)]);
    assert_eq!(replica.store().flush().unwrap(), marker(1));
    replica.write(&[int("m,a=1", 2, 2), int("m,a=9", 2, 2)]);
    assert_eq!((replica.store().applied(), replica.store().durable()), (marker(2), marker(1)));
    replica.store = None;
    replica.store = Some(open(&replica.dir.path().join("state")));
    assert_eq!((replica.store().applied(), replica.store().durable()), (marker(1), marker(1)));
    assert_eq!(replica.all("m,a=1", 0), ints(&[(1, 1)]));
    assert_eq!(replica.store().lookup_series(DB, b"m,a=9"), None);
    replica.log.truncate(1);
    replica.write(&[int("m,a=8", 2, 2)]);
    assert_eq!(replica.id("m,a=8"), SeriesId(1));
}

#[test]
fn an_entry_without_points_moves_the_marker() {
    let mut replica = Replica::new();
    replica.apply(Entry::Nothing);
    assert_eq!(replica.store().flush().unwrap(), marker(1));
    replica.crash_and_replay();
    assert_eq!(replica.store().applied(), marker(1));
}

#[test]
fn windows_that_many_flushes_append_to_stay_whole() {
    let mut replica = Replica::new();
    let mut expected = Vec::new();
    for minute in 0..400 {
        let time = minute * 60 * SECOND;
        replica.write(&[int("m,a=1", time, minute)]);
        expected.push((time, minute));
        if minute % 7 == 0 {
            replica.store().flush().unwrap();
        }
        if minute == 200 {
            replica.crash_and_replay();
        }
    }
    assert_eq!(replica.all("m,a=1", 0), ints(&expected));
    // Windows that ended were folded into one chunk each.
    let (store, series) = (replica.store(), replica.id("m,a=1"));
    let ended = TimeRange::new(0, 4 * HOUR);
    assert_eq!(store.reader().scan(RP, series, FieldId(0), ended).unwrap().len(), 2);
}

#[test]
fn late_points_and_overwrites_win_in_every_place() {
    let mut replica = Replica::new();
    let minutes: Vec<Point> = (0..300).map(|m| int("m", m * 60 * SECOND, m)).collect();
    replica.write(&minutes);
    replica.store().flush().unwrap();
    let late = [int("m", 60 * SECOND, -1), int("m", 61 * SECOND, -2), int("m", 250 * 60 * SECOND, -3)];
    let mut expected: std::collections::BTreeMap<i64, i64> = (0..300).map(|m| (m * 60 * SECOND, m)).collect();
    for (round, point) in late.iter().enumerate() {
        replica.write(std::slice::from_ref(point));
        expected.insert(point.time, -1 - round as i64);
        let points: Vec<_> = expected.iter().map(|(t, v)| (*t, *v)).collect();
        assert_eq!(replica.all("m", 0), ints(&points), "unsealed, round {round}");
        replica.store().flush().unwrap();
        assert_eq!(replica.all("m", 0), ints(&points), "sealed, round {round}");
    }
    replica.crash_and_replay();
    assert_eq!(replica.all("m", 0).len(), 301);
}

#[test]
fn after_a_restart_late_points_do_not_hide_newer_windows() {
    let mut replica = Replica::new();
    replica.write(&[int("m", HOUR, 1), int("m", 9 * HOUR, 9)]);
    replica.store().flush().unwrap();
    replica.crash_and_replay();
    replica.write(&[int("m", 2 * HOUR, 2)]);
    replica.store().flush().unwrap();
    replica.write(&[int("m", 9 * HOUR + 1, 10)]);
    replica.store().flush().unwrap();
    assert_eq!(replica.all("m", 0), ints(&[(HOUR, 1), (2 * HOUR, 2), (9 * HOUR, 9), (9 * HOUR + 1, 10)]));
}

#[test]
fn all_types_keep_their_values() {
    let mut replica = Replica::new();
    let values = [
        FieldValue::Float(-0.0),
        FieldValue::Integer(i64::MIN),
        FieldValue::String(Box::from(&b"a, b\\"[..])),
        FieldValue::Boolean(true),
        FieldValue::Unsigned(u64::MAX),
    ];
    let rows: Vec<Point> =
        values.iter().enumerate().map(|(i, v)| point("m", 1, i as u32, v.clone())).collect();
    replica.write(&rows);
    for _ in 0..2 {
        for (field, value) in values.iter().enumerate() {
            assert_eq!(replica.all("m", field as u32), [(1, value.clone())]);
        }
        let fields = replica.store().reader().fields(DB, RP, "m", TimeRange::ALL);
        assert_eq!(fields[&FieldId(3)], FieldType::Boolean);
        assert_eq!(fields.len(), 5);
        replica.store().flush().unwrap();
    }
}

#[test]
fn rows_that_cannot_be_are_left_out() {
    let mut replica = Replica::new();
    replica.write(&[int("m", 1, 1)]);
    let other_type = point("m", 2, 0, FieldValue::Float(2.0));
    let no_time = int("m", i64::MAX, 3);
    replica.write(&[other_type, no_time, int("m", 4, 4)]);
    let mut batch = BatchWriter::new(header(DB, RP));
    let row = Row {
        series: RowSeries::Known(SeriesId(99)),
        time: 5,
        field: FieldId(0),
        value: ValueRef::Integer(5),
    };
    batch.push(&row);
    let mut bytes = Vec::new();
    batch.finish(&mut bytes);
    replica.apply(Entry::Write(bytes));
    // A series id of another database.
    let stranger = BatchWriter::new(header(DatabaseId(2), RetentionPolicyId(8)));
    let mut bytes = Vec::new();
    let mut stranger = stranger;
    stranger.push(&Row { series: RowSeries::Known(SeriesId(0)), ..row });
    stranger.finish(&mut bytes);
    replica.apply(Entry::Write(bytes));
    assert_eq!(replica.all("m", 0), ints(&[(1, 1), (4, 4)]));
    assert!(replica.store().reader().measurements(DatabaseId(2)).is_empty());
}

#[test]
fn a_damaged_batch_poisons() {
    let mut replica = Replica::new();
    replica.write(&[int("m", 1, 1)]);
    let error = replica.store().apply_write(b"\xff", marker(2)).unwrap_err();
    assert!(matches!(error, StorageError::Batch(_)), "{error}");
    assert!(matches!(replica.store().advance(marker(3)), Err(StorageError::Poisoned)));
    assert!(matches!(replica.store().flush(), Err(StorageError::Poisoned)));
    assert_eq!(replica.all("m", 0), ints(&[(1, 1)]));
}

#[test]
fn dropping_partitions_takes_dead_series_along_and_a_row_brings_them_back() {
    let mut replica = Replica::new();
    let day = 24 * HOUR;
    replica.write(&[int("m,pod=old", 1, 1), int("m,pod=live", 1, 1), int("m,pod=live", day, 2)]);
    let old = replica.id("m,pod=old");
    for sealed in [false, true] {
        if sealed {
            replica.store().flush().unwrap();
        }
        replica.apply(Entry::DropBefore(RP, day - 1));
        assert_eq!(replica.all("m,pod=old", 0).len(), 1, "the partition has not ended");
    }
    replica.apply(Entry::DropBefore(RP, day));
    for round in 0..3 {
        let reader = replica.store().reader();
        assert_eq!(replica.all("m,pod=old", 0), [], "round {round}");
        assert_eq!(replica.all("m,pod=live", 0), ints(&[(day, 2)]));
        assert_eq!(reader.series(DB, "m", &TagPredicate::All).len(), 1);
        assert_eq!(reader.tag_values(DB, "m", "pod", &TagPredicate::All).len(), 1);
        assert!(!reader.is_active(old, None, TimeRange::ALL));
        assert_eq!(replica.id("m,pod=old"), old);
        drop(reader);
        match round {
            0 => drop(replica.store().flush().unwrap()),
            _ => replica.crash_and_replay(),
        }
    }
    replica.write(&[int("m,pod=old", 5, 5)]);
    assert_eq!((replica.id("m,pod=old"), replica.all("m,pod=old", 0)), (old, ints(&[(5, 5)])));
    assert_eq!(replica.store().reader().series(DB, "m", &TagPredicate::All).len(), 2);
    replica.store().flush().unwrap();
    replica.crash_and_replay();
    assert_eq!(replica.all("m,pod=old", 0), ints(&[(5, 5)]));
}

#[test]
fn a_partition_made_again_does_not_show_what_was_dropped() {
    let mut replica = Replica::new();
    replica.write(&[int("m", 1, 1)]);
    replica.store().flush().unwrap();
    replica.apply(Entry::DropBefore(RP, 24 * HOUR));
    replica.write(&[int("m", 2, 2)]);
    assert_eq!(replica.all("m", 0), ints(&[(2, 2)]));
    replica.store().flush().unwrap();
    assert_eq!(replica.all("m", 0), ints(&[(2, 2)]));
    replica.crash_and_replay();
    assert_eq!(replica.all("m", 0), ints(&[(2, 2)]));
}

#[test]
fn a_dropped_database_is_gone_for_good() {
    let mut replica = Replica::new();
    replica.write(&[int("m", 1, 1)]);
    let other = header(DatabaseId(2), RetentionPolicyId(8));
    let batch = replica.batch(other, &[int("n", 1, 1)], true);
    replica.apply(Entry::Write(batch));
    replica.store().flush().unwrap();
    replica.apply(Entry::DropDatabase(DB, vec![RP]));
    assert_eq!(replica.store().dropped_count(), (1, 1));
    replica.write(&[int("m", 2, 2), int("x", 2, 2)]);
    for round in 0..3 {
        let late = replica.batch(header(DB, RP), &[int("m", 3, 3)], true);
        let applied = replica.store().applied();
        assert!(!replica.store().apply_write(&late, applied).unwrap(), "round {round}: it is not taken");
        assert!(replica.store().has_dropped_database(DB) && replica.store().has_dropped_policy(RP));
        let reader = replica.store().reader();
        assert!(reader.measurements(DB).is_empty(), "round {round}");
        assert_eq!(replica.store().lookup_series(DB, b"m"), None);
        assert!(reader.fields(DB, RP, "m", TimeRange::ALL).is_empty());
        assert_eq!(reader.measurements(DatabaseId(2)).len(), 1);
        drop(reader);
        match round {
            0 => drop(replica.store().flush().unwrap()),
            _ => replica.crash_and_replay(),
        }
    }
    // Ids of dropped series are not given out again.
    let batch = replica.batch(other, &[int("o", 1, 1)], true);
    replica.apply(Entry::Write(batch));
    assert_eq!(replica.store().lookup_series(DatabaseId(2), b"o"), Some(SeriesId(2)));
}

#[test]
fn a_dropped_policy_takes_its_points_only() {
    let mut replica = Replica::new();
    replica.write(&[int("m", 1, 1)]);
    let batch = replica.batch(header(DB, RetentionPolicyId(8)), &[int("m", 1, 8)], true);
    replica.apply(Entry::Write(batch));
    replica.apply(Entry::DropPolicy(RP));
    replica.write(&[int("m", 2, 2)]);
    assert_eq!(replica.all("m", 0), []);
    let id = replica.id("m");
    assert_eq!(scan(replica.store(), RetentionPolicyId(8), id, FieldId(0), TimeRange::ALL), ints(&[(1, 8)]));
    assert_eq!(replica.store().reader().measurements(DB).len(), 1);
}

#[test]
fn reads_and_writes_go_on_during_flushes() {
    let mut replica = Replica::new();
    let keys: Vec<String> = (0..50).map(|i| format!("m,i={i}")).collect();
    let store = replica.store().clone();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let acked = std::sync::atomic::AtomicI64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Acquire) {
                store.flush().unwrap();
            }
        });
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Acquire) {
                let floor = acked.load(std::sync::atomic::Ordering::Acquire);
                if let Some(id) = store.lookup_series(DB, b"m,i=7") {
                    let found = scan(&store, RP, id, FieldId(0), TimeRange::ALL);
                    assert!(found.len() as i64 >= floor, "{} of {floor}", found.len());
                    assert!(found.iter().enumerate().all(|(i, p)| p.0 == i as i64 * 10 * SECOND));
                }
            }
        });
        for round in 0..1_000 {
            let rows: Vec<Point> = keys.iter().map(|k| int(k, round * 10 * SECOND, round)).collect();
            replica.write(&rows);
            acked.store(round + 1, std::sync::atomic::Ordering::Release);
        }
        stop.store(true, std::sync::atomic::Ordering::Release);
    });
    drop(store);
    replica.crash_and_replay();
    assert_eq!(replica.all("m,i=49", 0).len(), 1_000);
}

#[test]
fn many_databases_of_one_group_keep_their_series() {
    let mut replica = Replica::new();
    let keys = ["m,a=1", "m,a=2", "m", "n,a=1", "o,b=x"];
    for number in 1..64u32 {
        let (database, policy) = (DatabaseId(number), RetentionPolicyId(number));
        // Each database has another choice of series here, as slots would have it.
        let chosen = keys.iter().enumerate().filter(|(place, _)| (number >> place) & 1 == 1);
        let rows: Vec<Point> = chosen
            .map(|(place, key)| {
                let field = [0, 0, 0, 2, 3][place];
                point(key, [1000, 1000, 1500, 1000, 5][place], field, FieldValue::Float(1.0))
            })
            .collect();
        let header = model::batch::BatchHeader { shard_duration_ns: 168 * HOUR, ..header(database, policy) };
        let batch = replica.batch(header, &rows, true);
        replica.apply(Entry::Write(batch));
        let reader = replica.store().reader();
        for row in &rows {
            let id = replica.store().lookup_series(database, &row.key).unwrap();
            let name = String::from_utf8_lossy(&row.key[..1]).into_owned();
            let found = reader.series(database, &name, &TagPredicate::All);
            assert!(
                found.iter().any(|s| s.id == id),
                "{number}: {:?} {found:?}",
                String::from_utf8_lossy(&row.key)
            );
            assert_eq!(scan(replica.store(), policy, id, row.field, TimeRange::ALL).len(), 1, "{number}");
        }
    }
}
