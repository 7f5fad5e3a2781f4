//! Nodes come and go under load: three become four and five, and three others remain. Nobody notices; what would lose a
//! quorum is refused; what a dead node had is copied to others.

use crate::support::{turn_beside_others, wait_until};
use chaos_tests::history::DATABASE;
use chaos_tests::report::{Failures, say};
use chaos_tests::workload::create_database;
use chaos_tests::workload::paced::PacedLoad;
use chaos_tests::{Cluster, Settings};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Longest time an answer may take while a node is drained, on a machine that does other things, too.
const STALL_MAX: Duration = Duration::from_secs(2);

fn settings() -> Settings {
    let mut config = vec![("raft.groups", "4".to_owned()), ("cluster.replace_after", "\"4s\"".to_owned())];
    // A disk that other things fill up would make nodes put off snapshots.
    for (percent, bytes) in
        [("disk.save_percent", "disk.save_bytes"), ("disk.refuse_percent", "disk.refuse_bytes")]
    {
        config.extend([(percent, "0".to_owned()), (bytes, "\"0B\"".to_owned())]);
    }
    Settings { config, ..Settings::default() }
}

/// Announces, starts and waits for a node more.
fn grow(cluster: &mut Cluster, asked: usize) -> usize {
    let node = cluster.add_node(&settings());
    cluster.launch(node);
    wait_until("it is not taken in", 20, || {
        let mut admin = cluster.admin(node).with_timeout(Duration::from_secs(2));
        admin.get("/readyz").is_ok_and(|answer| answer.text().contains("nobody has announced a node"))
    });
    let address = cluster.peer(node).to_owned();
    cluster.order(asked, &["add", &address]);
    cluster.order(asked, &["add", &address]);
    cluster.wait_ready(node);
    node
}

fn wait_until_nothing_moves(cluster: &Cluster, asked: usize) {
    wait_until("nothing moves", 60, || {
        let told = cluster.ctl(asked, &["moves"]);
        let is_empty = |name: &str| told.answer[name].as_array().is_some_and(Vec::is_empty);
        told.code == 0 && is_empty("moves") && is_empty("on_their_way")
    });
}

fn id_of(cluster: &Cluster, asked: usize, node: usize) -> String {
    let told = cluster.order(asked, &["nodes"]);
    let mut nodes = told["nodes"].as_array().into_iter().flatten();
    let known = nodes.find(|known| known["http"] == *cluster.http(node));
    known.map(|known| known["id"].to_string()).unwrap_or_default()
}

/// Every data group has three voters, all of these.
fn are_on(cluster: &Cluster, asked: usize, ids: &BTreeSet<u64>) -> bool {
    let groups = cluster.voters_of_groups(asked).unwrap_or_default();
    let is_on = |voters: &BTreeSet<u64>| voters.len() == 3 && voters.is_subset(ids);
    groups.len() == 5 && groups.iter().filter(|(group, _)| *group != 0).all(|(_, voters)| is_on(voters))
}

