//! Bad input: answered as a real influxd answers it, nothing lost beside it, nobody else harmed.

mod cases;
mod clients;

use crate::support::{compare_all_rows, compare_answers, turn};
use cases::{Case, DATABASE, cases, queries};
use chaos_tests::report::{Failures, say};
use chaos_tests::{Client, Cluster, Oracle, Request, Settings};

#[test]
fn bad_requests_are_answered_as_by_influxdb_and_lose_nothing() {
    let _turn =
        turn("bad_input: broken lines, conflicts, limits and syntax errors on the cluster and on influxd");
    let (oracle, cluster) = (Oracle::start(), Cluster::start(&Settings::default()));
    let mut oracle_client = oracle.client();
    let mut nodes: Vec<Client> = (0..cluster.size()).map(|node| cluster.client(node)).collect();
    let mut failures = Failures::default();
    for client in nodes.iter_mut().take(1).chain([&mut oracle_client]) {
        let created = client.query("", &format!("CREATE DATABASE {DATABASE}")).unwrap();
        assert_eq!(created.status, 200);
    }
    let all: Vec<Case> = cases().into_iter().chain(queries()).collect();
    for (i, case) in all.iter().enumerate() {
        let node = i % nodes.len();
        let headers: Vec<(&str, &str)> = case.headers.clone();
        let request = Request {
            method: case.method,
            target: &case.target,
            headers: &headers,
            body: case.body.as_deref(),
        };
        let (want, got) = (oracle_client.send(&request), nodes[node].send(&request));
        let place = format!("{} (node {node})", case.name);
        compare_answers(&place, &want, &got, &mut failures);
        if let (Ok(want), Ok(got)) = (&want, &got) {
            let (want, got) = (want.header("X-Influxdb-Error"), got.header("X-Influxdb-Error"));
            if want != got {
                failures.add(format!("{place}: X-Influxdb-Error: want {want:?} got {got:?}"));
            }
        }
    }
    compare_all_rows(&mut oracle_client, &cluster, DATABASE, &mut failures);
    assert!((0..cluster.size()).all(|node| cluster.is_ready(node)), "a node is no longer ready");
    say(&format!("  {} requests compared, {} differ", all.len(), failures.count()));
    failures.assert_none("bad input");
}
