//! A node that was away until the others' log had been purged comes back by snapshot.

use crate::support::{turn_beside_others, wait_until};
use chaos_tests::history::DATABASE;
use chaos_tests::report::{Failures, say};
use chaos_tests::workload::paced::PacedLoad;
use chaos_tests::workload::{create_database, heapster};
use chaos_tests::{Cluster, Settings};
use std::collections::BTreeMap;
use std::time::Duration;

#[test]
fn a_node_that_missed_the_purged_log_comes_back_by_snapshot() {
    let _turn = turn_beside_others("catch_up: a node is away until the log is purged");
    let config = vec![
        ("raft.snapshot_log_bytes", "\"64KiB\"".to_owned()),
        ("raft.snapshot_interval", "\"1s\"".to_owned()),
        ("raft.log_kept", "\"0B\"".to_owned()),
    ];
    let mut cluster = Cluster::start(&Settings { config, ..Settings::default() });
    create_database(&mut cluster.client(0), DATABASE);
    heapster::fill(&mut cluster.client(0), 2);
    let had = cluster.replica_numbers(2, "last_log");
    cluster.kill(2);
    heapster::fill(&mut cluster.client(0), 20);
    let load = PacedLoad::start(&cluster.addresses()[..2], 50);
    wait_until("the log of both remaining nodes was purged", 60, || {
        let gone = purged_beyond(&cluster, &had);
        load.acknowledged() > 300 && gone >= had.len() / 2
    });
    // From here on the log alone cannot bring node 2 back.
    cluster.restart(2);
    std::thread::sleep(Duration::from_secs(1));
    let history = load.finish();
    say(&format!("  {}", history.summary()));
    assert!(history.refusals.is_empty(), "refused: {:?}", history.refusals);
    cluster.wait_caught_up();
    let mut failures = Failures::default();
    history.check(&mut cluster.client(2), &mut failures);
    failures.assert_none("on the node that was away");
    cluster.assert_equal_checksums();
}

/// Groups in which both other nodes have purged entries that node 2 never had.
fn purged_beyond(cluster: &Cluster, had: &BTreeMap<u64, u64>) -> usize {
    let purged = [0, 1].map(|node| cluster.replica_numbers(node, "purged"));
    let beyond = |(group, last): &(&u64, &u64)| {
        purged.iter().all(|numbers| numbers.get(*group).is_some_and(|number| number > *last))
    };
    had.iter().filter(beyond).count()
}
