//! A 204 means: on the disks of a majority. Disks that hang, and a power loss of all nodes at once.

use crate::machines::Machines;
use crate::support::{number_from_environment, turn, wait_until};
use chaos_tests::history::DATABASE;
use chaos_tests::report::{Failures, say};
use chaos_tests::workload::create_database;
use chaos_tests::workload::paced::PacedLoad;
use chaos_tests::{Client, Cluster, Settings};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[test]
fn a_write_is_acknowledged_only_when_a_majority_has_synced_it() {
    let _turn = turn("durability: disks of one and of two nodes hang");
    let machines = Machines::new();
    let cluster = machines.start(&Settings::default());
    create_database(&mut cluster.client(0), DATABASE);
    assert!(
        (0..3).all(|node| !machines.synced(node).is_empty()),
        "the library sees no syncs: it proves nothing"
    );
    let write = |cluster: &Cluster, node: usize, lines: String| {
        let started = Instant::now();
        let answer = cluster.client(node).write(DATABASE, lines.as_bytes());
        (answer.map(|a| (a.status, a.text())).map_err(|e| e.to_string()), started.elapsed())
    };
    // Many series, so that every group has some.
    let lines = |second: u64| {
        (0..200).map(|i| format!("d,i={i} v={second} {second}000000000\n")).collect::<Vec<_>>().concat()
    };
    assert_eq!(write(&cluster, 0, lines(1)).0.map(|a| a.0), Ok(204));

    machines.hang(2);
    for second in 2..6 {
        let (answer, took) = write(&cluster, second as usize % 2, lines(second));
        assert_eq!(answer.as_ref().map(|a| a.0), Ok(204), "one hanging disk of three: {answer:?}");
        say(&format!("  one disk hangs: 204 after {:.2} s", took.as_secs_f64()));
    }
    machines.hang(1);
    let (answer, took) = write(&cluster, 0, lines(100));
    say(&format!("  two disks hang: {answer:?} after {:.2} s", took.as_secs_f64()));
    let (status, text) = answer.expect("an answer");
    assert_eq!((status, text.as_str()), (500, "{\"error\":\"timeout\"}\n"), "no majority has synced it");
    assert!(took < Duration::from_secs(14), "answered after {took:?}, the write timeout is 10 s");

    machines.release(1);
    machines.release(2);
    wait_until("writes after the disks came back", 30, || {
        write(&cluster, 1, lines(101)).0.is_ok_and(|(status, _)| status == 204)
    });
    cluster.wait_caught_up();
    let answer = cluster.client(2).query(DATABASE, "SELECT count(v) FROM d WHERE time < 10s").unwrap().text();
    assert!(answer.contains(",1000]"), "5 writes of 200 points: {answer}");
    cluster.assert_equal_checksums();
}

#[test]
fn nothing_acknowledged_is_lost_when_all_nodes_lose_power() {
    let _turn = turn("durability: power loss of all nodes, nothing that was not synced survives");
    let machines = Machines::new();
    let mut cluster = machines.start(&Settings::default());
    create_database(&mut cluster.client(0), DATABASE);
    let load = PacedLoad::start(&cluster.addresses(), 50);
    std::thread::sleep(Duration::from_secs(number_from_environment("STEADFAST_POWER_SECONDS", 5)));
    // The writers notice that nobody is left; they are told when to stop before the nodes come back.
    for node in 0..3 {
        cluster.freeze(node);
    }
    for node in 0..3 {
        cluster.kill(node);
    }
    let mut cut = 0;
    for node in 0..3 {
        cut += lose_power(&cluster.data_directory(node), &machines.synced(node));
    }
    machines.launch_all(&mut cluster);
    let history = load.finish();
    say(&format!("  {cut} bytes were written but not synced; {}", history.summary()));
    let mut failures = Failures::default();
    for node in 0..3 {
        history.check(&mut cluster.client(node), &mut failures);
    }
    failures.assert_none("after the power loss");
    let answer = Client::new(cluster.http(0)).write(DATABASE, b"d v=1 1").unwrap();
    assert_eq!(answer.status, 204, "the cluster takes writes again");
    cluster.assert_equal_checksums();
}

/// Cuts every write-ahead file of a node's Raft log to what was synced of it; returns the bytes cut.
fn lose_power(data: &Path, synced: &BTreeMap<PathBuf, u64>) -> u64 {
    let mut cut = 0;
    let files = fs::read_dir(data.join("raftlog")).unwrap().map(|entry| entry.unwrap().path());
    for file in files.filter(|path| path.extension().is_some_and(|extension| extension == "log")) {
        let keep = synced.get(&file).copied().unwrap_or(0);
        let opened = File::options().write(true).open(&file).unwrap();
        let length = opened.metadata().unwrap().len();
        if length > keep {
            opened.set_len(keep).unwrap();
            cut += length - keep;
        }
    }
    cut
}
