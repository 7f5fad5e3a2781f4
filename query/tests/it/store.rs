//! A cluster in memory: a catalog, and groups that hold values in small chunks, with and without summaries, as storage
//! would hand them out.

use model::catalog::{Catalog, CatalogCommand, NewField};
use model::line_protocol::Field;
use model::predicate::TagPredicate;
use model::scan::{
    Bounds, ChunkStats, ColumnBatch, ColumnReader, GroupReader, Order, PolicyReader, ScanError, SeriesRef,
};
use model::series::SeriesKey;
use model::value::{ValueRef, Values};
use model::{DatabaseId, FieldId, FieldType, FieldValue, RetentionPolicyId, SeriesId, TimeRange};
use query::ddl::catalog_command;
use query::influxql::parse_statement;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Points a chunk has, so that small tests cross chunk borders.
const CHUNK_POINTS: usize = 3;

/// The catalog and the groups.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) catalog: Catalog,
    pub(crate) groups: Vec<Group>,
}

impl Store {
    pub(crate) fn new(groups: usize) -> Self {
        // Clones of one group: they share the counter.
        Self { catalog: Catalog::default(), groups: vec![Group::default(); groups] }
    }

    /// Chunks that were decoded since the last call.
    pub(crate) fn take_decoded(&self) -> usize {
        self.groups.first().map_or(0, |group| group.decoded.swap(0, Ordering::Relaxed))
    }

    /// The groups as readers.
    pub(crate) fn readers(&self) -> Vec<&dyn GroupReader> {
        self.groups.iter().map(|group| group as &dyn GroupReader).collect()
    }

    /// Applies a DDL statement.
    pub(crate) fn ddl(&mut self, statement: &str) {
        let command = catalog_command(&parse_statement(statement).expect("valid in this test"))
            .expect("a DDL statement");
        let applied = self.catalog.apply(&command);
        assert!(applied.is_ok(), "{statement}: {applied:?}");
    }

    /// Writes line protocol; an empty policy is the default one.
    pub(crate) fn write(&mut self, database: &str, policy: &str, precision_ns: i64, body: &str) {
        let parsed = model::line_protocol::parse(body.as_bytes(), precision_ns);
        for line in &parsed.lines {
            let key = SeriesKey(line.key.to_vec().into_boxed_slice());
            for field in parsed.fields_of(line) {
                self.write_field(database, policy, &key, field, line.time.unwrap_or(0));
            }
        }
    }

    fn write_field(&mut self, database: &str, policy: &str, key: &SeriesKey, field: &Field<'_>, time: i64) {
        let parts = key.parse();
        let name: Arc<str> = Arc::from(String::from_utf8_lossy(&field.name).as_ref());
        let id = self.catalog.database(database).expect("valid in this test").id;
        let new = NewField {
            measurement: Arc::clone(&parts.measurement),
            field: Arc::clone(&name),
            field_type: field.value.field_type(),
        };
        self.catalog
            .apply(&CatalogCommand::RegisterFields { database: id, fields: vec![new] })
            .expect("valid in this test");
        let known = self.catalog.database(database).expect("valid in this test");
        let def = known.fields.get(&parts.measurement, &name).expect("valid in this test");
        if def.field_type != field.value.field_type() {
            return;
        }
        let policy = known.policy_for_write(policy).expect("a policy").id;
        let place = model::placement::slot(database, &key.0) as usize % self.groups.len();
        let group = &mut self.groups[place];
        let series = group.series_id(id, key);
        group.points.entry((policy, series, def.id)).or_default().insert(time, owned(&field.value));
        group.series[series.0 as usize].fields.insert((policy, def.id, def.field_type));
    }
}

fn owned(value: &ValueRef<'_>) -> FieldValue {
    match value {
        ValueRef::Float(f) => FieldValue::Float(*f),
        ValueRef::Integer(i) => FieldValue::Integer(*i),
        ValueRef::String(s) => FieldValue::String(s.to_vec().into_boxed_slice()),
        ValueRef::Boolean(b) => FieldValue::Boolean(*b),
        ValueRef::Unsigned(u) => FieldValue::Unsigned(*u),
    }
}

#[derive(Debug, Clone)]
struct StoredSeries {
    database: DatabaseId,
    key: SeriesKey,
    measurement: Arc<str>,
    tags: Arc<[(Arc<str>, Arc<str>)]>,
    fields: BTreeSet<(RetentionPolicyId, FieldId, FieldType)>,
}

