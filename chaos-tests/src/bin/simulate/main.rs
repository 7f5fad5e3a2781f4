//! Simulated clusters under faults: `simulate --seeds N [--from SEED] [--jobs N]` runs a campaign, every seed in a process
//! of its own; `simulate --seed N [--trace]` repeats one. Also `--nodes`, `--groups`, `--seconds` of faults.

mod entropy;

use chaos_tests::report::say;
use chaos_tests::simulation::run::{Outcome, Plan, run};
use chaos_tests::simulation::trace::Trace;
use chaos_tests::simulation::verdict::Effects;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Seeds after which every kind of fault must have taken effect.
const CAMPAIGN_MIN: u64 = 40;
/// Failures that are shown in full.
const SHOWN: usize = 10;

fn main() -> ExitCode {
    let arguments = Arguments::read();
    match arguments.number("--seed") {
        Some(seed) => one(&arguments, seed),
        None => campaign(&arguments),
    }
}

struct Arguments(Vec<String>);

impl Arguments {
    fn read() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    fn number(&self, name: &str) -> Option<u64> {
        let at = self.0.iter().position(|argument| argument == name)?;
        self.0.get(at + 1)?.parse().ok()
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|argument| argument == name)
    }

    /// A seed decides over the size of the cluster, unless it is said.
    fn plan(&self, seed: u64) -> Plan {
        let five = seed.is_multiple_of(5);
        Plan {
            seed,
            nodes: self.number("--nodes").unwrap_or(if five { 5 } else { 3 }) as usize,
            groups: self.number("--groups").unwrap_or(3) as u32,
            keep_identity: self.number("--bug") == Some(11),
            faults_ms: self.number("--seconds").unwrap_or(30) * 1_000,
        }
    }

    /// What is handed on to the process of one seed.
    fn passed_on(&self) -> Vec<String> {
        let names = ["--nodes", "--groups", "--seconds", "--bug"];
        let given = |name: &&str| Some([(*name).to_owned(), self.number(name)?.to_string()]);
        names.iter().filter_map(given).flatten().collect()
    }
}

/// Runs one seed here, and tells its outcome as one line of JSON.
fn one(arguments: &Arguments, seed: u64) -> ExitCode {
    entropy::seed(seed);
    #[cfg(feature = "bugs")]
    node::embedded::bugs::choose(arguments.number("--bug").unwrap_or(0) as u8);
    if let Ok(filter) = std::env::var("SIMULATE_LOG") {
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    }
    let dir = tempfile::Builder::new().prefix("steadfast-simulation-").tempdir_in(fast_dir());
    let dir = dir.expect("a directory for the disks");
    let trace = Trace::new(arguments.has("--trace"));
    let outcome = run(arguments.plan(seed), dir.path(), trace);
    drop(dir);
    for violation in &outcome.violations {
        say(&format!("seed {seed}: {violation}"));
    }
    tell(&to_json(&outcome));
    ExitCode::from(u8::from(!outcome.violations.is_empty()))
}

/// Memory, where there is such a file system: nobody waits for a disk that is simulated.
fn fast_dir() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}

fn to_json(outcome: &Outcome) -> Value {
    json!({
        "violations": outcome.violations,
        "effects": outcome.effects.to_json(),
        "events": outcome.trace.0,
        "checksum": format!("{:016x}", outcome.trace.1),
        "lasted_ms": outcome.lasted_ms,
    })
}

/// To standard output, which is read by the campaign.
fn tell(outcome: &Value) {
    drop(writeln!(std::io::stdout(), "{outcome}"));
}

/// What a campaign has found.
#[derive(Default)]
struct Found {
    effects: Effects,
    failed: BTreeMap<u64, String>,
    runs: u64,
    simulated: Duration,
}

fn campaign(arguments: &Arguments) -> ExitCode {
    let (from, seeds) = (arguments.number("--from").unwrap_or(1), arguments.number("--seeds").unwrap_or(50));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = arguments.number("--jobs").unwrap_or(cores as u64);
    let (next, found, begun) = (AtomicU64::new(from), Mutex::new(Found::default()), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds {
                        return;
                    }
                    let outcome = in_a_process(arguments, seed);
                    note(&mut found.lock().expect("nobody panics with it"), seed, &outcome);
                }
            });
        }
    });
    let found = found.into_inner().expect("nobody panics with it");
    conclude(arguments, &found, (from, seeds), begun.elapsed())
}

fn in_a_process(arguments: &Arguments, seed: u64) -> Value {
    let program = std::env::current_exe().expect("the path of this program");
    let mut command = Command::new(program);
    command.arg("--seed").arg(seed.to_string()).args(arguments.passed_on());
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
    let never = found.effects.never_seen();
    let idle = seeds >= CAMPAIGN_MIN && !never.is_empty();
    if idle {
        say(&format!("never took effect: {}", never.join(", ")));
    }
    ExitCode::from(u8::from(idle || !found.failed.is_empty()))
}
