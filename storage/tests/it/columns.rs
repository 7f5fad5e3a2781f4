//! Column readers: one reader over many series, in both directions, while the state changes under it.

use crate::harness::*;
use model::scan::{Order, ScanError};
use model::value::Values;
use model::{FieldId, FieldValue, SeriesId, TimeRange};
use proptest::prelude::*;

const FIELD: FieldId = FieldId(0);
const MINUTE: i64 = 60 * SECOND;

fn times(runs: &[model::scan::Run]) -> Vec<i64> {
    runs.iter().flat_map(|run| run.batch.times.iter().copied()).collect()
}

/// The points that lie in the range.
fn points(runs: &[model::scan::Run], range: TimeRange) -> Vec<(i64, i64)> {
    let of_run = |run: &model::scan::Run| {
        let Values::Integer(values) = run.batch.values.clone() else { panic!("another type") };
        run.batch.times.iter().copied().zip(values).collect::<Vec<_>>()
    };
    runs.iter().flat_map(of_run).filter(|(time, _)| range.contains(*time)).collect()
}

/// What is written, flushed or dropped.
#[derive(Debug, Clone)]
enum Step {
    Write { series: u8, field: u32, minute: i64, points: i64 },
    Flush,
    Compact,
    Delete { from: i64, minutes: i64 },
    DropBefore(i64),
}

fn step() -> impl Strategy<Value = Step> {
    // Four days, so that there are several partitions, windows and late points.
    let minutes = 0_i64..4 * 24 * 60;
    prop_oneof![
        6 => (0_u8..4, 0_u32..2, minutes, 1_i64..200)
            .prop_map(|(series, field, minute, points)| Step::Write { series, field, minute, points }),
        2 => Just(Step::Flush),
        1 => Just(Step::Compact),
        1 => (0_i64..4 * 24 * 60, 1_i64..300).prop_map(|(from, minutes)| Step::Delete { from, minutes }),
        1 => (0_i64..2).prop_map(|day| Step::DropBefore(day * 24 * HOUR)),
    ]
}

fn apply(replica: &mut Replica, step: &Step) {
    match step {
        Step::Write { series, field, minute, points } => {
            let key = format!("m,s={series}");
            let rows: Vec<Point> = (0..*points)
                .map(|i| {
                    let value = FieldValue::Integer(i * i);
                    point(&key, (minute + i) * MINUTE, *field, value)
                })
                .collect();
            replica.write(&rows);
        }
        Step::Flush => drop(replica.store().flush().unwrap()),
        Step::Compact => replica.compact(),
        Step::Delete { from, minutes } => {
            let range = TimeRange::new(from * MINUTE, (from + minutes) * MINUTE);
            let measurements = model::delete::Measurements::All;
            let delete = model::Delete {
                database: DB,
                policy: None,
                measurements,
                predicate: model::TagPredicate::All,
                range,
            };
            replica.apply(Entry::Delete(delete.encode()));
        }
        Step::DropBefore(time) => replica.apply(Entry::DropBefore(RP, *time)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A reader that was moved over all series while the store changed sees what a fresh one sees, from both ends.
    #[test]
    fn a_reader_that_is_moved_sees_what_a_fresh_one_sees(
        steps in prop::collection::vec(step(), 1..20),
        from in 0_i64..4 * 24 * 60,
        span in 1_i64..4 * 24 * 60,
    ) {
        let mut replica = Replica::new();
        let store = replica.store().clone();
        let reader = store.reader();
        let policy = reader.open(RP);
        let mut columns = [0, 1].map(|field| policy.column(FieldId(field)));
        for step in &steps {
            apply(&mut replica, step);
            for range in [TimeRange::ALL, TimeRange::new(from * MINUTE, (from + span) * MINUTE + 1)] {
                for (field, column) in columns.iter_mut().enumerate() {
                    for series in 0..5 {
                        let series = SeriesId(series);
                        let fresh = reader.scan(RP, series, FieldId(field as u32), range).unwrap();
                        let moved = runs(&mut **column, series, range, Order::Ascending);
                        // Compaction may have moved points to other chunks meanwhile.
                        prop_assert_eq!(points(&moved, range), points(&fresh, range));
                        let mut backwards = runs(&mut **column, series, range, Order::Descending);
                        backwards.reverse();
                        prop_assert_eq!(&backwards, &moved);
                    }
                }
            }
        }
    }
}

#[test]
fn a_reader_takes_one_chunk_at_a_time_from_either_end() {
    let mut replica = Replica::new();
    let points: Vec<Point> = (0..24 * 60).map(|m| int("m", m * MINUTE, m)).collect();
    replica.write(&points);
    replica.store().flush().unwrap();
    replica.write(&[int("m", 24 * 60 * MINUTE - 1, -1)]);
    let reader = replica.store().reader();
    let policy = reader.open(RP);
    let mut column = policy.column(FIELD);
    let series = replica.id("m");
    column.seek(series, TimeRange::ALL, Order::Descending).unwrap();
    let newest = column.next_chunk().unwrap().unwrap();
    assert_eq!(newest.last, 24 * 60 * MINUTE - 1);
    column.seek(series, TimeRange::ALL, Order::Ascending).unwrap();
    let oldest = column.next_chunk().unwrap().unwrap();
    assert_eq!((oldest.first, column.stats().unwrap().count), (0, 120));
    // A summary stands for a chunk that lies in the range as a whole.
    column.seek(series, TimeRange::new(0, 119 * MINUTE), Order::Ascending).unwrap();
    column.next_chunk().unwrap().unwrap();
    assert_eq!(column.stats(), None);
    column.seek(series, TimeRange::new(5, 5), Order::Ascending).unwrap();
    assert_eq!(column.next_chunk().unwrap(), None);
}

#[test]
fn a_reader_over_more_partitions_than_it_has_cursors() {
    let mut replica = Replica::new();
    let days = 80;
    for day in 0..days {
        replica.write(&[int("m,a=1", day * 24 * HOUR, day), int("m,a=2", day * 24 * HOUR + 1, day)]);
    }
    replica.store().flush().unwrap();
    let reader = replica.store().reader();
    let policy = reader.open(RP);
    let mut column = policy.column(FIELD);
    for series in [replica.id("m,a=1"), replica.id("m,a=2"), replica.id("m,a=1")] {
        for order in [Order::Ascending, Order::Descending] {
            let found = runs(&mut *column, series, TimeRange::ALL, order);
            assert_eq!(times(&found).len() as i64, days);
        }
    }
}

#[test]
fn a_snapshot_in_the_middle_of_a_scan_is_told() {
    let mut leader = Replica::new();
    leader.write(&[int("m", 1, 1), int("m", 2, 2)]);
    let mut follower = Replica::new();
    follower.write(&[int("m", 1, 1)]);
    follower.store().flush().unwrap();
    let received = follower.dir.path().join("received");
    let marker = leader.store().checkpoint(&received).unwrap();
    let reader = follower.store().reader();
    let policy = reader.open(RP);
    let mut column = policy.column(FIELD);
    let series = follower.id("m");
    assert_eq!(times(&runs(&mut *column, series, TimeRange::ALL, Order::Ascending)), [1]);
    follower.store().install(&received, marker.index).unwrap();
    let told = column.seek(series, TimeRange::ALL, Order::Ascending);
    assert!(matches!(told, Err(ScanError::Replaced)));
    let policy = reader.open(RP);
    assert_eq!(times(&runs(&mut *policy.column(FIELD), series, TimeRange::ALL, Order::Ascending)), [1, 2]);
}
