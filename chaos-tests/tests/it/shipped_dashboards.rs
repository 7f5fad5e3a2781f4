//! What is shipped to look at a cluster with. Every query of the dashboards for Heapster answers rows when Heapster's recorded traffic
//! was written, and every metric that the health dashboard and the alerts ask for is one that a node has, with these labels.

use crate::support::{ask, turn_beside_others};
use chaos_tests::report::{Failures, say, shorten};
use chaos_tests::workload::recorded::read_all;
use chaos_tests::{Client, Cluster, Response, Settings};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Labels that Prometheus adds to whatever it scrapes.
const TARGET_LABELS: [&str; 3] = ["namespace", "job", "pod"];
/// Labels whose values are known after one scrape of Heapster's: a misspelt value would match nothing for ever.
const KNOWN_VALUES: [&str; 2] = ["endpoint", "outcome"];

#[test]
fn every_query_that_is_shipped_is_answered() {
    let _turn =
        turn_beside_others("shipped_dashboards: dashboards and alerts on Heapster's recorded traffic");
    let cluster = Cluster::start(&Settings::default());
    let mut client = cluster.client(0);
    let end_ms = write_recording(&mut client);
    let mut failures = Failures::default();
    for name in ["heapster-cluster.json", "heapster-pods.json"] {
        let asked = Dashboard::read(name, end_ms).ask_all(&mut cluster.client(1), &mut failures);
        say(&format!("  {name}: {asked} queries asked"));
    }
    let page = cluster.admin(0).get("/metrics").expect("metrics").text();
    let samples: BTreeMap<String, Selector> =
        page.lines().filter(|line| !line.starts_with('#')).fold(BTreeMap::new(), |mut samples, line| {
            for selector in selectors(line) {
                samples.entry(selector.metric.clone()).or_insert_with(|| selector.clone()).add(&selector);
            }
            samples
        });
    for file in ["grafana/steadfast.json", "prometheus/prometheusrule.yaml"] {
        let text = std::fs::read_to_string(shipped().join(file)).expect(file);
        let wanted = selectors(&text);
        assert!(wanted.len() > 20, "{file}: only {} metrics found", wanted.len());
        for selector in &wanted {
            for fault in selector.faults(samples.get(&selector.metric), &page) {
                failures.add(format!("{file}: {}: {fault}", selector.metric));
            }
        }
        say(&format!("  {file}: {} metrics looked up", wanted.len()));
    }
    failures.assert_none("shipped queries");
}

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/helm/steadfast/files")
}

/// Writes what the real Heapster wrote; the time of its newest point.
fn write_recording(client: &mut Client) -> i64 {
    let recordings = read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/heapster"));
    let heapster = recordings.iter().find(|(file, _)| file.ends_with("heapster.http.gz"));
    let (_, requests) = heapster.expect("Heapster's recording");
    let mut newest = 0;
    for request in requests {
        let answer = request.send(client);
        assert!(answer.as_ref().is_ok_and(|answer| answer.status == request.status), "{answer:?}");
        newest = newest.max(request.newest_ns().unwrap_or_default());
    }
    newest / 1_000_000
}

/// A dashboard that asks in InfluxQL.
struct Dashboard {
    name: &'static str,
    text: Value,
    range: String,
    /// Values of its variables, as Grafana puts them into a regular expression.
    variables: BTreeMap<String, String>,
}

impl Dashboard {
    fn read(name: &'static str, end_ms: i64) -> Self {
        let text = std::fs::read_to_string(shipped().join("grafana").join(name)).expect(name);
        let text = serde_json::from_str(&text).expect(name);
        // As Grafana asks for a range with two ends.
        let range = format!("time >= {}ms and time <= {end_ms}ms", end_ms - 3_600_000);
        Self { name, text, range, variables: BTreeMap::new() }
    }

