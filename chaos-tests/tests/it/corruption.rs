//! Flipped bits on the disk of one node: found, never served, and the replica is rebuilt from the others under load.

use crate::support::{turn_beside_others, wait_until};
use chaos_tests::history::{DATABASE, History};
use chaos_tests::report::{Failures, say};
use chaos_tests::workload::create_database;
use chaos_tests::workload::paced::PacedLoad;
use chaos_tests::{Cluster, Settings};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Flushes often, so that there are tables and compactions; a small cache, so that reads meet the disk.
fn settings() -> Settings {
    let config = vec![
        ("raft.snapshot_log_bytes", "\"64KiB\"".to_owned()),
        ("raft.snapshot_interval", "\"1s\"".to_owned()),
        ("raft.log_kept", "\"0B\"".to_owned()),
        ("storage.block_cache", "\"8MiB\"".to_owned()),
    ];
    Settings { config, ..Settings::default() }
}

/// The tables of a group's live state on a node, largest first; those that a crash left empty are none.
fn tables(cluster: &Cluster, node: usize, group: u64) -> Vec<PathBuf> {
    let state = cluster.data_directory(node).join(format!("groups/g{group}/state"));
    let live = fs::read_to_string(state.join("LIVE")).unwrap();
    let entries = fs::read_dir(state.join(live.trim())).unwrap().map(|entry| entry.unwrap().path());
    let mut tables: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "sst")).collect();
    let bytes = |path: &PathBuf| fs::metadata(path).map_or(0, |meta| meta.len());
    tables.retain(|path| bytes(path) > 0);
    tables.sort_by_key(|path| std::cmp::Reverse(bytes(path)));
    tables
}

/// Flips one bit in the first block of data.
fn flip(path: &Path) {
    flip_at(path, 40);
}

fn flip_all(paths: &[PathBuf]) {
    for path in paths {
        flip(path);
    }
}

fn flip_at(path: &Path, at: usize) {
    use std::os::unix::fs::FileExt;
    let file = fs::File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at as u64).unwrap();
    byte[0] ^= 0x10;
    file.write_all_at(&byte, at as u64).unwrap();
}

/// How often a node has got another state of a group since it started. One that comes back may be so far behind that it
/// is sent a snapshot before anybody has read what is damaged.
fn replaced(cluster: &Cluster, node: usize, group: u64) -> f64 {
    let count = |name: &str| cluster.metric_of_group(node, name, group);
    count("steadfast_group_rebuilt_total") + count("steadfast_group_snapshots_received_total")
}

/// Reads everything at a node again and again, until it has replaced what was damaged. Every answer it gives meanwhile
/// must be right, or an error that says why.
fn read_until(cluster: &Cluster, node: usize, history: &History, is_replaced: impl Fn() -> bool) {
    wait_until("the damaged replicas are rebuilt", 60, || {
        let mut failures = Failures::default();
        history.check(&mut cluster.client(node).with_timeout(Duration::from_secs(20)), &mut failures);
        let wrong: Vec<String> =
            failures.texts().iter().filter(|text| !text.contains("status: 503")).cloned().collect();
        assert!(wrong.is_empty(), "a damaged replica answered: {wrong:?}");
        // A checksum reads every chunk, also those that no query asks for.
        drop(cluster.admin(node).with_timeout(Duration::from_secs(20)).post("/admin/v1/checksum", b""));
        is_replaced()
    });
}

fn finish(cluster: &Cluster, load: PacedLoad) {
    let history = load.finish();
    say(&format!("  {}", history.summary()));
    assert!(history.refusals.is_empty(), "refused: {:?}", history.refusals);
    cluster.wait_caught_up();
    let mut failures = Failures::default();
    for node in 0..cluster.size() {
        history.check(&mut cluster.client(node), &mut failures);
    }
    failures.assert_none("in the end");
    cluster.assert_equal_checksums();
}

/// A cluster whose node 2 has tables in every group, and what was written to it.
fn filled() -> (Cluster, History) {
    let cluster = Cluster::start(&settings());
    create_database(&mut cluster.client(0), DATABASE);
    let load = PacedLoad::start(&cluster.addresses(), 40);
    wait_until("node 2 has tables", 60, || {
        load.acknowledged() > 200 && (1..=8).all(|group| !tables(&cluster, 2, group).is_empty())
    });
    let history = load.finish();
    assert!(history.refusals.is_empty(), "refused: {:?}", history.refusals);
    cluster.wait_caught_up();
    (cluster, history)
}

