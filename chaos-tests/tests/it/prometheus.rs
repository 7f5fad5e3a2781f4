//! A real Prometheus: one writes what it scrapes of itself to a node, another one with an empty disk of its own reads it from
//! the other nodes. What it answers must be what InfluxQL answers, and that must be what InfluxQL answers on a real influxd
//! that was written the same.

use crate::support::{ask, compare_all_rows, turn_beside_others, wait_until};
use chaos_tests::client::percent_encode;
use chaos_tests::ports::free_port;
use chaos_tests::process::{Process, Signal};
use chaos_tests::report::{Failures, say};
use chaos_tests::{Client, Cluster, Oracle, Settings, WorkDir};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;

/// Where Debian's package puts the server.
const PROMETHEUS: &str = "/usr/bin/prometheus";
const DATABASE: &str = "prometheus";
/// Scrapes that must have arrived.
const SCRAPES: usize = 4;

/// What is asked of both: a selector, and the InfluxQL for the same samples.
const QUESTIONS: [(&str, &str); 6] = [
    ("up", "SELECT value FROM up GROUP BY *"),
    (
        "prometheus_http_requests_total{code!=\"503\"}",
        "SELECT value FROM prometheus_http_requests_total WHERE code != '503' GROUP BY *",
    ),
    (
        "prometheus_http_request_duration_seconds_bucket{handler=~\"/api/.*|/metrics\",le=\"+Inf\"}",
        "SELECT value FROM prometheus_http_request_duration_seconds_bucket WHERE handler =~ /^(\\/api\\/.*|\\/metrics)$/ AND le = '+Inf' GROUP BY *",
    ),
    (
        "{__name__=~\"go_gc.*\",quantile!~\"0.*\"}",
        "SELECT value FROM /^go_gc.*$/ WHERE quantile !~ /^0.*$/ GROUP BY *",
    ),
    ("{__name__=~\".+\"}", "SELECT value FROM /.*/ GROUP BY *"),
    ("nothing_has_this_name", "SELECT value FROM nothing_has_this_name GROUP BY *"),
];

#[test]
fn prometheus_writes_and_reads_back_what_influxql_sees() {
    let installed = std::path::Path::new(PROMETHEUS).is_file();
    assert!(
        installed,
        "{PROMETHEUS} is missing: install the package prometheus (scripts/install-deps.sh does it)"
    );
    let _turn = turn_beside_others("prometheus: remote write to one node, remote read from the others");
    let (oracle, cluster) = (Oracle::start(), Cluster::start(&Settings::default()));
    let (mut oracle_client, mut influx) = (oracle.client(), cluster.client(2));
    for client in [&mut oracle_client, &mut influx] {
        assert_eq!(client.query("", &format!("CREATE DATABASE {DATABASE}")).unwrap().status, 200);
    }

    let url = |address: &str, what: &str| format!("http://{address}/api/v1/prom/{what}?db={DATABASE}");
    let queue = "queue_config: {batch_send_deadline: 500ms}";
    let write = format!(
        "remote_write: [{{url: \"{}\", {queue}}}, {{url: \"{}\", {queue}}}]\nscrape_configs:\n\
         - {{job_name: itself, scrape_interval: 1s, static_configs: [{{targets: [\"SELF\"]}}]}}\n",
        url(cluster.http(0), "write"),
        url(oracle.address(), "write")
    );
    let mut writer = Prometheus::start(&write);
    wait_until("scrapes stored", 60, || {
        let answer = ask(&mut influx, DATABASE, "ms", "SELECT count(value) FROM up").unwrap().json();
        answer["results"][0]["series"][0]["values"][0][1]
            .as_u64()
            .is_some_and(|count| count as usize >= SCRAPES)
    });
    let failed = writer.samples("prometheus_remote_storage_samples_failed_total");
    assert!(failed.values().flatten().all(|(_, value)| *value == 0.0) && !failed.is_empty(), "{failed:?}");
    // Told to stop, it first sends what it has.
    writer.process.signal(Signal::Terminate);
    assert!(writer.process.wait_for_end(60), "prometheus does not stop:\n{}", writer.process.log_tail());

    let mut failures = Failures::default();
    compare_all_rows(&mut oracle_client, &cluster, DATABASE, &mut failures);
    for node in [1, 2] {
        let mut reader = Prometheus::start(&format!(
            "remote_read: [{{url: \"{}\", read_recent: true}}]\n",
            url(cluster.http(node), "read")
        ));
        for (selector, q) in QUESTIONS {
            let (got, want) = (reader.samples(selector), influxql(&mut influx, q));
            let points: usize = want.values().map(Vec::len).sum();
            say(&format!("  node {node}, {selector}: {} series, {points} samples", want.len()));
            let differs = |samples: &Vec<(i64, f64)>, other: Option<&Vec<(i64, f64)>>| {
                !other.is_some_and(|other| same(samples, other))
            };
            let missing = want.iter().find(|(labels, samples)| differs(samples, got.get(*labels)));
            if got.len() != want.len() || missing.is_some() {
                failures.add(format!(
                    "{selector}: want {} series, got {}; {missing:?}",
                    want.len(),
                    got.len()
                ));
            }
            let some = selector != QUESTIONS[5].0;
            assert!(some == (points > 0), "{selector} compares nothing with nothing");
        }
    }
    failures.assert_none("remote read");
    refusals(&mut influx);
}

