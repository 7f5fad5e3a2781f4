//! kill -9 of nodes that lead groups, ten times under load; then of all three at once.

use crate::support::{number_from_environment, turn};
use chaos_tests::history::{DATABASE, History};
use chaos_tests::report::{Failures, say};
use chaos_tests::workload::create_database;
use chaos_tests::workload::paced::PacedLoad;
use chaos_tests::{Cluster, Settings};
use std::time::{Duration, Instant};

/// Longest answer a collector may see.
const SLOWEST_MAX: Duration = Duration::from_secs(10);

#[test]
fn no_acknowledged_point_is_lost_and_no_write_refused_when_leaders_are_killed() {
    let _turn = turn("crash: kill -9 of leading nodes under load, then of all nodes");
    let rounds = number_from_environment("STEADFAST_CRASH_ROUNDS", 10);
    let mut cluster = Cluster::start(&Settings::default());
    create_database(&mut cluster.client(0), DATABASE);
    let load = PacedLoad::start(&cluster.addresses(), 25);
    std::thread::sleep(Duration::from_secs(2));
    for round in 1..=rounds {
        let before = load.acknowledged();
        let killed = cluster.busiest_leader();
        cluster.kill(killed);
        let started = Instant::now();
        // Long enough for the other two to elect new leaders and serve.
        std::thread::sleep(Duration::from_millis(4_500));
        cluster.restart(killed);
        let back_s = started.elapsed().as_secs_f64();
        say(&format!(
            "  round {round}: node {killed} killed, serving again after {back_s:.1} s, {} batches meanwhile",
            load.acknowledged() - before
        ));
        // All three must have caught up before the next one dies: two dead of three are no minority.
        cluster.wait_caught_up();
    }
    let history = load.finish();
    say(&format!("  {}", history.summary()));
    assert_nothing_lost(&cluster, &history, "after the last restart");
    assert!(history.refusals.is_empty(), "refused: {:?}", history.refusals);
    assert!(history.slowest < SLOWEST_MAX, "slowest request {:?}", history.slowest);
    cluster.assert_equal_checksums();

    for node in 0..cluster.size() {
        cluster.kill(node);
    }
    cluster.start_all();
    assert_nothing_lost(&cluster, &history, "after all nodes were killed at once");
    cluster.assert_equal_checksums();
}

fn assert_nothing_lost(cluster: &Cluster, history: &History, when: &str) {
    let mut failures = Failures::default();
    for node in 0..cluster.size() {
        history.check(&mut cluster.client(node), &mut failures);
    }
    failures.assert_none(when);
}
