//! Versions that know more or less: a rolling upgrade raises what the cluster writes when every node can read it, and who
//! cannot is refused and says why.

use crate::support::{turn_beside_others, wait_until};
use chaos_tests::history::DATABASE;
use chaos_tests::process::Signal;
use chaos_tests::report::{Failures, say};
use chaos_tests::workload::create_database;
use chaos_tests::workload::paced::PacedLoad;
use chaos_tests::{Cluster, Settings};
use model::feature_level::FEATURE_LEVEL;
use std::time::Duration;

/// What a later version knows.
const NEXT: u32 = FEATURE_LEVEL + 1;

#[test]
fn a_rolling_upgrade_raises_the_level_and_older_versions_are_refused() {
    let _turn = turn_beside_others("feature_levels: a rolling upgrade, then a node of the old version");
    let mut cluster = Cluster::start(&Settings::default());
    create_database(&mut cluster.client(0), DATABASE);
    founded_at_its_own_level(&cluster);
    wait_until("the level of the founders", 20, || level(&cluster, 0) == Some(u64::from(FEATURE_LEVEL)));
    let load = PacedLoad::start(&cluster.addresses(), 40);
    for node in 0..3 {
        assert_eq!(
            level(&cluster, node),
            Some(u64::from(FEATURE_LEVEL)),
            "a node of the old version is left"
        );
        cluster.process(node).signal(Signal::Terminate);
        assert!(cluster.process(node).wait_for_end(20), "node {node} does not stop");
        cluster.kill(node);
        cluster.launch_with(node, &knowing(NEXT));
        cluster.wait_ready(node);
        cluster.wait_caught_up();
    }
    for node in 0..3 {
        wait_until("the level that all know", 20, || level(&cluster, node) == Some(u64::from(NEXT)));
    }
    wait_until("it is on the disk", 20, || {
        format_of(&cluster, 2).contains(&format!("feature_level = {NEXT}"))
    });

    cluster.kill(2);
    cluster.launch_with(2, &knowing(FEATURE_LEVEL));
    wait_until("the old version ends on data that it cannot read", 20, || !cluster.process(2).is_running());
    let log = std::fs::read_to_string(cluster.log(2)).unwrap();
    assert!(
        log.contains(&format!("written at feature level {NEXT}"))
            && log.contains(&format!("knows levels up to {FEATURE_LEVEL}")),
        "{log}"
    );

    cluster.kill(2);
    std::fs::remove_dir_all(cluster.data_directory(2)).unwrap();
    cluster.launch_with(2, &knowing(FEATURE_LEVEL));
    wait_until("a blank volume of the old version is told why it has no place", 30, || {
        let mut admin = cluster.admin(2).with_timeout(Duration::from_secs(5));
        admin
            .get("/readyz")
            .is_ok_and(|answer| answer.text().contains(&format!("feature levels up to {FEATURE_LEVEL}")))
    });
    cluster.kill(2);
    cluster.launch_with(2, &knowing(NEXT));
    cluster.wait_ready(2);

    let history = load.finish();
    say(&format!("  {}", history.summary()));
    assert!(history.refusals.is_empty(), "refused: {:?}", history.refusals);
    cluster.wait_caught_up();
    let mut failures = Failures::default();
    history.check(&mut cluster.client(2), &mut failures);
    failures.assert_none("after an upgrade");
}

/// The very first points lie in shard groups as this version cuts them, from Monday to Monday.
fn founded_at_its_own_level(cluster: &Cluster) {
    const THURSDAY: &[u8] = b"m v=1 1600300800000000000";
    let mut client = cluster.client(1);
    create_database(&mut client, "weeks");
    assert_eq!(client.write("weeks", THURSDAY).expect("written").status, 204);
    let groups = cluster.client(2).query("weeks", "SHOW SHARD GROUPS").expect("answered").text();
    assert!(groups.contains("\"weeks\",\"default\",\"2020-09-14T00:00:00Z\""), "{groups}");
}

/// Makes a node pass for a version that knows feature levels up to this one.
fn knowing(level: u32) -> [(String, String); 1] {
    [("STEADFAST_FAULT_FEATURE_LEVEL".to_owned(), level.to_string())]
}

/// What the cluster writes, as a node says.
fn level(cluster: &Cluster, node: usize) -> Option<u64> {
    cluster.status(node)?["feature_level"].as_u64()
}

fn format_of(cluster: &Cluster, node: usize) -> String {
    std::fs::read_to_string(cluster.data_directory(node).join("format.toml")).unwrap_or_default()
}
