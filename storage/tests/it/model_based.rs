//! A store against an ordered map: any writes, deletes, flushes, compactions, crashes, snapshots and drops, in any
//! order.

use crate::harness::*;
use model::delete::Measurements;
use model::scan::GroupReader;
use model::time::ShardOrigin;
use model::{DatabaseId, Delete, FieldId, FieldValue, RetentionPolicyId, TagPredicate, TimeRange};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use storage::ShardStore;

const SERIES: [&str; 6] = ["m,h=a", "m,h=b,z=1", "m,h=c,z=1", "m", "n,h=a", r"n,h=a\ b"];
const POLICIES: [RetentionPolicyId; 2] = [RetentionPolicyId(7), RetentionPolicyId(8)];
const DAY: i64 = 24 * HOUR;
/// How long the partitions of each policy are.
const DURATIONS: [i64; 2] = [DAY, 3 * DAY];

#[derive(Debug, Clone)]
enum Op {
    Write {
        policy: usize,
        rows: Vec<(usize, i64, u32, i64)>,
        by_id: bool,
    },
    /// A run of regular points, enough for statistics and several windows.
    Run {
        policy: usize,
        series: usize,
        start: i64,
        n: i64,
    },
    Flush,
    Compact,
    Crash,
    Move,
    Delete {
        policy: Option<usize>,
        measurements: usize,
        predicate: usize,
        start: i64,
        end: i64,
    },
    DropBefore {
        policy: usize,
        time: i64,
    },
    DropPolicy {
        policy: usize,
    },
    DropDatabase,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    // Few distinct times, so that overwrites are common; three partitions.
    let time = (0i64..60).prop_map(|t| t * HOUR + t % 3);
    let row = (0usize..SERIES.len(), time.clone(), 0u32..5, any::<i64>());
    let rows = prop::collection::vec(row, 1..40);
    let op = prop_oneof![
        8 => (0usize..2, rows, any::<bool>()).prop_map(|(policy, rows, by_id)| Op::Write { policy, rows, by_id }),
        4 => (0usize..2, 0usize..SERIES.len(), time.clone(), 1i64..300)
            .prop_map(|(policy, series, start, n)| Op::Run { policy, series, start, n }),
        5 => Just(Op::Flush),
        3 => Just(Op::Compact),
        2 => Just(Op::Crash),
        4 => delete(),
        1 => Just(Op::Move),
        2 => (0usize..2, time).prop_map(|(policy, time)| Op::DropBefore { policy, time }),
        1 => (0usize..2).prop_map(|policy| Op::DropPolicy { policy }),
    ];
    // A dropped database ends everything, so it comes last or not at all.
    (prop::collection::vec(op, 1..25), prop::bool::weighted(0.1)).prop_map(|(mut ops, dropped)| {
        if dropped {
            ops.push(Op::DropDatabase);
        }
        ops
    })
}

fn delete() -> impl Strategy<Value = Op> {
    let range = prop_oneof![
        1 => Just((i64::MIN, i64::MAX)),
        2 => (0i64..60, 0i64..60).prop_map(|(from, len)| (from * HOUR, (from + len) * HOUR)),
        2 => (0i64..60, 0i64..9000).prop_map(|(from, len)| (from * HOUR + 1, from * HOUR + len * SECOND)),
        1 => (0i64..4, 1i64..4).prop_map(|(from, len)| (from * DAY, (from + len) * DAY)),
    ];
    let policy = prop_oneof![2 => Just(None), 1 => (0usize..2).prop_map(Some)];
    (policy, 0usize..4, 0..predicates().len(), range).prop_map(
        |(policy, measurements, predicate, (start, end))| Op::Delete {
            policy,
            measurements,
            predicate,
            start,
            end,
        },
    )
}

fn measurements(choice: usize) -> Measurements {
    match choice {
        0 => Measurements::All,
        1 => Measurements::Named("m".into()),
        2 => Measurements::Match(regex::Regex::new("^[no]$").unwrap()),
        _ => Measurements::Named("nothing".into()),
    }
}

