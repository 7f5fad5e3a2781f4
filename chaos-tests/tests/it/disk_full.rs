//! Disks that fill up: writes are refused with a reason and go on by themselves when there is room again; nothing
//! acknowledged is lost, reads never stop. Each node's data lies on a small file system of its own.

use crate::support::{ask, turn, wait_until};
use chaos_tests::history::{DATABASE, batch_lines};
use chaos_tests::report::{Failures, say};
use chaos_tests::workload::create_database;
use chaos_tests::workload::paced::PacedLoad;
use chaos_tests::{Cluster, Response, Settings};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Size of a node's disk.
const DISK_MIB: usize = 512;

/// A file system in memory, mounted over a directory; unmounted when dropped.
struct Disk(PathBuf);

impl Disk {
    /// `None` where this user may not mount.
    fn mount(path: &Path) -> Option<Self> {
        let options = format!("size={DISK_MIB}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(path).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(path.to_owned()))
    }

    /// Takes room until only this many MiB are free.
    fn fill(&self, leave_mib: u64) {
        let mut ballast = File::options().create(true).append(true).open(self.0.join("ballast")).unwrap();
        let block = vec![7; 1 << 20];
        while free_mib(&self.0) > leave_mib {
            if ballast.write_all(&block).is_err() {
                return;
            }
        }
    }

    fn free(&self) {
        fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a node that is still being killed may have files open.
        drop(Command::new("umount").arg("-l").arg(&self.0).output());
    }
}

fn free_mib(path: &Path) -> u64 {
    let output = Command::new("df").args(["--output=avail", "-m"]).arg(path).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().nth(1).and_then(|line| line.trim().parse().ok()).unwrap_or(0)
}

/// A cluster on disks of its own; `None` where they cannot be mounted.
fn cluster(flush_every: &str) -> Option<(Cluster, Vec<Disk>)> {
    let config = vec![
        ("raft.snapshot_interval", format!("{flush_every:?}")),
        ("disk.warn_bytes", "\"0B\"".to_owned()),
        ("disk.save_bytes", "\"0B\"".to_owned()),
        ("disk.refuse_bytes", "\"0B\"".to_owned()),
    ];
    let mut cluster = Cluster::stopped(&Settings { config, ..Settings::default() });
    let disks: Option<Vec<Disk>> = (0..3).map(|node| Disk::mount(&cluster.data_directory(node))).collect();
    let Some(disks) = disks else {
        say("  skipped: no file systems can be mounted here (run it as root)");
        return None;
    };
    cluster.start_all();
    create_database(&mut cluster.client(0), DATABASE);
    Some((cluster, disks))
}

fn write(cluster: &Cluster, node: usize) -> Response {
    // An old batch of the load: the same points with the same values.
    cluster.client(node).write(DATABASE, batch_lines(0).as_bytes()).unwrap()
}

#[track_caller]
fn assert_refused(answer: &Response) {
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.text().contains("no space left on"), "{}", answer.text());
    assert!(answer.header("Retry-After").is_some(), "{:?}", answer.headers);
}

fn assert_readable(cluster: &Cluster, node: usize) {
    let answer = ask(&mut cluster.client(node), DATABASE, "ns", "SELECT count(value) FROM load").unwrap();
    assert!(answer.status == 200 && answer.text().contains("count"), "{} {}", answer.status, answer.text());
}

#[test]
fn a_full_disk_refuses_writes_with_a_reason_and_takes_them_again() {
    let _turn = turn("disk_full: one node's disk, then two");
    let Some((cluster, disks)) = cluster("10m") else { return };
    let load = PacedLoad::start(&cluster.addresses()[..2], 20);
    wait_until("some batches", 30, || load.acknowledged() > 40);
    disks[2].fill(DISK_MIB as u64 / 40);
    wait_until("node 2 refuses writes", 20, || write(&cluster, 2).status == 503);
    assert_refused(&write(&cluster, 2));
    assert_readable(&cluster, 2);
    wait_until("node 2 leads nothing", 30, || {
        cluster.leaders().is_some_and(|leaders| leaders.values().all(|leader| *leader != 2))
    });
    let status = cluster.status(0).unwrap();
    assert!(status["nodes"].to_string().contains("\"level\":\"full\""), "{}", status["nodes"]);
    let before = load.acknowledged();
    wait_until("the others take writes", 20, || load.acknowledged() > before + 40);
    let history = load.finish();
    assert!(history.refusals.is_empty(), "refused by nodes with room: {:?}", history.refusals);

    // Two of three: every write would fill the disk of one that is full.
    disks[1].fill(DISK_MIB as u64 / 40);
    wait_until("all nodes refuse", 30, || (0..3).all(|node| write(&cluster, node).status == 503));
    (0..3).for_each(|node| assert_refused(&write(&cluster, node)));
    (0..3).for_each(|node| assert_readable(&cluster, node));
    let dropped = cluster.client(2).query("", "CREATE DATABASE gone; DROP DATABASE gone").unwrap();
    assert!(dropped.status == 200 && !dropped.text().contains("error"), "{}", dropped.text());
    disks[1].free();
    disks[2].free();
    wait_until("all nodes take writes again", 30, || (0..3).all(|node| write(&cluster, node).status == 204));
    let mut failures = Failures::default();
    (0..3).for_each(|node| history.check(&mut cluster.client(node), &mut failures));
    failures.assert_none("after the disks were full");
    cluster.assert_equal_checksums();
}

#[test]
fn a_disk_without_a_byte_left_costs_nothing_but_time() {
    let _turn = turn("disk_full: not a byte is left on one node");
    let Some((mut cluster, disks)) = cluster("1s") else { return };
    let load = PacedLoad::start(&cluster.addresses()[..2], 40);
    wait_until("some batches", 30, || load.acknowledged() > 40);
    disks[2].fill(0);
    // Until the log, or the state, of node 2 has met the end of its disk.
    wait_until("node 2 failed", 60, || {
        disks[2].fill(0);
        cluster.metric(2, "steadfast_raft_log_reopened_total") > 0.0
            || cluster.metric(2, "steadfast_group_failed") > 0.0
    });
    let before = load.acknowledged();
    wait_until("the others take writes", 30, || load.acknowledged() > before + 100);
    assert!(cluster.process(2).is_running(), "node 2 ended:\n{}", cluster.process(2).log_tail());
    disks[2].free();
    wait_until("node 2 is ready again", 60, || cluster.is_ready(2));
    let history = load.finish();
    say(&format!("  {}", history.summary()));
    assert!(history.refusals.is_empty(), "refused by nodes with room: {:?}", history.refusals);
    cluster.wait_caught_up();
    let mut failures = Failures::default();
    (0..3).for_each(|node| history.check(&mut cluster.client(node), &mut failures));
    failures.assert_none("after the disk was full");
    cluster.assert_equal_checksums();
}
