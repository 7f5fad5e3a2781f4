//! A node that was away for longer than the log reaches back gets a snapshot and ends equal to the others.

use crate::cluster::{Cluster, DATA, eventually, points, tuning};
use model::GroupId;
use model::catalog::{CatalogCommand, PolicySpec};
use raft::{Tuning, command};
use std::sync::Arc;
use std::time::Duration;

#[test]
fn a_node_behind_the_log_gets_a_snapshot() {
    let mut cluster = Cluster::start(1, tuning());
    cluster.write(0, -1, -1);
    let away = (cluster.leader(DATA) + 1) % 3;
    cluster.kill(away);
    let here = cluster.running()[0];
    (0..120).for_each(|i| cluster.write(here, i, i));
    for name in 0..60 {
        let command =
            CatalogCommand::CreateDatabase { name: format!("d{name}"), policy: PolicySpec::default() };
        let meta = cluster.group(here, GroupId::META);
        cluster
            .client
            .block_on(meta.submit(command::catalog(&command), crate::cluster::in_seconds(20)))
            .unwrap();
    }
    for place in cluster.running() {
        for group in [DATA, GroupId::META] {
            let group = cluster.group(place, group);
            cluster.client.block_on(group.flush_and_snapshot(Duration::from_secs(20))).unwrap();
            eventually("purged log", || group.status().purged.filter(|purged| *purged > 40));
        }
    }
    cluster.write(here, 1_000, 1_000);
    cluster.start_node(away);
    for group in [DATA, GroupId::META] {
        cluster.barrier(away, group);
        let group = cluster.group(away, group);
        eventually("an installed snapshot", || group.status().snapshot.filter(|snapshot| *snapshot > 40));
        assert_eq!(group.counters().snapshots_received, 1);
    }
    assert_eq!(points(&cluster.group(away, DATA)).len(), 122);
    assert_eq!(cluster.host(away).catalog().databases.len(), 60);
    cluster.assert_equal_replicas(DATA);
    cluster.assert_equal_replicas(GroupId::META);
    // What was installed is durable, and the node goes on from there.
    cluster.kill(away);
    cluster.start_node(away);
    cluster.write(away, 2_000, 2_000);
    cluster.barrier(away, DATA);
    assert_eq!(points(&cluster.group(away, DATA)).len(), 123);
}

#[test]
fn a_replica_that_got_a_snapshot_in_place_of_a_checksum_command_is_asked_again() {
    let mut cluster = Cluster::start(1, tuning());
    cluster.write(0, -1, -1);
    let away = (cluster.leader(DATA) + 1) % 3;
    cluster.kill(away);
    let asked = cluster.group(cluster.leader(DATA), DATA);
    let before = asked.status().applied;
    let answer = cluster.client.spawn({
        let asked = Arc::clone(&asked);
        async move { asked.checksums(crate::cluster::in_seconds(40)).await }
    });
    eventually("the command at both others", || {
        let of = |place: usize| cluster.group(place, DATA).status().applied;
        cluster.running().into_iter().all(|place| of(place) > before).then_some(())
    });
    for place in cluster.running() {
        let group = cluster.group(place, DATA);
        cluster.client.block_on(group.flush_and_snapshot(Duration::from_secs(20))).unwrap();
        eventually("purged log", || group.status().purged.filter(|purged| Some(*purged) > before));
    }
    cluster.start_node(away);
    let checksums = cluster.client.block_on(answer).unwrap().unwrap();
    assert!(cluster.group(away, DATA).counters().snapshots_received > 0);
    assert_eq!(checksums.len(), 3);
    let first = checksums[0].checksum.clone().unwrap();
    for replica in checksums {
        assert_eq!(replica.checksum.unwrap(), first);
    }
}

#[test]
fn a_group_flushes_by_itself_after_enough_bytes() {
    let small = Tuning { snapshot_bytes: 2_000, ..tuning() };
    let cluster = Cluster::start(1, small);
    (0..200).for_each(|i| cluster.write(0, i, i));
    for place in 0..3 {
        let group = cluster.group(place, DATA);
        let status = eventually("automatic snapshot", || {
            Some(group.status()).filter(|status| status.snapshot > Some(0) && status.purged > Some(0))
        });
        assert!(status.purged <= status.snapshot && status.snapshot <= status.durable, "{status:?}");
    }
}
