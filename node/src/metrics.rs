//! Counters of this node and their Prometheus text.

use crate::coordinator::NodeCoordinator;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the latency buckets, in milliseconds.
const LATENCY_BOUNDS_MS: [u64; 12] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 10_000];

/// What the coordinator counts.
#[derive(Debug, Default)]
pub(crate) struct NodeMetrics {
    points_written: AtomicU64,
    points_dropped: AtomicU64,
    statements: Histogram,
}

impl NodeMetrics {
    /// Counts the points of one answered write.
    pub(crate) fn points_written(&self, written: u64, dropped: u64) {
        self.points_written.fetch_add(written, Ordering::Relaxed);
        self.points_dropped.fetch_add(dropped, Ordering::Relaxed);
    }

    /// Counts one answered statement.
    pub(crate) fn statement_done(&self, took: Duration) {
        self.statements.observe(took);
    }
}

#[derive(Debug, Default)]
struct Histogram {
    buckets: [AtomicU64; LATENCY_BOUNDS_MS.len()],
    count: AtomicU64,
    sum_us: AtomicU64,
}

impl Histogram {
    fn observe(&self, took: Duration) {
        let ms = took.as_millis() as u64;
        for (bound, bucket) in LATENCY_BOUNDS_MS.iter().zip(&self.buckets) {
            if ms <= *bound {
                bucket.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(took.as_micros() as u64, Ordering::Relaxed);
    }

    fn render(&self, page: &mut Page, name: &str, help: &str) {
        page.head(name, "histogram", help);
        for (bound, bucket) in LATENCY_BOUNDS_MS.iter().zip(&self.buckets) {
            let bound = *bound as f64 / 1_000.0;
            page.sample(&format!("{name}_bucket"), &[("le", &bound)], bucket.load(Ordering::Relaxed));
        }
        let count = self.count.load(Ordering::Relaxed);
        page.sample(&format!("{name}_bucket"), &[("le", &"+Inf")], count);
        page.sample(&format!("{name}_sum"), &[], self.sum_us.load(Ordering::Relaxed) as f64 / 1e6);
        page.sample(&format!("{name}_count"), &[], count);
    }
}

/// Prometheus text in the making. Label values come from closed sets and need no escaping.
#[derive(Debug, Default)]
pub(crate) struct Page(String);

impl Page {
    /// Begins a metric.
    pub(crate) fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ok = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// One value of the metric begun last.
    pub(crate) fn sample(
        &mut self,
        name: &str,
        labels: &[(&str, &dyn std::fmt::Display)],
        value: impl std::fmt::Display,
    ) {
        let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}=\"{v}\"")).collect();
        let braces = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ok = writeln!(self.0, "{name}{braces} {value}");
    }

    /// A metric with one value.
    pub(crate) fn single(&mut self, (name, kind, help): (&str, &str, &str), value: impl std::fmt::Display) {
        self.head(name, kind, help);
        self.sample(name, &[], value);
    }

    /// The text.
    pub(crate) fn finish(self) -> String {
        self.0
    }
}

impl NodeCoordinator {
    /// Prometheus text of everything this node counts.
    pub(crate) fn render_metrics(&self) -> String {
        let mut page = Page::default();
        let metrics = &self.metrics;
        page.single(
            ("steadfast_points_written_total", "counter", "Points acknowledged by this node."),
            metrics.points_written.load(Ordering::Relaxed),
        );
        page.single(
            (
                "steadfast_points_dropped_total",
                "counter",
                "Points refused one by one: types, retention, names.",
            ),
            metrics.points_dropped.load(Ordering::Relaxed),
        );
        metrics.statements.render(&mut page, "steadfast_statement_seconds", "How long statements took.");
        page.single(
            ("steadfast_queries_running", "gauge", "Statements at work; limit: query.max_concurrent."),
            self.turns.running(),
        );
        page.single(
            (
                "steadfast_queries_waiting",
                "gauge",
                "Statements that wait for a turn; limit: query.max_queued.",
            ),
            self.turns.waiting(),
        );
        page.single(
            (
                "steadfast_query_memory_bytes",
                "gauge",
                "Memory that statements hold; limit: query.memory_total.",
            ),
            self.query_memory.used_bytes(),
        );
        self.render_groups(&mut page);
        page.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_is_cumulative() {
        let histogram = Histogram::default();
        histogram.observe(Duration::from_millis(3));
        histogram.observe(Duration::from_secs(60));
        let mut page = Page::default();
        histogram.render(&mut page, "x_seconds", "Help.");
        let text = page.finish();
        assert!(text.contains("x_seconds_bucket{le=\"0.002\"} 0\n"), "{text}");
        assert!(text.contains("x_seconds_bucket{le=\"0.005\"} 1\n"), "{text}");
        assert!(text.contains("x_seconds_bucket{le=\"+Inf\"} 2\n"), "{text}");
        assert!(text.contains("x_seconds_count 2\n"), "{text}");
    }
}
