//! What folding costs, without disk and codecs: ns a point. `cargo bench -p query --bench fold`.

use divan::Bencher;
use divan::counter::ItemsCount;
use model::catalog::{Catalog, CatalogCommand, NewField};
use model::predicate::TagPredicate;
use model::scan::{
    Bounds, ChunkStats, ColumnBatch, ColumnReader, GroupReader, Order, PolicyReader, ScanError, SeriesRef,
};
use model::value::Values;
use model::{DatabaseId, FieldId, FieldType, RetentionPolicyId, SeriesId, TimeRange};
use query::influxql::ast::Statement;
use query::influxql::parse_statement;
use query::{Budget, Fragment, Partial, PlanContext, QueryError, QueryLimits, Scatter};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

const SERIES: usize = 100;
/// A week of a point a minute.
const POINTS: usize = 7 * 1_440;
const CHUNK_POINTS: usize = 1_000;
const MINUTE_NS: i64 = 60_000_000_000;

fn main() {
    divan::main();
}

/// One group whose series all have the same points.
#[derive(Debug)]
struct Group {
    series: Vec<SeriesRef>,
    chunks: Vec<ColumnBatch>,
}

impl Group {
    fn new() -> Self {
        let tags = |s: usize| -> Arc<[(Arc<str>, Arc<str>)]> {
            [("host", format!("h{s:04}")), ("zone", format!("z{}", s % 4))]
                .map(|(key, value)| (Arc::from(key), Arc::from(value)))
                .into()
        };
        let series = (0..SERIES).map(|s| SeriesRef { id: SeriesId(s as u32), tags: tags(s) }).collect();
        let times: Vec<i64> = (0..POINTS as i64).map(|i| i * MINUTE_NS).collect();
        let values: Vec<f64> = (0..POINTS).map(|i| (i * 7_919 % 1_000) as f64 / 8.0).collect();
        let chunks = times.chunks(CHUNK_POINTS).zip(values.chunks(CHUNK_POINTS));
        let chunks = chunks
            .map(|(t, v)| ColumnBatch { times: t.to_vec(), values: Values::Float(v.to_vec()) })
            .collect();
        Self { series, chunks }
    }
}

impl GroupReader for Group {
    fn measurements(&self, _: DatabaseId) -> Vec<Arc<str>> {
        vec!["m".into()]
    }

    fn series(&self, _: DatabaseId, _: &str, predicate: &TagPredicate) -> Vec<SeriesRef> {
        self.series.iter().filter(|s| predicate.matches(&|key| s.tag(key))).cloned().collect()
    }

    fn tag_keys(&self, _: DatabaseId, _: &str, _: &TagPredicate) -> BTreeSet<Arc<str>> {
        ["host", "zone"].map(Arc::from).into()
    }

    fn tag_values(&self, _: DatabaseId, _: &str, _: &str, _: &TagPredicate) -> BTreeSet<Arc<str>> {
        BTreeSet::new()
    }

    fn fields(
        &self,
        _: DatabaseId,
        _: RetentionPolicyId,
        _: &str,
        _: TimeRange,
    ) -> BTreeMap<FieldId, FieldType> {
        [(FieldId(0), FieldType::Float)].into()
    }

    fn open(&self, _: RetentionPolicyId) -> Box<dyn PolicyReader> {
        Box::new(Open(self.chunks.clone()))
    }

    fn is_active(&self, _: SeriesId, _: Option<RetentionPolicyId>, _: TimeRange) -> bool {
        true
    }
}

struct Open(Vec<ColumnBatch>);

impl PolicyReader for Open {
    fn column(&self, _: FieldId) -> Box<dyn ColumnReader + '_> {
        Box::new(Column { chunks: &self.0, next: 0 })
    }
}

struct Column<'a> {
    chunks: &'a [ColumnBatch],
    next: usize,
}

impl ColumnReader for Column<'_> {
    fn seek(&mut self, _: SeriesId, _: TimeRange, _: Order) -> Result<(), ScanError> {
        self.next = 0;
        Ok(())
    }

    fn next_chunk(&mut self) -> Result<Option<Bounds>, ScanError> {
        self.next += 1;
        let chunk = self.chunks.get(self.next - 1);
        Ok(chunk.and_then(|c| Some(Bounds { first: *c.times.first()?, last: *c.times.last()? })))
    }

    fn stats(&self) -> Option<ChunkStats> {
        None
    }

    fn decode(&mut self, batch: &mut ColumnBatch) -> Result<(), ScanError> {
        batch.clone_from(&self.chunks[self.next - 1]);
        Ok(())
    }
}

static STORE: LazyLock<(Catalog, Group)> = LazyLock::new(|| {
    let mut catalog = Catalog::default();
    let create = parse_statement("CREATE DATABASE d").expect("a statement");
    let create = query::ddl::catalog_command(&create).expect("a DDL statement");
    catalog.apply(&create).expect("accepted");
    let database = catalog.database("d").expect("just made").id;
    let field = NewField { measurement: "m".into(), field: "value".into(), field_type: FieldType::Float };
    catalog.apply(&CatalogCommand::RegisterFields { database, fields: vec![field] }).expect("accepted");
    (catalog, Group::new())
});

struct One<'a>(&'a Group, &'a Budget);

impl Scatter for One<'_> {
    fn scatter(&self, fragment: &Fragment) -> Result<Vec<Partial>, QueryError> {
        Ok(vec![fragment.fold(self.0, self.1)?])
    }
}

/// Items are points read.
#[divan::bench(args = [
    "SELECT mean(value) FROM m WHERE time >= 0 AND time < 7d GROUP BY time(1h)",
    "SELECT mean(value) FROM m WHERE time >= 0 AND time < 7d GROUP BY time(1h), *",
    "SELECT mean(value) FROM m WHERE time >= 0 AND time < 7d GROUP BY time(1m)",
    "SELECT count(value), sum(value), max(value) FROM m WHERE time >= 0 AND time < 7d GROUP BY time(1h), zone",
    "SELECT max(value) FROM m WHERE time >= 0 AND time < 7d GROUP BY time(1h), host",
    "SELECT first(value) FROM m WHERE time >= 0 AND time < 7d GROUP BY time(1h), host",
    "SELECT mean(value) FROM m WHERE value > 60 AND time >= 0 AND time < 7d GROUP BY time(1h)",
    "SELECT percentile(value, 95) FROM m WHERE time >= 0 AND time < 7d GROUP BY time(1h), host",
    "SELECT value FROM m WHERE time >= 0 AND time < 7d",
])]
fn fold(bencher: Bencher, query: &str) {
    let (catalog, group) = &*STORE;
    let Ok(Statement::Select(select)) = parse_statement(query) else { panic!("a SELECT") };
    let limits = QueryLimits { memory_bytes: 4 << 30, ..QueryLimits::default() };
    let context = PlanContext { catalog, database: "d", policy: "", now_ns: 0, limits };
    bencher.counter(ItemsCount::new(SERIES * POINTS)).bench(|| {
        let plan = query::plan_select(&select, &context).expect("a plan");
        let budget = Budget::new(&limits, Instant::now() + Duration::from_secs(600));
        let answer = query::execute_select(&plan, &One(group, &budget), &budget).expect("an answer");
        assert!(!answer.is_empty(), "nothing was folded");
        answer.len()
    });
}
