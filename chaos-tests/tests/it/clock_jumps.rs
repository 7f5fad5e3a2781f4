//! A node's wall clock jumps by more than a year: nothing is dropped for it, and what depends on the time goes on.

use crate::machines::Machines;
use crate::support::{ask, turn_beside_others, wait_until};
use chaos_tests::report::say;
use chaos_tests::workload::load;
use chaos_tests::{Client, Cluster, Settings};
use std::time::{SystemTime, UNIX_EPOCH};

const DATABASE: &str = "clocks";
/// Enough that every group has some.
const SERIES: u64 = 200;
const HOURS: u64 = 12;
const JUMP_S: i64 = 400 * 86_400;

#[test]
fn a_clock_that_jumped_drops_nothing_and_stamps_nothing() {
    let _turn = turn_beside_others("clock_jumps: each node's clock is a year ahead, then a year behind");
    let machines = Machines::new();
    let config = vec![
        ("retention.check_interval", "\"1s\"".to_owned()),
        ("continuous_queries.run_interval", "\"1s\"".to_owned()),
    ];
    let cluster = machines.start(&Settings { config, ..Settings::default() });
    let mut client = cluster.client(0);
    for q in [
        "CREATE DATABASE clocks WITH DURATION 2d SHARD DURATION 1d NAME kept",
        "CREATE CONTINUOUS QUERY c ON clocks BEGIN SELECT count(value) INTO windows FROM ticks GROUP BY time(1s) END",
    ] {
        let answer = client.query("", q).expect("an answer").text();
        assert!(!answer.contains("error"), "{q}: {answer}");
    }
    let now_s = now_s();
    let point = |hour: u64, series: u64| {
        format!("m,series={series} value=1 {}", (now_s - 3_600 * hour) * 1_000_000_000)
    };
    let lines: Vec<String> = (1..=HOURS)
        .flat_map(|hour| (0..SERIES).map(move |series| (hour, series)))
        .map(|(h, s)| point(h, s))
        .collect();
    load(&mut client, DATABASE, &lines);

    for ahead_s in [JUMP_S, -JUMP_S] {
        for node in 0..cluster.size() {
            machines.set_clock(node, ahead_s);
            let offset = || cluster.metric(node, "steadfast_clock_offset_seconds");
            wait_until("the jump is noticed", 30, || (offset() - ahead_s as f64).abs() < 60.0);
            // Windows go on, and with them time: whoever would drop by a wrong clock has done it meanwhile.
            let before = windows(&mut client);
            wait_until("continuous queries go on", 30, || {
                tick(&cluster, node);
                windows(&mut client) > before + 2
            });
            check(&cluster, node);
            machines.set_clock(node, 0);
            wait_until("the clock is right again", 30, || offset().abs() < 60.0);
        }
        say(&format!("  {ahead_s} s on each node in turn: all points are there"));
    }
    let late = format!("SELECT count(count) FROM windows WHERE time > {}s", now_s + 3_600);
    let answer = ask(&mut client, DATABASE, "s", &late).expect("an answer").json();
    assert!(answer["results"][0].get("series").is_none(), "windows of the future: {answer}");
    cluster.assert_equal_checksums();
}

/// A point without a time, so that the node stamps it.
fn tick(cluster: &Cluster, node: usize) {
    let answer = cluster.client(node).write(DATABASE, b"ticks value=1").expect("an answer");
    assert_eq!((answer.status, answer.text().as_str()), (204, ""));
}

/// The node whose clock is wrong stores and finds as if it were right, and nobody has lost anything.
fn check(cluster: &Cluster, wrong: usize) {
    let fresh = format!("fresh value=1 {}", now_s() * 1_000_000_000);
    let answer = cluster.client(wrong).write(DATABASE, fresh.as_bytes()).expect("an answer");
    assert_eq!((answer.status, answer.text().as_str()), (204, ""), "a point of now");
    for node in 0..cluster.size() {
        let mut client = cluster.client(node);
        let of_today = count(&mut client, "m", "value", "WHERE time > now() - 1d AND time < now()");
        assert_eq!(of_today, SERIES * HOURS, "at node {node}, with the clock of node {wrong} wrong");
        assert!(count(&mut client, "ticks", "value", "WHERE time > now() - 10m AND time < now() + 10m") > 0);
        let elsewhen = count(&mut client, "ticks", "value", "WHERE time < now() - 1h OR time > now() + 1h");
        assert_eq!(elsewhen, 0, "stamped by a wrong clock");
    }
}

fn windows(client: &mut Client) -> u64 {
    count(client, "windows", "count", "")
}

fn count(client: &mut Client, measurement: &str, field: &str, condition: &str) -> u64 {
    let q = format!("SELECT count({field}) FROM {measurement} {condition}");
    let json = ask(client, DATABASE, "", &q).expect("an answer").json();
    json["results"][0]["series"][0]["values"][0][1].as_u64().unwrap_or(0)
}

#[expect(clippy::disallowed_methods, reason = "points must lie beside the servers' clocks")]
fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs()
}
