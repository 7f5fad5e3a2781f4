//! Barriers of all groups at once: what was acknowledged before a read is seen by it, whoever leads.

use crate::cluster::{Cluster, DATA, in_seconds, point, points, tuning};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::sleep;
use std::time::Duration;

#[test]
fn a_round_confirms_every_group_on_every_node() {
    let cluster = Cluster::start(4, tuning());
    cluster.write(0, 1, 1);
    for place in 0..3 {
        let host = cluster.host(place);
        let outcomes = cluster.client.block_on(host.read_barriers(in_seconds(20)));
        assert_eq!(outcomes.len(), 5);
        for (group, outcome) in outcomes {
            outcome.unwrap_or_else(|error| panic!("{}: {error}", group.id()));
        }
        assert_eq!(points(&cluster.group(place, DATA)).get(&1), Some(&1));
    }
}

#[test]
fn reads_on_all_nodes_see_what_was_acknowledged_while_leaders_die() {
    let mut cluster = Cluster::start(2, tuning());
    let leader = cluster.leader(DATA);
    let survivors: Vec<usize> = (0..3).filter(|place| *place != leader).collect();
    let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
    let writer = {
        let (stop, acknowledged) = (Arc::clone(&stop), Arc::clone(&acknowledged));
        let group = cluster.group(survivors[0], DATA);
        cluster.client.spawn(async move {
            let mut number = 0;
            while !stop.load(Ordering::Acquire) {
                number += 1;
                group.submit(point(number, number), in_seconds(20)).await.unwrap();
                acknowledged.store(number, Ordering::Release);
            }
        })
    };
    let readers: Vec<_> = survivors
        .iter()
        .map(|place| {
            let (stop, acknowledged) = (Arc::clone(&stop), Arc::clone(&acknowledged));
            let (host, group) = (cluster.host(*place), cluster.group(*place, DATA));
            cluster.client.spawn(async move {
                let mut reads = 0;
                while !stop.load(Ordering::Acquire) {
                    let floor = acknowledged.load(Ordering::Acquire);
                    for (group, outcome) in host.read_barriers(in_seconds(20)).await {
                        outcome.unwrap_or_else(|error| panic!("{}: {error}", group.id()));
                    }
                    assert!(floor == 0 || points(&group).contains_key(&floor), "{floor} is not there");
                    reads += 1;
                }
                reads
            })
        })
        .collect();
    sleep(Duration::from_millis(500));
    cluster.kill(leader);
    sleep(Duration::from_secs(4));
    cluster.start_node(leader);
    sleep(Duration::from_millis(500));
    stop.store(true, Ordering::Release);
    cluster.client.block_on(writer).unwrap();
    for reader in readers {
        assert!(cluster.client.block_on(reader).unwrap() > 20);
    }
    assert!(acknowledged.load(Ordering::Acquire) > 20);
}

#[test]
fn barriers_that_wait_at_the_same_time_share_rounds() {
    const READERS: usize = 64;
    const READS: u64 = 20;
    let cluster = Cluster::start(2, tuning());
    let host = cluster.host(0);
    cluster.client.block_on(host.read_barriers(in_seconds(20)));
    let count = |host: &raft::RaftHost| {
        let counters = host.groups().into_iter().map(|group| group.counters());
        counters.fold((0, 0), |sum, group| (sum.0 + group.barriers, sum.1 + group.barrier_rounds))
    };
    let before = count(&host);
    let readers: Vec<_> = (0..READERS)
        .map(|_| {
            let host = cluster.host(0);
            cluster.client.spawn(async move {
                for _ in 0..READS {
                    for (group, outcome) in host.read_barriers(in_seconds(20)).await {
                        outcome.unwrap_or_else(|error| panic!("{}: {error}", group.id()));
                    }
                }
            })
        })
        .collect();
    for reader in readers {
        cluster.client.block_on(reader).unwrap();
    }
    let after = count(&host);
    let (barriers, rounds) = (after.0 - before.0, after.1 - before.1);
    // Three groups, the catalog's among them.
    assert_eq!(barriers, READERS as u64 * READS * 3);
    assert!(rounds * 8 < barriers, "{barriers} barriers took {rounds} rounds");
}
