//! Replays of a large corpus of recorded answers, where one is given.
//!
//! `STEADFAST_CONFORMANCE` names a directory with `replay_cases.py` and `replay_observed.py`. Without it the test says so
//! and ends: the corpus is not part of this project.

use crate::support::turn;
use chaos_tests::client::percent_encode;
use chaos_tests::report::{say, shorten};
use chaos_tests::{Cluster, Request, Settings};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Queries of `replay_cases.py` that must pass.
const CASES_FLOOR: u64 = 372;
/// Answers of its second session, with authentication and limits on, that must be identical.
const AUTH_FLOOR: u64 = 89;
/// Answers of the first session of `replay_observed.py` that must be identical.
const OBSERVED_FLOOR: u64 = 1_915;

#[test]
fn the_corpus_is_answered_as_recorded() {
    let Some(directory) = std::env::var_os("STEADFAST_CONFORMANCE") else {
        return say("conformance: skipped, STEADFAST_CONFORMANCE names no corpus");
    };
    let _turn = turn("conformance: recorded answers of InfluxDB 1.x");
    let directory = Path::new(&directory);

    let cluster = Cluster::start(&Settings::default());
    let url = format!("http://{}", cluster.http(0));
    let text = run(&directory.join("replay_cases.py"), &["--url", &url]);
    // "cases 57/58  queries 400/400"
    let queries = text.rsplit("queries ").next().and_then(first_number).unwrap_or(0);
    say(&format!("  replay_cases: {}", last_line(&text)));
    drop(cluster);

    // The recording server took bodies of 100,000 bytes at most.
    let config = vec![("write.body_bytes", "\"100000B\"".to_owned())];
    let cluster = Cluster::start(&Settings { config, ..Settings::default() });
    let url = format!("http://{}", cluster.http(1));
    let text = run(&directory.join("replay_observed.py"), &["--session", "open", "-v", "--url", &url]);
    let identical = identical_answers(&text);
    say(&format!("  replay_observed: {}", last_line(&text)));
    drop(cluster);

    // As the recording server was set.
    let config = [
        ("auth.enabled", "true"),
        ("auth.failed_logins", "0"),
        ("auth.shared_secret", "\"s3cret\""),
        ("query.max_rows", "5"),
        ("query.max_series", "3"),
        ("query.max_buckets", "10"),
        ("query.max_points", "20"),
        ("query.timeout", "\"2s\""),
    ];
    let config = config.map(|(key, value)| (key, value.to_owned())).to_vec();
    let cluster = Cluster::start(&Settings { config, ..Settings::default() });
    let url = format!("http://{}", cluster.http(2));
    let auth = run(&directory.join("replay_observed.py"), &["--session", "auth", "-v", "--url", &url]);
    say(&format!("  replay_observed with users: {}", last_line(&auth)));
    let authorized = identical_answers(&auth);
    replay_grafana(&cluster, &directory.join("grafana/requests.jsonl"));
    assert!(authorized >= AUTH_FLOOR, "{authorized} identical, {AUTH_FLOOR} were before\n{}", shorten(&auth));

    assert!(queries >= CASES_FLOOR, "{queries} queries pass, {CASES_FLOOR} did before\n{}", shorten(&text));
    assert!(identical >= OBSERVED_FLOOR, "{identical} answers identical, {OBSERVED_FLOOR} were before");
}

fn run(script: &Path, arguments: &[&str]) -> String {
    let output = Command::new("python3").arg(script).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run python3 {}: {error}", script.display()));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} failed: {errors}", script.display());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Replays what Grafana asked a server with authentication: as an admin, a reader, somebody without rights, and with
/// wrong credentials.
fn replay_grafana(cluster: &Cluster, recording: &Path) {
    let Ok(recording) = std::fs::read_to_string(recording) else {
        return say("  Grafana with users: skipped, there is no recording");
    };
    // The session before has left this admin.
    let mut admin = cluster.client(0);
    for q in [
        "CREATE DATABASE k8s",
        "CREATE USER root WITH PASSWORD 'root' WITH ALL PRIVILEGES",
        "CREATE USER reader WITH PASSWORD 'reader'",
        "CREATE USER nobody WITH PASSWORD 'nobody'",
        "GRANT READ ON k8s TO reader",
    ] {
        let target = format!("/query?u=adm&p=ap&q={}", percent_encode(q));
        assert_eq!(admin.post(&target, b"").expect("an answer").status, 200, "{q}");
    }
    let mut replayed = 0;
    for record in recording.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        if !record["label"].as_str().is_some_and(|label| label.contains("auth-")) {
            continue;
        }
        let request = &record["request"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let target = format!("{}?{}", text(&request["path"]), text(&request["query_string"]));
        let method = text(&request["method"]);
        let headers: Vec<(String, String)> = request["headers"].as_array().map_or(Vec::new(), |headers| {
            let pairs = headers.iter().map(|pair| (text(&pair[0]), text(&pair[1])));
            pairs.filter(|(name, _)| name == "Authorization" || name == "Origin").collect()
        });
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let sent = Request { method: &method, target: &target, headers: &headers, body: None };
        let answer = cluster.client(replayed % cluster.size()).send(&sent).expect("an answer");
        let status = record["response"]["status"].as_u64();
        assert_eq!(Some(u64::from(answer.status)), status, "{}: {}", record["label"], answer.text());
        replayed += 1;
    }
    say(&format!("  Grafana with users: {replayed} requests answered as recorded"));
    assert!(replayed > 0, "the recording has requests with users");
}

/// The number in `identical 1963 different 0 volatile(ignored) 21`.
fn identical_answers(text: &str) -> u64 {
    text.rsplit("identical ").next().and_then(first_number).unwrap_or(0)
}

fn first_number(text: &str) -> Option<u64> {
    text.split(|c: char| !c.is_ascii_digit()).find(|part| !part.is_empty())?.parse().ok()
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default()
}