fn predicates() -> Vec<TagPredicate> {
    let re = |s: &str| regex::Regex::new(s).unwrap();
    vec![
        TagPredicate::All,
        TagPredicate::Equal("h".into(), "a".into()),
        TagPredicate::Equal("z".into(), "".into()),
        TagPredicate::NotEqual("z".into(), "1".into()),
        TagPredicate::Match("h".into(), re("^(b|)$")),
        TagPredicate::NotMatch("h".into(), re("a")),
        TagPredicate::Or(vec![
            TagPredicate::Equal("h".into(), "c".into()),
            TagPredicate::And(vec![
                TagPredicate::Equal("z".into(), "".into()),
                TagPredicate::NotEqual("h".into(), "a".into()),
            ]),
        ]),
    ]
}

/// Whether the series has tags that satisfy the predicate.
fn is_selected(series: usize, predicate: &TagPredicate) -> bool {
    let parts = model::SeriesKey(Box::from(SERIES[series].as_bytes())).parse();
    predicate.matches(&|key: &str| parts.tags.iter().find(|(k, _)| &**k == key).map_or("", |(_, v)| v))
}

/// The type of a field follows from its number.
fn value(field: u32, seed: i64) -> FieldValue {
    match field {
        0 => FieldValue::Integer(seed),
        1 => FieldValue::Float((seed % 1_000_000) as f64 / 8.0),
        2 => FieldValue::String(format!("s{}", seed % 5).into_bytes().into()),
        3 => FieldValue::Boolean(seed % 2 == 0),
        _ => FieldValue::Unsigned(seed as u64),
    }
}

/// (policy, series) → field → time → value. Fields are per measurement, so `n` has numbers of its own.
#[derive(Default)]
struct Expected {
    points: BTreeMap<(usize, usize), BTreeMap<u32, BTreeMap<i64, FieldValue>>>,
    dropped: BTreeSet<usize>,
}

fn field_id(series: usize, field: u32) -> u32 {
    if SERIES[series].starts_with('m') { field } else { field + 10 }
}

impl Expected {
    fn write(&mut self, policy: usize, series: usize, field: u32, time: i64, value: FieldValue) {
        if !self.dropped.contains(&policy) {
            let fields = self.points.entry((policy, series)).or_default();
            fields.entry(field_id(series, field)).or_default().insert(time, value);
        }
    }

