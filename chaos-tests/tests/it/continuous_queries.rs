//! Continuous queries through changes of who runs them: every window is written, with the value that it must have.
//!
//! The source is written ahead of the clock, so that the value of every window is known before it is due.

use crate::support::{turn_beside_others, wait_until};
use chaos_tests::report::say;
use chaos_tests::{Client, Cluster, Settings};
use serde_json::Value;
use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

const SECOND_NS: i64 = 1_000_000_000;
/// Seconds of source data: more than the test takes.
const AHEAD_S: i64 = 240;
/// Windows that must follow a kill.
const WINDOWS_AFTER: i64 = 3;

const CREATE: [&str; 4] = [
    "CREATE CONTINUOUS QUERY plain ON d BEGIN SELECT sum(v), count(v) INTO t1 FROM m GROUP BY time(1s) END",
    "CREATE CONTINUOUS QUERY again ON d RESAMPLE EVERY 1s FOR 6s BEGIN SELECT sum(v), count(v) INTO week.:MEASUREMENT FROM /^m$/ GROUP BY time(2s), host END",
    // Fails at every tick: the target has the field as a string.
    "CREATE CONTINUOUS QUERY bad ON d BEGIN SELECT sum(v) INTO taken FROM m GROUP BY time(1s) END",
    "CREATE CONTINUOUS QUERY raw ON d BEGIN SELECT v INTO never FROM m END",
];

#[test]
fn every_window_is_written_through_changes_of_the_leader() {
    let _turn = turn_beside_others("continuous queries: the leader of the meta group is killed twice");
    let mut cluster = Cluster::start(&Settings::default());
    let mut client = cluster.client(0);
    for statement in ["CREATE DATABASE d", "CREATE RETENTION POLICY week ON d DURATION 7d REPLICATION 1"] {
        run(&mut client, statement);
    }
    let from_s = now_s() - 20;
    let mut lines = String::from("taken sum=\"text\" 1\n");
    for second in from_s..from_s + AHEAD_S {
        // A host each, the value is the second.
        for host in ["a", "b"] {
            let _ok = writeln!(lines, "m,host={host} v={second} {}", second * SECOND_NS + SECOND_NS / 2);
        }
    }
    assert_eq!(client.write("d", lines.as_bytes()).expect("an answer").status, 204);
    let created_s = now_s();
    for statement in CREATE {
        run(&mut client, statement);
    }
    wait_for_windows(&cluster, created_s + 2);
    for _ in 0..2 {
        let leader = cluster.leaders().expect("every group has a leader")[&0];
        cluster.kill(leader);
        let killed_s = now_s();
        wait_for_windows(&cluster, killed_s + WINDOWS_AFTER);
        cluster.restart(leader);
        cluster.wait_caught_up();
    }
    let until_s = now_s();
    wait_for_windows(&cluster, until_s);
    say(&format!("  {} windows of one second", until_s - created_s));
    for node in 0..cluster.size() {
        check(&mut cluster.client(node), created_s, until_s);
    }
    let mut client = cluster.client(1);
    let shown = run(&mut client, "SHOW CONTINUOUS QUERIES");
    assert_eq!(rows(&shown).len(), CREATE.len(), "{shown}");
    run(&mut client, "DROP DATABASE d");
    let shown = run(&mut client, "SHOW CONTINUOUS QUERIES");
    assert!(!shown.to_string().contains("\"d\""), "{shown}");
    cluster.assert_equal_checksums();
}

/// Waits until the plain query has written the window before this second.
#[track_caller]
fn wait_for_windows(cluster: &Cluster, until_s: i64) {
    let mut clients: Vec<Client> = (0..cluster.size()).map(|node| cluster.client(node)).collect();
    wait_until(&format!("windows until {until_s}"), 40, || {
        let running = (0..clients.len()).find(|node| cluster.is_running(*node)).unwrap_or(0);
        let last = clients[running].query("d", "SELECT last(sum) FROM t1");
        let json = last.map(|answer| answer.json()).unwrap_or_default();
        rows(&json).first().is_some_and(|row| row[0].as_i64() >= Some((until_s - 1) * SECOND_NS))
    });
}

fn check(client: &mut Client, created_s: i64, until_s: i64) {
    let bounds = |to_s: i64| format!("time >= {}s AND time < {}s", created_s + 1, to_s);
    let plain = run(client, &format!("SELECT sum, count FROM t1 WHERE {}", bounds(until_s)));
    let want: Vec<_> = (created_s + 1..until_s).map(|s| (s * SECOND_NS, 2 * s, 2)).collect();
    assert_eq!(numbers(&plain), want, "t1 at {}", client.address());
    for host in ["a", "b"] {
        let query =
            format!("SELECT sum, count FROM week.m WHERE host = '{host}' AND {}", bounds(until_s - 2));
        let windows = (created_s + 1..until_s - 2).filter(|s| s % 2 == 0);
        let want: Vec<_> = windows.map(|s| (s * SECOND_NS, 2 * s + 1, 2)).collect();
        assert_eq!(numbers(&run(client, &query)), want, "week.m of {host} at {}", client.address());
    }
    let others = run(client, "SELECT sum FROM taken; SELECT v FROM never");
    let text = others.to_string();
    assert!(text.contains("\"text\"") && !text.contains("never"), "{text}");
}

#[track_caller]
fn run(client: &mut Client, statement: &str) -> Value {
    let answer = client.query("d", statement).expect("an answer");
    let json = answer.json();
    assert!(answer.status == 200 && json["results"][0]["error"].is_null(), "{statement}: {}", answer.text());
    json
}

/// The rows of the first statement, all series.
fn rows(answer: &Value) -> Vec<&Value> {
    let series = answer["results"][0]["series"].as_array().into_iter().flatten();
    series.flat_map(|series| series["values"].as_array().into_iter().flatten()).collect()
}

fn numbers(answer: &Value) -> Vec<(i64, i64, i64)> {
    let number = |cell: &Value| cell.as_f64().map_or(-1, |n| n as i64);
    let row = |row: &Value| (row[0].as_i64().unwrap_or(-1), number(&row[1]), number(&row[2]));
    rows(answer).into_iter().map(row).collect()
}

fn now_s() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the test and its servers share the machine's clock")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(now.as_secs()).expect("fits")
}