/// One group.
#[derive(Debug, Clone, Default)]
pub(crate) struct Group {
    series: Vec<StoredSeries>,
    /// Chunks that were decoded, over all groups of a store.
    decoded: Arc<AtomicUsize>,
    points: BTreeMap<(RetentionPolicyId, SeriesId, FieldId), BTreeMap<i64, FieldValue>>,
}

impl Group {
    fn series_id(&mut self, database: DatabaseId, key: &SeriesKey) -> SeriesId {
        let known = self.series.iter().position(|s| s.database == database && s.key == *key);
        let place = known.unwrap_or_else(|| {
            let parts = key.parse();
            self.series.push(StoredSeries {
                database,
                key: key.clone(),
                measurement: parts.measurement,
                tags: parts.tags.into(),
                fields: BTreeSet::new(),
            });
            self.series.len() - 1
        });
        SeriesId(place as u32)
    }
}

impl GroupReader for Group {
    fn measurements(&self, database: DatabaseId) -> Vec<Arc<str>> {
        let of = self.series.iter().filter(|s| s.database == database);
        of.map(|s| Arc::clone(&s.measurement)).collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn series(&self, database: DatabaseId, measurement: &str, predicate: &TagPredicate) -> Vec<SeriesRef> {
        let mut found: Vec<SeriesRef> = Vec::new();
        for (i, series) in self.series.iter().enumerate() {
            let reference = SeriesRef { id: SeriesId(i as u32), tags: Arc::clone(&series.tags) };
            if series.database == database
                && &*series.measurement == measurement
                && predicate.matches(&|key| reference.tag(key))
            {
                found.push(reference);
            }
        }
        found.sort_by(|a, b| a.tags.cmp(&b.tags));
        found
    }

    fn tag_keys(
        &self,
        database: DatabaseId,
        measurement: &str,
        predicate: &TagPredicate,
    ) -> BTreeSet<Arc<str>> {
        let series = self.series(database, measurement, predicate);
        series.iter().flat_map(|s| s.tags.iter().map(|(key, _)| Arc::clone(key))).collect()
    }

    fn tag_values(
        &self,
        database: DatabaseId,
        measurement: &str,
        key: &str,
        predicate: &TagPredicate,
    ) -> BTreeSet<Arc<str>> {
        let series = self.series(database, measurement, predicate);
        series.iter().map(|s| s.tag(key)).filter(|value| !value.is_empty()).map(Arc::from).collect()
    }

    fn fields(
        &self,
        database: DatabaseId,
        policy: RetentionPolicyId,
        measurement: &str,
        range: TimeRange,
    ) -> BTreeMap<FieldId, FieldType> {
        let series = self.series.iter().filter(|s| s.database == database && &*s.measurement == measurement);
        let fields = series.flat_map(|s| s.fields.iter()).filter(|f| f.0 == policy);
        let has_points = |field: FieldId| {
            let columns = self.points.iter().filter(|((p, _, f), _)| *p == policy && *f == field);
            columns.into_iter().any(|(_, points)| points.keys().any(|t| range.contains(*t)))
        };
        fields.filter(|f| has_points(f.1)).map(|(_, id, field_type)| (*id, *field_type)).collect()
    }

    fn open(&self, policy: RetentionPolicyId) -> Box<dyn PolicyReader> {
        let of_policy = self.points.iter().filter(|((p, _, _), _)| *p == policy);
        let columns = of_policy.map(|((_, series, field), points)| {
            ((*series, *field), points.iter().map(|(t, v)| (*t, v.clone())).collect())
        });
        Box::new(OpenPolicy { columns: columns.collect(), decoded: Arc::clone(&self.decoded) })
    }

    fn slices(&self, policy: RetentionPolicyId) -> Vec<TimeRange> {
        let times =
            self.points.iter().filter(|((p, ..), _)| *p == policy).flat_map(|(_, points)| points.keys());
        times.map(|time| TimeRange::new(*time, *time + 1)).collect()
    }

    fn is_active(&self, series: SeriesId, policy: Option<RetentionPolicyId>, range: TimeRange) -> bool {
        self.points.iter().any(|((p, s, _), points)| {
            let here = *s == series && policy.is_none_or(|policy| policy == *p);
            here && points.keys().any(|t| range.contains(*t))
        })
    }
}

struct OpenPolicy {
    columns: BTreeMap<(SeriesId, FieldId), Vec<(i64, FieldValue)>>,
    decoded: Arc<AtomicUsize>,
}

impl PolicyReader for OpenPolicy {
    fn column(&self, field: FieldId) -> Box<dyn ColumnReader + '_> {
        Box::new(Column {
            open: self,
            field,
            range: TimeRange::new(0, 0),
            chunks: Vec::new().into_iter(),
            current: &[],
        })
    }
}