#[test]
fn three_nodes_become_five_and_three_others_under_load() {
    let _turn = turn_beside_others("membership: three nodes become five and three others");
    let mut cluster = Cluster::start(&settings());
    create_database(&mut cluster.client(0), DATABASE);
    let load = PacedLoad::start(&cluster.addresses(), 30);
    wait_until("something to move", 30, || load.acknowledged() > 60);
    let began = Instant::now();
    for asked in [0, 1] {
        grow(&mut cluster, asked);
        let plan = cluster.order(asked, &["rebalance"]);
        assert!(plan["moves"].as_array().is_some_and(|moves| !moves.is_empty()), "{plan}");
        cluster.order(asked, &["rebalance", "--apply"]);
        wait_until_nothing_moves(&cluster, 1);
        say(&format!("  {} nodes after {:.1} s", cluster.size(), began.elapsed().as_secs_f64()));
    }
    assert!(are_on(&cluster, 2, &(1..=5).collect()));
    for node in [0, 1] {
        let id = id_of(&cluster, 2, node);
        let refused = cluster.ctl(2, &["remove", &id]);
        assert!(refused.code == 1 && refused.reason.contains("ctl drain"), "{refused:?}");
        cluster.order(2, &["drain", &id, "--wait", "60s"]);
        wait_until_nothing_moves(&cluster, 2);
        load.avoid(node, true);
        cluster.order(2, &["remove", &id]);
        cluster.order(2, &["remove", &id]);
        cluster.kill(node);
        say(&format!("  node {id} is gone after {:.1} s", began.elapsed().as_secs_f64()));
    }
    let before = load.acknowledged();
    wait_until("writes go on", 20, || load.acknowledged() > before + 30);
    let history = load.finish();
    say(&format!("  {}", history.summary()));
    assert!(history.refusals.is_empty(), "refused: {:?}", history.refusals);
    wait_until("all groups are on the three that stay", 30, || are_on(&cluster, 2, &(3..=5).collect()));
    let mut failures = Failures::default();
    for node in 2..5 {
        history.check(&mut cluster.client(node), &mut failures);
    }
    failures.assert_none("after the founders but one have gone");
    let compared = cluster.order(3, &["checksum"]);
    assert_eq!(compared["equal"], true, "{compared}");
    let events = cluster.order(2, &["events"]).to_string();
    assert!(events.contains("is no member any more") && events.contains("may join"), "{events}");
}

#[test]
fn a_node_drains_without_a_stall_and_not_while_another_is_missing() {
    let _turn = turn_beside_others("membership: drain under load");
    let mut cluster = Cluster::start(&settings());
    create_database(&mut cluster.client(0), DATABASE);
    let load = PacedLoad::start(&cluster.addresses(), 40);
    wait_until("a load", 30, || load.acknowledged() > 60);
    let drained = cluster.busiest_leader();
    let (asked, other) = ((drained + 1) % 3, (drained + 2) % 3);
    let id = id_of(&cluster, asked, drained);
    cluster.order(asked, &["drain", &id]);
    wait_until("it leads nothing", 30, || {
        cluster.leaders().is_some_and(|leaders| !leaders.values().any(|leader| *leader == drained))
    });
    let before = load.acknowledged();
    wait_until("writes go on", 20, || load.acknowledged() > before + 80);
    let history = load.finish();
    say(&format!("  longest answer while a node drained: {} ms", history.slowest.as_millis()));
    assert!(history.refusals.is_empty(), "refused: {:?}", history.refusals);
    assert!(history.slowest < STALL_MAX, "{:?}", history.slowest);
    cluster.order(asked, &["undrain", &id]);
    cluster.kill(drained);
    let missing = id_of(&cluster, asked, other);
    wait_until("it is refused", 20, || {
        let refused = cluster.ctl(asked, &["drain", &missing]);
        refused.code == 1 && refused.reason.contains("bring them back first")
    });
    let lost = cluster.ctl(asked, &["remove", &id, "--force"]);
    assert!(lost.code == 0 || lost.code == 1, "{lost:?}");
    let refused = cluster.ctl(asked, &["remove", &missing, "--force"]);
    assert!(refused.code == 1, "{refused:?}");
    let many = cluster.ctl(asked, &["replication-factor", "5"]);
    assert!(many.code == 1 && many.reason.contains("add some first"), "{many:?}");
}

#[test]
fn what_a_dead_node_had_is_copied_to_others() {
    let _turn = turn_beside_others("membership: a dead node's groups are copied");
    let mut cluster = Cluster::start(&settings());
    create_database(&mut cluster.client(0), DATABASE);
    let load = PacedLoad::start(&cluster.addresses(), 20);
    wait_until("something to copy", 30, || load.acknowledged() > 60);
    grow(&mut cluster, 0);
    load.avoid(1, true);
    cluster.kill(1);
    let began = Instant::now();
    wait_until("all groups have three voters again", 60, || are_on(&cluster, 0, &[1, 3, 4].into()));
    say(&format!("  copied {:.1} s after the node died", began.elapsed().as_secs_f64()));
    let history = load.finish();
    assert!(history.refusals.is_empty(), "refused: {:?}", history.refusals);
    let mut failures = Failures::default();
    for node in [0, 2, 3] {
        history.check(&mut cluster.client(node), &mut failures);
    }
    failures.assert_none("after what a dead node had was copied");
}