    fn retain(&mut self, keep: impl Fn(usize, usize, i64) -> bool) {
        for ((policy, series), fields) in &mut self.points {
            for points in fields.values_mut() {
                points.retain(|time, _| keep(*policy, *series, *time));
            }
            fields.retain(|_, points| !points.is_empty());
        }
        self.points.retain(|_, fields| !fields.is_empty());
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Write { policy, rows, .. } => {
                for (series, time, field, seed) in rows {
                    self.write(*policy, *series, *field, *time, value(*field, *seed));
                }
            }
            Op::Run { policy, series, start, n } => {
                for i in 0..*n {
                    self.write(*policy, *series, 1, start + i * 60 * SECOND, value(1, i * i % 91));
                }
            }
            Op::DropBefore { policy: dropped, time: end } => {
                let length = DURATIONS[*dropped];
                self.retain(|policy, _, time| {
                    policy != *dropped || ShardOrigin::YearOne.group_of(time, length).1 > i128::from(*end)
                });
            }
            Op::Delete { policy: only, measurements: choice, predicate, start, end } => {
                let (measurements, predicate) = (measurements(*choice), &predicates()[*predicate]);
                self.retain(|policy, series, time| {
                    only.is_some_and(|only| only != policy)
                        || !measurements.contains(&SERIES[series][..1])
                        || !is_selected(series, predicate)
                        || !(*start..*end).contains(&time)
                });
            }
            Op::DropPolicy { policy: dropped } => {
                self.dropped.insert(*dropped);
                self.retain(|policy, _, _| policy != *dropped);
            }
            Op::DropDatabase => {
                self.dropped.extend([0, 1]);
                self.points.clear();
            }
            Op::Flush | Op::Compact | Op::Crash | Op::Move => {}
        }
    }

    fn check(&self, store: &ShardStore, range: TimeRange) {
        let reader = store.reader();
        for (policy, id) in POLICIES.iter().enumerate() {
            for (series, key) in SERIES.iter().enumerate() {
                let Some(series_id) = store.lookup_series(DB, key.as_bytes()) else {
                    assert!(!self.points.contains_key(&(policy, series)));
                    continue;
                };
                for field in (0..5).map(|f| field_id(series, f)) {
                    let expected = self.points.get(&(policy, series)).and_then(|f| f.get(&field));
                    let expected: Vec<(i64, FieldValue)> = expected
                        .into_iter()
                        .flatten()
                        .filter(|(time, _)| range.contains(**time))
                        .map(|(time, value)| (*time, value.clone()))
                        .collect();
                    assert_eq!(scan(store, *id, series_id, FieldId(field), range), expected, "{key} {field}");
                }
            }
            self.check_fields(&*reader, policy);
        }
        self.check_series(store, &*reader, range);
    }

    fn check_fields(&self, reader: &dyn GroupReader, policy: usize) {
        for measurement in ["m", "n"] {
            let of =
                self.points.iter().filter(|((p, s), _)| *p == policy && SERIES[*s].starts_with(measurement));
            let expected: BTreeSet<u32> = of.flat_map(|(_, fields)| fields.keys().copied()).collect();
            let found = reader.fields(DB, POLICIES[policy], measurement, TimeRange::ALL);
            assert_eq!(found.keys().map(|f| f.0).collect::<BTreeSet<_>>(), expected);
        }
    }

    fn check_series(&self, store: &ShardStore, reader: &dyn GroupReader, range: TimeRange) {
        let alive: BTreeSet<usize> = self.points.keys().map(|(_, series)| *series).collect();
        let predicates = predicates();
        for (measurement, predicate) in
            ["m", "n"].iter().flat_map(|m| predicates.iter().map(move |p| (*m, p)))
        {
            let of_measurement = alive.iter().filter(|s| SERIES[**s].starts_with(measurement));
            let wanted = of_measurement.filter(|s| is_selected(**s, predicate));
            let wanted: BTreeSet<u32> =
                wanted.map(|s| store.lookup_series(DB, SERIES[*s].as_bytes()).unwrap().0).collect();
            let found = reader.series(DB, measurement, predicate);
            assert!(found.is_sorted_by(|a, b| a.tags < b.tags));
            assert_eq!(found.iter().map(|s| s.id.0).collect::<BTreeSet<_>>(), wanted, "{predicate:?}");
        }
        for (series, key) in SERIES.iter().enumerate() {
            let Some(id) = store.lookup_series(DB, key.as_bytes()) else { continue };
            let of_series = self.points.iter().filter(|((_, s), _)| *s == series);
            let mut times = of_series.flat_map(|(_, fields)| fields.values().flat_map(BTreeMap::keys));
            let in_range = times.any(|time| range.contains(*time));
            assert!(reader.is_active(id, None, range) || !in_range);
            assert_eq!(reader.is_active(id, None, TimeRange::ALL), alive.contains(&series));
        }
        let names: Vec<_> = reader.measurements(DB).iter().map(ToString::to_string).collect();
        let expected: BTreeSet<String> = alive.iter().map(|s| SERIES[*s][..1].to_owned()).collect();
        assert_eq!(names, expected.into_iter().collect::<Vec<_>>());
    }
}

