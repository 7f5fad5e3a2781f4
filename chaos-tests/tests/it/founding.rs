//! Users who do not wait: they create a database and write while the cluster is being founded.

use crate::support::{turn_beside_others, wait_until};
use chaos_tests::client::percent_encode;
use chaos_tests::report::say;
use chaos_tests::{Cluster, Settings};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const DATABASE: &str = "early";
/// Enough that every group has some.
const SERIES: u64 = 64;

#[test]
fn what_is_written_while_the_cluster_is_founded_is_stored_once() {
    let _turn = turn_beside_others("founding: a database is created and written to from the first moment");
    let mut cluster = Cluster::stopped(&Settings::default());
    let founded = AtomicBool::new(false);
    for node in 0..3 {
        cluster.launch(node);
    }
    let written: Vec<u64> = std::thread::scope(|scope| {
        let users: Vec<_> = (0..3)
            .map(|node| {
                let (cluster, founded) = (&cluster, &founded);
                scope.spawn(move || insist(cluster, node, founded))
            })
            .collect();
        wait_until("the cluster is founded", 60, || (0..3).all(|node| cluster.is_ready(node)));
        // Then the same series again, when all is settled.
        founded.store(true, Ordering::Relaxed);
        users.into_iter().filter_map(|user| user.join().ok()).collect()
    });
    let rounds = written.iter().max().copied().unwrap_or(0);
    say(&format!("  rounds of {SERIES} series acknowledged at each node: {written:?}"));
    assert!(rounds > 0, "nobody could write");
    for node in 0..3 {
        let q = "SELECT count(v) FROM m GROUP BY s";
        let answer = cluster.client(node).query(DATABASE, q).expect("an answer").json();
        let empty = Vec::new();
        let series = answer["results"][0]["series"].as_array().unwrap_or(&empty);
        assert_eq!(series.len() as u64, SERIES, "{answer}");
        // The same times from all users: a point that is in two groups would be counted twice.
        let counts = series.iter().map(|series| series["values"][0][1].as_u64().unwrap_or(0));
        let counts: Vec<u64> = counts.collect();
        assert!(counts.iter().all(|count| *count == rounds), "{rounds} rounds at node {node}: {counts:?}");
    }
    cluster.assert_equal_checksums();
}

/// Creates the database and writes the same series again and again, whatever the answers; how many rounds were
/// acknowledged, without a gap.
fn insist(cluster: &Cluster, node: usize, founded: &AtomicBool) -> u64 {
    let mut client = cluster.client(node).with_timeout(Duration::from_secs(15));
    let mut rounds = 0;
    let mut after = 0;
    while after < 3 {
        if founded.load(Ordering::Relaxed) {
            after += 1;
        }
        let create = format!("/query?q={}", percent_encode("CREATE DATABASE early"));
        drop(client.post(&create, b""));
        let lines: Vec<String> = (0..SERIES).map(|s| format!("m,s={s} v=1 {}\n", rounds + 1)).collect();
        match client.write(DATABASE, lines.concat().as_bytes()) {
            Ok(answer) if answer.status == 204 => rounds += 1,
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    rounds
}
