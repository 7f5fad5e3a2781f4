//! Data that an earlier version wrote is opened and read.
//!
//! `testdata/data_of_*.tar.gz` are the data directories of three nodes that were killed (`tar -C DIR -czf`, without
//! RocksDB's LOG, OPTIONS and LOCK files), and beside each, questions and what that version answered. A change of a format
//! adds one more; none is ever made again.

use crate::support::turn_beside_others;
use chaos_tests::client::percent_encode;
use chaos_tests::report::Failures;
use chaos_tests::{Cluster, Settings};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

const NETWORK: &str = "127.71.6";

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/testdata").join(name)
}

#[test]
fn data_of_november_2026_opens() {
    let _turn = turn_beside_others("upgrade: data that an earlier version wrote");
    let settings = Settings { loopback: Some(NETWORK), ..Settings::default() };
    let mut cluster = Cluster::stopped(&settings);
    for node in 0..cluster.size() {
        let mut tar = Command::new("tar");
        tar.arg("-xzf").arg(testdata("data_of_2026_11.tar.gz")).arg("--strip-components=2");
        tar.arg("-C").arg(cluster.data_directory(node)).arg(format!("./node{}", node + 1));
        assert!(tar.status().expect("tar is installed").success());
    }
    cluster.start_all();
    let recorded = std::fs::read_to_string(testdata("data_of_2026_11.txt")).expect("testdata");
    let lines: Vec<&str> = recorded.lines().collect();
    let mut failures = Failures::default();
    for node in 0..cluster.size() {
        let mut client = cluster.client(node);
        for pair in lines.chunks(2) {
            let [q, want] = pair else { panic!("a question without an answer") };
            let answer = client.get(&format!("/query?db=k8s&q={}", percent_encode(q))).expect("answered");
            let want: Value = serde_json::from_str(want).expect("JSON");
            if answer.json() != want {
                failures.add(format!("node {node}: {q}: {}", answer.text()));
            }
        }
    }
    failures.assert_none("what the earlier version answered");
    // And it goes on from there: into series that there were, and new ones.
    let written = cluster
        .client(0)
        .write("k8s", b"m,host=h0,rack=r0 v=1i 1600000000000000000\nm,host=new v=2i 1600000000000000000");
    assert_eq!(written.expect("written").status, 204);
    let answer =
        cluster.client(1).query("k8s", "SELECT sum(v) FROM m WHERE time >= 1600000000s").expect("answered");
    assert_eq!(answer.json()["results"][0]["series"][0]["values"][0][1], 3);
    cluster.wait_caught_up();
    cluster.assert_equal_checksums();
}
