//! A node that needs snapshots is crashed at every step of receiving and installing them: it has the old state or the
//! new one, and catches up.

use crate::support::{turn_beside_others, wait_until};
use chaos_tests::history::DATABASE;
use chaos_tests::report::{Failures, say};
use chaos_tests::workload::create_database;
use chaos_tests::workload::paced::PacedLoad;
use chaos_tests::{Cluster, Settings};

/// In the order in which a snapshot passes them.
const STEPS: [&str; 8] = [
    "receive-begun",
    "receive-some",
    "receive-file",
    "receive-done",
    "receive-verified",
    "install-moved",
    "install-opened",
    "install-switched",
];

#[test]
fn a_crash_at_any_step_of_a_snapshot_leaves_the_old_state_or_the_new_one() {
    let _turn = turn_beside_others("snapshot_crash: a node crashes at every step of a snapshot");
    let config = vec![
        ("raft.groups", "2".to_owned()),
        ("raft.snapshot_log_bytes", "\"64KiB\"".to_owned()),
        ("raft.snapshot_interval", "\"1s\"".to_owned()),
        ("raft.log_kept", "\"0B\"".to_owned()),
    ];
    let mut cluster = Cluster::start(&Settings { config, ..Settings::default() });
    create_database(&mut cluster.client(0), DATABASE);
    let load = PacedLoad::start(&cluster.addresses()[..2], 40);
    let log = cluster.data_directory(2).with_extension("log");
    for step in STEPS {
        let had = cluster.replica_numbers(0, "last_log");
        cluster.kill(2);
        wait_until("the log of both remaining nodes was purged", 60, || {
            [0, 1].iter().all(|node| {
                let purged = cluster.replica_numbers(*node, "purged");
                [1, 2].iter().all(|group| purged.get(group) > had.get(group))
            })
        });
        cluster.launch_with(2, &[("STEADFAST_FAULT_CRASH_AT".to_owned(), step.to_owned())]);
        assert!(cluster.process(2).wait_for_end(60), "never came to {step}");
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        assert!(text.contains(step), "it ended, but not at {step}");
    }
    cluster.kill(2);
    cluster.restart(2);
    let history = load.finish();
    say(&format!("  {}", history.summary()));
    assert!(history.refusals.is_empty(), "refused: {:?}", history.refusals);
    cluster.wait_caught_up();
    let mut failures = Failures::default();
    history.check(&mut cluster.client(2), &mut failures);
    failures.assert_none("on the node that crashed");
    cluster.assert_equal_checksums();
}
