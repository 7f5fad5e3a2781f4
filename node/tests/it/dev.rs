//! `steadfast dev` with real processes: what it prints and writes, and that no node outlives it.

use node::http_client::Connection;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

const STEADFAST: &str = env!("CARGO_BIN_EXE_steadfast");
/// Longest time a step may take on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(120);

/// A port p such that everything three nodes need is free, another one at each call. Below the ports Linux gives to
/// outgoing connections.
fn free_http_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let start = 20_000 + (std::process::id() as u16 % 150) * 50;
    std::iter::repeat_with(|| start + NEXT.fetch_add(50, Ordering::Relaxed))
        .take(80)
        .find(|base| {
            (0..3).all(|i| [base + 10 * i, base + 10 * i - 3, base + 10 * i + 2].into_iter().all(is_free))
        })
        .unwrap()
}

/// A running `steadfast dev`; dropping it kills it, and its nodes go with it.
struct Dev {
    process: Child,
    lines: BufReader<ChildStdout>,
}

impl Dev {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(STEADFAST);
        command.arg("dev").args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("STEADFAST_")) {
            command.env_remove(name);
        }
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        Self { process, lines }
    }

    /// Reads its output up to the first line that begins like this.
    fn wait_for_line(&mut self, begin: &str) -> String {
        let mut all = String::new();
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "no line {begin:?} in:\n{all}");
            if line.starts_with(begin) {
                return line;
            }
            all.push_str(&line);
        }
    }

    fn terminate(&mut self) {
        signal("-TERM", u64::from(self.process.id()));
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn signal(signal: &str, pid: u64) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

/// A process that has ended and waits for its parent counts as gone.
fn is_running(pid: u64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

#[track_caller]
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited {} s: {what}", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn nodes(directory: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(directory.join("dev.json")).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    value["nodes"].as_array().unwrap().clone()
}

fn pids(directory: &Path) -> Vec<u64> {
    nodes(directory).iter().map(|node| node["pid"].as_u64().unwrap()).collect()
}

/// The answer to a statement or a write given in the query string.
fn get(address: &str, target: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = runtime.block_on(async { Connection::new(address).get(target, PATIENCE).await }).unwrap();
    assert!(answer.is_success(), "{} {}", answer.status, answer.text());
    answer.text()
}

#[test]
fn a_taken_port_stops_it_before_any_node_starts() {
    let directory = tempfile::tempdir().unwrap();
    let port = free_http_port();
    let taken = TcpListener::bind(("127.0.0.1", port + 10)).unwrap();
    let mut dev = Command::new(STEADFAST)
        .args(["dev", "--http-port", &port.to_string(), "--data"])
        .arg(directory.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut text = String::new();
    dev.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(!dev.wait().unwrap().success());
    assert!(
        text.contains(&format!("{}, the HTTP port of node 2, is not free", taken.local_addr().unwrap())),
        "{text}"
    );
    assert!(!directory.path().join("dev.json").exists());
}

#[test]
fn a_cluster_goes_on_with_its_data_and_ends_with_its_parent() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let data = path.to_str().unwrap();
    let port = free_http_port().to_string();
    let mut dev = Dev::start(&["--data", data, "--http-port", &port, "--set", "raft.groups=1"]);
    dev.wait_for_line("ready: ");
    let first = nodes(path);
    assert_eq!(first.len(), 3);
    assert_eq!(first[0]["http"], format!("127.0.0.1:{port}"));
    let http = |node: usize| first[node]["http"].as_str().unwrap();
    get(http(0), "/query?q=CREATE%20DATABASE%20fruit");

    let pids_before = pids(path);
    assert!(pids_before.iter().all(|pid| is_running(*pid)));
    signal("-KILL", pids_before[1]);
    let said = dev.wait_for_line("node 2 ended: killed by signal 9");
    assert!(said.contains("serve --config"), "{said}");
    assert!(get(http(2), "/query?q=SHOW%20DATABASES").contains("fruit"));

    dev.terminate();
    assert!(pids_before.iter().all(|pid| !is_running(*pid)));
    assert!(!path.join("dev.json").exists());

    let mut dev = Dev::start(&["--data", data]);
    dev.wait_for_line("ready: ");
    assert!(get(http(1), "/query?q=SHOW%20DATABASES").contains("fruit"));
    let orphans = pids(path);
    dev.process.kill().unwrap();
    wait_until("nodes end when dev was killed", || orphans.iter().all(|pid| !is_running(*pid)));
}

#[test]
fn a_node_is_started_again_when_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let port = free_http_port().to_string();
    let arguments = ["--data", path.to_str().unwrap(), "--http-port", &port, "--nodes", "1", "--restart"];
    let mut dev = Dev::start(&arguments);
    dev.wait_for_line("ready: ");
    let before = pids(path);
    signal("-KILL", before[0]);
    dev.wait_for_line("node 1 runs again");
    wait_until("dev.json names the new process", || pids(path) != before && is_running(pids(path)[0]));
    dev.terminate();
}
