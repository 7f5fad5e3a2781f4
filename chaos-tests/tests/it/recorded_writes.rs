//! Every recorded request of real collectors is answered as a real influxd answered it, and can be read back equal from
//! every node. The queries of Heapster's historical API are asked of the same data.

use crate::support::{ask, compare_all_rows, compare_answers, turn};
use chaos_tests::report::{Failures, say, shorten};
use chaos_tests::workload::queries::{at, rows};
use chaos_tests::workload::recorded::{Recorded, read_all};
use chaos_tests::{Client, Cluster, Oracle, Settings};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const HISTORICAL: &str = include_str!("testdata/heapster_queries.txt");

#[test]
fn recorded_writes_are_accepted_and_read_back_equal_from_every_node() {
    let _turn = turn("recorded_writes: recordings of Heapster, eventer and cAdvisor");
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/heapster");
    let recordings = read_all(&directory);
    let (oracle, cluster) = (Oracle::start(), Cluster::start(&Settings::default()));
    let mut oracle_client = oracle.client();
    let mut nodes: Vec<Client> = (0..cluster.size()).map(|node| cluster.client(node)).collect();
    let mut failures = Failures::default();
    let mut newest: BTreeMap<String, i64> = BTreeMap::new();
    let (mut known, mut sent) = (BTreeSet::new(), 0);
    for (file, requests) in &recordings {
        let file = file.file_name().unwrap_or_default().to_string_lossy();
        for request in requests {
            prepare(request, &mut known, [&mut oracle_client, &mut nodes[0]]);
            let (want, node) = (request.send(&mut oracle_client), sent % nodes.len());
            let got = request.send(&mut nodes[node]);
            let place = format!("{file}: {} {} (node {node})", request.method, shorten(&request.target));
            compare_answers(&place, &want, &got, &mut failures);
            if got.as_ref().is_ok_and(|answer| answer.status != request.status) {
                failures.add(format!("{place}: recorded {}", request.status));
            }
            if let (Some(database), Some(time)) = (request.database(), request.newest_ns()) {
                let newest = newest.entry(database.to_owned()).or_insert(time);
                *newest = time.max(*newest);
            }
            sent += 1;
        }
    }
    say(&format!("  {sent} requests sent to both; databases {:?}", newest.keys()));
    for database in newest.keys() {
        compare_all_rows(&mut oracle_client, &cluster, database, &mut failures);
    }
    say(&format!("  all rows compared on {} nodes, {} differences", nodes.len(), failures.count()));
    let asked = historical(&newest, &mut oracle_client, &mut nodes, &mut failures);
    say(&format!("  {asked} historical answers compared, {} differences", failures.count()));
    failures.assert_none("recorded traffic");
}

/// Creates the database of a write that was accepted, unless the recording or we have created it before.
fn prepare(request: &Recorded, known: &mut BTreeSet<String>, clients: [&mut Client; 2]) {
    if let Some((_, rest)) = request.target.split_once("CREATE+DATABASE+") {
        known.insert(rest.split('+').next().unwrap_or_default().to_owned());
    }
    let Some(database) = request.database().filter(|_| request.status == 204) else { return };
    if known.insert(database.to_owned()) {
        for client in clients {
            let answer = client.query("", &format!("CREATE DATABASE {database}")).unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    }
}

fn historical(
    newest: &BTreeMap<String, i64>,
    oracle: &mut Client,
    nodes: &mut [Client],
    failures: &mut Failures,
) -> usize {
    let mut asked = 0;
    for row in rows(HISTORICAL) {
        let [database, query] = row[..] else { panic!("two columns, not {row:?}") };
        let Some(end_ns) = newest.get(database) else {
            failures.add(format!("no recording of database {database}"));
            continue;
        };
        let q = at(query, end_ns / 1_000_000);
        let want = ask(oracle, database, "", &q);
        for (number, node) in nodes.iter_mut().enumerate() {
            asked += 1;
            let place = format!("node {number}: {q}");
            compare_answers(&place, &want, &ask(node, database, "", &q), failures);
        }
    }
    asked
}
