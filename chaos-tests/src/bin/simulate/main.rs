//! Simulated clusters under faults: `simulate --seeds N [--from SEED] [--jobs N]` runs a campaign, every seed in a process
//! of its own; `simulate --seed N [--trace]` repeats one. With `--foundings`, only the founding of a cluster is simulated,
//! and goes wrong in every way. With `--members`, an operator lets nodes join and go meanwhile. Also `--nodes`, `--founders`, `--groups`, `--seconds` of faults. `simulate --bugs`, built with the feature
//! of that name, puts known bugs back one after the other and tells after how many seeds each was noticed.

mod bugs;
mod campaign;
mod entropy;

use chaos_tests::report::say;
use chaos_tests::simulation::run::{Outcome, Plan, Story, run};
use chaos_tests::simulation::trace::Trace;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// The bug that the simulation puts back by itself.
const NODE_ID_REUSED: u64 = node::embedded::bugs::Bug::NodeIdReused as u64;

fn main() -> ExitCode {
    let arguments = Arguments::read();
    match arguments.number("--seed") {
        Some(seed) => one(&arguments, seed),
        None if arguments.has("--bugs") => bugs::hunt(&arguments),
        None => campaign::run(&arguments),
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
        let (story, groups, seconds) =
            if self.has("--foundings") { (Story::Founding, 1, 5) } else { (Story::Life, 3, 30) };
        // With an operator two more nodes join, drain, go, and replicas move.
        let (nodes, founders) = match story {
            Story::Life if self.has("--members") => (5, 3),
            Story::Life if five => (5, 5),
            _ => (3, 3),
        };
        let nodes = self.number("--nodes").map_or(nodes, |nodes| nodes as usize);
        let founders = self.number("--founders").map_or(founders.min(nodes), |founders| founders as usize);
        Plan {
            seed,
            story,
            nodes,
            founders,
            replication_factor: founders as u32,
            replace_after_s: if seed.is_multiple_of(2) { 5 } else { 0 },
            groups: self.number("--groups").unwrap_or(groups) as u32,
            keep_identity: self.number("--bug") == Some(NODE_ID_REUSED),
            faults_ms: self.number("--seconds").unwrap_or(seconds) * 1_000,
        }
    }

    /// What is handed on to the process of one seed.
    fn passed_on(&self) -> Vec<String> {
        let names = ["--nodes", "--founders", "--groups", "--seconds", "--bug"];
        let given = |name: &&str| Some([(*name).to_owned(), self.number(name)?.to_string()]);
        let flags = ["--foundings", "--members"];
        let flags = flags.iter().filter(|flag| self.has(flag)).map(|flag| (*flag).to_owned());
        names.iter().filter_map(given).flatten().chain(flags).collect()
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
