//! Random InfluxQL against a real influxd and a cluster:
//! `fuzz_influxql [--seed N] [--statements N] [--round N] [--shown N]`. With `--hold 1` it writes the points of the round to both
//! and keeps them up until its standard input ends, for a person who wants to ask.

use chaos_tests::fuzz::{Plan, Servers, fill, run};
use chaos_tests::report::say;
use chaos_tests::{Cluster, Oracle, Settings};
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name: &str, default: u64| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(default)
    };
    let clock = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    let plan = Plan {
        seed: number("--seed", clock),
        statements: number("--statements", 100_000),
        first_round: number("--round", 0),
        shown_max: number("--shown", 50) as usize,
    };
    say(&format!("fuzz_influxql --seed {} --statements {}", plan.seed, plan.statements));
    let started = Instant::now();
    let (oracle, cluster) = (Oracle::start(), Cluster::start(&Settings::default()));
    if number("--hold", 0) > 0 {
        fill(&plan, &mut Servers::new(&oracle, &cluster));
        say(&format!("influxd at {}, nodes at {}", oracle.address(), cluster.addresses().join(" ")));
        let ended = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        return if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let outcome = run(&plan, &mut Servers::new(&oracle, &cluster));
    for (why, count) in &outcome.explained {
        say(&format!("  explained: {count} × {why}"));
    }
    say(&format!(
        "{} statements in {} s, {} answers with rows, {} unexplained differences (seed {})",
        outcome.asked,
        started.elapsed().as_secs(),
        outcome.with_rows,
        outcome.differences.len(),
        plan.seed
    ));
    if outcome.differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
