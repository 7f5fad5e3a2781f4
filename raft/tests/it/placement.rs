//! A replica moves from one node to another, and back, while points are written through a node that may have none.

use crate::cluster::{Cluster, DATA, eventually, in_seconds, points, tuning};
use model::catalog::{CatalogCommand, MembershipCommand, NodeInfo};
use model::placement::Placement;
use model::{GroupId, NodeId};
use raft::Condition;
use std::collections::BTreeMap;

fn ids(ids: &[u64]) -> Vec<NodeId> {
    ids.iter().copied().map(NodeId).collect()
}

fn change(cluster: &Cluster, command: &CatalogCommand) {
    let meta = cluster.group(0, GroupId::META);
    cluster.client.block_on(meta.submit(raft::command::catalog(command), in_seconds(20))).unwrap();
}

/// Four nodes; the data group is on the first three.
fn four_nodes() -> Cluster {
    let founding: BTreeMap<GroupId, Vec<NodeId>> = [(DATA, ids(&[1, 2, 3]))].into();
    let cluster = Cluster::start_placed(4, 1, founding.clone(), tuning());
    let info = |address: &str| NodeInfo { peer_addr: address.to_owned(), ..NodeInfo::default() };
    let nodes = cluster.nodes.iter().map(|node| (node.id, info(&node.address))).collect();
    let placement = Placement { factor: 3, groups: founding };
    change(
        &cluster,
        &CatalogCommand::Bootstrap {
            cluster: "c".to_owned(),
            nodes,
            slots: [DATA].into(),
            placement,
            feature_level: 0,
        },
    );
    cluster
}

fn place(cluster: &Cluster, from: &[u64], to: &[u64]) {
    let command = MembershipCommand::SetReplicas { group: DATA, from: ids(from), to: ids(to) };
    change(cluster, &command.into());
}

fn wait_for_members(cluster: &Cluster, members: &[u64]) {
    let wanted = ids(members);
    eventually("members", || {
        let settled = (0..4).all(|place| {
            let is_member = wanted.contains(&NodeId(place as u64 + 1));
            cluster.group(place, DATA).is_here() == is_member
        });
        let status = cluster.group(cluster.leader(DATA), DATA).status();
        (settled && status.voters == wanted && status.learners.is_empty()).then_some(())
    });
}

#[test]
fn a_replica_moves_and_comes_back() {
    let mut cluster = four_nodes();
    assert_eq!(cluster.group(3, DATA).condition(), Condition::Elsewhere);
    assert!(cluster.group(3, DATA).data_store().is_none());
    // Through a node that has none.
    (0..20).for_each(|time| cluster.write(3, time, time));
    place(&cluster, &[1, 2, 3], &[2, 3, 4]);
    (20..60).for_each(|time| cluster.write(0, time, time));
    wait_for_members(&cluster, &[2, 3, 4]);
    eventually("end of the replica", || {
        (cluster.group(0, DATA).condition() == Condition::Elsewhere).then_some(())
    });
    assert!(!cluster.state_dir(0, DATA).exists());
    (60..80).for_each(|time| cluster.write(0, time, time));
    cluster.barrier(3, DATA);
    assert_eq!(points(&cluster.group(3, DATA)), (0..80).map(|time| (time, time)).collect());

    // The node starts without the replica, and gets it back from the others: what its log once had is not forgotten.
    cluster.stop(0);
    cluster.start_node(0);
    assert_eq!(cluster.group(0, DATA).condition(), Condition::Elsewhere);
    place(&cluster, &[2, 3, 4], &[1, 2, 3]);
    (80..100).for_each(|time| cluster.write(3, time, time));
    wait_for_members(&cluster, &[1, 2, 3]);
    cluster.barrier(0, DATA);
    assert_eq!(points(&cluster.group(0, DATA)), (0..100).map(|time| (time, time)).collect());
    cluster.assert_equal_replicas(DATA);
}

#[test]
fn a_replica_whose_group_has_no_majority_stays() {
    let mut cluster = four_nodes();
    (0..10).for_each(|time| cluster.write(0, time, time));
    cluster.kill(1);
    cluster.kill(3);
    cluster.start_node(3);
    // Node 2 is down: the group goes on with nodes 1 and 3, and node 1 may leave only when node 4 has taken its place.
    place(&cluster, &[1, 2, 3], &[2, 3, 4]);
    (10..20).for_each(|time| cluster.write(0, time, time));
    eventually("end of the replica", || {
        (cluster.group(0, DATA).condition() == Condition::Elsewhere).then_some(())
    });
    assert_eq!(cluster.group(cluster.leader(DATA), DATA).status().voters, ids(&[2, 3, 4]));
    cluster.start_node(1);
    cluster.barrier(1, DATA);
    assert_eq!(points(&cluster.group(1, DATA)).len(), 20);
}
