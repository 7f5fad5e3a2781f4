//! SELECT … INTO beside a real influxd: what it answers, and what it has written as the other nodes read it.

use crate::support::{ask, compare_all_rows, compare_answers, turn_beside_others};
use chaos_tests::report::{Failures, say};
use chaos_tests::{Client, Cluster, Oracle, Settings};
use std::fmt::Write;

/// One statement a line; those that read look at what those before them wrote.
const STATEMENTS: &str = include_str!("testdata/into_statements.txt");
const LINES: &str = "cpu,host=a,az=1 v=1,i=1i,s=\"x y\",b=true 0\ncpu,host=b,az=1 v=2,i=2i 60000000000\n\
    cpu,host=a,az=2 v=3,i=3i,s=\"q\\\"\" 120000000000\ncpu v=4 180000000000\nmem,host=a v=9 0\n";
/// More than two bodies of 10,000 points.
const MANY: usize = 25_000;

#[test]
fn select_into_writes_what_influxd_writes() {
    let _turn = turn_beside_others("into: SELECT INTO on three nodes and on influxd");
    let (oracle, cluster) = (Oracle::start(), Cluster::start(&Settings::default()));
    let mut judge = oracle.client();
    let mut nodes: Vec<Client> = (0..cluster.size()).map(|node| cluster.client(node)).collect();
    prepare(&mut judge);
    prepare(&mut nodes[0]);
    let mut failures = Failures::default();
    for (round, statement) in STATEMENTS.lines().enumerate() {
        let want = ask(&mut judge, "d", "ns", statement);
        let node = &mut nodes[round % 3];
        let place = format!("{statement} at {}", node.address());
        compare_answers(&place, &want, &ask(node, "d", "ns", statement), &mut failures);
    }
    for database in ["d", "d2", "d3"] {
        compare_all_rows(&mut judge, &cluster, database, &mut failures);
    }
    // Sent again, as after a lost connection: the same points.
    let again = "SELECT v INTO many2 FROM many GROUP BY host";
    for _ in 0..2 {
        let answer = nodes[1].query("big", again).expect("an answer").text();
        assert!(answer.contains(&format!("[0,{MANY}]")), "{answer}");
    }
    let count = nodes[2].query("big", "SELECT count(v), sum(v) FROM many2").expect("an answer").text();
    assert!(count.contains(&format!("[0,{MANY},{}]", MANY * (MANY - 1) / 2)), "{count}");
    say(&format!("  {} statements compared, {} differ", STATEMENTS.lines().count(), failures.count()));
    failures.assert_none("SELECT INTO");
    cluster.assert_equal_checksums();
}

/// Memory of a query in the test below: far less than its points take.
const LITTLE: &str = "\"1MiB\"";

#[test]
fn more_points_than_fit_into_memory_are_copied() {
    let _turn = turn_beside_others("into: more points than the memory of a query holds");
    let little = ["query.memory_per_query"].map(|key| (key, LITTLE.to_owned()));
    let cluster = Cluster::start(&Settings { config: little.into(), ..Settings::default() });
    let mut client = cluster.client(0);
    prepare(&mut client);
    let copied =
        client.query("big", "SELECT * INTO big.autogen.copy FROM many GROUP BY *").expect("an answer");
    assert!(copied.text().contains(&format!("[0,{MANY}]")), "{}", copied.text());
    for measurement in ["many", "copy"] {
        let q = format!("SELECT count(v), sum(v) FROM {measurement} WHERE host =~ /^h[0-6]$/");
        let count = cluster.client(1).query("big", &q).expect("an answer").text();
        assert!(count.contains(&format!("[0,{MANY},{}]", MANY * (MANY - 1) / 2)), "{measurement}: {count}");
    }
    // What depends on other rows is not cut, but refused.
    let refused = client.query("big", "SELECT difference(v) INTO steps FROM many").expect("an answer");
    assert!(refused.text().contains("memory"), "{}", refused.text());
}

fn prepare(client: &mut Client) {
    for create in ["d", "d2", "big", "d3 WITH DURATION 1h NAME short"] {
        assert_eq!(client.query("", &format!("CREATE DATABASE {create}")).expect("an answer").status, 200);
    }
    assert_eq!(client.write("d", LINES.as_bytes()).expect("an answer").status, 204);
    let mut many = String::new();
    for i in 0..MANY {
        let _ok = writeln!(many, "many,host=h{} v={i} {i}", i % 7);
    }
    assert_eq!(client.write("big", many.as_bytes()).expect("an answer").status, 204);
}
