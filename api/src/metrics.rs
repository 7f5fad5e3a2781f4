//! Counters of the HTTP surface, as Prometheus text.

use crate::router::Endpoint;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the latency buckets, in ms.
const BUCKETS_MS: [u64; 12] = [1, 2, 5, 10, 25, 50, 100, 250, 1_000, 2_500, 10_000, 30_000];
/// Without good credentials.
const UNAUTHORIZED: u16 = 401;
/// `1xx` to `5xx`.
const CLASSES: usize = 5;

/// Requests and latencies by endpoint. Cheap to share and to update.
#[derive(Debug, Default)]
pub struct HttpMetrics {
    endpoints: [EndpointMetrics; Endpoint::ALL.len()],
    requests_active: AtomicU64,
    body_bytes: AtomicU64,
    bodies_in_flight_bytes: AtomicU64,
    auth_failures: AtomicU64,
}

/// The counters by what InfluxDB 1.x counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HttpCounts {
    /// Requests answered.
    pub requests: u64,
    /// Time until the heads of all answers, ns.
    pub request_ns: u64,
    /// Requests being answered.
    pub active: u64,
    /// Queries, and the time until the heads of their answers.
    pub queries: u64,
    /// See `queries`.
    pub query_ns: u64,
    /// Writes by any of the write endpoints, and their time.
    pub writes: u64,
    /// See `writes`.
    pub write_ns: u64,
    /// Writes answered with an error.
    pub write_errors: u64,
    /// Bytes received for writes, inflated.
    pub write_bytes: u64,
    /// Pings.
    pub pings: u64,
    /// Answers 4xx.
    pub client_errors: u64,
    /// Answers 5xx.
    pub server_errors: u64,
    /// Answers 401.
    pub auth_failures: u64,
}

#[derive(Debug, Default)]
struct EndpointMetrics {
    classes: [AtomicU64; CLASSES],
    buckets: [AtomicU64; BUCKETS_MS.len()],
    micros: AtomicU64,
}

