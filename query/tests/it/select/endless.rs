//! A series without end: what stops a query is its budget, soon after the budget says so.

use super::answer::Request;
use crate::store::Store;
use model::predicate::TagPredicate;
use model::scan::{
    Bounds, ChunkStats, ColumnBatch, ColumnReader, GroupReader, Order, PolicyReader, ScanError, SeriesRef,
};
use model::value::Values;
use model::{DatabaseId, FieldId, FieldType, RetentionPolicyId, SeriesId, TimeRange};
use query::influxql::ast::Statement;
use query::influxql::parse_statement;
use query::{
    Budget, Fragment, MemoryPool, Partial, PlanContext, QueryError, QueryLimits, Scatter, ShowContext,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

const CHUNK_POINTS: i64 = 100;
const STEP_NS: i64 = 1_000_000;

/// One series with a point each millisecond, for ever. Counts chunks, and cancels its query at one of them.
#[derive(Debug, Clone)]
struct Endless {
    budget: Arc<Budget>,
    /// Before the first chunk: the query ends while series are looked up, which then finds none.
    cancel_at: i64,
    chunks: Arc<AtomicI64>,
}

impl GroupReader for Endless {
    fn measurements(&self, _: DatabaseId) -> Vec<Arc<str>> {
        vec!["m".into()]
    }

    fn series(&self, _: DatabaseId, _: &str, _: &TagPredicate) -> Vec<SeriesRef> {
        if self.cancel_at < 0 {
            self.budget.cancel();
            return Vec::new();
        }
        vec![SeriesRef { id: SeriesId(0), tags: [(Arc::from("h"), Arc::from("a"))].into() }]
    }

    fn tag_keys(&self, _: DatabaseId, _: &str, _: &TagPredicate) -> BTreeSet<Arc<str>> {
        ["h".into()].into()
    }

    fn tag_values(&self, _: DatabaseId, _: &str, _: &str, _: &TagPredicate) -> BTreeSet<Arc<str>> {
        ["a".into()].into()
    }

    fn fields(
        &self,
        _: DatabaseId,
        _: RetentionPolicyId,
        _: &str,
        _: TimeRange,
    ) -> BTreeMap<FieldId, FieldType> {
        BTreeMap::new()
    }

    fn open(&self, _: RetentionPolicyId) -> Box<dyn PolicyReader> {
        Box::new(self.clone())
    }

    fn slices(&self, _: RetentionPolicyId) -> Vec<TimeRange> {
        vec![TimeRange::ALL]
    }

    fn is_active(&self, _: SeriesId, _: Option<RetentionPolicyId>, _: TimeRange) -> bool {
        true
    }
}

impl PolicyReader for Endless {
    fn column(&self, _: FieldId) -> Box<dyn ColumnReader + '_> {
        Box::new(Column { of: self, at: -1 })
    }
}

struct Column<'a> {
    of: &'a Endless,
    /// Number of the chunk.
    at: i64,
}

impl ColumnReader for Column<'_> {
    fn seek(&mut self, _: SeriesId, _: TimeRange, _: Order) -> Result<(), ScanError> {
        self.at = -1;
        Ok(())
    }

    fn next_chunk(&mut self) -> Result<Option<Bounds>, ScanError> {
        if self.of.chunks.fetch_add(1, Ordering::Relaxed) == self.of.cancel_at {
            self.of.budget.cancel();
        }
        self.at += 1;
        let first = self.at * CHUNK_POINTS * STEP_NS;
        Ok(Some(Bounds { first, last: first + (CHUNK_POINTS - 1) * STEP_NS }))
    }

    fn stats(&self) -> Option<ChunkStats> {
        None
    }

    fn decode(&mut self, batch: &mut ColumnBatch) -> Result<(), ScanError> {
        let first = self.at * CHUNK_POINTS;
        batch.times = (first..first + CHUNK_POINTS).map(|i| i * STEP_NS).collect();
        batch.values = Values::Float((0..CHUNK_POINTS).map(|i| i as f64).collect());
        Ok(())
    }
}

impl Scatter for Endless {
    fn scatter(&self, fragment: &Fragment) -> Result<Vec<Partial>, QueryError> {
        Ok(vec![fragment.fold(self, &self.budget)?])
    }
}