/// What a Prometheus with a wrong configuration is told.
fn refusals(client: &mut Client) {
    for (target, status, text) in [
        ("/api/v1/prom/write", 400, "database is required"),
        ("/api/v1/prom/write?db=nope", 404, "database not found"),
        ("/api/v1/prom/write?db=prometheus", 400, "snappy: corrupt input"),
        ("/api/v1/prom/read?db=prometheus", 400, "snappy: corrupt input"),
    ] {
        let answer = client.post(target, b"no snappy block").unwrap();
        assert_eq!(answer.status, status, "{target}: {}", answer.text());
        assert!(answer.text().contains(text), "{target}: {}", answer.text());
    }
}

/// Labels → time in ms and value of each sample.
type Samples = BTreeMap<Vec<(String, String)>, Vec<(i64, f64)>>;

/// A running Prometheus with a directory of its own.
#[derive(Debug)]
struct Prometheus {
    process: Process,
    client: Client,
    _directory: WorkDir,
}

impl Prometheus {
    /// Starts one and waits until it is ready; `SELF` in the configuration becomes its address.
    fn start(configuration: &str) -> Self {
        let directory = WorkDir::new("prometheus");
        let address = format!("127.0.0.1:{}", free_port());
        let file = directory.path().join("prometheus.yml");
        let written = std::fs::write(&file, configuration.replace("SELF", &address));
        assert!(written.is_ok(), "cannot write {}", file.display());
        let mut command = Command::new(PROMETHEUS);
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()));
        command.arg(format!("--web.listen-address={address}"));
        let mut process = Process::start(&mut command, &directory.path().join("prometheus.log"));
        let mut client = Client::new(address);
        wait_until("prometheus is ready", 60, || {
            assert!(process.is_running(), "prometheus has ended:\n{}", process.log_tail());
            client.get("/-/ready").is_ok_and(|answer| answer.status == 200)
        });
        Self { process, client, _directory: directory }
    }

    /// The samples of the last ten minutes.
    fn samples(&mut self, selector: &str) -> Samples {
        let target = format!("/api/v1/query?query={}", percent_encode(&format!("{selector}[10m]")));
        let answer = self.client.get(&target).unwrap();
        assert_eq!(answer.status, 200, "{selector}: {}\n{}", answer.text(), self.process.log_tail());
        let mut found = Samples::new();
        for series in answer.json()["data"]["result"].as_array().into_iter().flatten() {
            let samples = series["values"].as_array().into_iter().flatten();
            let sample = |sample: &Value| {
                let time = (sample[0].as_f64().unwrap_or_default() * 1_000.0).round() as i64;
                (time, sample[1].as_str().unwrap_or_default().parse().unwrap_or(f64::NAN))
            };
            found.insert(labels(&series["metric"]), samples.map(sample).collect());
        }
        found
    }
}

/// The same from InfluxQL.
fn influxql(client: &mut Client, q: &str) -> Samples {
    let answer = ask(client, DATABASE, "ms", q).unwrap();
    assert_eq!(answer.status, 200, "{q}: {}", answer.text());
    let mut found = Samples::new();
    for series in answer.json()["results"][0]["series"].as_array().into_iter().flatten() {
        let rows = series["values"].as_array().into_iter().flatten();
        let row = |row: &Value| (row[0].as_i64().unwrap_or_default(), row[1].as_f64().unwrap_or(f64::NAN));
        found.insert(labels(&series["tags"]), rows.map(row).collect());
    }
    found
}

/// Equal but for the last digit, which the JSON reader of these tests rounds.
fn same(a: &[(i64, f64)], b: &[(i64, f64)]) -> bool {
    let close = |a: f64, b: f64| (a - b).abs() <= 1e-12 * a.abs();
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && close(a.1, b.1))
}

/// A JSON object of labels; an empty label is none.
fn labels(object: &Value) -> Vec<(String, String)> {
    let entries = object.as_object().into_iter().flatten();
    let pairs = entries.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()));
    let mut labels: Vec<(String, String)> = pairs.filter(|(_, value)| !value.is_empty()).collect();
    labels.sort();
    labels
}