impl HttpMetrics {
    /// Counts a request from now until the guard is dropped.
    pub(crate) fn start(&self) -> ActiveRequest<'_> {
        self.requests_active.fetch_add(1, Ordering::Relaxed);
        ActiveRequest(self)
    }

    /// Counts an answered request. `took` ends when the answer's head is ready.
    pub(crate) fn observe(&self, endpoint: Endpoint, status: u16, took: Duration) {
        let Some(metrics) = self.endpoints.get(endpoint as usize) else { return };
        if let Some(class) = metrics.classes.get(usize::from(status / 100).saturating_sub(1)) {
            class.fetch_add(1, Ordering::Relaxed);
        }
        if status == UNAUTHORIZED {
            self.auth_failures.fetch_add(1, Ordering::Relaxed);
        }
        let millis = took.as_millis() as u64;
        if let Some(bucket) = BUCKETS_MS.iter().position(|&bound| millis < bound) {
            metrics.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        }
        metrics.micros.fetch_add(took.as_micros() as u64, Ordering::Relaxed);
    }

    /// Counts a request whose credentials were missing or wrong.
    pub(crate) fn auth_failed(&self) {
        self.auth_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts bytes of bodies received for `/write`, inflated.
    pub(crate) fn observe_body(&self, bytes: usize) {
        self.body_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Says how many bytes of bodies are in memory now.
    pub(crate) fn observe_bodies_in_flight(&self, bytes: usize) {
        self.bodies_in_flight_bytes.store(bytes as u64, Ordering::Relaxed);
    }

    /// All that was counted so far.
    pub fn counts(&self) -> HttpCounts {
        let mut counts = HttpCounts {
            active: self.requests_active.load(Ordering::Relaxed),
            write_bytes: self.body_bytes.load(Ordering::Relaxed),
            auth_failures: self.auth_failures.load(Ordering::Relaxed),
            ..HttpCounts::default()
        };
        for (endpoint, metrics) in Endpoint::ALL.into_iter().zip(&self.endpoints) {
            let class = |class: usize| metrics.classes[class - 1].load(Ordering::Relaxed);
            let all: u64 = (1..=CLASSES).map(class).sum();
            let ns = metrics.micros.load(Ordering::Relaxed).saturating_mul(1_000);
            counts.requests += all;
            counts.request_ns += ns;
            counts.client_errors += class(4);
            counts.server_errors += class(5);
            match endpoint {
                Endpoint::Query => (counts.queries, counts.query_ns) = (all, ns),
                Endpoint::Write | Endpoint::WriteV2 | Endpoint::PromWrite => {
                    counts.writes += all;
                    counts.write_ns += ns;
                    counts.write_errors += class(4) + class(5);
                }
                Endpoint::Ping => counts.pings = all,
                Endpoint::Flux
                | Endpoint::PromRead
                | Endpoint::Health
                | Endpoint::Metrics
                | Endpoint::DebugVars
                | Endpoint::DebugRequests
                | Endpoint::Admin
                | Endpoint::Unknown => {}
            }
        }
        counts
    }

    /// Prometheus text (version 0.0.4), to be appended to the other metrics of the process.
    pub fn render(&self) -> String {
        let mut out = String::with_capacity(4096);
        self.render_to(&mut out).unwrap_or_default();
        out
    }

    fn render_to(&self, out: &mut String) -> std::fmt::Result {
        let name = "steadfast_http_requests_total";
        writeln!(out, "# HELP {name} Answered HTTP requests.\n# TYPE {name} counter")?;
        for (endpoint, metrics) in Endpoint::ALL.iter().zip(&self.endpoints) {
            for (class, count) in metrics.classes.iter().enumerate() {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    writeln!(
                        out,
                        "{name}{{endpoint=\"{}\",class=\"{}xx\"}} {count}",
                        endpoint.name(),
                        class + 1
                    )?;
                }
            }
        }
        let name = "steadfast_http_request_duration_seconds";
        writeln!(out, "# HELP {name} Time until the head of the answer.\n# TYPE {name} histogram")?;
        for (endpoint, metrics) in Endpoint::ALL.iter().zip(&self.endpoints) {
            let total: u64 = metrics.classes.iter().map(|class| class.load(Ordering::Relaxed)).sum();
            if total == 0 {
                continue;
            }
            let endpoint = endpoint.name();
            let mut below = 0;
            for (bound, count) in BUCKETS_MS.iter().zip(&metrics.buckets) {
                below += count.load(Ordering::Relaxed);
                let seconds = *bound as f64 / 1000.0;
                writeln!(out, "{name}_bucket{{endpoint=\"{endpoint}\",le=\"{seconds}\"}} {below}")?;
            }
            writeln!(out, "{name}_bucket{{endpoint=\"{endpoint}\",le=\"+Inf\"}} {total}")?;
            let seconds = metrics.micros.load(Ordering::Relaxed) as f64 / 1e6;
            writeln!(out, "{name}_sum{{endpoint=\"{endpoint}\"}} {seconds}")?;
            writeln!(out, "{name}_count{{endpoint=\"{endpoint}\"}} {total}")?;
        }
        for (name, kind, help, value) in [
            ("steadfast_http_requests_active", "gauge", "Requests being answered.", &self.requests_active),
            (
                "steadfast_http_write_body_bytes_total",
                "counter",
                "Bytes received by /write, inflated.",
                &self.body_bytes,
            ),
            (
                "steadfast_http_bodies_in_flight_bytes",
                "gauge",
                "Bytes of request bodies in memory.",
                &self.bodies_in_flight_bytes,
            ),
            (
                "steadfast_http_auth_failures_total",
                "counter",
                "Requests without credentials, or with wrong ones.",
                &self.auth_failures,
            ),
        ] {
            let value = value.load(Ordering::Relaxed);
            writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}")?;
        }
        Ok(())
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct ActiveRequest<'a>(&'a HttpMetrics);

impl Drop for ActiveRequest<'_> {
    fn drop(&mut self) {
        self.0.requests_active.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_endpoint_class_and_latency() {
        let metrics = HttpMetrics::default();
        let active = metrics.start();
        metrics.observe(Endpoint::Write, 204, Duration::from_millis(3));
        metrics.observe(Endpoint::Write, 400, Duration::from_secs(60));
        let text = metrics.render();
        drop(active);
        for line in [
            "steadfast_http_requests_total{endpoint=\"write\",class=\"2xx\"} 1",
            "steadfast_http_requests_total{endpoint=\"write\",class=\"4xx\"} 1",
            "steadfast_http_request_duration_seconds_bucket{endpoint=\"write\",le=\"0.002\"} 0",
            "steadfast_http_request_duration_seconds_bucket{endpoint=\"write\",le=\"0.005\"} 1",
            "steadfast_http_request_duration_seconds_bucket{endpoint=\"write\",le=\"30\"} 1",
            "steadfast_http_request_duration_seconds_bucket{endpoint=\"write\",le=\"+Inf\"} 2",
            "steadfast_http_request_duration_seconds_count{endpoint=\"write\"} 2",
            "steadfast_http_requests_active 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        assert!(metrics.render().contains("steadfast_http_requests_active 0"));
    }
}
