//! Every query of real Grafana dashboards, editors and alerts: three nodes answer as a real influxd does.

use crate::support::{ask, compare_answers, turn};
use chaos_tests::report::{Failures, say};
use chaos_tests::workload::heapster::{END_S, fill};
use chaos_tests::workload::queries::{at, rows};
use chaos_tests::{Cluster, Oracle, Settings};
use std::time::Instant;

const GRAFANA: &str = include_str!("testdata/grafana_queries.txt");
/// Minutes of data: the longest range of most panels.
const MINUTES: i64 = 180;

#[test]
fn every_grafana_query_is_answered_as_by_influxdb() {
    let _turn = turn("dashboards: every Grafana query on three nodes and on influxd");
    let oracle = Oracle::start();
    let cluster = Cluster::start(&Settings::default());
    let started = Instant::now();
    fill(&mut oracle.client(), MINUTES);
    say(&format!("  influxd filled in {:.1} s", started.elapsed().as_secs_f64()));
    let started = Instant::now();
    fill(&mut cluster.client(0), MINUTES);
    say(&format!("  cluster filled in {:.1} s", started.elapsed().as_secs_f64()));

    let mut oracle_client = oracle.client();
    let mut nodes: Vec<_> = (0..cluster.size()).map(|node| cluster.client(node)).collect();
    let mut failures = Failures::default();
    let (mut asked, mut with_rows) = (0, 0);
    for row in rows(GRAFANA) {
        let [database, epoch, _, query] = row[..] else { panic!("four columns, not {row:?}") };
        let q = at(query, END_S * 1_000);
        let want = ask(&mut oracle_client, database, epoch, &q);
        with_rows += usize::from(want.as_ref().is_ok_and(|answer| answer.text().contains("\"values\"")));
        for (node, client) in nodes.iter_mut().enumerate() {
            asked += 1;
            compare_answers(
                &format!("node {node}: {q}"),
                &want,
                &ask(client, database, epoch, &q),
                &mut failures,
            );
        }
    }
    say(&format!("  {asked} answers compared, {} differ", failures.count()));
    assert!(
        with_rows > 150,
        "only {with_rows} of the oracle's answers have rows: this compares nothing with nothing"
    );
    failures.assert_none("Grafana's queries");
}
