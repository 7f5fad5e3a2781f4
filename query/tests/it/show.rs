//! SHOW statements against the answers of a real InfluxDB 1.6 that was given the same points.

use crate::store::Store;
use query::influxql::parse_statement;
use query::result::{Cell, StatementResult};
use query::show::{ShowContext, execute_show};
use query::{Budget, QueryLimits};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// One case a line: `db` and `q` of the request, and the result object, `{"error":…}` or `{"series":…}`.
const CASES: &str = include_str!("testdata/show.jsonl");

/// Places of series must not show.
const GROUPS: usize = 3;

const DAY_NS: i64 = 86_400_000_000_000;

/// What the server that gave the answers held.
fn cluster() -> Store {
    let mut cluster = Store::new(GROUPS);
    cluster.ddl("CREATE DATABASE s");
    cluster.ddl("CREATE DATABASE e");
    cluster.ddl("CREATE RETENTION POLICY rp2 ON s DURATION 0s REPLICATION 1 SHARD DURATION 1h");
    let at = |line: &str, day: i64| format!("{line} {}\n", day * DAY_NS);
    for (line, day) in [
        ("cpu,host=a,region=eu v=1,idle=2i", 0),
        ("cpu,host=b,region=us v=1", 30),
        ("cpu,host=c v=2", 60),
        ("cpu,region=eu v=3", 60),
        ("mem,host=a used=1i,free=\"x\"", 0),
        ("mem,host=d used=1i", 30),
        (r"disk,path=/x\ y,a\,b=c\=d full=true", 0),
        ("noTags value=1", 0),
        (r"sp\ ace,host=a,value=q v=1", 0),
        (r"we\,ird,host=a v=1", 0),
        ("\"quo\",host=\"a\" v=1", 0),
    ] {
        cluster.write("s", "", 1, &at(line, day));
    }
    for (line, day) in
        [("cpu,host=z,only2=1 v=1,extra=2i", 0), ("two,host=a,x=1 f=1", 0), ("mem,host=a used=1i", 90)]
    {
        cluster.write("s", "rp2", 1, &at(line, day));
    }
    cluster
}

/// The result as 1.x's JSON has it.
fn render(result: &StatementResult) -> Value {
    let series: Vec<Value> = result
        .series
        .iter()
        .map(|series| {
            let mut object = serde_json::Map::new();
            if !series.name.is_empty() {
                object.insert("name".into(), json!(*series.name));
            }
            if let Some(tags) = &series.tags {
                let tags = tags.iter().map(|(k, v)| (k.to_string(), json!(**v)));
                object.insert("tags".into(), Value::Object(tags.collect()));
            }
            object.insert("columns".into(), series.columns.iter().map(|c| json!(**c)).collect());
            if !series.cells.is_empty() {
                let rows = series.cells.chunks(series.columns.len());
                object.insert(
                    "values".into(),
                    rows.map(|row| row.iter().map(cell).collect::<Value>()).collect(),
                );
            }
            Value::Object(object)
        })
        .collect();
    if series.is_empty() { json!({}) } else { json!({ "series": series }) }
}

fn cell(cell: &Cell) -> Value {
    match cell {
        Cell::String(text) => json!(**text),
        Cell::Integer(n) => json!(n),
        Cell::Boolean(b) => json!(b),
        other => panic!("no SHOW statement answers {other:?}"),
    }
}

fn answer(cluster: &Store, database: &str, statement: &str) -> Value {
    answer_in(cluster, (database, ""), statement)
}

/// The answer to a request with this `db` and `rp`.
fn answer_in(cluster: &Store, (database, policy): (&str, &str), statement: &str) -> Value {
    let context =
        ShowContext { catalog: &cluster.catalog, database, policy, now_ns: 1_600_000_000_000_000_000 };
    let budget = Budget::new(&QueryLimits::default(), Instant::now() + Duration::from_secs(60));
    let statement = parse_statement(statement).expect("a statement");
    match execute_show(&statement, &context, &cluster.readers(), &budget) {
        Ok(result) => render(&result),
        Err(error) => json!({ "error": error.to_string() }),
    }
}

#[test]
fn answers_are_those_of_influxdb() {
    let cluster = cluster();
    let mut cases = 0;
    let mut failures = Vec::new();
    for line in CASES.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let (database, statement) = (case["db"].as_str().unwrap(), case["q"].as_str().unwrap());
        let found = answer(&cluster, database, statement);
        cases += 1;
        if found != case["result"] {
            failures
                .push(format!("{database:?} {statement}\n  expected {}\n  found    {found}", case["result"]));
        }
    }
    assert!(failures.is_empty(), "{} of {cases} fail:\n{}", failures.len(), failures.join("\n"));
}

#[track_caller]
fn check(cluster: &Store, database: &str, statement: &str, expected: Value) {
    assert_eq!(answer(cluster, database, statement), expected, "{statement}");
}

