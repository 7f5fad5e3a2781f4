//! Simulated clusters keep their promises under whatever faults a seed composes, and a seed says all of it.
//!
//! `make chaos SEEDS=1000` runs more; a seed that fails is repeated with `simulate --seed N --trace`.

use crate::support::{number_from_environment, turn};
use chaos_tests::report::say;
use serde_json::Value;
use std::process::{Command, Output};

fn simulate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_simulate")).args(arguments).output().unwrap()
}

fn last_lines(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines: Vec<&str> = text.lines().rev().take(15).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

#[test]
fn no_seed_breaks_a_promise_and_every_kind_of_fault_takes_effect() {
    let _turn = turn("simulation: random faults in virtual time");
    let seeds = number_from_environment("STEADFAST_SIMULATED_SEEDS", 50).to_string();
    let output = simulate(&["--seeds", &seeds]);
    let text = last_lines(&output);
    say(&text);
    assert!(output.status.success(), "{text}");
}

#[test]
fn whatever_goes_wrong_while_a_cluster_is_founded_there_is_one() {
    let _turn = turn("simulation: foundings under faults");
    let seeds = number_from_environment("STEADFAST_SIMULATED_FOUNDINGS", 60).to_string();
    let output = simulate(&["--foundings", "--seeds", &seeds]);
    let text = last_lines(&output);
    say(&text);
    assert!(output.status.success(), "{text}");
}

#[test]
fn the_same_seed_makes_the_same_run() {
    let _turn = turn("simulation: one seed twice");
    let checksums: Vec<(Value, Value)> = (0..2)
        .map(|_| {
            let output = simulate(&["--seed", "3", "--seconds", "15"]);
            let told: Value = serde_json::from_slice(&output.stdout).unwrap();
            (told["events"].clone(), told["checksum"].clone())
        })
        .collect();
    assert!(checksums[0].0.as_u64() > Some(1_000), "{checksums:?}");
    assert_eq!(checksums[0], checksums[1]);
}
