//! The harness is tested, too: known bugs are put back one after the other, and each must be noticed.

use crate::Arguments;
use crate::campaign::{cores, in_a_process};
use chaos_tests::report::say;
use chaos_tests::simulation::verdict::IDLE;
use node::embedded::bugs::Bug;
use serde_json::Value;
use std::process::ExitCode;
use std::thread;

/// Seeds that a bug may take, unless `--seeds` says otherwise.
const SEEDS_MAX: u64 = 100;
/// How much of what was noticed is shown, characters.
const SHOWN: usize = 120;

/// Puts every bug back, or the one that `--bug` names, and tells which seed noticed it, as the rows of a table.
pub(crate) fn hunt(arguments: &Arguments) -> ExitCode {
    if !cfg!(feature = "bugs") {
        say("there are no bugs to put back: build with --features chaos-tests/bugs");
        return ExitCode::FAILURE;
    }
    let (from, seeds) =
        (arguments.number("--from").unwrap_or(1), arguments.number("--seeds").unwrap_or(SEEDS_MAX));
    let only = arguments.number("--bug");
    let chosen = Bug::ALL.into_iter().filter(|bug| only.is_none_or(|only| *bug as u64 == only));
    let mut missed = 0;
    say("| Bug | Seeds | Noticed as |\n|--|--|--|");
    for bug in chosen {
        match first_notice(arguments, bug, from, from + seeds) {
            Some((seed, what)) => {
                say(&format!("| {} | {} | {} |", bug.text(), seed - from + 1, in_short(&what)));
            }
            None => {
                missed += 1;
                say(&format!("| {} | not in {seeds} | NOT NOTICED |", bug.text()));
            }
        }
    }
    ExitCode::from(u8::from(missed > 0))
}

/// The first seed whose run fails with a bug, and how.
fn first_notice(arguments: &Arguments, bug: Bug, from: u64, end: u64) -> Option<(u64, String)> {
    let jobs = arguments.number("--jobs").unwrap_or_else(cores).max(1);
    let more = ["--bug".to_owned(), (bug as u64).to_string()];
    let mut next = from;
    while next < end {
        let seeds: Vec<u64> = (next..end.min(next + jobs)).collect();
        next += jobs;
        let told: Vec<(u64, Value)> = thread::scope(|scope| {
            let start = |seed: &u64| {
                let (seed, more) = (*seed, &more);
                scope.spawn(move || (seed, in_a_process(arguments, seed, more)))
            };
            let running: Vec<_> = seeds.iter().map(start).collect();
            running.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        for (seed, outcome) in told {
            let first = outcome["violations"].get(0).and_then(Value::as_str);
            // A run that exercised too little noticed nothing.
            if let Some(first) = first.filter(|first| !first.starts_with(IDLE)) {
                return Some((seed, first.to_owned()));
            }
        }
    }
    None
}

/// What was noticed, in one cell of a table.
fn in_short(what: &str) -> String {
    let one_line = what.replace(['\n', '|'], " ");
    match one_line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &one_line[..end]),
        None => one_line,
    }
}
