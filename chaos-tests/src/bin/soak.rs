//! Kills, hangs and restarts under load, in an order that a seed repeats: `soak [--seed N] [--seconds S]`.
//!
//! Every phase ends with all nodes running; then nothing acknowledged may be missing, no request may have been refused,
//! and all replicas must be equal.

use chaos_tests::history::{DATABASE, History};
use chaos_tests::report::{Failures, say};
use chaos_tests::workload::create_database;
use chaos_tests::workload::paced::PacedLoad;
use chaos_tests::workload::random::Random;
use chaos_tests::{Cluster, Settings};
use std::time::{Duration, Instant};

/// Longest answer a collector may see.
const SLOWEST_MAX: Duration = Duration::from_secs(10);

/// How a run is repeated.
struct Run {
    seed: u64,
    seconds: u64,
}

impl Run {
    fn from_arguments() -> Self {
        let arguments: Vec<String> = std::env::args().collect();
        let value = |name: &str, default: u64| {
            let at = arguments.iter().position(|argument| argument == name);
            at.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(default)
        };
        Self { seed: value("--seed", u64::from(std::process::id())), seconds: value("--seconds", 300) }
    }

    fn command(&self) -> String {
        let Self { seed, seconds } = self;
        format!("cargo run --release -p chaos-tests --bin soak -- --seed {seed} --seconds {seconds}")
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if std::thread::panicking() {
            say(&format!("FAILED; repeat with: {}", self.command()));
        }
    }
}

fn main() {
    let run = Run::from_arguments();
    say(&run.command());
    let mut random = Random::new(run.seed);
    let started = Instant::now();
    let mut cluster = Cluster::start(&settings(&mut random));
    create_database(&mut cluster.client(0), DATABASE);
    let mut history = History::default();
    let mut phase = 0;
    while started.elapsed() < Duration::from_secs(run.seconds) {
        phase += 1;
        let load = PacedLoad::resume(&cluster.addresses(), 10 + random.below(60) as u32, history);
        for _ in 0..=random.below(4) {
            pause(&mut random, 3_000);
            fault(&mut cluster, &load, &mut random);
            cluster.wait_caught_up();
        }
        history = load.finish();
        say(&format!("phase {phase} after {} s: {}", started.elapsed().as_secs(), history.summary()));
        check(&cluster, &history);
        if random.below(2) == 0 {
            say("  all nodes killed at once");
            (0..cluster.size()).for_each(|node| cluster.kill(node));
            cluster.start_all();
            check(&cluster, &history);
        }
    }
    say(&format!("passed: {phase} phases with seed {}", run.seed));
}

/// Small logs in some runs, so that snapshots take part.
fn settings(random: &mut Random) -> Settings {
    let config = match random.below(3) {
        0 => Vec::new(),
        _ => vec![
            ("raft.snapshot_log_bytes", "\"256KiB\"".to_owned()),
            ("raft.snapshot_interval", "\"5s\"".to_owned()),
            ("raft.log_kept", format!("\"{}KiB\"", random.below(50))),
        ],
    };
    Settings { config, ..Settings::default() }
}

fn pause(random: &mut Random, most_ms: u64) {
    std::thread::sleep(Duration::from_millis(random.below(most_ms)));
}

/// One node fails and comes back.
fn fault(cluster: &mut Cluster, load: &PacedLoad, random: &mut Random) {
    let node = match random.below(2) {
        0 => cluster.busiest_leader(),
        _ => random.below(cluster.size() as u64) as usize,
    };
    match random.below(4) {
        0 => {
            say(&format!("  node {node} killed and restarted at once"));
            cluster.kill(node);
            cluster.restart(node);
        }
        1 => {
            say(&format!("  node {node} killed twice, the second time while it starts"));
            cluster.kill(node);
            cluster.launch(node);
            pause(random, 500);
            cluster.kill(node);
            cluster.restart(node);
        }
        2 => {
            say(&format!("  node {node} killed and away for a while"));
            cluster.kill(node);
            pause(random, 15_000);
            cluster.restart(node);
        }
        _ => {
            say(&format!("  node {node} hangs for a while"));
            load.avoid(node, true);
            cluster.freeze(node);
            pause(random, 8_000);
            cluster.thaw(node);
            cluster.wait_ready(node);
            load.avoid(node, false);
        }
    }
}

fn check(cluster: &Cluster, history: &History) {
    assert!(history.refusals.is_empty(), "refused: {:?}", history.refusals);
    assert!(history.slowest < SLOWEST_MAX, "slowest request {:?}", history.slowest);
    let mut failures = Failures::default();
    for node in 0..cluster.size() {
        history.check(&mut cluster.client(node), &mut failures);
    }
    failures.assert_none("after a phase");
    cluster.assert_equal_checksums();
}
