//! Replicas that are damaged, and logs that failed, come back while the node runs and the others go on.

use crate::cluster::{Cluster, DATA, eventually, points, tuning};
use raft::{Condition, Group};
use std::time::{Duration, Instant};

/// Waits until the replica was rebuilt once, and says what it waits for if that does not happen.
fn wait_rebuilt(group: &Group) {
    let until = Instant::now() + Duration::from_secs(20);
    while group.counters().rebuilt != 1 {
        assert!(Instant::now() < until, "not rebuilt: {}", group.condition());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_damaged_replica_is_rebuilt_from_another_node_while_writes_go_on() {
    let mut cluster = Cluster::start(1, tuning());
    let first = cluster.leader(DATA);
    (0..50).for_each(|i| cluster.write(first, i, i));
    for place in 0..3 {
        let group = cluster.group(place, DATA);
        cluster.barrier(place, DATA);
        cluster.client.block_on(group.flush_and_snapshot(Duration::from_secs(20))).unwrap();
        // From here on the log alone does not make the state.
        eventually("purged log", || group.status().purged.filter(|purged| *purged > 40));
    }
    // The leader, and one that follows.
    for (round, damaged) in [first, (first + 1) % 3].into_iter().enumerate() {
        let group = cluster.group(damaged, DATA);
        group.report_damage("a test says so");
        assert!(group.unfit().is_some_and(|reason| reason.contains("a test says so")));
        let from = 100 * (round as i64 + 1);
        (from..from + 50).for_each(|i| cluster.write((damaged + 1) % 3, i, i));
        wait_rebuilt(&group);
        assert_eq!(group.unfit(), None);
        cluster.barrier(damaged, DATA);
        assert_eq!(points(&group).len(), 50 * (round + 2));
    }
    cluster.assert_equal_replicas(DATA);
    // What was rebuilt is what a crash comes back to.
    cluster.kill(first);
    cluster.start_node(first);
    cluster.barrier(first, DATA);
    assert_eq!(points(&cluster.group(first, DATA)).len(), 150);
    assert_eq!(cluster.group(first, DATA).condition(), Condition::Running);
}

#[test]
fn a_state_behind_the_beginning_of_its_log_is_rebuilt_at_the_start() {
    let mut cluster = Cluster::start(1, tuning());
    (0..50).for_each(|i| cluster.write(0, i, i));
    let group = cluster.group(2, DATA);
    cluster.barrier(2, DATA);
    cluster.client.block_on(group.flush_and_snapshot(Duration::from_secs(20))).unwrap();
    eventually("purged log", || group.status().purged.filter(|purged| *purged > 40));
    drop(group);
    cluster.kill(2);
    // What a crash in the middle of a rebuild leaves.
    storage::set_aside(&cluster.state_dir(2, DATA)).unwrap();
    cluster.start_node(2);
    let group = cluster.group(2, DATA);
    wait_rebuilt(&group);
    cluster.barrier(2, DATA);
    assert_eq!(points(&group).len(), 50);
    cluster.assert_equal_replicas(DATA);
}

#[test]
fn a_log_that_failed_is_recovered_and_the_node_takes_part_again() {
    let cluster = Cluster::start(1, tuning());
    let leader = cluster.leader(DATA);
    let other = (leader + 1) % 3;
    cluster.write(other, 1, 1);
    let (host, group) = (cluster.host(leader), cluster.group(leader, DATA));
    cluster.log_faults(leader).fail_after(0);
    cluster.write(other, 2, 2);
    eventually("the failure", || (group.condition() != Condition::Running).then_some(()));
    cluster.log_faults(leader).clear();
    eventually("a recovered log", || (host.log_reopened() > 0 && group.unfit().is_none()).then_some(()));
    cluster.write(leader, 3, 3);
    cluster.barrier(leader, DATA);
    assert_eq!(points(&group).into_keys().collect::<Vec<_>>(), [1, 2, 3]);
    cluster.assert_equal_replicas(DATA);
}
