//! Replicas on other nodes, read as if they were here.

use crate::cluster::{Cluster, DATA, DATABASE, FIELD, HOUR_NS, POLICY, in_seconds, tuning};
use model::batch::{BatchHeader, BatchWriter, Row};
use model::scan::{Bounds, ColumnBatch, EvenWindows, GroupReader, Order, PolicyReader, SeriesRef};
use model::time::ShardOrigin;
use model::value::{ValueRef, Values};
use model::{FieldId, SeriesId, TagPredicate, TimeRange};
use raft::{NoMemory, ReadAccount, ReadFailure, RemoteReader};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

const TEXT: FieldId = FieldId(FIELD.0 + 1);
const FLOAT: FieldId = FieldId(FIELD.0 + 2);
const SERIES: i64 = 1_500;
/// Points of the one series that is long: more than a page.
const LONG: i64 = 150_000;

#[derive(Debug, Default)]
struct Account {
    used: AtomicI64,
    ended: AtomicBool,
    is_poor: bool,
}

impl ReadAccount for Account {
    fn is_wanted(&self) -> bool {
        !self.ended.load(Ordering::Relaxed)
    }

    fn charge(&self, bytes: usize) -> Result<(), NoMemory> {
        if self.is_poor {
            return Err(NoMemory);
        }
        self.used.fetch_add(i64::try_from(bytes).unwrap(), Ordering::Relaxed);
        Ok(())
    }

    fn release(&self, bytes: usize) {
        self.used.fetch_sub(i64::try_from(bytes).unwrap(), Ordering::Relaxed);
    }
}

fn reader(cluster: &Cluster, from: usize, to: usize, account: &Arc<Account>) -> RemoteReader {
    let index = cluster.group(to, DATA).status().applied;
    let account = Arc::clone(account) as Arc<dyn ReadAccount>;
    let place = (cluster.nodes[to].id, DATA);
    cluster.host(from).remote_reader(place, index, account, in_seconds(120)).unwrap()
}

/// Series of several tags and fields, over some hours, and one that is long.
fn fill(cluster: &Cluster) {
    let header = BatchHeader {
        database: DATABASE,
        policy: POLICY,
        shard_duration_ns: HOUR_NS,
        shard_origin: ShardOrigin::YearOne,
    };
    let submit = |batch| {
        let group = cluster.group(0, DATA);
        let submitted = group.submit(raft::command::write(batch), in_seconds(20));
        cluster.client.block_on(submitted).unwrap();
    };
    for hour in 0..2 {
        let mut batch = BatchWriter::new(header);
        for n in 0..SERIES {
            let series = batch.add_series(format!("m,host=h{n},rack=r{}", n % 7).as_bytes());
            for minute in 0..3 {
                let time = hour * HOUR_NS + minute * HOUR_NS / 4 + n;
                let mut push = |field, value| batch.push(&Row { series, time, field, value });
                push(FIELD, ValueRef::Integer(n * time % 1_000_003));
                push(FLOAT, ValueRef::Float(n as f64 / 3.0));
                if n % 5 == 0 {
                    push(TEXT, ValueRef::String(format!("text {n}").into_bytes().into()));
                }
            }
        }
        submit(batch);
    }
    // Texts that do not fit into a page.
    let mut batch = BatchWriter::new(header);
    let series = batch.add_series(b"texts");
    for n in 0..30 {
        let value = ValueRef::String(format!("{n:050000}").into_bytes().into());
        batch.push(&Row { series, time: n * HOUR_NS / 20, field: TEXT, value });
    }
    submit(batch);
    for part in 0..3 {
        let mut batch = BatchWriter::new(header);
        let series = batch.add_series(b"long");
        for n in part * LONG / 3..(part + 1) * LONG / 3 {
            let value = ValueRef::Integer(n.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64));
            batch.push(&Row { series, time: n * 60_000_000, field: FIELD, value });
        }
        submit(batch);
    }
}

