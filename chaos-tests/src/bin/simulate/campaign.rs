//! Many seeds, each in a process of its own, and what they found together.

use crate::Arguments;
use chaos_tests::report::say;
use chaos_tests::simulation::verdict::{Effects, WANTED, WANTED_OF_FOUNDINGS, WANTED_OF_MEMBERS};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Seeds after which every kind of fault must have taken effect.
const CAMPAIGN_MIN: u64 = 40;
/// Failures that are shown in full.
const SHOWN: usize = 10;

/// What a campaign has found.
#[derive(Default)]
struct Found {
    effects: Effects,
    failed: BTreeMap<u64, String>,
    runs: u64,
    simulated: Duration,
}

/// Runs the seeds that the arguments name, as many at once as there are cores.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let (from, seeds) = (arguments.number("--from").unwrap_or(1), arguments.number("--seeds").unwrap_or(50));
    let jobs = arguments.number("--jobs").unwrap_or_else(cores);
    let (next, found, begun) = (AtomicU64::new(from), Mutex::new(Found::default()), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds {
                        return;
                    }
                    let outcome = in_a_process(arguments, seed, &[]);
                    note(&mut found.lock().expect("nobody panics with it"), seed, &outcome);
                }
            });
        }
    });
    let found = found.into_inner().expect("nobody panics with it");
    conclude(arguments, &found, (from, seeds), begun.elapsed())
}

/// How many processes can run at once.
pub(crate) fn cores() -> u64 {
    std::thread::available_parallelism().map_or(1, usize::from) as u64
}

/// Runs one seed, and answers what its process told.
pub(crate) fn in_a_process(arguments: &Arguments, seed: u64, more: &[String]) -> Value {
    let program = std::env::current_exe().expect("the path of this program");
    let mut command = Command::new(program);
    command.arg("--seed").arg(seed.to_string()).args(arguments.passed_on()).args(more);
    let output = command.stdin(Stdio::null()).output().expect("this program starts again");
    let lines = String::from_utf8_lossy(&output.stdout);
    lines.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_else(|| {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let tail: Vec<&str> = stderr.lines().rev().take(6).collect();
        json!({"violations": [format!("the process ended with {}: {}", output.status, tail.join(" / "))]})
    })
}

fn note(found: &mut Found, seed: u64, outcome: &Value) {
    found.runs += 1;
    found.effects.merge(&Effects::from_json(&outcome["effects"]));
    found.simulated += Duration::from_millis(outcome["lasted_ms"].as_u64().unwrap_or(0));
    let violations = outcome["violations"].as_array().cloned().unwrap_or_default();
    if let Some(first) = violations.first().and_then(Value::as_str) {
        if found.failed.len() < SHOWN {
            say(&format!("seed {seed} FAILED: {first}"));
        }
        found.failed.insert(seed, first.to_owned());
    }
    if found.runs.is_multiple_of(100) {
        say(&format!("{} seeds, {} failed", found.runs, found.failed.len()));
    }
}

fn conclude(arguments: &Arguments, found: &Found, (from, seeds): (u64, u64), took: Duration) -> ExitCode {
    let last = from + seeds - 1;
    say(&format!("effects: {}", found.effects.to_line()));
    say(&format!(
        "seeds {from} to {last}: {} runs, {} failed, {} simulated seconds in {} s",
        found.runs,
        found.failed.len(),
        found.simulated.as_secs(),
        took.as_secs()
    ));
    for seed in found.failed.keys().take(SHOWN) {
        let more = arguments.passed_on().join(" ");
        say(&format!(
            "repeat with: cargo run --release -p chaos-tests --bin simulate -- --seed {seed} --trace {more}"
        ));
    }
    let wanted = match (arguments.has("--foundings"), arguments.has("--members")) {
        (true, _) => WANTED_OF_FOUNDINGS,
        (_, true) => WANTED_OF_MEMBERS,
        _ => WANTED,
    };
    let never = found.effects.never_seen(wanted);
    let idle = seeds >= CAMPAIGN_MIN && !never.is_empty();
    if idle {
        say(&format!("never took effect: {}", never.join(", ")));
    }
    ExitCode::from(u8::from(idle || !found.failed.is_empty()))
}
