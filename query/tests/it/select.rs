//! SELECT against the answers of a real InfluxDB 1.6 that was given the same points.
//!
//! A recording is a list of steps, one JSON object a line: `{"ddl": …}`, `{"db", "rp", "precision_ns", "write": …}` and
//! `{"db", "rp", "q", "now_ns", "epoch_ns", "result": …}`. `SELECT_RECORDING=file` replays another one.

mod answer;
mod early;
mod endless;
mod limits;
mod split;

use crate::store::Store;
use answer::{Request, answer, same};
use serde_json::Value;

const RECORDING: &str = include_str!("testdata/select.jsonl");
/// The technical-analysis functions, as 1.6.7 and 1.8.10 answer alike.
const TECHNICAL: &str = include_str!("testdata/technical.jsonl");
/// Random statements that once were answered otherwise.
const FUZZED: &str = include_str!("testdata/fuzzed.jsonl");

/// Replays a recording over so many groups; the answers that differ.
fn replay(recording: &str, groups: usize) -> (usize, Vec<String>) {
    let mut store = Store::new(groups);
    let (mut cases, mut failures) = (0, Vec::new());
    for line in recording.lines().filter(|l| !l.is_empty()) {
        let step: Value = serde_json::from_str(line).expect("valid in this test");
        let text = |key: &str| step[key].as_str().unwrap_or_default();
        let number = |key: &str| step[key].as_i64().unwrap_or_default();
        if step.get("reset").is_some() {
            store = Store::new(groups);
        } else if step.get("ddl").is_some() {
            store.ddl(text("ddl"));
        } else if step.get("write").is_some() {
            store.write(text("db"), text("rp"), number("precision_ns").max(1), text("write"));
        } else {
            cases += 1;
            let request = Request {
                database: text("db"),
                policy: text("rp"),
                query: text("q"),
                now_ns: number("now_ns"),
                epoch_ns: number("epoch_ns"),
            };
            let found = answer(&store, request);
            if !same(&found, &step["result"]) {
                let expected = &step["result"];
                failures.push(format!("{}\n  expected {expected}\n  found    {found}", request.query));
            }
        }
    }
    (cases, failures)
}

#[track_caller]
fn check(recording: &str) {
    for groups in [1, 3] {
        let (cases, failures) = replay(recording, groups);
        assert!(
            failures.is_empty(),
            "{} of {cases} fail over {groups} groups:\n{}",
            failures.len(),
            failures.join("\n")
        );
    }
}

#[test]
fn answers_are_those_of_influxdb() {
    check(RECORDING);
}

#[test]
fn technical_analysis_is_that_of_influxdb() {
    check(TECHNICAL);
}

#[test]
fn answers_to_random_statements_are_those_of_influxdb() {
    check(FUZZED);
}

#[test]
fn another_recording_replays() {
    if let Ok(path) = std::env::var("SELECT_RECORDING") {
        check(&std::fs::read_to_string(path).expect("valid in this test"));
    }
}
