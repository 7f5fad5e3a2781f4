//! A disk that has become slow: its node leads nothing any more, and is not given anything to lead, as long as it is.

use crate::machines::Machines;
use crate::support::{turn_beside_others, wait_until};
use chaos_tests::history::DATABASE;
use chaos_tests::report::{Failures, say};
use chaos_tests::workload::create_database;
use chaos_tests::workload::paced::PacedLoad;
use chaos_tests::{Cluster, Settings};

/// What each sync of the slow disk takes longer; the limit is 200 ms here.
const SLOWER_MS: u64 = 600;

#[test]
fn a_node_with_a_slow_disk_leads_nothing() {
    let _turn = turn_beside_others("slow_disk: every sync of one node's log takes 600 ms more");
    let machines = Machines::new();
    let config = vec![("raft.slow_disk", "\"200ms\"".to_owned())];
    let cluster = machines.start(&Settings { config, ..Settings::default() });
    create_database(&mut cluster.client(0), DATABASE);
    let load = PacedLoad::start(&cluster.addresses(), 40);
    wait_until("something to lose", 30, || load.acknowledged() > 50);
    let slow = cluster.busiest_leader();
    say(&format!("  node {slow} leads {} groups", led(&cluster, slow).unwrap_or_default()));
    machines.slow_down(slow, SLOWER_MS);
    wait_until("it leads nothing", 60, || led(&cluster, slow) == Some(0));
    assert_eq!(cluster.metric(slow, "steadfast_disk_slow"), 1.0);
    let before = load.acknowledged();
    wait_until("writes go on", 30, || load.acknowledged() > before + 200);
    assert_eq!(led(&cluster, slow), Some(0), "it was given something to lead");
    machines.speed_up(slow);
    cluster.wait_caught_up();
    let history = load.finish();
    say(&format!("  {}", history.summary()));
    assert!(history.refusals.is_empty(), "refused: {:?}", history.refusals);
    let mut failures = Failures::default();
    for node in 0..cluster.size() {
        history.check(&mut cluster.client(node), &mut failures);
    }
    failures.assert_none("beside a slow disk");
    cluster.assert_equal_checksums();
}

/// How many groups a node leads; `None` while one has no leader.
fn led(cluster: &Cluster, node: usize) -> Option<usize> {
    Some(cluster.leaders()?.values().filter(|leader| **leader == node).count())
}
