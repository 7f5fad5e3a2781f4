//! Disks that answer with an error: what they were to keep is on the other nodes, and a failed fsync is never believed.

use crate::machines::Machines;
use crate::support::{turn_beside_others, wait_until};
use chaos_tests::Settings;
use chaos_tests::history::DATABASE;
use chaos_tests::report::{Failures, say};
use chaos_tests::workload::create_database;
use chaos_tests::workload::paced::PacedLoad;

#[test]
fn a_disk_that_fails_to_sync_costs_nothing_that_was_acknowledged() {
    let _turn = turn_beside_others("disk_errors: every fsync of one node's log fails, then of its states");
    let machines = Machines::new();
    // Flushes of the states are seldom; with so little memory they are not.
    let config = vec![("raft.snapshot_log_bytes", "\"256KiB\"".to_owned())];
    let mut cluster = machines.start(&Settings { config, ..Settings::default() });
    create_database(&mut cluster.client(0), DATABASE);
    let load = PacedLoad::start(&cluster.addresses(), 40);
    wait_until("something to lose", 30, || load.acknowledged() > 50);
    for (node, word) in [(cluster.busiest_leader(), "/raftlog/"), (cluster.busiest_leader(), "/groups/")] {
        let (before, reopened) =
            (load.acknowledged(), cluster.metric(node, "steadfast_raft_log_reopened_total"));
        machines.fail(node, word);
        wait_until("writes go on beside a failing disk", 30, || load.acknowledged() > before + 200);
        machines.repair(node);
        if word == "/raftlog/" {
            wait_until("the log is recovered from its files", 30, || {
                cluster.metric(node, "steadfast_raft_log_reopened_total") > reopened
            });
        }
        cluster.wait_ready(node);
        cluster.wait_caught_up();
        say(&format!("  {word} of node {node} failed and came back"));
    }
    let history = load.finish();
    say(&format!("  {}", history.summary()));
    assert!(history.refusals.is_empty(), "refused: {:?}", history.refusals);
    // What is on the disks, not what is in memory.
    for node in 0..cluster.size() {
        cluster.kill(node);
    }
    machines.launch_all(&mut cluster);
    let mut failures = Failures::default();
    for node in 0..cluster.size() {
        history.check(&mut cluster.client(node), &mut failures);
    }
    failures.assert_none("after disks failed");
    cluster.assert_equal_checksums();
}
