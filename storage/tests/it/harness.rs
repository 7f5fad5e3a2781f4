//! A store with the log that it applies, so that a crash can be replayed, and short ways to write and read.

use model::batch::{BatchHeader, BatchWriter, Row, RowSeries};
use model::scan::{Bounds, ChunkStats, ColumnBatch, ColumnReader, Order, Run};
use model::time::ShardOrigin;
use model::value::{ValueRef, Values};
use model::{DatabaseId, FieldId, FieldValue, RetentionPolicyId, SeriesId, TimeRange};
use std::path::Path;
use storage::{ApplyMarker, ShardStore, Shared, StorageConfig};
use tempfile::TempDir;

pub(crate) const DB: DatabaseId = DatabaseId(1);
pub(crate) const RP: RetentionPolicyId = RetentionPolicyId(7);
pub(crate) const HOUR: i64 = model::time::HOUR_NS;
pub(crate) const SECOND: i64 = model::time::SECOND_NS;

/// One applied entry.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    Write(Vec<u8>),
    Nothing,
    DropDatabase(DatabaseId, Vec<RetentionPolicyId>),
    DropPolicy(RetentionPolicyId),
    DropBefore(RetentionPolicyId, i64),
    Delete(Vec<u8>),
}

/// A replica: a store in a directory, and the log so far (entry i has index i + 1).
pub(crate) struct Replica {
    pub(crate) dir: TempDir,
    pub(crate) store: Option<ShardStore>,
    pub(crate) log: Vec<Entry>,
}

pub(crate) fn marker(index: u64) -> ApplyMarker {
    ApplyMarker { index, bytes: format!("log id {index}").into_bytes() }
}

pub(crate) fn open(dir: &Path) -> ShardStore {
    ShardStore::open(dir, &shared()).unwrap()
}

pub(crate) fn shared() -> Shared {
    let small = StorageConfig { block_cache_bytes: 8 << 20, ..StorageConfig::default() };
    Shared::new(&small).unwrap()
}

impl Replica {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Some(open(&dir.path().join("state")));
        Self { dir, store, log: Vec::new() }
    }

    pub(crate) fn store(&self) -> &ShardStore {
        self.store.as_ref().unwrap()
    }

    /// Appends to the log and applies.
    pub(crate) fn apply(&mut self, entry: Entry) {
        self.log.push(entry);
        self.apply_logged(self.log.len());
    }

    fn apply_logged(&self, index: usize) {
        let (store, at) = (self.store(), marker(index as u64));
        let applied = match &self.log[index - 1] {
            Entry::Write(batch) => store.apply_write(batch, at).map(drop),
            Entry::Nothing => store.advance(at),
            Entry::DropDatabase(database, policies) => store.drop_database(*database, policies, at),
            Entry::DropPolicy(policy) => store.drop_policy(*policy, at),
            Entry::DropBefore(policy, time) => store.drop_before(*policy, *time, at),
            Entry::Delete(bytes) => store.delete(&model::Delete::decode(bytes).unwrap(), at),
        };
        applied.unwrap();
    }

    /// Forgets everything that is not durable, and applies the log again from there.
    pub(crate) fn crash_and_replay(&mut self) {
        let durable = self.store().durable();
        self.store = None;
        self.store = Some(open(&self.dir.path().join("state")));
        assert_eq!(self.store().applied(), durable);
        for index in durable.index as usize..self.log.len() {
            self.apply_logged(index + 1);
        }
    }

    /// Compacts to the end, in small steps.
    pub(crate) fn compact(&self) {
        while !self.store().compact(500).unwrap().is_done {}
    }

    /// Encodes rows, naming series by id where the replica knows them and `by_id` says so.
    pub(crate) fn batch(&self, header: BatchHeader, rows: &[Point], by_id: bool) -> Vec<u8> {
        let mut batch = BatchWriter::new(header);
        let mut named: Vec<(Vec<u8>, RowSeries)> = Vec::new();
        for point in rows {
            let known = self.store().lookup_series(header.database, &point.key).filter(|_| by_id);
            let series = match (known, named.iter().find(|(key, _)| *key == point.key)) {
                (Some(id), _) => RowSeries::Known(id),
                (None, Some((_, series))) => *series,
                (None, None) => {
                    let series = batch.add_series(&point.key);
                    named.push((point.key.clone(), series));
                    series
                }
            };
            batch.push(&Row { series, time: point.time, field: point.field, value: value_ref(&point.value) });
        }
        let mut bytes = Vec::new();
        batch.finish(&mut bytes);
        bytes
    }

    /// Writes to the usual database and policy, with partitions of a day.
    pub(crate) fn write(&mut self, rows: &[Point]) {
        let batch = self.batch(header(DB, RP), rows, true);
        self.apply(Entry::Write(batch));
    }

    pub(crate) fn id(&self, key: &str) -> SeriesId {
        self.store().lookup_series(DB, key.as_bytes()).unwrap()
    }

    /// All points of a field in the range, after checking what a scan promises of its chunks.
    pub(crate) fn points(&self, key: &str, field: u32, range: TimeRange) -> Vec<(i64, FieldValue)> {
        let Some(id) = self.store().lookup_series(DB, key.as_bytes()) else { return Vec::new() };
        scan(self.store(), RP, id, FieldId(field), range)
    }

    pub(crate) fn all(&self, key: &str, field: u32) -> Vec<(i64, FieldValue)> {
        self.points(key, field, TimeRange::ALL)
    }
}