    /// Asks its variables, then its panels; how many queries these were.
    fn ask_all(&mut self, client: &mut Client, failures: &mut Failures) -> usize {
        let mut asked = 0;
        let empty = Vec::new();
        for variable in self.text["templating"]["list"].as_array().unwrap_or(&empty).clone() {
            if variable["type"] != "query" {
                continue;
            }
            let name = variable["name"].as_str().expect("a variable's name").to_owned();
            let q = self.interpolate(variable["query"].as_str().expect("a variable's query"));
            let values = tag_values(&ask(client, "k8s", "ms", &q).expect("an answer"));
            if values.is_empty() {
                failures.add(format!("{}: variable {name} has no values: {q}", self.name));
            }
            let all = variable["allValue"].as_str().map(str::to_owned);
            self.variables.insert(name, all.or_else(|| values.into_iter().next()).unwrap_or_default());
            asked += 1;
        }
        for panel in self.text["panels"].as_array().unwrap_or(&empty) {
            for target in panel["targets"].as_array().unwrap_or(&empty) {
                let q = self.interpolate(target["query"].as_str().expect("a panel's query"));
                let answer = ask(client, "k8s", "ms", &q).expect("an answer");
                if !has_values(&answer) {
                    let title = &panel["title"];
                    failures.add(format!(
                        "{}, panel {title}: {q}\n    {}",
                        self.name,
                        shorten(&answer.text())
                    ));
                }
                asked += 1;
            }
        }
        assert!(asked > 20, "{}: only {asked} queries", self.name);
        asked
    }

    fn interpolate(&self, query: &str) -> String {
        let mut q = query.replace("$timeFilter", &self.range).replace("$__interval", "1m");
        for (name, value) in &self.variables {
            q = q.replace(&format!("${{{name}:regex}}"), value);
        }
        assert!(
            !q.contains('$') || q.matches('$').count() == q.matches("$/").count(),
            "unknown variable: {q}"
        );
        q
    }
}

fn series(answer: &Response) -> Vec<Value> {
    answer.json()["results"][0]["series"].as_array().cloned().unwrap_or_default()
}

fn tag_values(answer: &Response) -> BTreeSet<String> {
    let all = series(answer);
    let rows = all.iter().flat_map(|one| one["values"].as_array().into_iter().flatten());
    rows.filter_map(|row| row[1].as_str().map(str::to_owned)).collect()
}

/// Whether some row has more than a time.
fn has_values(answer: &Response) -> bool {
    let all = series(answer);
    let mut rows = all.iter().flat_map(|one| one["values"].as_array().into_iter().flatten());
    rows.any(|row| row[1].is_number())
}

/// A metric and what is asked of its labels, as in PromQL and in a sample.
#[derive(Debug, Clone)]
struct Selector {
    metric: String,
    labels: BTreeMap<String, String>,
}

impl Selector {
    fn add(&mut self, other: &Self) {
        self.labels.extend(other.labels.clone());
    }

    fn faults(&self, sample: Option<&Self>, page: &str) -> Vec<String> {
        let Some(sample) = sample else {
            // One that has no value yet is announced all the same.
            let announced = page.contains(&format!("# TYPE {} ", self.metric));
            return if announced { Vec::new() } else { vec!["no node has it".to_owned()] };
        };
        let mut faults = Vec::new();
        for (label, value) in self.labels.iter().filter(|(label, _)| !TARGET_LABELS.contains(&label.as_str()))
        {
            if !sample.labels.contains_key(label) {
                faults.push(format!("it has no label {label}"));
            }
            // Of several values, one is enough: nobody writes in every way there is.
            let has = |value: &str| page.contains(&format!("{label}=\"{value}\""));
            if KNOWN_VALUES.contains(&label.as_str()) && !value.split('|').any(has) {
                faults.push(format!("{label} is never {value}"));
            }
        }
        faults
    }
}

/// Every metric of ours in a text, with the labels in the braces behind it.
fn selectors(text: &str) -> Vec<Selector> {
    let text = text.replace("\\\"", "\"");
    let mut found = Vec::new();
    let mut rest = text.as_str();
    while let Some(start) = rest.find("steadfast_") {
        rest = &rest[start..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let metric = rest[..end].to_owned();
        rest = &rest[end..];
        let braces = rest.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let labels = braces.map(|(inner, _)| inner.split(',').filter_map(label).collect());
        found.push(Selector { metric, labels: labels.unwrap_or_default() });
    }
    found
}

/// `name="value"`, with any of PromQL's operators.
fn label(matcher: &str) -> Option<(String, String)> {
    let (name, value) = matcher.split_once('=')?;
    let value = value.trim_start_matches('~').trim().trim_matches('"');
    Some((name.trim().trim_end_matches('!').to_owned(), value.to_owned()))
}
