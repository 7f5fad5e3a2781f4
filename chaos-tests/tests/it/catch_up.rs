//! A node that was away until the others' log had been purged comes back by snapshot.

use crate::support::{turn, wait_until};
use chaos_tests::history::DATABASE;
use chaos_tests::report::{Failures, say};
use chaos_tests::workload::paced::PacedLoad;
use chaos_tests::workload::{create_database, heapster};
use chaos_tests::{Cluster, Settings};
use std::time::Duration;

#[test]
fn a_node_that_missed_the_purged_log_comes_back_by_snapshot() {
    let _turn = turn("catch_up: a node is away until the log is purged");
    let config = vec![
        ("raft.snapshot_log_bytes", "\"64KiB\"".to_owned()),
        ("raft.snapshot_interval", "\"1s\"".to_owned()),
        ("raft.log_kept_after_snapshot", "5".to_owned()),
    ];
    let mut cluster = Cluster::start(&Settings { config, ..Settings::default() });
    create_database(&mut cluster.client(0), DATABASE);
    heapster::fill(&mut cluster.client(0), 2);
    cluster.kill(2);
    heapster::fill(&mut cluster.client(0), 20);
    let load = PacedLoad::start(&cluster.addresses()[..2], 50);
    wait_until("the log of both remaining nodes was purged", 60, || {
        load.acknowledged() > 300 && cluster.purged_entries(0) > 100 && cluster.purged_entries(1) > 100
    });
    cluster.restart(2);
    std::thread::sleep(Duration::from_secs(1));
    let history = load.finish();
    say(&format!("  {}", history.summary()));
    assert!(history.refusals.is_empty(), "refused: {:?}", history.refusals);
    cluster.wait_caught_up();
    assert!(cluster.installed_snapshots(2) > 0, "node 2 installed no snapshot");
    let mut failures = Failures::default();
    history.check(&mut cluster.client(2), &mut failures);
    failures.assert_none("on the node that was away");
    cluster.assert_equal_checksums();
}