/// Runs a query over an endless series; answers why it ended and how many chunks were read.
fn run(query: &str, budget: Arc<Budget>, cancel_at: i64) -> (QueryError, i64) {
    let mut store = Store::new(1);
    store.ddl("CREATE DATABASE d");
    store.write("d", "", 1, "m,h=a v=1,w=1 1\n");
    let Ok(Statement::Select(statement)) = parse_statement(query) else { panic!("a SELECT") };
    let request = Request { database: "d", policy: "", query, now_ns: i64::MAX / 2, epoch_ns: 1 };
    let context = PlanContext {
        catalog: &store.catalog,
        database: request.database,
        policy: request.policy,
        now_ns: request.now_ns,
        // Else what is old is not read.
        limits: QueryLimits { buckets_max: 0, ..QueryLimits::default() },
    };
    let plan = query::plan_select(&statement, &context).expect("a plan");
    let endless = Endless { budget: Arc::clone(&budget), cancel_at, chunks: Arc::default() };
    let error = query::execute_select(&plan, &endless, &budget).expect_err("it has no end");
    (error, endless.chunks.load(Ordering::Relaxed))
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(600)
}

const QUERIES: [&str; 7] = [
    "SELECT mean(v) FROM m",
    "SELECT last(v), count(w) FROM m WHERE v > 1000",
    "SELECT max(v) FROM m GROUP BY time(1h)",
    "SELECT v FROM m",
    "SELECT v, w FROM m WHERE w > 1000",
    "SELECT median(v) FROM m GROUP BY time(1m)",
    "SELECT max(v), w FROM m GROUP BY time(1m)",
];

#[test]
fn a_cancelled_query_stops_within_some_chunks() {
    for query in QUERIES {
        let limits = QueryLimits { memory_bytes: 1 << 40, ..QueryLimits::default() };
        let (error, chunks) = run(query, Arc::new(Budget::new(&limits, later())), 200);
        assert!(matches!(error, QueryError::Cancelled), "{query}: {error}");
        assert!(chunks < 200 + 300, "{query}: {chunks} chunks read");
    }
}

#[test]
fn what_a_stopped_reader_left_out_is_no_empty_answer() {
    for query in QUERIES {
        let limits = QueryLimits { memory_bytes: 1 << 40, ..QueryLimits::default() };
        let (error, chunks) = run(query, Arc::new(Budget::new(&limits, later())), -1);
        assert!(matches!(error, QueryError::Cancelled), "{query}: {error}");
        assert_eq!(chunks, 0, "{query}");
    }
    let mut store = Store::new(1);
    store.ddl("CREATE DATABASE d");
    store.write("d", "", 1, "m,h=a v=1 1\n");
    for show in ["SHOW SERIES", "SHOW SERIES EXACT CARDINALITY"] {
        let budget = Arc::new(Budget::new(&QueryLimits::default(), later()));
        let endless = Endless { budget: Arc::clone(&budget), cancel_at: -1, chunks: Arc::default() };
        let context = ShowContext { catalog: &store.catalog, database: "d", policy: "", now_ns: 0 };
        let statement = parse_statement(show).expect("a statement");
        let shown = query::execute_show(&statement, &context, &[&endless], &budget);
        assert!(matches!(shown, Err(QueryError::Cancelled)), "{show}");
    }
}

#[test]
fn a_query_stops_at_its_memory_while_it_reads() {
    // A bucket a point: nothing but the memory ends it.
    for query in [
        "SELECT mean(v) FROM m GROUP BY time(1ms)",
        "SELECT count(v) FROM m GROUP BY time(1u), h",
        "SELECT v FROM m",
        "SELECT percentile(v, 90) FROM m GROUP BY time(1m)",
    ] {
        let limits = QueryLimits { memory_bytes: 4 << 20, ..QueryLimits::default() };
        let (error, chunks) = run(query, Arc::new(Budget::new(&limits, later())), i64::MAX);
        let QueryError::MemoryExceeded(text) = &error else { panic!("{query}: {error}") };
        assert!(text.contains("query.memory_per_query"), "{query}: {text}");
        // A point takes 16 bytes at least.
        assert!(chunks * CHUNK_POINTS * 16 <= 5 << 20, "{query}: {chunks} chunks read");
    }
}

#[test]
fn a_query_stops_where_the_memory_of_all_is_used_up() {
    let limits = QueryLimits::default();
    let pool = Arc::new(MemoryPool::new(2 << 20));
    let other = Budget::with_pool(&limits, later(), Arc::clone(&pool));
    other.charge(1 << 20).expect("room");
    let budget = Arc::new(Budget::with_pool(&limits, later(), Arc::clone(&pool)));
    let (error, _) = run("SELECT v FROM m", Arc::clone(&budget), i64::MAX);
    assert!(matches!(&error, QueryError::Overloaded(text) if text.contains("query.memory_total")), "{error}");
    assert!(pool.used_bytes() <= 2 << 20);
    drop(budget);
    other.charge(1 << 19).expect("room again");
}
