//! Commands and reads from any node, leader transfer, restarts.

use crate::cluster::{Cluster, DATA, delete_times, eventually, in_seconds, point, points, tuning};
use model::GroupId;
use model::catalog::{CatalogCommand, PolicySpec};
use raft::command::{self, Outcome};
use raft::{Role, SubmitError, Tuning};
use std::time::Duration;
use tokio::time::Instant;

#[test]
fn any_node_takes_commands_and_reads_what_others_wrote() {
    let cluster = Cluster::start(2, tuning());
    for place in 0..3 {
        cluster.write(place, place as i64, 10 + place as i64);
    }
    for place in 0..3 {
        cluster.barrier(place, DATA);
        let read: Vec<_> = points(&cluster.group(place, DATA)).into_iter().collect();
        assert_eq!(read, [(0, 10), (1, 11), (2, 12)]);
    }
    deletes_reach_every_replica(&cluster);
    catalog_changes_reach_every_node(&cluster);
    leadership_moves_when_asked(&cluster);
    cluster.assert_equal_replicas(DATA);
    cluster.assert_equal_replicas(GroupId::META);
}

fn deletes_reach_every_replica(cluster: &Cluster) {
    let delete = delete_times(1, 3);
    let group = cluster.group(2, DATA);
    let reply = cluster.client.block_on(group.submit(command::delete(&delete), in_seconds(20)));
    assert_eq!(reply.unwrap().outcome(), Outcome::Done);
    for place in 0..3 {
        cluster.barrier(place, DATA);
        let read: Vec<_> = points(&cluster.group(place, DATA)).into_iter().collect();
        assert_eq!(read, [(0, 10)]);
    }
}

fn catalog_changes_reach_every_node(cluster: &Cluster) {
    let create = |name: &str, policy| {
        let command = CatalogCommand::CreateDatabase { name: name.into(), policy };
        let meta = cluster.group(2, GroupId::META);
        let reply = cluster.client.block_on(meta.submit(command::catalog(&command), in_seconds(20)));
        reply.unwrap().outcome()
    };
    assert_eq!(create("k8s", PolicySpec::default()), Outcome::Done);
    let other = PolicySpec { name: Some("x".into()), ..PolicySpec::default() };
    assert!(matches!(create("k8s", other), Outcome::Refused(text) if text.contains("conflicts")));
    for place in 0..3 {
        let mut versions = cluster.host(place).watch_catalog();
        cluster.barrier(place, GroupId::META);
        assert!(cluster.host(place).catalog().database("k8s").is_some());
        assert_eq!(*versions.borrow_and_update(), 2);
    }
}

fn leadership_moves_when_asked(cluster: &Cluster) {
    let leader = cluster.leader(DATA);
    let to = (leader + 1) % 3;
    let group = cluster.group(leader, DATA);
    let node = cluster.nodes[to].id;
    cluster.client.block_on(group.transfer_leader(node, Duration::from_secs(10))).unwrap();
    eventually("the new leader", || cluster.group(to, DATA).is_leader().then_some(()));
    cluster.write(leader, 9, 9);
    let status = cluster.group(to, DATA).status();
    assert_eq!((status.role, status.leader, status.voters.len()), (Role::Leader, Some(node), 3));
    assert_eq!(status.peers.len(), 2);
    let host = cluster.host(leader);
    let here = cluster.client.block_on(host.peer_status(host.node(), Duration::from_secs(2)));
    assert_eq!(here.unwrap().len(), 3);
}

#[test]
fn everything_is_there_after_a_stop_and_after_a_crash_of_all() {
    let mut cluster = Cluster::start(1, tuning());
    (0..20).for_each(|i| cluster.write(0, i, i));
    (0..3).for_each(|place| cluster.stop(place));
    (0..3).for_each(|place| cluster.start_node(place));
    cluster.barrier(1, DATA);
    assert_eq!(points(&cluster.group(1, DATA)).len(), 20);
    (20..40).for_each(|i| cluster.write(1, i, i));
    (0..3).for_each(|place| cluster.kill(place));
    (0..3).for_each(|place| cluster.start_node(place));
    for place in 0..3 {
        cluster.barrier(place, DATA);
        assert_eq!(points(&cluster.group(place, DATA)).len(), 40);
    }
    cluster.assert_equal_replicas(DATA);
}

#[test]
fn preferred_nodes_get_their_groups() {
    let quick = Tuning {
        balance_interval: Duration::from_millis(200),
        balance_hold: Duration::from_millis(300),
        ..tuning()
    };
    let cluster = Cluster::start(2, quick);
    for group in 0..3u32 {
        let preferred = group as usize;
        eventually("the preferred leader", || {
            cluster.group(preferred, GroupId(group)).is_leader().then_some(())
        });
    }
}

#[test]
fn without_a_quorum_a_command_and_a_read_fail_at_their_deadline() {
    let mut cluster = Cluster::start(1, tuning());
    cluster.write(0, 1, 1);
    cluster.kill(1);
    cluster.kill(2);
    let group = cluster.group(0, DATA);
    let deadline = Instant::now() + Duration::from_secs(3);
    let (written, read) = cluster
        .client
        .block_on(async { tokio::join!(group.submit(point(2, 2), deadline), group.read_barrier(deadline)) });
    assert!(matches!(written, Err(SubmitError::Timeout { .. })), "{written:?}");
    assert!(read.is_err());
    assert!(Instant::now() < deadline + Duration::from_secs(1));
    assert_eq!(points(&group).get(&1), Some(&1));
    // Nothing is stuck: with a quorum it goes on.
    cluster.start_node(1);
    cluster.write(0, 3, 3);
}

#[test]
fn commands_that_wait_for_an_answer_are_bounded_by_their_bytes() {
    // Two commands of up to a KiB may wait.
    let mut cluster = Cluster::start(1, Tuning { in_flight_bytes: 2 << 10, ..tuning() });
    cluster.kill(1);
    cluster.kill(2);
    let waiting: Vec<_> = (0..2)
        .map(|time| {
            let group = cluster.group(0, DATA);
            let (counted, is_counted) = std::sync::mpsc::channel();
            let submission = cluster.client.spawn(async move {
                group.submit_counted(point(time, 1), in_seconds(4), || counted.send(()).unwrap()).await
            });
            is_counted.recv().unwrap();
            submission
        })
        .collect();
    let group = cluster.group(0, DATA);
    let third = cluster.client.block_on(group.submit(point(2, 1), in_seconds(1)));
    assert!(matches!(third, Err(SubmitError::Overloaded { limit_bytes: 2048, .. })), "{third:?}");
    for submission in waiting {
        let done = cluster.client.block_on(submission).unwrap();
        assert!(matches!(done, Err(SubmitError::Timeout { .. })), "{done:?}");
    }
    let next = cluster.client.block_on(group.submit(point(3, 1), in_seconds(1)));
    assert!(matches!(next, Err(SubmitError::Timeout { .. })), "there is room again: {next:?}");
}
