//! Clients that people use, as their registries have them: the `influx` shell (Debian), `influxdb` (PyPI), `influx` (npm) and
//! `influxdb1-client` (Go). Each tells the same small story to a real influxd and to three nodes, a step a node, and prints
//! what it made of the answers; both texts must be equal.
//!
//! The libraries are pinned, and kept in `~/.cache/steadfast/clients` between runs.

mod install;
mod shell;

use crate::support::turn;
use chaos_tests::report::{Failures, say, shorten};
use chaos_tests::{Cluster, Oracle, Settings};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Most lines that are shown of one story.
const DIFFERENT_LINES_MAX: usize = 8;

#[test]
fn real_clients_see_no_difference_to_influxdb() {
    let python = install::python();
    let node = install::node();
    let go = install::go();
    let _turn = turn("clients: the influx shell, Python, Node.js and Go, on three nodes and on influxd");
    let (oracle, cluster) = (Oracle::start(), Cluster::start(&Settings::default()));
    let nodes = cluster.addresses().join(",");
    let mut failures = Failures::default();
    let mut stories: Vec<(&str, Story<'_>)> = vec![
        ("influx at a terminal", Box::new(shell::at_a_terminal)),
        ("influx -execute", Box::new(shell::execute)),
        ("influx -import", Box::new(shell::import)),
        (
            "influxdb of PyPI",
            Box::new(|to| run(Command::new(&python).arg("-B").arg(script("python/story.py")).arg(to))),
        ),
        (
            "influx of npm",
            Box::new(|to| {
                run(Command::new("node").env("NODE_PATH", &node).arg(script("node/story.js")).arg(to))
            }),
        ),
    ];
    match &go {
        Some(go) => stories.push(("influxdb1-client", Box::new(move |to| run(Command::new(go).arg(to))))),
        None => say("  influxdb1-client: skipped, there is no go (scripts/install-deps.sh installs it)"),
    }
    for (name, story) in stories {
        let started = Instant::now();
        let (want, got) = (story(oracle.address()), story(&nodes));
        let lines = want.lines().count();
        say(&format!("  {name}: {lines} lines compared in {:.1} s", started.elapsed().as_secs_f64()));
        assert!(lines > 10, "{name} tells too little:\n{want}");
        compare(name, &want, &got, &mut failures);
    }
    failures.assert_none("real clients");
}

#[test]
fn real_clients_with_users_see_no_difference_to_influxdb() {
    let python = install::python();
    let _turn = turn("clients: the influx shell and Python, with users, on three nodes and on influxd");
    let config = vec![("auth.enabled", "true".to_owned()), ("auth.failed_logins", "0".to_owned())];
    let cluster = Cluster::start(&Settings { config, ..Settings::default() });
    let oracle = Oracle::start_with_users();
    let nodes = cluster.addresses().join(",");
    let mut failures = Failures::default();
    // In this order: the first makes the first admin, whom the second knows.
    let stories: [(&str, Story<'_>); 2] = [
        (
            "influxdb of PyPI with users",
            Box::new(|to| run(Command::new(&python).arg("-B").arg(script("python/users.py")).arg(to))),
        ),
        ("influx with users", Box::new(shell::with_users)),
    ];
    for (name, story) in stories {
        let started = Instant::now();
        let (want, got) = (story(oracle.address()), story(&nodes));
        let lines = want.lines().count();
        say(&format!("  {name}: {lines} lines compared in {:.1} s", started.elapsed().as_secs_f64()));
        assert!(lines > 10 && want.contains("authorization failed"), "{name} tells too little:\n{want}");
        compare(name, &want, &got, &mut failures);
    }
    failures.assert_none("real clients with users");
}

/// Tells a story to the servers at some addresses; answers what the client printed.
type Story<'a> = Box<dyn Fn(&str) -> String + 'a>;

/// Where a client's script lies.
fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// Runs a client to its end, within a minute; answers what it printed.
///
/// Panics when it failed.
fn run(command: &mut Command) -> String {
    let (text, success) = outcome(command);
    assert!(success, "{command:?} failed:\n{text}");
    text
}

/// The same for one that may fail; errors are part of what it prints.
fn outcome(command: &mut Command) -> (String, bool) {
    let mut limited = Command::new("timeout");
    limited.arg("60").arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        limited.env(name, value.unwrap_or_default());
    }
    let output = limited.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let text = [output.stdout, output.stderr].concat();
    (String::from_utf8_lossy(&text).into_owned(), output.status.success())
}

fn compare(name: &str, want: &str, got: &str, failures: &mut Failures) {
    let (want, got): (Vec<&str>, Vec<&str>) = (want.lines().collect(), got.lines().collect());
    let different = (0..want.len().max(got.len())).filter(|&i| want.get(i) != got.get(i));
    for i in different.take(DIFFERENT_LINES_MAX) {
        let [want, got] = [&want, &got].map(|lines| lines.get(i).copied().unwrap_or("(nothing)"));
        let step = want.split(": ").next().unwrap_or_default();
        let same = want.chars().zip(got.chars()).take_while(|(a, b)| a == b).count();
        // A little of what is equal, so that the place can be found.
        let [want, got] =
            [want, got].map(|line| line.chars().skip(same.saturating_sub(40)).collect::<String>());
        let (step, want, got) = (shorten(step), shorten(&want), shorten(&got));
        failures.add(format!("{name}, line {}, {step}\n    want …{want}\n    got  …{got}", i + 1));
    }
}
