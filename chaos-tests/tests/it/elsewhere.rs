//! A node that reads nothing of its own: what it is asked, it brings from the other nodes.

use crate::support::{ask, compare_answers, turn};
use chaos_tests::report::{Failures, say};
use chaos_tests::workload::create_database;
use chaos_tests::workload::heapster::{END_S, fill};
use chaos_tests::workload::queries::{at, rows};
use chaos_tests::{Client, Cluster, Oracle, Settings};
use std::time::{Duration, Instant};

const GRAFANA: &str = include_str!("testdata/grafana_queries.txt");
const MINUTES: i64 = 60;

/// Statements beside those of dashboards: every way to read.
const OTHERS: [&str; 18] = [
    "SHOW MEASUREMENTS",
    "SHOW SERIES LIMIT 50",
    "SHOW TAG KEYS",
    "SHOW TAG VALUES WITH KEY = type",
    "SHOW FIELD KEYS",
    "SHOW SERIES CARDINALITY",
    "SHOW SERIES EXACT CARDINALITY",
    "SHOW MEASUREMENT CARDINALITY",
    "SHOW TAG VALUES EXACT CARDINALITY WITH KEY = type",
    "SHOW TAG VALUES FROM \"cpu/usage_rate\" WITH KEY = nodename WHERE time > 0",
    "SELECT count(value), sum(value), mean(value), min(value), max(value) FROM /.*/",
    "SELECT last(value), first(value) FROM /cpu.*/ GROUP BY type",
    "SELECT value FROM \"cpu/usage_rate\" ORDER BY time DESC LIMIT 7",
    "SELECT percentile(value, 90) FROM \"memory/usage\" WHERE value > 1000 GROUP BY time(10m), type fill(none)",
    "SELECT derivative(mean(value), 1m) FROM \"cpu/usage\" GROUP BY time(5m), nodename",
    "SELECT top(value, nodename, 3) FROM \"cpu/usage_rate\"",
    "SELECT mean(value) FROM \"memory/usage\" GROUP BY time(1h), *",
    "SELECT DISTINCT(value) FROM \"uptime\" LIMIT 5",
];

/// Three nodes; the last one reads none of its own replicas.
fn start() -> Cluster {
    let mut cluster = Cluster::stopped(&Settings::default());
    cluster.launch(0);
    cluster.launch(1);
    cluster.launch_with(2, &[("STEADFAST_FAULT_READ_ELSEWHERE".to_owned(), "1".to_owned())]);
    (0..3).for_each(|node| cluster.wait_ready(node));
    cluster
}

#[test]
fn dashboards_are_answered_as_by_influxdb_from_other_nodes_replicas() {
    let _turn = turn("elsewhere: every Grafana query on a node without replicas of its own");
    let oracle = Oracle::start();
    let mut cluster = start();
    fill(&mut oracle.client(), MINUTES);
    fill(&mut cluster.client(2), MINUTES);
    let (mut want, mut got) = (oracle.client(), cluster.client(2));
    let mut failures = Failures::default();
    let (mut asked, mut with_rows) = (0, 0);
    let started = Instant::now();
    let mut compare = |want: &mut Client, database: &str, epoch: &str, q: &str| {
        let answer = ask(want, database, epoch, q);
        with_rows += usize::from(answer.as_ref().is_ok_and(|answer| answer.text().contains("\"values\"")));
        compare_answers(q, &answer, &ask(&mut got, database, epoch, q), &mut failures);
        asked += 1;
    };
    for row in rows(GRAFANA) {
        let [database, epoch, _, query] = row[..] else { panic!("four columns, not {row:?}") };
        compare(&mut want, database, epoch, &at(query, END_S * 1_000));
    }
    // A node that reads its own replicas says the same, to the last digit.
    let mut beside = cluster.client(1);
    for q in OTHERS {
        compare(&mut beside, "k8s", "ns", q);
    }
    say(&format!("  {asked} answers compared in {:.1} s", started.elapsed().as_secs_f64()));
    assert!(with_rows > 100, "only {with_rows} of the answers have rows");
    failures.assert_none("what was read from other nodes");
    explains_and_shards(&mut got);

    // The node that was asked most goes: the other one has everything.
    cluster.kill(0);
    let q = "SELECT count(value) FROM /.*/";
    compare_answers(q, &ask(&mut want, "k8s", "ns", q), &ask(&mut got, "k8s", "ns", q), &mut failures);
    failures.assert_none("after one of the others died");
    // And without a quorum the one that is left tells what it has.
    cluster.kill(1);
    let answer = ask(&mut got, "k8s", "ns", q).expect("answered");
    assert_eq!(answer.status, 503, "nobody has a replica: {}", answer.text());
    let target = "/query?db=k8s&consistency=stale&q=SELECT+count(value)+FROM+uptime";
    let answer = got.get(target).expect("answered");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.header("X-Steadfast-Partial").is_some_and(|groups| groups.contains('8')));
}

fn explains_and_shards(client: &mut Client) {
    for (q, wanted) in [
        ("EXPLAIN ANALYZE SELECT mean(value) FROM \"memory/usage\"", "execution_time"),
        ("EXPLAIN SELECT mean(value) FROM \"memory/usage\"", "NUMBER OF SERIES"),
        ("SHOW SHARDS", "owners"),
        ("SHOW SHARD GROUPS", "shard groups"),
        ("SHOW STATS", "numSeries"),
    ] {
        let answer = ask(client, "k8s", "", q).expect("answered");
        assert!(answer.status == 200 && answer.text().contains(wanted), "{q}: {}", answer.text());
    }
}

#[test]
fn a_write_is_seen_at_once_and_a_node_that_hangs_is_gone_round() {
    let _turn = turn("elsewhere: writes and reads while the node that is asked hangs");
    let mut cluster = start();
    create_database(&mut cluster.client(0), "d");
    let mut client = cluster.client(2);
    for n in 1..=100 {
        let line = format!("m,host=h{} v={n}i {n}", n % 10);
        assert_eq!(cluster.client(n % 2).write("d", line.as_bytes()).expect("written").status, 204);
        let answer = client.query("d", "SELECT count(v), sum(v) FROM m").expect("answered");
        let values = answer.json()["results"][0]["series"][0]["values"][0].clone();
        assert_eq!((&values[1], &values[2]), (&n.into(), &(n * (n + 1) / 2).into()), "{}", answer.text());
    }
    for hung in [0, 1] {
        cluster.freeze(hung);
        let started = Instant::now();
        let answer = client.query("d", "SELECT sum(v) FROM m").expect("answered");
        assert!(answer.text().contains("5050"), "node {hung} hangs: {}", answer.text());
        assert_eq!(answer.header("X-Steadfast-Stale-Ms"), None, "node {hung} hangs");
        let took = started.elapsed();
        assert!(took < Duration::from_secs(15), "took {took:?} while node {hung} hung");
        cluster.thaw(hung);
        cluster.wait_ready(hung);
    }
}
