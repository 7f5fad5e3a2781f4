//! What a run has achieved so far: counted by the workers, told each second, summed up at the end.

use super::Run;
use super::metrics::measurements;
use super::sender::Batch;
use super::verify::Verification;
use crate::cli::note;
use crate::http_client::ClientError;
use serde_json::{Map, Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, interval};

/// An error with everything that caused it.
pub(super) fn error_text(error: &ClientError) -> String {
    let chain = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Counts of a run.
#[derive(Debug)]
pub(super) struct Report {
    started: Instant,
    counts: Mutex<Counts>,
}

#[derive(Debug, Clone, Default)]
struct Counts {
    batches: u64,
    points: u64,
    bytes: u64,
    points_acked: u64,
    batches_refused: u64,
    points_refused: u64,
    resent: u64,
    first_error: Option<String>,
    latencies: Latencies,
    /// Slowest request since the last progress line.
    slowest_lately: Duration,
    /// Acknowledged points of each measurement.
    acked_by_measurement: Vec<u64>,
}

impl Report {
    pub(super) fn new() -> Self {
        let counts = Counts { acked_by_measurement: vec![0; measurements().len()], ..Counts::default() };
        Self { started: Instant::now(), counts: Mutex::new(counts) }
    }

    fn count<T>(&self, change: impl FnOnce(&mut Counts) -> T) -> T {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A batch was taken.
    pub(super) fn acknowledged(&self, batch: &Batch, took: Duration) {
        self.count(|counts| {
            counts.answered(batch, took);
            counts.points_acked += batch.lines;
            for (sum, points) in counts.acked_by_measurement.iter_mut().zip(&batch.counts) {
                *sum += points;
            }
        });
    }

    /// A batch was refused, and the recorded one had been refused in the same way.
    pub(super) fn refused_as_recorded(&self, batch: &Batch, took: Duration) {
        self.count(|counts| counts.answered(batch, took));
    }

    /// A batch was finally refused, or given up.
    pub(super) fn refused(&self, batch: &Batch, took: Duration, error: String) {
        let first = self.count(|counts| {
            counts.answered(batch, took);
            counts.batches_refused += 1;
            counts.points_refused += batch.lines;
            counts.first_error.is_none().then(|| counts.first_error = Some(error.clone())).is_some()
        });
        if first {
            note(&format!("first refused batch: {error}"));
        }
    }

    /// A request goes to another server because its connection died.
    pub(super) fn resent(&self, why: &ClientError) {
        let first = self.count(|counts| {
            counts.resent += 1;
            counts.resent == 1
        });
        if first {
            note(&format!("first dead connection: {}", error_text(why)));
        }
    }

    /// Acknowledged points of each measurement, in the order of [`measurements`].
    pub(super) fn acked_by_measurement(&self) -> Vec<u64> {
        self.count(|counts| counts.acked_by_measurement.clone())
    }

    /// The sum of everything so far.
    pub(super) fn summary(&self) -> Summary {
        let seconds = self.started.elapsed().as_secs_f64();
        let counts = self.count(|counts| counts.clone());
        let mut values = Map::new();
        let mut put = |key: &str, value: Value| values.insert(key.to_owned(), value);
        put("points", json!(counts.points));
        put("acked", json!(counts.points_acked));
        put("refused", json!(counts.points_refused));
        put("batches", json!(counts.batches));
        put("batches_refused", json!(counts.batches_refused));
        put("resent", json!(counts.resent));
        put("bytes", json!(counts.bytes));
        put("seconds", json!((seconds * 1000.0).round() / 1000.0));
        put("points_per_s", json!((counts.points_acked as f64 / seconds.max(1e-9)).round()));
        for (key, part) in [("p50_ms", 0.5), ("p99_ms", 0.99), ("max_ms", 1.0)] {
            put(key, json!(counts.latencies.quantile_ms(part)));
        }
        put("first_error", json!(counts.first_error));
        Summary { values, good: counts.batches_refused == 0 }
    }
}

impl Counts {
    fn answered(&mut self, batch: &Batch, took: Duration) {
        self.batches += 1;
        self.points += batch.lines;
        self.bytes += batch.body().len() as u64;
        self.latencies.add(took);
        self.slowest_lately = self.slowest_lately.max(took);
    }
}

/// Writes a line each second to standard error until it is aborted.
pub(super) async fn tell_progress(report: Arc<Report>) {
    let mut ticks = interval(Duration::from_secs(1));
    ticks.tick().await;
    let mut acked_before = 0;
    loop {
        ticks.tick().await;
        let (counts, slowest) = report.count(|counts| {
            let slowest = std::mem::take(&mut counts.slowest_lately);
            (counts.clone(), slowest)
        });
        note(&format!(
            "{:4.0} s  {:7} points/s  {:9} acked  {} refused  {} resent  slowest {:.0} ms",
            report.started.elapsed().as_secs_f64(),
            counts.points_acked - acked_before,
            counts.points_acked,
            counts.points_refused,
            counts.resent,
            slowest.as_secs_f64() * 1000.0,
        ));
        acked_before = counts.points_acked;
    }
}

/// The last line of a run: one JSON object.
#[derive(Debug)]
pub(super) struct Summary {
    values: Map<String, Value>,
    good: bool,
}

impl Summary {
    /// Adds what a simulation has written.
    pub(super) fn add_run(&mut self, run: &Run) {
        for (key, value) in [
            ("scrapes", json!(run.scrapes)),
            ("series", json!(run.series)),
            ("first_ns", json!(run.first_ns)),
            ("last_ns", json!(run.last_ns)),
        ] {
            self.values.insert(key.to_owned(), value);
        }
    }

    /// Adds what the servers hold of it.
    pub(super) fn add_verification(&mut self, verification: Verification) {
        self.good &= verification.is_good();
        self.values.insert("verified".to_owned(), json!(verification.is_good()));
        self.values.insert("verified_points".to_owned(), json!(verification.points));
        self.values.insert("differences".to_owned(), json!(verification.differences));
        self.values.insert("unreachable".to_owned(), json!(verification.unreachable));
    }

    /// Whether nothing was refused and nothing is missing.
    pub(super) fn is_good(&self) -> bool {
        self.good
    }

    pub(super) fn json(&self) -> String {
        Value::Object(self.values.clone()).to_string()
    }
}

/// Buckets for each doubling of a latency: the error of a quantile is below 5 %.
const PER_DOUBLING: f64 = 16.0;
const BUCKETS: usize = 512;

/// A histogram of bounded size with logarithmic buckets, from a microsecond up.
#[derive(Debug, Clone)]
struct Latencies {
    buckets: Vec<u64>,
    max: Duration,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], max: Duration::ZERO }
    }
}

