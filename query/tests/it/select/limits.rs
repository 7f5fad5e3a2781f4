//! What must not take a node down: queries over their limits end at once with a clear error.

use super::answer::{InOrder, Request, run};
use crate::store::Store;
use query::influxql::ast::Statement;
use query::influxql::parse_statement;
use query::{Budget, PlanContext, QueryError, QueryLimits};
use std::fmt::Write;
use std::time::{Duration, Instant};

const NOW_NS: i64 = 1_700_000_000_000_000_000;
const MINUTE_NS: i64 = 60_000_000_000;

fn store(series: i64, points: i64) -> Store {
    let mut store = Store::new(2);
    store.ddl("CREATE DATABASE d");
    let mut body = String::new();
    for s in 0..series {
        for p in 0..points {
            writeln!(body, "cpu,host=h{s} value={p} {}", NOW_NS - p * MINUTE_NS).expect("valid in this test");
        }
    }
    store.write("d", "", 1, &body);
    store
}

fn select(store: &Store, query: &str, limits: QueryLimits) -> Result<Vec<query::result::Series>, QueryError> {
    let request = Request { database: "d", policy: "", query, now_ns: NOW_NS, epoch_ns: 1 };
    run(store, request, limits)
}

#[test]
fn a_quarter_of_a_billion_buckets_is_refused_in_no_time() {
    let store = store(1, 3);
    let started = Instant::now();
    for range in ["time > now() - 3000d", "time > now() - 3000d AND host = 'h0'"] {
        let query = format!("SELECT mean(value) FROM cpu WHERE {range} GROUP BY time(1s)");
        let error = select(&store, &query, QueryLimits::default()).unwrap_err();
        assert!(matches!(error, QueryError::LimitExceeded(_)), "{error}");
        assert_eq!(error.to_string(), "max-select-buckets limit exceeded: (259200000/1000000)");
    }
    let nested =
        "SELECT max(m) FROM (SELECT mean(value) AS m FROM cpu GROUP BY time(1ns)) GROUP BY time(1ns)";
    let last = select(&store, nested, QueryLimits::default()).expect("the last buckets");
    assert_eq!(last.iter().map(query::result::Series::rows).collect::<Vec<_>>(), [1]);
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[test]
fn fine_buckets_over_hours_of_many_series_are_fine() {
    let store = store(50, 180);
    let query = "SELECT sum(value) FROM cpu WHERE time >= now() - 3h GROUP BY time(1s), host fill(null)";
    let series = select(&store, query, QueryLimits::default()).expect("valid in this test");
    assert_eq!(series.len(), 50);
    assert!(series.iter().all(|s| s.rows() == 10_801));
}

#[test]
fn memory_is_bounded() {
    let store = store(4, 100);
    let limits = QueryLimits { memory_bytes: 10_000, ..QueryLimits::default() };
    for query in [
        "SELECT value FROM cpu",
        "SELECT median(value) FROM cpu",
        "SELECT mean(value) FROM cpu WHERE time > now() - 1h GROUP BY time(1s), host",
    ] {
        let error = select(&store, query, limits).unwrap_err();
        assert!(error.to_string().starts_with("max-query-memory limit exceeded"), "{query}: {error}");
    }
    select(&store, "SELECT mean(value) FROM cpu", limits).expect("valid in this test");
    select(&store, "SELECT value FROM cpu LIMIT 2", limits).expect("valid in this test");
}

/// Without windows, first() and last() keep a point of each series to name one of those of one time.
#[test]
fn a_point_a_series_is_bounded() {
    let store = store(400, 2);
    let limits = QueryLimits { memory_bytes: 25_000, ..QueryLimits::default() };
    select(&store, "SELECT max(value) FROM cpu", limits).expect("one point");
    for query in ["SELECT first(value) FROM cpu", "SELECT last(value) FROM cpu WHERE value < 5"] {
        let error = select(&store, query, limits).unwrap_err();
        assert!(error.to_string().starts_with("max-query-memory limit exceeded"), "{query}: {error}");
    }
}

#[test]
fn without_a_lower_bound_the_last_buckets_are_read() {
    let store = store(1, 10);
    let limits = QueryLimits { buckets_max: 4, ..QueryLimits::default() };
    for (query, rows) in [
        ("SELECT mean(value) FROM cpu GROUP BY time(1m)", 4),
        ("SELECT mean(value) FROM cpu WHERE time < now() - 5m GROUP BY time(1m)", 4),
        ("SELECT max(m) FROM (SELECT mean(value) AS m FROM cpu GROUP BY time(1s)) GROUP BY time(1m)", 4),
    ] {
        let series = select(&store, query, limits).unwrap_or_else(|error| panic!("{query}: {error}"));
        assert_eq!(series.iter().map(query::result::Series::rows).sum::<usize>(), rows, "{query}");
    }
    let bounded = "SELECT mean(value) FROM cpu WHERE time > now() - 5m GROUP BY time(1m)";
    let error = select(&store, bounded, limits).unwrap_err();
    assert!(error.to_string().starts_with("max-select-buckets limit exceeded: ("), "{error}");
}

/// What fills nothing reads everything, as long as there are not too many buckets with points.
#[test]
fn buckets_that_are_not_filled_are_bounded_without_a_lower_bound() {
    let store = store(2, 10);
    let rows = |query: &str, buckets_max| {
        let limits = QueryLimits { buckets_max, ..QueryLimits::default() };
        select(&store, query, limits)
            .map(|series| series.iter().map(query::result::Series::rows).sum::<usize>())
    };
    for query in [
        "SELECT mean(value) FROM cpu GROUP BY time(1m) fill(none)",
        "SELECT max(m) FROM (SELECT mean(value) AS m FROM cpu GROUP BY time(1m)) GROUP BY time(1m) fill(none)",
        "SELECT percentile(value, 50) FROM cpu WHERE time < now() + 1h GROUP BY time(1m) fill(none)",
    ] {
        assert_eq!(rows(query, 10).expect("no more than the limit"), 10, "{query}");
        let error = rows(query, 9).unwrap_err();
        assert_eq!(error.to_string(), "max-select-buckets limit exceeded: (10/9)", "{query}");
    }
}

#[test]
fn points_are_bounded() {
    let store = store(2, 30);
    let limits = QueryLimits { points_max: 50, ..QueryLimits::default() };
    for query in ["SELECT value FROM cpu", "SELECT mean(value) FROM cpu", "SELECT max(value), host FROM cpu"]
    {
        let error = select(&store, query, limits).unwrap_err();
        assert!(error.to_string().starts_with("max-select-point limit exceeed: ("), "{query}: {error}");
        select(&store, &format!("{query} WHERE host = 'h0'"), limits).expect("30 points");
    }
}

#[test]
fn the_estimate_refuses_before_reading() {
    let store = store(60, 2);
    let limits = QueryLimits { memory_bytes: 4 << 20, ..QueryLimits::default() };
    let query =
        "SELECT mean(value), max(value) FROM cpu WHERE time > now() - 1h GROUP BY time(1s), host fill(0)";
    let error = select(&store, query, limits).unwrap_err();
    assert!(error.to_string().starts_with("max-query-memory limit exceeded: ("), "{error}");
    select(&store, &query.replace(", host", ""), limits).expect("one series fits");
}

#[test]
fn plans_are_bounded() {
    let store = store(1, 1);
    let limits = QueryLimits { memory_bytes: 8 << 20, ..QueryLimits::default() };
    let mut nested = "SELECT max(value) AS value FROM cpu GROUP BY time(1s)".to_owned();
    for _ in 0..40 {
        nested = format!(
            "SELECT derivative(max(value)) AS value, max(value) AS m FROM ({nested}) GROUP BY time(1s)"
        );
    }
    let columns = vec!["mean(value) AS x"; 9_000].join(",");
    let sources = vec!["cpu"; 2_000].join(",");
    for query in [
        format!("SELECT derivative(max(value)) AS a, max(value) AS b FROM ({nested}) GROUP BY time(1s)"),
        format!("SELECT {columns}, value FROM {sources}"),
        format!("SELECT {} FROM cpu", vec!["value"; 20_000].join(",")),
        format!(
            "SELECT {} FROM {sources}",
            (0..5_000).map(|n| format!("f{n}")).collect::<Vec<_>>().join(",")
        ),
    ] {
        let started = Instant::now();
        match select(&store, &query, limits) {
            Ok(_) | Err(QueryError::MemoryExceeded(_) | QueryError::Statement(_)) => {}
            Err(other) => panic!("{}…: {other}", &query[..80]),
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{}…", &query[..80]);
    }
}

#[test]
fn series_are_bounded() {
    let store = store(4, 1);
    let limits = QueryLimits { series_max: 3, ..QueryLimits::default() };
    let error = select(&store, "SELECT mean(value) FROM cpu", limits).unwrap_err();
    assert_eq!(error.to_string(), "max-select-series limit exceeded: (4/3)");
    select(&store, "SELECT mean(value) FROM cpu WHERE host != 'h0'", limits).expect("valid in this test");
}

#[test]
fn a_cancelled_query_ends() {
    let store = store(4, 10);
    let limits = QueryLimits::default();
    let Ok(Statement::Select(statement)) = parse_statement("SELECT value FROM cpu") else {
        panic!("a SELECT")
    };
    let context = PlanContext { catalog: &store.catalog, database: "d", policy: "", now_ns: NOW_NS, limits };
    let plan = query::plan_select(&statement, &context).expect("valid in this test");
    let budget = Budget::new(&limits, Instant::now() + Duration::from_secs(60));
    budget.cancel();
    let answer = query::execute_select(&plan, &InOrder(&store, &budget), &budget);
    assert!(matches!(answer, Err(QueryError::Cancelled)));
    let late = Budget::new(&limits, Instant::now());
    let error = query::execute_select(&plan, &InOrder(&store, &late), &late).unwrap_err();
    assert_eq!(error.to_string(), "query-timeout limit exceeded");
}

#[test]
fn absurd_numbers_do_no_harm() {
    let store = store(2, 20);
    let max = i64::MAX;
    for query in [
        format!(
            "SELECT holt_winters(mean(value), {max}, 4) FROM cpu WHERE time > now() - 1h GROUP BY time(1m)"
        ),
        format!(
            "SELECT holt_winters(mean(value), 1, {max}) FROM cpu WHERE time > now() - 1h GROUP BY time(1m)"
        ),
        format!("SELECT moving_average(value, {max}) FROM cpu"),
        format!("SELECT top(value, {max}) FROM cpu"),
        format!("SELECT sample(value, {max}) FROM cpu"),
        format!("SELECT percentile(value, {max}) FROM cpu"),
        format!("SELECT derivative(value, {max}ns) FROM cpu"),
        format!("SELECT mean(value) FROM cpu GROUP BY time({max}ns)"),
        format!("SELECT mean(value) FROM cpu GROUP BY time({max}ns, -{max}ns) fill(0)"),
        format!("SELECT mean(value) FROM cpu WHERE time > {max} GROUP BY time(1m)"),
        format!("SELECT mean(value) FROM cpu WHERE time > -{max} AND time < {max} GROUP BY time(1000w)"),
        format!("SELECT value FROM cpu LIMIT {max} OFFSET {max}"),
        format!("SELECT value FROM cpu GROUP BY host SLIMIT {max} SOFFSET {max}"),
        format!("SELECT value FROM cpu WHERE time < -{max} - 1h"),
        format!("SELECT mean(value) FROM cpu WHERE time > -{max} GROUP BY time(1w) tz('Asia/Kolkata')"),
    ] {
        match select(&store, &query, QueryLimits::default()) {
            Ok(_)
            | Err(QueryError::LimitExceeded(_) | QueryError::MemoryExceeded(_) | QueryError::Statement(_)) => {
            }
            Err(other) => panic!("{query}: {other}"),
        }
    }
}