#[test]
fn tables_damaged_while_the_node_is_down_are_never_served_and_the_replica_is_rebuilt() {
    let _turn = turn_beside_others("corruption: tables of a stopped node");
    let (mut cluster, history) = filled();
    cluster.process(2).signal(chaos_tests::process::Signal::Terminate);
    assert!(cluster.process(2).wait_for_end(30));
    cluster.kill(2);
    // One group whose chunks are damaged, one whose every table is: series, records and all.
    flip(&tables(&cluster, 2, 1)[0]);
    flip_all(&tables(&cluster, 2, 2));
    let acknowledged = history.acknowledged();
    let load = PacedLoad::resume(&cluster.addresses()[..2], 40, history);
    cluster.launch(2);
    wait_until("node 2 answers", 30, || cluster.status(2).is_some());
    let known = History::first(acknowledged as u64);
    read_until(&cluster, 2, &known, || [1, 2].iter().all(|group| replaced(&cluster, 2, *group) > 0.0));
    say(&format!("  found damaged {}", cluster.metric(2, "steadfast_group_damaged_total")));
    cluster.wait_ready(2);
    let aside = cluster.data_directory(2).join("groups/g2/state");
    let kept = fs::read_dir(aside)
        .unwrap()
        .any(|e| e.unwrap().file_name().to_string_lossy().starts_with("damaged-"));
    assert!(kept, "the damaged state was not kept for inspection");
    finish(&cluster, load);
}

#[test]
fn tables_damaged_under_a_running_node_are_found_and_the_replica_is_rebuilt() {
    let _turn = turn_beside_others("corruption: tables of a running node");
    let (cluster, history) = filled();
    let acknowledged = history.acknowledged();
    let load = PacedLoad::resume(&cluster.addresses()[..2], 40, history);
    let before = replaced(&cluster, 2, 3);
    flip_all(&tables(&cluster, 2, 3));
    let known = History::first(acknowledged as u64);
    read_until(&cluster, 2, &known, || replaced(&cluster, 2, 3) > before);
    finish(&cluster, load);
}

#[test]
fn a_crash_at_any_step_of_a_rebuild_is_made_up_for() {
    let _turn = turn_beside_others("corruption: crashes while a replica is rebuilt");
    let (mut cluster, history) = filled();
    cluster.kill(2);
    let load = PacedLoad::resume(&cluster.addresses()[..2], 40, history);
    let steps =
        ["receive-some", "receive-verified", "rebuild-aside", "install-switched", "rebuild-installed"];
    for (number, step) in steps.into_iter().enumerate() {
        // Another bit each time: the crash before may have left the damage, or the new state.
        for table in tables(&cluster, 2, 4) {
            flip_at(&table, 40 + number);
        }
        cluster.launch_with(2, &[("STEADFAST_FAULT_CRASH_AT".to_owned(), step.to_owned())]);
        wait_until(&format!("a crash at {step}"), 60, || {
            // A checksum reads every chunk of every replica; nobody else reads this node's.
            drop(cluster.admin(0).with_timeout(Duration::from_secs(5)).post("/admin/v1/checksum", b""));
            !cluster.process(2).is_running()
        });
        cluster.kill(2);
    }
    cluster.restart(2);
    finish(&cluster, load);
}

#[test]
fn a_raft_log_damaged_in_the_middle_gives_the_node_a_new_id_and_an_empty_log() {
    let _turn = turn_beside_others("corruption: the raft log of a stopped node");
    let (mut cluster, history) = filled();
    cluster.kill(2);
    let files = fs::read_dir(cluster.data_directory(2).join("raftlog")).unwrap().map(|e| e.unwrap().path());
    let wal = files.filter(|path| path.extension().is_some_and(|e| e == "log"));
    let wal = wal.max_by_key(|path| fs::metadata(path).map_or(0, |meta| meta.len())).unwrap();
    let length = fs::metadata(&wal).unwrap().len() as usize;
    assert!(length > 10_000, "the log has only {length} bytes");
    flip_at(&wal, length / 2);
    let load = PacedLoad::resume(&cluster.addresses()[..2], 40, history);
    cluster.launch(2);
    wait_until("the node has another id", 60, || {
        let is_it = |known: &serde_json::Value| known["id"] == 4 && known["http"] == *cluster.http(2);
        cluster.status(0).is_some_and(|s| s["nodes"].as_array().is_some_and(|n| n.iter().any(is_it)))
    });
    cluster.wait_ready(2);
    let log = fs::read_to_string(cluster.data_directory(2).with_extension("log")).unwrap();
    assert!(log.contains("records this node has acknowledged may be missing"), "the log does not say why");
    let aside = cluster.data_directory(2).join("damaged-1");
    assert!(aside.join("raftlog").exists(), "the damaged log was not kept for inspection");
    finish(&cluster, load);
}