struct Column<'a> {
    open: &'a OpenPolicy,
    field: FieldId,
    range: TimeRange,
    chunks: std::vec::IntoIter<&'a [(i64, FieldValue)]>,
    current: &'a [(i64, FieldValue)],
}

impl ColumnReader for Column<'_> {
    fn seek(&mut self, series: SeriesId, range: TimeRange, order: Order) -> Result<(), ScanError> {
        self.range = range;
        let points = self.open.columns.get(&(series, self.field)).map_or(&[][..], |points| &points[..]);
        let mut chunks: Vec<_> = points.chunks(CHUNK_POINTS).collect();
        chunks.retain(|c| c[0].0 < range.end && c[c.len() - 1].0 >= range.start);
        if order == Order::Descending {
            chunks.reverse();
        }
        self.chunks = chunks.into_iter();
        Ok(())
    }

    fn next_chunk(&mut self) -> Result<Option<Bounds>, ScanError> {
        self.current = self.chunks.next().unwrap_or_default();
        Ok(self
            .current
            .first()
            .map(|first| Bounds { first: first.0, last: self.current[self.current.len() - 1].0 }))
    }

    fn stats(&self) -> Option<ChunkStats> {
        let inside = self.current.iter().all(|(time, _)| self.range.contains(*time));
        if inside { summary(self.current) } else { None }
    }

    fn decode(&mut self, batch: &mut ColumnBatch) -> Result<(), ScanError> {
        self.open.decoded.fetch_add(1, Ordering::Relaxed);
        *batch = decoded(self.current);
        Ok(())
    }
}

/// Every other chunk has a summary.
fn summary(points: &[(i64, FieldValue)]) -> Option<ChunkStats> {
    if points[0].0 % 2 != 0 {
        return None;
    }
    let float = |value: &FieldValue| match value {
        FieldValue::Float(f) => *f,
        FieldValue::Integer(i) => *i as f64,
        FieldValue::Unsigned(u) => *u as f64,
        FieldValue::Boolean(b) => f64::from(u8::from(*b)),
        FieldValue::String(_) => 0.0,
    };
    let text = matches!(points[0].1, FieldValue::String(_));
    let number = !text && !matches!(points[0].1, FieldValue::Boolean(_));
    let mut min = points[0].clone();
    let mut max = min.clone();
    for point in points {
        if float(&point.1) < float(&min.1) {
            min = point.clone();
        }
        if float(&point.1) > float(&max.1) {
            max = point.clone();
        }
    }
    let sum = match &points[0].1 {
        FieldValue::Integer(_) => FieldValue::Integer(
            points.iter().fold(0, |s, (_, v)| if let FieldValue::Integer(i) = v { s + i } else { s }),
        ),
        FieldValue::Unsigned(_) => FieldValue::Unsigned(
            points.iter().fold(0, |s, (_, v)| if let FieldValue::Unsigned(u) = v { s + u } else { s }),
        ),
        _ => FieldValue::Float(points.iter().fold(0.0, |s, (_, v)| s + float(v))),
    };
    Some(ChunkStats {
        count: points.len() as u64,
        sum: number.then_some(sum),
        min: (!text).then_some(min),
        max: (!text).then_some(max),
        first: points[0].clone(),
        last: points[points.len() - 1].clone(),
    })
}

fn decoded(points: &[(i64, FieldValue)]) -> ColumnBatch {
    let mut values = Values::new(points[0].1.field_type());
    for (_, value) in points {
        match (&mut values, value) {
            (Values::Float(to), FieldValue::Float(f)) => to.push(*f),
            (Values::Integer(to), FieldValue::Integer(i)) => to.push(*i),
            (Values::Unsigned(to), FieldValue::Unsigned(u)) => to.push(*u),
            (Values::Boolean(to), FieldValue::Boolean(b)) => to.push(*b),
            (Values::String(to), FieldValue::String(s)) => {
                to.push(String::from_utf8_lossy(s).as_ref().into());
            }
            _ => panic!("a field has one type"),
        }
    }
    ColumnBatch { times: points.iter().map(|p| p.0).collect(), values }
}
