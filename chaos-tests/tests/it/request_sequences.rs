//! What Telegraf, Chronograf and Kapacitor send, request after request, and what nobody sends: each goes to the next of
//! three nodes and to a real influxd, and both must answer the same.

mod chronograf;
mod kapacitor;
mod surface;
mod telegraf;

use crate::support::{compare_answers, turn};
use chaos_tests::client::percent_encode;
use chaos_tests::report::{Failures, say, shorten};
use chaos_tests::{Client, ClientError, Cluster, Oracle, Request, Response, Settings};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// Headers that clients look at.
const HEADERS: [&str; 11] = [
    "Content-Type",
    "Content-Encoding",
    "Transfer-Encoding",
    "X-Influxdb-Build",
    "X-Influxdb-Error",
    "X-Content-Type-Options",
    "Allow",
    "Access-Control-Allow-Origin",
    "Access-Control-Allow-Methods",
    "Access-Control-Allow-Headers",
    "Access-Control-Expose-Headers",
];

/// One request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Step {
    method: &'static str,
    pub(crate) target: String,
    /// What influxd is sent in its place, where 1.6 lacks the endpoint.
    at_influxd: Option<String>,
    headers: Vec<(&'static str, &'static str)>,
    body: Option<Vec<u8>>,
    /// The first column is the time of the question.
    moves: bool,
    /// The bodies must be equal to the byte.
    exact: bool,
}

impl Step {
    fn get(target: impl Into<String>) -> Self {
        Self { method: "GET", target: target.into(), ..Self::default() }
    }

    /// `POST`; `parameters` are escaped.
    fn post(path: &str, parameters: &[(&str, &str)]) -> Self {
        let pairs: Vec<String> =
            parameters.iter().map(|(name, value)| format!("{name}={}", percent_encode(value))).collect();
        let target = if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) };
        Self { method: "POST", target, ..Self::default() }
    }

    fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = Some(bytes.into());
        self
    }

    fn gzip(self, text: &str) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let zipped = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
        self.header("Content-Encoding", "gzip").body(zipped.unwrap_or_default())
    }

    fn moving(mut self) -> Self {
        self.moves = true;
        self
    }

    /// Asks a node.
    pub(crate) fn ask(&self, node: &mut Client) -> Result<Response, ClientError> {
        self.send(node, &self.target)
    }

    /// Asks influxd.
    pub(crate) fn ask_influxd(&self, influxd: &mut Client) -> Result<Response, ClientError> {
        self.send(influxd, self.at_influxd.as_ref().unwrap_or(&self.target))
    }

    fn send(&self, client: &mut Client, target: &str) -> Result<Response, ClientError> {
        let body = self.body.as_deref().or((self.method == "POST").then_some(&b""[..]));
        client.send(&Request { method: self.method, target, headers: &self.headers, body })
    }
}

/// The newest minute that lies wholly in the past, in seconds: what the clients write ends there.
#[expect(clippy::disallowed_methods, reason = "Chronograf asks for the last ten minutes")]
fn newest_minute() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as i64;
    now - now % 60 - 60
}

/// What each client sends, in its order. They build upon each other and start without databases.
pub(crate) fn sequences() -> Vec<(&'static str, Vec<Step>)> {
    let end_s = newest_minute();
    vec![
        ("Telegraf", telegraf::steps(end_s)),
        ("Chronograf", chronograf::steps(end_s)),
        ("Kapacitor", kapacitor::steps(end_s)),
    ]
}

/// What removes all that the sequences leave behind.
pub(crate) fn removal() -> Step {
    Step::post("/query", &[("q", "DROP DATABASE telegraf; DROP DATABASE chronograf; DROP DATABASE alerts")])
}

#[test]
fn telegraf_chronograf_and_kapacitor_are_answered_as_by_influxdb() {
    let _turn = turn("request_sequences: Telegraf, Chronograf, Kapacitor");
    let (oracle, cluster) = (Oracle::start(), Cluster::start(&Settings::default()));
    let mut influxd = oracle.client();
    let mut nodes: Vec<Client> = (0..cluster.size()).map(|node| cluster.client(node)).collect();
    let mut failures = Failures::default();
    let mut clients = sequences();
    clients.push(("any path and parameter", surface::steps()));
    for (client, steps) in clients {
        let mut with_rows = 0;
        for (number, step) in steps.iter().enumerate() {
            let node = number % nodes.len();
            let want = step.ask_influxd(&mut influxd);
            let got = step.ask(&mut nodes[node]);
            with_rows += usize::from(want.as_ref().is_ok_and(|answer| answer.text().contains("\"values\"")));
            let place = format!("{client}, step {number}, node {node}: {}", shorten(&step.target));
            compare(&place, step, want, got, &mut failures);
        }
        say(&format!("  {client}: {} requests, {with_rows} answers with rows", steps.len()));
        assert!(client == "Telegraf" || with_rows > 5, "{client}: this compares nothing with nothing");
    }
    failures.assert_none("request sequences");
}

/// Notes how a node's answer to a step differs from influxd's.
pub(crate) fn compare(
    place: &str,
    step: &Step,
    mut want: Result<Response, ClientError>,
    mut got: Result<Response, ClientError>,
    failures: &mut Failures,
) {
    if let (Ok(want), Ok(got)) = (&mut want, &mut got) {
        for name in HEADERS {
            if sorted(want.header(name)) != sorted(got.header(name)) {
                failures.add(format!(
                    "{place}: {name}: want {:?} got {:?}",
                    want.header(name),
                    got.header(name)
                ));
            }
        }
        for name in ["X-Influxdb-Version", "X-Request-Id", "Request-Id", "Date"] {
            if want.header(name).is_some() != got.header(name).is_some() {
                failures.add(format!(
                    "{place}: {name}: want {:?} got {:?}",
                    want.header(name),
                    got.header(name)
                ));
            }
        }
        if step.exact && want.text() != got.text() {
            let (want, got) = (shorten(&want.text()), shorten(&got.text()));
            failures.add(format!("{place} {:?}\n    want {want}\n    got  {got}", step.headers));
            return;
        }
        if step.moves {
            for answer in [want, got] {
                answer.body = without_times(answer.json()).to_string().into_bytes();
            }
        }
    }
    compare_answers(place, &want, &got, failures);
}

/// The words of a header: the order of those in `Allow` is as it happens in influxd.
fn sorted(value: Option<&str>) -> Vec<&str> {
    let mut words: Vec<&str> = value.map(|text| text.split(", ").collect()).unwrap_or_default();
    words.sort_unstable();
    words
}

/// An answer without the first column of its series.
fn without_times(mut answer: Value) -> Value {
    let results = answer["results"].as_array_mut().into_iter().flatten();
    let series = results.filter_map(|result| result.get_mut("series")?.as_array_mut()).flatten();
    for row in series.filter_map(|series| series.get_mut("values")?.as_array_mut()).flatten() {
        row[0] = Value::Null;
    }
    answer
}