pub(crate) fn header(database: DatabaseId, policy: RetentionPolicyId) -> BatchHeader {
    BatchHeader { database, policy, shard_duration_ns: 24 * HOUR, shard_origin: ShardOrigin::YearOne }
}

/// A point to write.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    pub(crate) key: Vec<u8>,
    pub(crate) time: i64,
    pub(crate) field: FieldId,
    pub(crate) value: FieldValue,
}

pub(crate) fn point(key: &str, time: i64, field: u32, value: FieldValue) -> Point {
    Point { key: key.as_bytes().to_vec(), time, field: FieldId(field), value }
}

pub(crate) fn int(key: &str, time: i64, value: i64) -> Point {
    point(key, time, 0, FieldValue::Integer(value))
}

fn value_ref(value: &FieldValue) -> ValueRef<'_> {
    match value {
        FieldValue::Float(v) => ValueRef::Float(*v),
        FieldValue::Integer(v) => ValueRef::Integer(*v),
        FieldValue::String(v) => ValueRef::String((&**v).into()),
        FieldValue::Boolean(v) => ValueRef::Boolean(*v),
        FieldValue::Unsigned(v) => ValueRef::Unsigned(*v),
    }
}

pub(crate) fn scan(
    store: &ShardStore,
    policy: RetentionPolicyId,
    series: SeriesId,
    field: FieldId,
    range: TimeRange,
) -> Vec<(i64, FieldValue)> {
    let mut points = Vec::new();
    let mut end = None;
    for run in store.reader().scan(policy, series, field, range).unwrap() {
        let found = rows(&run.batch);
        let Bounds { first, last } = run.bounds;
        assert_eq!((first, last), (found[0].0, found[found.len() - 1].0));
        assert!(range.overlaps(&TimeRange::new(first, last.saturating_add(1))));
        assert!(end.is_none_or(|end| end < first), "chunks overlap or are out of order");
        assert!(run.batch.times.is_sorted_by(|a, b| a < b));
        end = Some(last);
        if let Some(stats) = run.stats {
            assert!(range.contains(first) && range.contains(last));
            assert_eq!(stats, expected_stats(&found));
        }
        points.extend(found.into_iter().filter(|(time, _)| range.contains(*time)));
    }
    points
}

/// The chunks of a column as a reader gives them that was moved here from another series.
pub(crate) fn runs(
    column: &mut dyn ColumnReader,
    series: SeriesId,
    range: TimeRange,
    order: Order,
) -> Vec<Run> {
    column.seek(series, range, order).unwrap();
    let mut runs = Vec::new();
    while let Some(bounds) = column.next_chunk().unwrap() {
        let mut batch = ColumnBatch::default();
        column.decode(&mut batch).unwrap();
        runs.push(Run { bounds, stats: column.stats(), batch });
    }
    assert_eq!(column.next_chunk().unwrap(), None);
    runs
}

fn rows(batch: &ColumnBatch) -> Vec<(i64, FieldValue)> {
    let values: Vec<FieldValue> = match &batch.values {
        Values::Float(v) => v.iter().map(|v| FieldValue::Float(*v)).collect(),
        Values::Integer(v) => v.iter().map(|v| FieldValue::Integer(*v)).collect(),
        Values::String(v) => v.iter().map(|v| FieldValue::String(Box::from(v.as_bytes()))).collect(),
        Values::Boolean(v) => v.iter().map(|v| FieldValue::Boolean(*v)).collect(),
        Values::Unsigned(v) => v.iter().map(|v| FieldValue::Unsigned(*v)).collect(),
    };
    assert_eq!(values.len(), batch.times.len());
    batch.times.iter().copied().zip(values).collect()
}

fn expected_stats(points: &[(i64, FieldValue)]) -> ChunkStats {
    let less = |a: &FieldValue, b: &FieldValue| match (a, b) {
        (FieldValue::Float(a), FieldValue::Float(b)) => a < b,
        (FieldValue::Integer(a), FieldValue::Integer(b)) => a < b,
        (FieldValue::Unsigned(a), FieldValue::Unsigned(b)) => a < b,
        _ => panic!("no statistics of {a:?}"),
    };
    let add = |a: FieldValue, b: &FieldValue| match (a, b) {
        (FieldValue::Float(a), FieldValue::Float(b)) => FieldValue::Float(a + b),
        (FieldValue::Integer(a), FieldValue::Integer(b)) => FieldValue::Integer(a.wrapping_add(*b)),
        (FieldValue::Unsigned(a), FieldValue::Unsigned(b)) => FieldValue::Unsigned(a.wrapping_add(*b)),
        (a, _) => panic!("no statistics of {a:?}"),
    };
    let (mut min, mut max) = (points[0].clone(), points[0].clone());
    for point in points {
        if less(&point.1, &min.1) {
            min = point.clone();
        }
        if less(&max.1, &point.1) {
            max = point.clone();
        }
    }
    ChunkStats {
        count: points.len() as u64,
        sum: Some(points[1..].iter().fold(points[0].1.clone(), |sum, p| add(sum, &p.1))),
        min: Some(min),
        max: Some(max),
        first: points[0].clone(),
        last: points[points.len() - 1].clone(),
    }
}
