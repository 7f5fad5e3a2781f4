//! A leader that hangs: its process is stopped, its connections stay open.

use crate::support::turn;
use chaos_tests::history::DATABASE;
use chaos_tests::report::{Failures, say};
use chaos_tests::workload::create_database;
use chaos_tests::workload::paced::PacedLoad;
use chaos_tests::{Cluster, Settings};
use std::time::Duration;

#[test]
fn writes_go_on_through_the_other_nodes_while_a_leader_hangs() {
    let _turn = turn("election: a leading node hangs under load");
    let mut cluster = Cluster::start(&Settings::default());
    create_database(&mut cluster.client(0), DATABASE);
    let load = PacedLoad::start(&cluster.addresses(), 25);
    std::thread::sleep(Duration::from_secs(2));
    let hung = cluster.busiest_leader();
    load.avoid(hung, true);
    // What it was asked before is not part of this test.
    std::thread::sleep(Duration::from_millis(500));
    cluster.freeze(hung);
    let before = load.acknowledged();
    std::thread::sleep(Duration::from_secs(10));
    let during = load.acknowledged() - before;
    cluster.thaw(hung);
    cluster.wait_ready(hung);
    load.avoid(hung, false);
    std::thread::sleep(Duration::from_secs(2));
    let history = load.finish();
    say(&format!("  {during} batches while node {hung} hung; {}", history.summary()));
    assert!(history.refusals.is_empty(), "refused: {:?}", history.refusals);
    assert!(history.slowest < Duration::from_secs(10), "slowest request {:?}", history.slowest);
    // 25 a second for 10 s, less one election.
    assert!(during > 100, "only {during} batches while node {hung} hung");
    cluster.wait_caught_up();
    let mut failures = Failures::default();
    for node in 0..cluster.size() {
        history.check(&mut cluster.client(node), &mut failures);
    }
    failures.assert_none("after the hung node came back");
    cluster.assert_equal_checksums();
}
