//! Queries that would take a node down.

use crate::support::{ask, turn};
use chaos_tests::report::{say, shorten};
use chaos_tests::workload::heapster;
use chaos_tests::{Client, Cluster, Settings};
use std::time::{Duration, Instant};

/// More than this above what the node held before is no bounded memory.
const GROWTH_MAX_BYTES: u64 = 512 << 20;

/// Queries whose answers would be huge; the first asks for 259 million windows.
const QUERIES: [&str; 4] = [
    "SELECT mean(\"value\") FROM \"cpu/usage_rate\" WHERE time > {now}s - 3000d AND time < {now}s GROUP BY time(1s)",
    "SELECT mean(\"value\") FROM \"cpu/usage_rate\" WHERE time > {now}s - 3000d AND time < {now}s GROUP BY time(1s), *",
    "SELECT max(m) FROM (SELECT mean(\"value\") AS m FROM \"cpu/usage_rate\" WHERE time < {now}s GROUP BY time(1s)) \
     WHERE time > {now}s - 3000d AND time < {now}s GROUP BY time(100ms)",
    "SELECT derivative(mean(\"value\"), 1s) FROM \"cpu/usage_rate\" WHERE time > {now}s - 3000d AND time < {now}s \
     GROUP BY time(10ms), pod_name fill(0)",
];

#[test]
fn a_query_of_millions_of_windows_ends_early_and_harms_nobody() {
    let _turn = turn("limits: queries of millions of windows");
    let mut cluster = Cluster::start(&Settings::default());
    heapster::fill(&mut cluster.client(0), 10);
    let before: Vec<u64> = (0..cluster.size()).map(|node| cluster.process(node).resident_bytes()).collect();
    let started = Instant::now();
    let mut askers = Vec::new();
    for round in 0..3 {
        for query in QUERIES {
            let address = cluster.http(round % cluster.size()).to_owned();
            let q = query.replace("{now}", &heapster::END_S.to_string());
            askers.push(std::thread::spawn(move || {
                let mut client = Client::new(address).with_timeout(Duration::from_secs(60));
                let answer = ask(&mut client, "k8s", "ms", &q).map(|a| (a.status, shorten(&a.text())));
                (q, answer.map_err(|error| error.to_string()))
            }));
        }
    }
    let mut highest = 0;
    while askers.iter().any(|asker| !asker.is_finished()) {
        highest = highest.max(growth(&mut cluster, &before));
        let q = "SELECT last(value) FROM \"cpu/usage_rate\" WHERE type = 'cluster'";
        let other = ask(&mut cluster.client(0).with_timeout(Duration::from_secs(10)), "k8s", "ms", q);
        assert!(other.as_ref().is_ok_and(|a| a.status == 200), "others are harmed: {other:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    for asker in askers {
        let (q, answer) = asker.join().expect("the asker ended");
        // 1.x tells of its limits inside a 200.
        let refused = answer.as_ref().is_ok_and(|(_, text)| text.contains("error"));
        assert!(refused, "{q}: {answer:?}");
    }
    highest = highest.max(growth(&mut cluster, &before));
    say(&format!(
        "  all ended within {:.1} s, memory grew by at most {} MiB",
        started.elapsed().as_secs_f64(),
        highest >> 20
    ));
    assert!(highest < GROWTH_MAX_BYTES, "memory grew by {} MiB", highest >> 20);
    assert!((0..cluster.size()).all(|node| cluster.is_ready(node)));
}

/// The most that any node holds more than before, in bytes.
fn growth(cluster: &mut Cluster, before: &[u64]) -> u64 {
    let now = |(node, then): (usize, &u64)| cluster.process(node).resident_bytes().saturating_sub(*then);
    before.iter().enumerate().map(now).max().unwrap_or(0)
}