impl Latencies {
    fn add(&mut self, took: Duration) {
        let bucket = (took.as_secs_f64() * 1e6).max(1.0).log2() * PER_DOUBLING;
        self.buckets[(bucket as usize).min(BUCKETS - 1)] += 1;
        self.max = self.max.max(took);
    }

    /// The upper bound of the bucket that holds this part of all requests, in ms with two decimals.
    fn quantile_ms(&self, part: f64) -> f64 {
        let rank = (self.buckets.iter().sum::<u64>() as f64 * part).ceil() as u64;
        let max_ms = self.max.as_secs_f64() * 1000.0;
        let mut seen = 0;
        let found = self.buckets.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        let bound_ms = found.map_or(max_ms, |bucket| ((bucket + 1) as f64 / PER_DOUBLING).exp2() / 1000.0);
        (bound_ms.min(max_ms) * 100.0).round() / 100.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_within_a_bucket() {
        let mut latencies = Latencies::default();
        for ms in 1..=100 {
            latencies.add(Duration::from_millis(ms));
        }
        assert_eq!(latencies.quantile_ms(1.0), 100.0);
        let median = latencies.quantile_ms(0.5);
        assert!((50.0..53.0).contains(&median), "{median}");
        assert_eq!(Latencies::default().quantile_ms(0.99), 0.0);
    }
}
