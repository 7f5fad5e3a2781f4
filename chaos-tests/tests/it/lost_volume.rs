//! A node comes back with an empty volume: it takes its old place under a new id, by itself, and no second cluster is
//! founded.

use crate::support::{turn_beside_others, wait_until};
use chaos_tests::history::DATABASE;
use chaos_tests::report::{Failures, say};
use chaos_tests::workload::create_database;
use chaos_tests::workload::paced::PacedLoad;
use chaos_tests::{Cluster, Settings};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The voters of all groups, as `node` hears of them from the leaders; `None` unless all groups have the same ones and
/// nobody else follows.
fn voters(cluster: &Cluster, node: usize) -> Option<BTreeSet<u64>> {
    let status = cluster.status(node)?;
    let of = |group: &serde_json::Value| {
        let voters = group["voters"].as_array()?.iter().filter_map(serde_json::Value::as_u64).collect();
        group["learners"].as_array()?.is_empty().then_some(voters)
    };
    let mut all = status["groups"].as_array()?.iter().map(of);
    let first: BTreeSet<u64> = all.next()??;
    all.all(|voters| voters.as_ref() == Some(&first)).then_some(first)
}

/// The node id of a node, as `asked` knows it.
fn id_of(cluster: &Cluster, asked: usize, node: usize) -> Option<u64> {
    let status = cluster.status(asked)?;
    let mut nodes = status["nodes"].as_array()?.iter();
    nodes.find(|known| known["http"] == *cluster.http(node))?["id"].as_u64()
}

fn cluster_uuid(cluster: &Cluster, node: usize) -> String {
    cluster.status(node).map(|status| status["cluster"].to_string()).unwrap_or_default()
}

fn lose_volume(cluster: &mut Cluster, node: usize) {
    cluster.kill(node);
    std::fs::remove_dir_all(cluster.data_directory(node)).expect("a data directory");
}

#[test]
fn a_blank_volume_takes_the_place_of_a_lost_one_under_a_new_id() {
    let _turn = turn_beside_others("lost_volume: nodes come back with empty volumes");
    let mut cluster = Cluster::start(&Settings::default());
    create_database(&mut cluster.client(0), DATABASE);
    let uuid = cluster_uuid(&cluster, 0);
    let load = PacedLoad::start(&cluster.addresses(), 40);
    wait_until("something to lose", 30, || load.acknowledged() > 100);
    let mut members: BTreeSet<u64> = (1..=3).collect();
    // One of them led the founding: of all it must not do so again.
    for (node, new_id) in (0..3).zip(4..) {
        let asked = (node + 1) % 3;
        members.remove(&id_of(&cluster, asked, node).expect("a member"));
        members.insert(new_id);
        load.avoid(node, true);
        lose_volume(&mut cluster, node);
        let began = Instant::now();
        cluster.launch(node);
        wait_until("the newcomer votes in every group", 60, || {
            voters(&cluster, asked).as_ref() == Some(&members)
        });
        cluster.wait_ready(node);
        say(&format!("  node {node} is back after {:.1} s", began.elapsed().as_secs_f64()));
        assert_eq!(cluster_uuid(&cluster, node), uuid);
        load.avoid(node, false);
        cluster.wait_caught_up();
    }
    // All founders are gone; the newcomers survive the loss of one of them, as the founders did.
    load.avoid(1, true);
    cluster.kill(1);
    let before = load.acknowledged();
    wait_until("writes go on", 30, || load.acknowledged() > before + 50);
    cluster.restart(1);
    let history = load.finish();
    say(&format!("  {}", history.summary()));
    assert!(history.refusals.is_empty(), "refused: {:?}", history.refusals);
    cluster.wait_caught_up();
    let mut failures = Failures::default();
    for node in 0..3 {
        history.check(&mut cluster.client(node), &mut failures);
    }
    failures.assert_none("after every node has lost its volume once");
    cluster.assert_equal_checksums();
}

#[test]
fn two_blank_volumes_of_three_found_nothing_and_wait() {
    let _turn = turn_beside_others("lost_volume: two of three volumes are gone");
    let mut cluster = Cluster::start(&Settings::default());
    create_database(&mut cluster.client(0), DATABASE);
    let uuid = cluster_uuid(&cluster, 2);
    lose_volume(&mut cluster, 0);
    lose_volume(&mut cluster, 1);
    cluster.kill(2);
    cluster.launch(0);
    cluster.launch(1);
    let reason = |cluster: &Cluster, node: usize| {
        let mut admin = cluster.admin(node).with_timeout(Duration::from_secs(5));
        admin.get("/readyz").map(|answer| answer.text()).unwrap_or_default()
    };
    for node in [0, 1] {
        wait_until("it says whom it waits for", 20, || {
            reason(&cluster, node).contains(&format!("waiting for {}", cluster.peer(2)))
        });
    }
    cluster.launch(2);
    for node in [0, 1] {
        wait_until("it says that it is not taken in", 30, || {
            reason(&cluster, node).contains("take this blank volume in")
        });
    }
    // It asks the others how they are before it answers; on a busy machine one answer may come too late.
    wait_until("it belongs to the cluster as before", 20, || cluster_uuid(&cluster, 2) == uuid);
    assert!(!cluster.is_ready(0) && !cluster.is_ready(1));
}
