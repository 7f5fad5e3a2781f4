//! `/debug/vars` and `/debug/requests`: what collectors and dashboards about InfluxDB read.

use crate::coordinator::Coordinator;
use crate::error::Failure;
use crate::params::Params;
use crate::router::Api;
use crate::statistics::{Statistic, process_memory};
use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::time::Duration;

/// How long requests are counted if the request does not say, and at most.
const SECONDS: u64 = 10;
const SECONDS_MAX: u64 = 6 * 60 * 60;
/// Pauses of Go's garbage collector that readers expect to find.
const PAUSES: usize = 256;

/// One object a statistic, after those about the process.
pub(crate) fn vars(coordinator: &dyn Coordinator) -> Response {
    let (started, now) = coordinator.times_ns();
    let system = json!({
        "currentTime": time(now),
        "started": time(started),
        "uptime": now.saturating_sub(started) / 1_000_000_000,
    });
    let cmdline: Vec<String> = std::env::args().collect();
    let mut body = String::from("{\n");
    // Writing to a String cannot fail.
    let _ok = write!(body, "\"system\": {system},\n\"cmdline\": {},\n", json!(cmdline));
    let _ok = write!(body, "\"memstats\": {}", memory());
    for statistic in coordinator.statistics() {
        let _ok = write!(body, ",\n{}: {}", json!(statistic.key()), object(&statistic));
    }
    body.push_str("\n}\n");
    with_json(body)
}

fn object(statistic: &Statistic) -> Value {
    let tags: Map<String, Value> =
        statistic.tags.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    let values: Map<String, Value> =
        statistic.values.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    json!({"name": statistic.name, "tags": tags, "values": values})
}

/// Go's `MemStats` as far as it says something about a process without a garbage collector.
fn memory() -> Value {
    let memory = process_memory();
    json!({
        "Alloc": memory.resident_bytes,
        "TotalAlloc": memory.resident_bytes,
        "Sys": memory.virtual_bytes,
        "Lookups": 0,
        "Mallocs": 0,
        "Frees": 0,
        "HeapAlloc": memory.resident_bytes,
        "HeapSys": memory.virtual_bytes,
        "HeapIdle": 0,
        "HeapInuse": memory.resident_bytes,
        "HeapReleased": 0,
        "HeapObjects": 0,
        "StackInuse": 0,
        "StackSys": 0,
        "MSpanInuse": 0,
        "MSpanSys": 0,
        "MCacheInuse": 0,
        "MCacheSys": 0,
        "BuckHashSys": 0,
        "GCSys": 0,
        "OtherSys": 0,
        "NextGC": 0,
        "LastGC": 0,
        "PauseTotalNs": 0,
        "PauseNs": vec![0; PAUSES],
        "PauseEnd": vec![0; PAUSES],
        "NumGC": 0,
        "NumForcedGC": 0,
        "GCCPUFraction": 0,
        "EnableGC": false,
        "DebugGC": false,
        "BySize": [],
    })
}

/// Writes and queries by client, counted over some seconds.
pub(crate) async fn requests(api: &Api, url: &Params) -> Result<Response, Failure> {
    let seconds = match url.get("seconds") {
        "" => SECONDS,
        text => text.parse::<u64>().map_err(|_| {
            Failure::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
        })?,
    };
    let counted = api.profiles.count(Duration::from_secs(seconds.min(SECONDS_MAX))).await?;
    let lines: Vec<String> = counted
        .iter()
        .map(|(client, requests)| {
            let (writes, queries) = (requests.writes, requests.queries);
            format!("{}: {{\"writes\":{writes},\"queries\":{queries}}}", json!(client))
        })
        .collect();
    Ok(with_json(format!("{{\n{}\n}}\n", lines.join(",\n"))))
}

fn time(ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(ns)).unwrap_or_default().to_string()
}

fn with_json(body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    let content_type = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
