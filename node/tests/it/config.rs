//! The layers of the configuration, what is refused and how it is said, and the printed reference.

use expect_test::{Expect, expect, expect_file};
use node::config::{Config, Sources, load, print};
use std::io::Write;
use tempfile::NamedTempFile;

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn sources(file: Option<&NamedTempFile>, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Sources {
    let owned =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Sources {
        file: file.map(|file| file.path().to_owned()),
        environment: owned(environment),
        flags: owned(flags),
    }
}

fn defaults() -> Config {
    load(&Sources::default()).unwrap()
}

#[track_caller]
fn check_refused(text: &str, expected: Expect) {
    let file = file(text);
    let error = load(&sources(Some(&file), &[], &[])).unwrap_err();
    expected.assert_eq(&error.to_string().replace(&file.path().display().to_string(), "FILE"));
}

#[test]
fn the_printed_reference_is_the_example_file() {
    expect_file!["../../../deploy/node.example.toml"].assert_eq(&print(&defaults()));
}

#[test]
fn what_is_printed_loads_again_to_the_same() {
    let flags = [
        ("raft.heartbeat", "40ms"),
        ("raft.election_min", "1_500ms"),
        ("node.data_dir", "/tmp/with \"quotes\" and \\"),
        ("node.peer_addr", "0.0.0.0:1"),
        ("node.advertise_peer", "a.b:1"),
        ("node.peers", "a.b:1, c:2"),
        ("log.format", "json"),
        ("log.level", "info,raft=debug"),
        ("write.body_bytes", "1000001B"),
        ("query.stale_reads", "false"),
    ];
    let config = load(&sources(None, &[], &flags)).unwrap();
    assert_ne!(config, defaults());
    let printed = file(&print(&config));
    assert_eq!(load(&sources(Some(&printed), &[], &[])).unwrap(), config);
}

#[test]
fn a_flag_outranks_the_environment_and_that_the_file() {
    let file = file("[raft]\ngroups = 2\nheartbeat = \"100ms\"\nsnapshot_interval = \"3m\"\n");
    let environment = [("STEADFAST_RAFT_HEARTBEAT", "200ms"), ("STEADFAST_RAFT_SNAPSHOT_INTERVAL", "4m")];
    let config = load(&sources(Some(&file), &environment, &[("raft.snapshot_interval", "5m")])).unwrap();
    assert_eq!(config.raft.groups, 2);
    assert_eq!(config.raft.heartbeat.as_millis(), 200);
    assert_eq!(config.raft.snapshot_interval.as_secs(), 300);
}

#[test]
fn a_node_alone_needs_no_configuration() {
    let node = defaults().node;
    assert_eq!(node.advertise_http, "127.0.0.1:8086");
    assert_eq!(node.peers, ["127.0.0.1:8088"]);
}

#[test]
fn mistakes_are_refused_with_what_would_be_accepted() {
    check_refused(
        "[raft]\ngruops = 3\n",
        expect![
            "FILE: there is no option raft.gruops; [raft] accepts groups, heartbeat, election_min, election_max, snapshot_log_bytes, snapshot_interval, log_budget, log_kept, snapshot_rate, snapshots_at_once, proof_interval, slow_disk"
        ],
    );
    check_refused(
        "[rafts]\n",
        expect![
            "FILE: there is no option rafts; the sections are node, log, cluster, admin, peer, raft, write, query, storage, subscriptions, retention, continuous_queries, disk, auth, http"
        ],
    );
    check_refused(
        "groups = 3\n",
        expect![
            "FILE: there is no option groups; the sections are node, log, cluster, admin, peer, raft, write, query, storage, subscriptions, retention, continuous_queries, disk, auth, http"
        ],
    );
    check_refused(
        "[raft]\nheartbeat = 250\n",
        expect![[
            r#"FILE: raft.heartbeat = "250": expected a duration with its unit, such as "250ms", "10s", "5m" or "1h""#
        ]],
    );
    check_refused(
        "[raft]\ngroups = 0\n",
        expect![[r#"FILE: raft.groups = "0": must be at least 1 and at most 64"#]],
    );
    check_refused(
        "[write]\ntimeout = 1.5\n",
        expect![
            "FILE: write.timeout = 1.5: expected a string, a whole number, true, false or a list of strings"
        ],
    );
    check_refused(
        "[query]\nstale_reads = \"maybe\"\n",
        expect![[r#"FILE: query.stale_reads = "maybe": expected true or false"#]],
    );
}

#[test]
fn options_that_do_not_fit_each_other_are_refused() {
    check_refused(
        "[raft]\nheartbeat = \"1s\"\n",
        expect![
            "raft.election_min must be at least four times raft.heartbeat: one lost heartbeat must not cost an election"
        ],
    );
    check_refused(
        "[node]\nhttp_addr = \"0.0.0.0:8086\"\n",
        expect![
            "node.http_addr = 0.0.0.0:8086 listens on every address, so others can't guess this node's: set node.advertise_http to name:port"
        ],
    );
    check_refused(
        "[cluster]\nreplication_factor = 2\n",
        expect!["cluster.replication_factor = 2: must be 1, 3 or 5"],
    );
    check_refused(
        "[node]\npeers = [\"127.0.0.1:8088\", \"127.0.0.1:8088\"]\n",
        expect!["node.peers lists 127.0.0.1:8088 twice"],
    );
    check_refused(
        "[node]\nadvertise_http = \"steadfast\"\n",
        expect![[
            r#"node.advertise_http = "steadfast": expected name:port, such as "steadfast-0.steadfast:8088""#
        ]],
    );
    check_refused(
        "[log]\nlevel = \"raft=loud\"\n",
        expect![[
            r#"log.level = "raft=loud" is no filter: error parsing level filter: expected one of "off", "error", "warn", "info", "debug", "trace", or a number 0-5"#
        ]],
    );
}

#[test]
fn variables_are_refused_only_when_they_can_be_a_mistake() {
    let with = |name: &str| load(&sources(None, &[(name, "1")], &[]));
    // What Kubernetes sets for services called `steadfast` and `steadfast-node`, and what is not ours.
    for name in [
        "STEADFAST_SERVICE_HOST",
        "STEADFAST_NODE_SERVICE_HOST",
        "STEADFAST_NODE_PORT_8086_TCP",
        "STEADFAST_BIN",
        "HOME",
    ] {
        assert_eq!(with(name).unwrap(), defaults(), "{name}");
    }
    let error = with("STEADFAST_RAFT_GRUOPS").unwrap_err().to_string();
    assert!(error.starts_with("variable STEADFAST_RAFT_GRUOPS: there is no option raft.gruops; "), "{error}");
}
