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
    writes_refused: AtomicU64,
    continuous_queries_ok: AtomicU64,
    continuous_queries_failed: AtomicU64,
    statements: Histogram,
}

impl NodeMetrics {
    /// Counts the points of one answered write.
    pub(crate) fn points_written(&self, written: u64, dropped: u64) {
        self.points_written.fetch_add(written, Ordering::Relaxed);
        self.points_dropped.fetch_add(dropped, Ordering::Relaxed);
    }

    /// Counts one write refused because the disk is full.
    pub(crate) fn write_refused(&self) {
        self.writes_refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one run of a continuous query.
    pub(crate) fn continuous_query_done(&self, ok: bool) {
        let counter = if ok { &self.continuous_queries_ok } else { &self.continuous_queries_failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Runs of continuous queries on this node: those that went well, those that failed.
    pub(crate) fn continuous_query_runs(&self) -> (u64, u64) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (count(&self.continuous_queries_ok), count(&self.continuous_queries_failed))
    }
    /// Points acknowledged and points dropped one by one.
    pub(crate) fn points(&self) -> (u64, u64) {
        (self.points_written.load(Ordering::Relaxed), self.points_dropped.load(Ordering::Relaxed))
    }

    /// Statements answered, and the time they took together.
    pub(crate) fn statements(&self) -> (u64, Duration) {
        let count = self.statements.count.load(Ordering::Relaxed);
        (count, Duration::from_micros(self.statements.sum_us.load(Ordering::Relaxed)))
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
        let [sent, dropped, failed, queued] = self.subscribers.counted();
        for (name, help, value) in [
            ("steadfast_subscription_points_sent_total", "Points that subscribers have taken.", sent),
            ("steadfast_subscription_points_dropped_total", "Points not sent for lack of room.", dropped),
            ("steadfast_subscription_points_failed_total", "Points that no destination took.", failed),
        ] {
            page.single((name, "counter", help), value);
        }
        page.single(
            ("steadfast_subscription_queued_bytes", "gauge", "Bytes that wait for subscribers."),
            queued,
        );
        page.single(
            (
                "steadfast_points_dropped_total",
                "counter",
                "Points refused one by one: types, retention, names.",
            ),
            metrics.points_dropped.load(Ordering::Relaxed),
        );
        page.single(
            (
                "steadfast_writes_refused_total",
                "counter",
                "Writes answered 503 because there is no room on the disk.",
            ),
            metrics.writes_refused.load(Ordering::Relaxed),
        );
        let (ok, failed) = metrics.continuous_query_runs();
        let name = "steadfast_continuous_query_runs_total";
        page.head(name, "counter", "Runs of continuous queries on this node.");
        page.sample(name, &[("outcome", &"ok")], ok);
        page.sample(name, &[("outcome", &"failed")], failed);
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
        page.single(
            (
                "steadfast_clock_offset_seconds",
                "gauge",
                "How far this node's clock is ahead of the middle one of the cluster's.",
            ),
            self.clock.ahead_ns() as f64 / 1e9,
        );
        self.render_groups(&mut page);
        self.render_disk(&mut page);
        self.about.certificates.render(&mut page);
        page.finish()
    }

    /// The disk, and what the Raft log takes of it.
    fn render_disk(&self, page: &mut Page) {
        let state = self.host.node_state();
        let log = self.host.log_disk();
        let stats = self.host.log_stats().unwrap_or_default();
        let level = crate::space::Level::number(&state.disk_level);
        let refusing = u64::from(self.host.refusal().is_some());
        let seconds = stats.sync_ns as f64 / 1e9;
        let gauges = [
            ("steadfast_disk_free_bytes", "Free on the file system of the data directory.", state.disk_free),
            ("steadfast_disk_total_bytes", "Its size.", state.disk_total),
            ("steadfast_disk_level", "0 ample, 1 low, 2 saving space, 3 full.", level),
            (
                "steadfast_disk_slow",
                "1 while fsyncs take so long that this node leads nothing.",
                u64::from(state.disk_is_slow),
            ),
            ("steadfast_writes_refused", "1 while writes are refused for lack of space.", refusing),
            ("steadfast_raft_log_live_bytes", "Entries of the Raft log that are not purged.", log.live_bytes),
            ("steadfast_raft_log_wal_bytes", "Write-ahead files of the Raft log.", log.wal_bytes),
            ("steadfast_raft_log_table_bytes", "Table files of the Raft log.", log.table_bytes),
            ("steadfast_raft_log_queued_bytes", "Bytes that wait for the log's writer.", stats.queued_bytes),
        ];
        for (name, help, value) in gauges {
            page.single((name, "gauge", help), value);
        }
        let counters = [
            ("steadfast_raft_log_entries_total", "Entries appended to the Raft log.", stats.entries),
            ("steadfast_raft_log_entry_bytes_total", "Bytes of these.", stats.entry_bytes),
            ("steadfast_raft_log_written_bytes_total", "Bytes written for the log.", stats.written_bytes),
            ("steadfast_raft_log_syncs_total", "Fsyncs of the Raft log.", stats.syncs),
            ("steadfast_raft_log_reopened_total", "Recoveries of the log.", self.host.log_reopened()),
        ];
        for (name, help, value) in counters {
            page.single((name, "counter", help), value);
        }
        page.single(
            ("steadfast_raft_log_sync_seconds_total", "counter", "Time spent in synced writes."),
            seconds,
        );
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
