//! Who has enough stops: limits, first and last read no more than they need, from the right end.

use super::answer::{InOrder, Request, answer, run};
use crate::store::Store;
use query::QueryLimits;
use serde_json::json;
use std::fmt::Write;

const NOW_NS: i64 = 1_000_000;

/// `series` series with a point at 0, 10, 20, … ns; chunks hold three points.
fn store(series: i64, points: i64) -> Store {
    let mut store = Store::new(2);
    store.ddl("CREATE DATABASE d");
    let mut body = String::new();
    for s in 0..series {
        for p in 0..points {
            writeln!(body, "m,host=h{s:03} v={p},w={}i {}", p % 7, p * 10).expect("a string takes text");
        }
    }
    store.write("d", "", 1, &body);
    store
}

fn request(query: &str) -> Request<'_> {
    Request { database: "d", policy: "", query, now_ns: NOW_NS, epoch_ns: 1 }
}

/// Chunks decoded for a query.
#[track_caller]
fn decoded(store: &Store, query: &str) -> usize {
    store.take_decoded();
    let answer = answer(store, request(query));
    assert!(answer.get("series").is_some(), "{query}: {answer}");
    store.take_decoded()
}

#[test]
fn limits_and_selectors_read_what_they_need() {
    let store = store(4, 300);
    for (query, most) in [
        ("SELECT v FROM m LIMIT 3", 4),
        ("SELECT v FROM m ORDER BY time DESC LIMIT 3", 4),
        ("SELECT v, w FROM m LIMIT 3", 8),
        ("SELECT v FROM m WHERE w > 1 ORDER BY time DESC LIMIT 2", 16),
        ("SELECT v FROM m WHERE w > 1 LIMIT 2", 16),
        ("SELECT first(v) FROM m", 4),
        ("SELECT last(v) FROM m", 4),
        ("SELECT last(v) FROM m WHERE time < 1495", 4),
        ("SELECT last(v) FROM m WHERE v < 290", 20),
        ("SELECT first(v) FROM m WHERE w > 2", 16),
        ("SELECT last(v) FROM m GROUP BY host", 4),
    ] {
        let decoded = decoded(&store, query);
        assert!(decoded <= most, "{query}: {decoded} chunks decoded, at most {most} expected");
    }
}

#[test]
fn series_limits_read_the_series_that_are_shown() {
    let store = store(40, 3);
    let all = decoded(&store, "SELECT v FROM m GROUP BY host");
    let some = decoded(&store, "SELECT v FROM m GROUP BY host SLIMIT 2 SOFFSET 1");
    // Each of the two groups reads as many series as may be shown.
    assert!(all == 40 && some <= 6, "{all} {some}");
}

#[test]
fn series_without_points_do_not_count_for_a_series_limit() {
    let mut store = Store::new(1);
    store.ddl("CREATE DATABASE d");
    store.write("d", "", 1, "m,h=a w=1 1\nm,h=b v=1 1\nm,h=b,k=x v=2 2\nm,h=c v=3 3\nm,h=d v=4 4\n");
    let found = answer(&store, request("SELECT sum(v) FROM m WHERE time < 9 GROUP BY h SLIMIT 2"));
    let series = found["series"].as_array().expect("series");
    let values: Vec<_> = series.iter().map(|s| (&s["tags"]["h"], &s["values"][0][1])).collect();
    assert_eq!(values, [(&json!("b"), &json!(3.0)), (&json!("c"), &json!(3.0))]);
}

#[test]
fn a_long_series_is_the_same_from_both_ends() {
    let store = store(1, 5_000);
    let values = |query: &str| {
        let series = run(&store, request(query), QueryLimits::default()).expect("an answer");
        let cells = series[0].cells.clone();
        cells.chunks(series[0].columns.len()).map(<[_]>::to_vec).collect::<Vec<_>>()
    };
    for select in ["v", "v, w", "v, host", "w, v::integer"] {
        for filter in ["", "WHERE w < 5", "WHERE v > 100 AND time < 40000"] {
            let mut backwards = values(&format!("SELECT {select} FROM m {filter} ORDER BY time DESC"));
            backwards.reverse();
            let forwards = values(&format!("SELECT {select} FROM m {filter}"));
            assert_eq!(backwards, forwards, "{select} {filter}");
            let limited = values(&format!("SELECT {select} FROM m {filter} ORDER BY time DESC LIMIT 1500"));
            let newest: Vec<_> = forwards.iter().rev().take(1_500).cloned().collect();
            assert_eq!(limited, newest, "{select} {filter}");
        }
    }
}

#[test]
fn parts_of_a_group_fold_to_the_same_as_the_whole() {
    use model::scan::GroupReader;
    use query::influxql::{ast::Statement, parse_statement};
    use query::{Budget, Fragment, Partial, PlanContext, QueryError, Scatter};
    use std::time::{Duration, Instant};

    struct InParts<'a>(&'a Store, &'a Budget);
    impl Scatter for InParts<'_> {
        fn scatter(&self, fragment: &Fragment) -> Result<Vec<Partial>, QueryError> {
            let mut partials = Vec::new();
            for group in &self.0.groups {
                let group: &dyn GroupReader = group;
                let selection = fragment.select(group, self.1)?;
                for part in 0..selection.parts() {
                    partials.push(fragment.fold_part(group, &selection, part, self.1)?);
                }
            }
            Ok(partials)
        }
    }
    let store = store(700, 4);
    let limits = QueryLimits::default();
    for query in [
        "SELECT sum(v), count(w), last(w) FROM m WHERE time >= 0 AND time < 100 GROUP BY time(10ns)",
        "SELECT v FROM m GROUP BY host",
        "SELECT * FROM m",
        "SELECT mean(w) FROM m GROUP BY host SLIMIT 3",
    ] {
        let Ok(Statement::Select(statement)) = parse_statement(query) else { panic!("a SELECT") };
        let context =
            PlanContext { catalog: &store.catalog, database: "d", policy: "", now_ns: NOW_NS, limits };
        let plan = query::plan_select(&statement, &context).expect("a plan");
        let budget = Budget::new(&limits, Instant::now() + Duration::from_secs(60));
        let whole = query::execute_select(&plan, &InOrder(&store, &budget), &budget).expect("an answer");
        let parts = query::execute_select(&plan, &InParts(&store, &budget), &budget).expect("an answer");
        assert_eq!(format!("{whole:?}"), format!("{parts:?}"), "{query}");
    }
}
