//! A cluster in memory: a catalog, and points in a few groups, enough for what SHOW asks.

use model::catalog::{Catalog, CatalogCommand, NewField};
use model::predicate::TagPredicate;
use model::scan::{Chunk, ChunkStats, ColumnBatch, GroupReader, ScanError, SeriesRef};
use model::series::SeriesKey;
use model::{DatabaseId, FieldId, FieldType, RetentionPolicyId, SeriesId, TimeRange};
use query::QueryError;
use query::ddl::catalog_command;
use query::influxql::parse_statement;
use query::result::StatementResult;
use query::show::{ShowContext, execute_show};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const GROUPS: usize = 3;

/// The catalog and the groups.
#[derive(Debug)]
pub(super) struct Cluster {
    catalog: Catalog,
    groups: Vec<Group>,
}

impl Cluster {
    pub(super) fn new() -> Self {
        Self { catalog: Catalog::default(), groups: vec![Group::default(); GROUPS] }
    }

    /// Applies a DDL statement.
    pub(super) fn ddl(&mut self, statement: &str) {
        let command =
            catalog_command(&parse_statement(statement).expect("a statement")).expect("a DDL statement");
        self.catalog.apply(&command).expect("accepted");
    }

    /// Writes line protocol; an empty policy is the default one.
    pub(super) fn write(&mut self, database: &str, policy: &str, body: &str) {
        let parsed = model::line_protocol::parse(body.as_bytes(), 1);
        assert_eq!(parsed.error_text(), None);
        for line in &parsed.lines {
            let key = SeriesKey(line.key.to_vec().into_boxed_slice());
            let parts = key.parse();
            let mut fields = BTreeSet::new();
            for field in parsed.fields_of(line) {
                let name: Arc<str> = Arc::from(String::from_utf8_lossy(&field.name).as_ref());
                fields.insert(self.field(database, &parts.measurement, name, field.value.field_type()));
            }
            let database = self.catalog.database(database).expect("a database");
            let policy = database.policy_for_write(policy).expect("a policy");
            let group = key.0.iter().map(|b| usize::from(*b)).sum::<usize>() % GROUPS;
            self.groups[group].points.push(Point {
                database: database.id,
                policy: policy.id,
                measurement: parts.measurement,
                tags: parts.tags.into(),
                fields,
                time: line.time.expect("a time"),
            });
        }
    }

    fn field(
        &mut self,
        database: &str,
        measurement: &str,
        field: Arc<str>,
        field_type: FieldType,
    ) -> (FieldId, FieldType) {
        let id = self.catalog.database(database).expect("a database").id;
        let new = NewField { measurement: Arc::from(measurement), field: Arc::clone(&field), field_type };
        self.catalog
            .apply(&CatalogCommand::RegisterFields { database: id, fields: vec![new] })
            .expect("accepted");
        let def = self
            .catalog
            .database(database)
            .expect("a database")
            .fields
            .get(measurement, &field)
            .expect("registered");
        (def.id, def.field_type)
    }

    /// Runs a SHOW statement with `database` as the request's.
    pub(super) fn show(&self, database: &str, statement: &str) -> Result<StatementResult, QueryError> {
        let context = ShowContext { catalog: &self.catalog, database, now_ns: 1_600_000_000_000_000_000 };
        let readers: Vec<&dyn GroupReader> = self.groups.iter().map(|g| g as &dyn GroupReader).collect();
        execute_show(&parse_statement(statement).expect("a statement"), &context, &readers)
    }
}

#[derive(Debug, Clone)]
struct Point {
    database: DatabaseId,
    policy: RetentionPolicyId,
    measurement: Arc<str>,
    tags: Arc<[(Arc<str>, Arc<str>)]>,
    fields: BTreeSet<(FieldId, FieldType)>,
    time: i64,
}

/// One group; a series' id is the index of its first point.
#[derive(Debug, Clone, Default)]
struct Group {
    points: Vec<Point>,
}

impl Group {
    fn points_of(&self, series: SeriesId) -> impl Iterator<Item = &Point> {
        let first = &self.points[series.0 as usize];
        self.points.iter().filter(move |p| {
            (p.database, &p.measurement, &p.tags) == (first.database, &first.measurement, &first.tags)
        })
    }
}

impl GroupReader for Group {
    fn measurements(&self, database: DatabaseId) -> Vec<Arc<str>> {
        let names = self.points.iter().filter(|p| p.database == database).map(|p| Arc::clone(&p.measurement));
        names.collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn series(&self, database: DatabaseId, measurement: &str, predicate: &TagPredicate) -> Vec<SeriesRef> {
        let mut found = BTreeMap::new();
        for (i, point) in self.points.iter().enumerate() {
            let series = SeriesRef { id: SeriesId(i as u32), tags: Arc::clone(&point.tags) };
            if point.database == database
                && &*point.measurement == measurement
                && predicate.matches(&|key| series.tag(key))
            {
                found.entry(Arc::clone(&point.tags)).or_insert(series);
            }
        }
        found.into_values().collect()
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
    ) -> BTreeMap<FieldId, FieldType> {
        let points = self
            .points
            .iter()
            .filter(|p| (p.database, p.policy) == (database, policy) && &*p.measurement == measurement);
        points.flat_map(|p| p.fields.iter().copied()).collect()
    }

    fn scan(
        &self,
        policy: RetentionPolicyId,
        series: SeriesId,
        field: FieldId,
        range: TimeRange,
    ) -> Result<Vec<Box<dyn Chunk>>, ScanError> {
        let points = self.points_of(series).filter(|p| {
            p.policy == policy && range.contains(p.time) && p.fields.iter().any(|(id, _)| *id == field)
        });
        Ok(points.map(|p| Box::new(OnePoint(p.time)) as Box<dyn Chunk>).collect())
    }

    fn is_active(&self, series: SeriesId, range: TimeRange) -> bool {
        self.points_of(series).any(|p| range.contains(p.time))
    }
}

/// A chunk of which SHOW only asks whether it exists.
struct OnePoint(i64);

impl Chunk for OnePoint {
    fn bounds(&self) -> (i64, i64) {
        (self.0, self.0)
    }

    fn stats(&self) -> Option<ChunkStats> {
        None
    }

    fn decode(&self) -> Result<ColumnBatch, ScanError> {
        Err(ScanError::Io("values are not kept".to_owned()))
    }
}