/// What a column gives of each series in the range, point by point in time, and how many summaries there were.
fn points(
    policy: &dyn PolicyReader,
    series: &[SeriesRef],
    (field, range, order): (FieldId, TimeRange, Order),
    windows: Option<EvenWindows>,
) -> Vec<Vec<(i64, String)>> {
    let mut column = policy.column(field);
    if let Some(windows) = windows {
        column.expect_windows(windows);
    }
    let mut all = Vec::new();
    for series in series {
        let mut points = Vec::new();
        column.seek(series.id, range, order).unwrap();
        let mut batch = ColumnBatch::default();
        let mut before: Option<Bounds> = None;
        while let Some(bounds) = column.next_chunk().unwrap() {
            if let Some(before) = before {
                match order {
                    Order::Ascending => assert!(before.last < bounds.first),
                    Order::Descending => assert!(bounds.last < before.first),
                }
            }
            before = Some(bounds);
            column.decode(&mut batch).unwrap();
            if let Some(stats) = column.stats() {
                assert_eq!(stats.count, batch.times.len() as u64);
            }
            let value = |place: usize| match &batch.values {
                Values::Integer(values) => values[place].to_string(),
                Values::Float(values) => values[place].to_string(),
                Values::String(values) => values[place].to_string(),
                other => panic!("{other:?}"),
            };
            let inside = (0..batch.times.len()).filter(|place| range.contains(batch.times[*place]));
            points.extend(inside.map(|place| (batch.times[place], value(place))));
        }
        points.sort_unstable();
        all.push(points);
    }
    all
}

/// That each series has the points it should; says which has not, and where.
fn assert_same(
    got: &[Vec<(i64, String)>],
    want: &[Vec<(i64, String)>],
    series: &[SeriesRef],
    asked: &dyn std::fmt::Debug,
) {
    assert_eq!(got.len(), want.len());
    for ((got, want), series) in got.iter().zip(want).zip(series) {
        let first = got.iter().zip(want).position(|(got, want)| got != want);
        let place = first.unwrap_or(got.len().min(want.len()));
        assert!(
            got == want,
            "{asked:?}: {series:?} has {} points, not {}; at {place}: {:?}, not {:?}",
            got.len(),
            want.len(),
            got.get(place),
            want.get(place)
        );
    }
}

#[test]
fn a_replica_on_another_node_reads_as_one_here() {
    let cluster = Cluster::start(1, tuning());
    fill(&cluster);
    (0..3).for_each(|place| cluster.barrier(place, DATA));
    cluster.group(1, DATA).data_store().unwrap().flush().unwrap();
    let here = cluster.group(0, DATA).data_store().unwrap().reader();
    let account = Arc::new(Account::default());
    let there = reader(&cluster, 0, 1, &account);
    let there: &dyn GroupReader = &there;

    assert_eq!(there.measurements(DATABASE), here.measurements(DATABASE));
    let rack = TagPredicate::Equal("rack".into(), "r3".into());
    let some = TagPredicate::And(vec![rack.clone(), TagPredicate::NotEqual("host".into(), "h3".into())]);
    for predicate in [TagPredicate::All, TagPredicate::Nothing, rack, some] {
        let (mine, theirs) =
            (here.series(DATABASE, "m", &predicate), there.series(DATABASE, "m", &predicate));
        assert_eq!(mine.len(), theirs.len());
        for (mine, theirs) in mine.iter().zip(&theirs) {
            assert_eq!((mine.id, &mine.tags), (theirs.id, &theirs.tags));
        }
        assert_eq!(there.tag_keys(DATABASE, "m", &predicate), here.tag_keys(DATABASE, "m", &predicate));
        let values = |reader: &dyn GroupReader| reader.tag_values(DATABASE, "m", "rack", &predicate);
        assert_eq!(values(there), values(&*here));
        let range = TimeRange::new(5 * HOUR_NS, 6 * HOUR_NS);
        for series in theirs.iter().take(20) {
            assert!(there.is_active(series.id, None, TimeRange::new(0, 10)));
            assert!(!there.is_active(series.id, None, range));
        }
    }
    let fields = |reader: &dyn GroupReader| reader.fields(DATABASE, POLICY, "m", TimeRange::ALL);
    assert_eq!(fields(there).len(), 3);
    assert_eq!(fields(there), fields(&*here));
    assert_eq!(there.slices(POLICY), here.slices(POLICY));

    let mut series = here.series(DATABASE, "m", &TagPredicate::All);
    series.extend(here.series(DATABASE, "long", &TagPredicate::All));
    series.extend(here.series(DATABASE, "texts", &TagPredicate::All));
    series.push(SeriesRef { id: SeriesId(1 << 20), tags: Arc::new([]) });
    let windows = EvenWindows { length: HOUR_NS.unsigned_abs(), offset: 0 };
    for range in [TimeRange::ALL, TimeRange::new(HOUR_NS / 8, HOUR_NS + HOUR_NS / 3), TimeRange::new(7, 8)] {
        for field in [FIELD, TEXT, FLOAT, FieldId(99)] {
            for (order, hint) in
                [(Order::Ascending, None), (Order::Ascending, Some(windows)), (Order::Descending, None)]
            {
                let want = points(&*here.open(POLICY), &series, (field, range, order), None);
                let policy = there.open(POLICY);
                policy.announce(&series);
                let asked = (field, range, order);
                assert_same(&points(&*policy, &series, asked, hint), &want, &series, &(asked, hint));
                // Some are left out, and one comes that nobody announced.
                let every_third: Vec<SeriesRef> = series.iter().step_by(3).cloned().collect();
                let policy = there.open(POLICY);
                policy.announce(&series[..series.len() - 5]);
                let want = want.into_iter().step_by(3).collect::<Vec<_>>();
                assert_same(
                    &points(&*policy, &every_third, asked, hint),
                    &want,
                    &every_third,
                    &(asked, hint),
                );
            }
        }
    }
    assert!(account.used.load(Ordering::Relaxed) > 0, "lists are held by the query");
}

