//! What the tests of this binary share.

use chaos_tests::client::percent_encode;
use chaos_tests::compare::differences;
use chaos_tests::report::{Failures, say, shorten};
use chaos_tests::{Client, ClientError, Cluster, Response};
use serde_json::Value;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

/// Tests that measure or that keep both cores busy run alone; others, which mostly wait, beside each other.
static TURN: RwLock<()> = RwLock::new(());

/// The turn of one test. Says how long it took when it is dropped.
pub(crate) struct Turn {
    name: String,
    began: Instant,
    _turn: Held,
}

/// Held for its drop.
enum Held {
    Alone { _turn: RwLockWriteGuard<'static, ()> },
    Shared { _turn: RwLockReadGuard<'static, ()> },
}

impl Turn {
    fn begin(name: &str, turn: Held) -> Self {
        say(name);
        Self { name: name.to_owned(), began: Instant::now(), _turn: turn }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let what = self.name.split(':').next().unwrap_or_default();
        say(&format!("  {what}: took {:.0} s", self.began.elapsed().as_secs_f64()));
    }
}

/// Waits until no other test has processes; hold it as long as this one has.
pub(crate) fn turn(name: &str) -> Turn {
    let turn = TURN.write().unwrap_or_else(PoisonError::into_inner);
    Turn::begin(name, Held::Alone { _turn: turn })
}

/// Waits until no other test is alone with its processes. For tests that bear slow answers.
pub(crate) fn turn_beside_others(name: &str) -> Turn {
    let turn = TURN.read().unwrap_or_else(PoisonError::into_inner);
    Turn::begin(name, Held::Shared { _turn: turn })
}

/// A number from the environment, for runs longer than the default.
pub(crate) fn number_from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Polls `condition` until it holds, and panics after `seconds`.
#[track_caller]
pub(crate) fn wait_until(what: &str, seconds: u64, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while !condition() {
        assert!(Instant::now() < deadline, "waited {seconds} s: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A query by GET as Grafana sends it: gzip welcome, times in `epoch`.
pub(crate) fn ask(
    client: &mut Client,
    database: &str,
    epoch: &str,
    q: &str,
) -> Result<Response, ClientError> {
    let mut target = format!("/query?q={}", percent_encode(q));
    for (name, value) in [("db", database), ("epoch", epoch)] {
        if !value.is_empty() {
            target.extend(["&", name, "=", &percent_encode(value)]);
        }
    }
    let headers = [("Accept-Encoding", "gzip")];
    client.send(&chaos_tests::Request { method: "GET", target: &target, headers: &headers, body: None })
}

/// Notes how the answer to a query differs from the oracle's.
pub(crate) fn compare_answers(
    place: &str,
    want: &Result<Response, ClientError>,
    got: &Result<Response, ClientError>,
    failures: &mut Failures,
) {
    let (Ok(want), Ok(got)) = (want, got) else {
        return failures.add(format!("{place}: want {want:?} got {got:?}"));
    };
    if want.status != got.status {
        let (want_text, got_text) = (shorten(&want.text()), shorten(&got.text()));
        return failures
            .add(format!("{place}: want {} {want_text} got {} {got_text}", want.status, got.status));
    }
    let (want_json, got_json) = (want.json(), got.json());
    if want_json == Value::Null && want.body != got.body {
        return failures.add(format!("{place}: want {} got {}", shorten(&want.text()), shorten(&got.text())));
    }
    let found = differences(&want_json, &got_json);
    if !found.is_empty() {
        failures.add(format!("{place}\n    {}", found.join("\n    ")));
    }
}

/// Compares every row of every measurement of `database` on all nodes with the oracle's.
pub(crate) fn compare_all_rows(
    oracle: &mut Client,
    cluster: &Cluster,
    database: &str,
    failures: &mut Failures,
) {
    let mut nodes: Vec<Client> = (0..cluster.size()).map(|node| cluster.client(node)).collect();
    let listed = ask(oracle, database, "ns", "SHOW MEASUREMENTS");
    let json = listed.as_ref().map(Response::json).unwrap_or_default();
    for node in &mut nodes {
        let place = format!("{database} SHOW MEASUREMENTS at {}", node.address());
        compare_answers(&place, &listed, &ask(node, database, "ns", "SHOW MEASUREMENTS"), failures);
    }
    let no_rows = Vec::new();
    let rows = json["results"][0]["series"][0]["values"].as_array().unwrap_or(&no_rows);
    for name in rows.iter().filter_map(|row| row[0].as_str()) {
        let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
        let q = format!("SELECT * FROM \"{quoted}\" GROUP BY *");
        let want = ask(oracle, database, "ns", &q);
        for node in &mut nodes {
            let place = format!("{database} {name} at {}", node.address());
            compare_answers(&place, &want, &ask(node, database, "ns", &q), failures);
        }
    }
}
