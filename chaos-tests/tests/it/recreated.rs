//! A database is dropped and created again while a node is away: what that node takes when it is back, before it has heard
//! of anything, must not end in the database that is gone.

use crate::support::{ask, turn_beside_others};
use chaos_tests::report::say;
use chaos_tests::{Cluster, Settings};
use std::time::{Duration, Instant};

const ROUNDS: usize = 3;

#[test]
fn a_node_that_comes_back_does_not_write_into_a_database_that_is_gone() {
    let _turn = turn_beside_others("recreated: a node comes back to another database of the same name");
    let mut cluster = Cluster::start(&Settings::default());
    for statement in ["CREATE DATABASE d", "CREATE RETENTION POLICY kept ON d DURATION INF REPLICATION 1"] {
        run(&cluster, 0, statement);
    }
    assert_eq!(write(&cluster, 0), 204);
    for round in 0..ROUNDS {
        let (back, stays, leaves) = (round % 3, (round + 1) % 3, (round + 2) % 3);
        cluster.wait_caught_up();
        cluster.kill(back);
        run(&cluster, stays, "DROP DATABASE d");
        run(&cluster, stays, "CREATE DATABASE d");
        run(&cluster, stays, "CREATE RETENTION POLICY kept ON d DURATION INF REPLICATION 1");
        // It has everything up to the drop, and who could tell it of the rest is electing leaders with it.
        cluster.kill(leaves);
        cluster.launch(back);
        let begun = Instant::now();
        while write(&cluster, back) != 204 {
            assert!(begun.elapsed() < Duration::from_secs(60), "round {round}: nothing is written");
        }
        cluster.restart(leaves);
        for node in 0..3 {
            cluster.wait_ready(node);
            let answer = ask(&mut cluster.client(node), "d", "ns", "SELECT count(v) FROM kept.m");
            let answer = answer.expect("answered").json();
            let count = &answer["results"][0]["series"][0]["values"][0][1];
            assert_eq!(*count, 1, "round {round}, node {node}: an acknowledged point is lost: {answer}");
        }
        say(&format!("  round {round}: 204 after {:.1} s", begun.elapsed().as_secs_f64()));
    }
}

fn run(cluster: &Cluster, node: usize, statement: &str) {
    let answer = cluster.client(node).query("", statement).expect("answered");
    assert!(answer.status == 200 && !answer.text().contains("error"), "{statement}: {}", answer.text());
}

/// Writes the point that is counted; 0 if there was no answer.
fn write(cluster: &Cluster, node: usize) -> u16 {
    let mut client = cluster.client(node).with_timeout(Duration::from_secs(15));
    client.post("/write?db=d&rp=kept", b"m,host=a v=1 1").map_or(0, |answer| answer.status)
}