#[test]
fn a_reader_that_fails_says_why() {
    let mut cluster = Cluster::start(1, tuning());
    cluster.write(0, 1, 1);
    (0..3).for_each(|place| cluster.barrier(place, DATA));
    let measurements = |reader: &RemoteReader| reader.measurements(DATABASE).len();

    let reader_of = |account: Account| reader(&cluster, 0, 1, &Arc::new(account));
    let good = reader_of(Account::default());
    assert_eq!((measurements(&good), good.failure()), (1, None));
    let poor = reader_of(Account { is_poor: true, ..Account::default() });
    assert_eq!((measurements(&poor), poor.failure()), (0, Some(ReadFailure::Stopped)));
    let ended = reader_of(Account { ended: true.into(), ..Account::default() });
    assert_eq!((measurements(&ended), ended.failure()), (0, Some(ReadFailure::Stopped)));

    cluster.kill(1);
    assert_eq!(measurements(&good), 0);
    assert!(matches!(good.failure(), Some(ReadFailure::Node(_))), "{:?}", good.failure());
    let policy = good.open(POLICY);
    assert!(policy.column(FIELD).seek(SeriesId(0), TimeRange::ALL, Order::Ascending).is_err());
}

#[test]
fn a_replica_that_is_behind_is_waited_for() {
    let cluster = Cluster::start(1, tuning());
    cluster.write(0, 1, 1);
    let (ask, host) = (cluster.nodes[1].id, cluster.host(0));
    let freshened = cluster.client.block_on(host.freshen_at(
        ask,
        &[DATA, model::GroupId(77)],
        false,
        std::time::Duration::from_secs(20),
    ));
    let freshened = freshened.unwrap();
    assert_eq!((freshened[0].group, &freshened[0].refusal, &freshened[0].behind), (DATA, &None, &None));
    assert!(freshened[0].applied >= cluster.group(0, DATA).status().committed.min(Some(1)));
    assert!(freshened[1].refusal.is_some(), "there is no such group");
    let account = Arc::new(Account::default()) as Arc<dyn ReadAccount>;
    let soon = in_seconds(1);
    let ahead = cluster.host(0).remote_reader((ask, DATA), Some(1_000_000), account, soon).unwrap();
    assert_eq!(ahead.measurements(DATABASE).len(), 0);
    assert!(matches!(ahead.failure(), Some(ReadFailure::Node(_))));
}
