//! A replica that differs is found without anybody asking, taken out of service, and comes back equal.

use crate::cluster::{Cluster, DATA, eventually, point, points, tuning};
use raft::Tuning;
use raft::command::DataCommand;
use std::time::Duration;

#[test]
fn a_replica_that_differs_is_found_and_rebuilt_from_the_majority() {
    let proven = Tuning { proof_interval: Duration::from_millis(500), ..tuning() };
    let cluster = Cluster::start(1, proven);
    let first = cluster.leader(DATA);
    (0..50).for_each(|i| cluster.write(first, i, i));
    eventually("a proof", || cluster.group(cluster.leader(DATA), DATA).proof_age());
    // One that follows, then one that leads.
    for follows in [true, false] {
        let leader = cluster.leader(DATA);
        let odd = if follows { (leader + 1) % 3 } else { leader };
        let group = cluster.group(odd, DATA);
        cluster.barrier(odd, DATA);
        let rebuilt = group.counters().rebuilt;
        // As if a bit had flipped where no checksum covers it: a value that no entry of the log has brought.
        let lie = point(7, 4_711);
        let DataCommand::Write(batch) = DataCommand::decode(&lie).unwrap() else { panic!("a write") };
        let store = group.data_store().unwrap();
        assert!(store.apply_write(batch, store.applied()).unwrap());
        drop(store);
        assert_eq!(points(&group).get(&7), Some(&4_711));
        eventually("a rebuilt replica", || (group.counters().rebuilt > rebuilt).then_some(()));
        eventually("a replica in service", || group.unfit().is_none().then_some(()));
        cluster.barrier(odd, DATA);
        assert_eq!(points(&group).get(&7), Some(&7));
        assert_eq!(points(&group).len(), 50);
    }
    cluster.assert_equal_replicas(DATA);
    let found: u64 = (0..3).map(|place| cluster.group(place, DATA).counters().mismatched).sum();
    assert!(found >= 2, "{found} mismatches were counted");
}
