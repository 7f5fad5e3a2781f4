//! `steadfast dev`: a local cluster with one command.

use crate::support::{turn, wait_until};
use chaos_tests::binary::steadfast;
use chaos_tests::ports::free_port;
use chaos_tests::process::{Process, Signal};
use chaos_tests::workload::create_database;
use chaos_tests::{Client, WorkDir};
use serde_json::Value;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

fn dev(data: &Path, port: u16, log: &Path) -> Process {
    let mut command = Command::new(steadfast());
    command.args(["dev", "--nodes", "3", "--http-port", &port.to_string(), "--data"]).arg(data);
    Process::start(&mut command, log)
}

fn nodes(data: &Path) -> Vec<Value> {
    let text = std::fs::read(data.join("dev.json")).unwrap_or_default();
    let json: Value = serde_json::from_slice(&text).unwrap_or_default();
    json["nodes"].as_array().cloned().unwrap_or_default()
}

fn wait_all_ready(data: &Path, process: &mut Process) -> Vec<Client> {
    wait_until("three ready nodes in dev.json", 60, || {
        assert!(process.is_running(), "dev has ended:\n{}", process.log_tail());
        let ready = |node: &Value| {
            let admin = node["admin"].as_str().unwrap_or("127.0.0.1:1");
            Client::new(admin).get("/readyz").is_ok_and(|answer| answer.status == 200)
        };
        let nodes = nodes(data);
        nodes.len() == 3 && nodes.iter().all(ready)
    });
    nodes(data).iter().map(|node| Client::new(node["http"].as_str().unwrap_or_default())).collect()
}

/// A port p such that the ports of three nodes, p+10i, p-3+10i and p+2+10i, are free.
fn port_for_three() -> u16 {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    loop {
        let port = free_port();
        if (0..3).flat_map(|i| [port + 10 * i, port - 3 + 10 * i, port + 2 + 10 * i]).all(free) {
            return port;
        }
    }
}

#[test]
fn a_dev_cluster_keeps_its_data_and_stops_on_request() {
    let _turn = turn("dev: a local cluster with one command");
    let directory = WorkDir::new("dev");
    let (data, log) = (directory.path().join("data"), directory.path().join("dev.log"));
    let port = port_for_three();
    let mut process = dev(&data, port, &log);
    let mut clients = wait_all_ready(&data, &mut process);
    assert_eq!(clients[0].address(), format!("127.0.0.1:{port}"));
    create_database(&mut clients[0], "d");
    let written = clients[1].write("d", b"m,t=a v=1 1").unwrap();
    assert_eq!(written.status, 204, "{}", written.text());

    let taken = dev(&directory.path().join("other"), port, &log).wait_for_exit_code();
    assert!(taken.is_some_and(|code| code != 0), "a second cluster on the same ports: {taken:?}");

    process.signal(Signal::Terminate);
    assert!(process.wait_for_end(30), "dev does not stop:\n{}", process.log_tail());
    assert!(clients.iter_mut().all(|client| client.get("/ping").is_err()), "a node outlived dev");

    let mut process = dev(&data, port, &log);
    let mut clients = wait_all_ready(&data, &mut process);
    let answer = clients[2].query("d", "SELECT * FROM m").unwrap().text();
    assert!(answer.contains(r#""values":[[1,"a",1]]"#), "{answer}");
    process.signal(Signal::Terminate);
    assert!(process.wait_for_end(30), "dev does not stop:\n{}", process.log_tail());
}