fn entry(replica: &Replica, op: &Op) -> Option<Entry> {
    let batch = |policy: usize, rows: &[Point], by_id| {
        let duration = DURATIONS[policy];
        let header =
            model::batch::BatchHeader { shard_duration_ns: duration, ..header(DB, POLICIES[policy]) };
        Entry::Write(replica.batch(header, rows, by_id))
    };
    Some(match op {
        Op::Write { policy, rows, by_id } => {
            let rows = rows.iter().map(|(series, time, field, seed)| {
                point(SERIES[*series], *time, field_id(*series, *field), value(*field, *seed))
            });
            batch(*policy, &rows.collect::<Vec<_>>(), *by_id)
        }
        Op::Run { policy, series, start, n } => {
            let rows = (0..*n).map(|i| {
                point(SERIES[*series], start + i * 60 * SECOND, field_id(*series, 1), value(1, i * i % 91))
            });
            batch(*policy, &rows.collect::<Vec<_>>(), true)
        }
        Op::DropBefore { policy, time } => Entry::DropBefore(POLICIES[*policy], *time),
        Op::DropPolicy { policy } => Entry::DropPolicy(POLICIES[*policy]),
        Op::DropDatabase => Entry::DropDatabase(DB, POLICIES.to_vec()),
        Op::Delete { policy, measurements: choice, predicate, start, end } => {
            let delete = Delete {
                database: DB,
                policy: policy.map(|policy| POLICIES[policy]),
                measurements: measurements(*choice),
                predicate: predicates()[*predicate].clone(),
                range: TimeRange::new(*start, *end),
            };
            Entry::Delete(delete.encode())
        }
        Op::Flush | Op::Compact | Op::Crash | Op::Move => return None,
    })
}

/// Moves the state to a blank replica by a snapshot.
fn moved(replica: Replica) -> Replica {
    let mut other = Replica::new();
    let copy = other.dir.path().join("received");
    let at = replica.store().checkpoint(&copy).unwrap();
    other.store().install(&copy, at.index).unwrap();
    other.log.clone_from(&replica.log);
    other
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn a_store_is_an_ordered_map(ops in ops(), from in -1i64..70, len in 0i64..40) {
        let mut replica = Replica::new();
        let mut never_flushed = Replica::new();
        let mut expected = Expected::default();
        let range = TimeRange::new(from * HOUR, (from + len) * HOUR + 1);
        for op in &ops {
            expected.apply(op);
            if let Some(entry) = entry(&replica, op) {
                replica.apply(entry.clone());
                never_flushed.apply(entry);
            }
            match op {
                Op::Flush => drop(replica.store().flush().unwrap()),
                Op::Compact => replica.compact(),
                Op::Crash => replica.crash_and_replay(),
                Op::Move => replica = moved(replica),
                _ => {}
            }
            expected.check(replica.store(), range);
        }
        expected.check(replica.store(), TimeRange::ALL);
        let sum = never_flushed.store().checksum().unwrap();
        prop_assert_eq!(replica.store().checksum().unwrap(), sum);
        replica.compact();
        prop_assert_eq!(replica.store().checksum().unwrap(), sum);
        expected.check(replica.store(), range);
        replica.crash_and_replay();
        prop_assert_eq!(replica.store().checksum().unwrap(), sum);
        expected.check(replica.store(), TimeRange::ALL);
    }

    #[test]
    fn changed_shard_groups_change_no_point(
        writes in prop::collection::vec((0i64..90, 1i64..72, any::<bool>(), any::<bool>(), any::<bool>()), 1..30),
    ) {
        let (mut replica, mut calm) = (Replica::new(), Replica::new());
        let mut expected = BTreeMap::new();
        for (i, (hour, duration, as_before, flush, crash)) in writes.into_iter().enumerate() {
            let header = model::batch::BatchHeader {
                shard_duration_ns: duration * HOUR,
                shard_origin: if as_before { ShardOrigin::Epoch } else { ShardOrigin::YearOne },
                ..header(DatabaseId(1), RP)
            };
            let batch = replica.batch(header, &[int("m", hour * HOUR, i as i64)], true);
            expected.insert(hour * HOUR, FieldValue::Integer(i as i64));
            replica.apply(Entry::Write(batch.clone()));
            calm.apply(Entry::Write(batch));
            if flush {
                replica.store().flush().unwrap();
            }
            if crash {
                replica.crash_and_replay();
            }
        }
        prop_assert_eq!(replica.all("m", 0), expected.into_iter().collect::<Vec<_>>());
        prop_assert_eq!(replica.store().checksum().unwrap(), calm.store().checksum().unwrap());
    }
}
