//! Random line protocol against a real influxd and a cluster:
//! `fuzz_line_protocol [--seed N] [--statements N] [--round N] [--shown N]`.

use chaos_tests::fuzz::{Plan, Servers, line_campaign};
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
        statements: number("--statements", 20_000),
        first_round: number("--round", 0),
        shown_max: number("--shown", 50) as usize,
    };
    say(&format!("fuzz_line_protocol --seed {} --statements {}", plan.seed, plan.statements));
    let started = Instant::now();
    let (oracle, cluster) = (Oracle::start(), Cluster::start(&Settings::default()));
    let outcome = line_campaign::run(&plan, &mut Servers::new(&oracle, &cluster));
    for (why, count) in &outcome.explained {
        say(&format!("  explained: {count} × {why}"));
    }
    say(&format!(
        "{} bodies in {} s, {} unexplained differences (seed {})",
        outcome.asked,
        started.elapsed().as_secs(),
        outcome.differences.len(),
        plan.seed
    ));
    if outcome.differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
