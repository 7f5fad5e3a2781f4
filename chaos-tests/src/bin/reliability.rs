//! What users see of the faults of a year, in figures: `reliability [--kills N] [--restarts N] [--drains N] [--volumes N] [--rate N]`.
//!
//! A steady load over three nodes of this machine; leaders are killed, nodes restarted one after the other, drained, and
//! given blank volumes. For each: how long the slowest write waited, and how many were refused. In the end every point that was
//! acknowledged is read back from every node, value by value. Prints the rows of a table in Markdown.

use chaos_tests::history::DATABASE;
use chaos_tests::process::Signal;
use chaos_tests::report::{Failures, say};
use chaos_tests::workload::create_database;
use chaos_tests::workload::paced::PacedLoad;
use chaos_tests::{Cluster, Settings};
use std::time::{Duration, Instant};

/// How long the load goes on undisturbed between faults: what waited longer is counted to the fault before.
const CALM: Duration = Duration::from_secs(2);

fn main() {
    let (kills, restarts) = (argument("--kills", 100), argument("--restarts", 30));
    let (drains, volumes) = (argument("--drains", 15), argument("--volumes", 6));
    let mut cluster = Cluster::start(&Settings::default());
    create_database(&mut cluster.client(0), DATABASE);
    let load = PacedLoad::start(&cluster.addresses(), argument("--rate", 100) as u32);
    std::thread::sleep(CALM);
    say("| Fault | times | longest wait of a write: median | p99 | most |\n|--|--|--|--|--|");
    tell("leader killed (`kill -9`)", (0..kills).map(|_| leader_killed(&mut cluster, &load)));
    tell("node restarted (SIGTERM)", (0..restarts).map(|n| restarted(&mut cluster, &load, n)));
    tell("node drained and back", (0..drains).map(|n| drained(&cluster, &load, n)));
    let mut back = Vec::new();
    let blank = |n| {
        let (waited, took) = volume_lost(&mut cluster, &load, n);
        back.push(took);
        waited
    };
    tell("volume lost", (0..volumes).map(blank));
    back.sort_unstable();
    if let Some(longest) = back.last() {
        say(&format!(
            "\nA blank volume had everything again, and voted everywhere, after {} at most.",
            ms(*longest)
        ));
    }
    let history = load.finish();
    say(&format!("\n{}", history.summary()));
    for refusal in &history.refusals {
        say(&format!("refused: {refusal}"));
    }
    let mut failures = Failures::default();
    for node in 0..cluster.size() {
        history.check(&mut cluster.client(node), &mut failures);
    }
    say(&format!("{} points read back and compared, {} failures", failures.points(), failures.count()));
    failures.assert_none("after all faults");
    cluster.assert_equal_checksums();
    one_is_left(&mut cluster);
    assert!(history.refusals.is_empty(), "writes were refused");
}

fn argument(name: &str, default: usize) -> usize {
    let arguments: Vec<String> = std::env::args().collect();
    let at = arguments.iter().position(|argument| argument == name);
    at.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(default)
}

/// Prints what a fault came to.
fn tell(what: &str, waits: impl Iterator<Item = Duration>) {
    let mut waits: Vec<Duration> = waits.collect();
    waits.sort_unstable();
    let at = |share: f64| waits.get(((waits.len() as f64 * share).ceil() as usize).saturating_sub(1));
    if let (Some(median), Some(p99), Some(most)) = (at(0.5), at(0.99), waits.last()) {
        say(&format!("| {what} | {} | {} | {} | {} |", waits.len(), ms(*median), ms(*p99), ms(*most)));
    }
}

fn ms(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}

/// Lets the load go on, and tells how long the slowest write waited since the fault.
fn longest(load: &PacedLoad) -> Duration {
    std::thread::sleep(CALM);
    load.take_longest()
}

fn leader_killed(cluster: &mut Cluster, load: &PacedLoad) -> Duration {
    let node = cluster.busiest_leader();
    load.take_longest();
    cluster.kill(node);
    std::thread::sleep(2 * CALM);
    cluster.restart(node);
    cluster.wait_caught_up();
    longest(load)
}

fn restarted(cluster: &mut Cluster, load: &PacedLoad, turn: usize) -> Duration {
    let node = turn % cluster.size();
    load.take_longest();
    cluster.process(node).signal(Signal::Terminate);
    assert!(cluster.process(node).wait_for_end(60), "node {node} does not stop");
    cluster.kill(node);
    cluster.restart(node);
    cluster.wait_caught_up();
    longest(load)
}

fn drained(cluster: &Cluster, load: &PacedLoad, turn: usize) -> Duration {
    let node = turn % cluster.size();
    let asked = (node + 1) % cluster.size();
    let id = id_of(cluster, node);
    load.take_longest();
    cluster.order(asked, &["drain", &id, "--wait", "1m"]);
    let waited = longest(load);
    cluster.order(asked, &["undrain", &id]);
    waited
}

/// The wait of the slowest write, and how long it took until everything was there again.
fn volume_lost(cluster: &mut Cluster, load: &PacedLoad, turn: usize) -> (Duration, Duration) {
    let node = turn % cluster.size();
    load.take_longest();
    cluster.kill(node);
    let removed = std::fs::remove_dir_all(cluster.data_directory(node));
    assert!(removed.is_ok(), "the data directory of node {node} is not removed");
    let begun = Instant::now();
    cluster.restart(node);
    let asked = (node + 1) % cluster.size();
    let id = id_of(cluster, node).parse().unwrap_or(0);
    loop {
        let voters = cluster.voters_of_groups(asked).unwrap_or_default();
        if !voters.is_empty() && voters.iter().all(|(_, voters)| voters.contains(&id) && voters.len() == 3) {
            break;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(300),
            "node {node} does not vote everywhere: {voters:?}"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    let took = begun.elapsed();
    cluster.wait_caught_up();
    (longest(load), took)
}

/// A node's id, as it says.
fn id_of(cluster: &Cluster, node: usize) -> String {
    cluster.status(node).and_then(|status| status["node"].as_u64()).unwrap_or_default().to_string()
}

/// The last of three answers what it has, and says so.
fn one_is_left(cluster: &mut Cluster) {
    cluster.kill(1);
    cluster.kill(2);
    let begun = Instant::now();
    let answer = cluster.client(0).query(DATABASE, "SELECT count(value) FROM load");
    match answer {
        Ok(answer) => say(&format!(
            "one of three left: {} after {}, X-Steadfast-Stale-Ms: {}",
            answer.status,
            ms(begun.elapsed()),
            answer.header("X-Steadfast-Stale-Ms").unwrap_or("none")
        )),
        Err(error) => say(&format!("one of three left: no answer: {error}")),
    }
}