/// 1.x looks at whole shards here, so that dead hosts stay in the lists of dashboards; we look at the series.
#[test]
fn time_bounds_leave_out_series_without_points_in_them() {
    let cluster = cluster();
    let keys =
        |values: Value| json!({ "series": [{ "name": "cpu", "columns": ["tagKey"], "values": values }] });
    check(&cluster, "s", "SHOW TAG KEYS FROM cpu WHERE time > 50d", keys(json!([["host"], ["region"]])));
    check(&cluster, "s", "SHOW TAG KEYS FROM cpu WHERE time > 50d AND host = 'c'", keys(json!([["host"]])));
    let values = |values: Value| json!({ "series": [{ "name": "cpu", "columns": ["key", "value"], "values": values }] });
    let hosts = "SHOW TAG VALUES FROM cpu WITH KEY = host WHERE";
    check(&cluster, "s", &format!("{hosts} time < 10d"), values(json!([["host", "a"], ["host", "z"]])));
    check(&cluster, "s", &format!("{hosts} time = 30d"), values(json!([["host", "b"]])));
    check(&cluster, "s", &format!("{hosts} time > now() - 1h"), json!({}));
    let series = json!({ "series": [{ "columns": ["key"], "values": [["cpu,host=c"], ["cpu,region=eu"]] }] });
    check(&cluster, "s", "SHOW SERIES FROM cpu WHERE time >= 60d", series);
}

/// As InfluxDB 1.8 has it; 1.6 takes `value` for a tag.
#[test]
fn tag_values_can_be_filtered_by_value() {
    let cluster = cluster();
    let hosts = |of: &str, values: Value| json!({ "series": [{ "name": of, "columns": ["key", "value"], "values": values }] });
    let statement = "SHOW TAG VALUES FROM cpu WITH KEY = host WHERE";
    check(&cluster, "s", &format!("{statement} value = 'b'"), hosts("cpu", json!([["host", "b"]])));
    check(
        &cluster,
        "s",
        &format!("{statement} value =~ /[ab]/ AND region = 'eu'"),
        hosts("cpu", json!([["host", "a"]])),
    );
    check(&cluster, "s", &format!("{statement} value = 'nope'"), json!({}));
    check(&cluster, "s", &format!("{statement} value = 5000"), json!({}));
}

#[test]
fn the_catalog_alone() {
    let cluster = cluster();
    let databases =
        json!({ "series": [{ "name": "databases", "columns": ["name"], "values": [["s"], ["e"]] }] });
    check(&cluster, "", "SHOW DATABASES", databases);
    check(
        &Store::new(GROUPS),
        "",
        "SHOW DATABASES",
        json!({ "series": [{ "name": "databases", "columns": ["name"] }] }),
    );
    check(&cluster, "", "SHOW USERS", json!({ "series": [{ "columns": ["user", "admin"] }] }));
    check(&cluster, "", "SHOW SUBSCRIPTIONS", json!({}));
    let columns = ["name", "query"];
    let queries =
        json!({ "series": [{ "name": "s", "columns": columns }, { "name": "e", "columns": columns }] });
    check(&cluster, "", "SHOW CONTINUOUS QUERIES", queries);
}

#[test]
fn a_database_without_default_policy_has_no_fields_to_show() {
    let mut cluster = cluster();
    cluster.ddl("DROP RETENTION POLICY autogen ON s");
    let error = json!({ "error": "retention policy not found: autogen" });
    check(&cluster, "s", "SHOW FIELD KEYS", error);
    let fields = json!([["extra", "integer"], ["v", "float"]]);
    let series = json!([{ "name": "cpu", "columns": ["fieldKey", "fieldType"], "values": fields }]);
    check(&cluster, "s", "SHOW FIELD KEYS FROM rp2.cpu", json!({ "series": series }));
}

#[test]
fn the_policy_of_the_request_is_that_of_names_without_one() {
    let cluster = cluster();
    let fields = |of: Value| json!({ "series": [{ "name": "cpu", "columns": ["fieldKey", "fieldType"], "values": of }] });
    let ask = |policy: &str, statement: &str| answer_in(&cluster, ("s", policy), statement);
    let in_rp2 = json!([["extra", "integer"], ["v", "float"]]);
    assert_eq!(ask("rp2", "SHOW FIELD KEYS FROM cpu"), fields(in_rp2));
    let in_autogen = json!([["idle", "integer"], ["v", "float"]]);
    assert_eq!(ask("rp2", "SHOW FIELD KEYS FROM autogen.cpu"), fields(in_autogen));
    let unknown = json!({ "error": "retention policy not found: nope" });
    for statement in ["SHOW FIELD KEYS", "SHOW SERIES", "SHOW SERIES EXACT CARDINALITY"] {
        assert_eq!(ask("nope", statement), unknown, "{statement}");
    }
    assert_eq!(ask("nope", "SHOW TAG KEYS FROM two"), ask("", "SHOW TAG KEYS FROM two"));
}

#[test]
fn what_is_not_about_stored_names_is_refused() {
    let cluster = cluster();
    for statement in ["SHOW QUERIES", "SHOW SHARDS", "SHOW STATS", "SELECT v FROM cpu", "DROP DATABASE s"] {
        let error = answer(&cluster, "s", statement)["error"].as_str().unwrap().to_owned();
        assert_eq!(error, format!("statement is not supported: {statement}"));
    }
}
