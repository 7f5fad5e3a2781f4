//! SHOW STATS and SHOW DIAGNOSTICS: what is true of this node, under the names of InfluxDB 1.x where it means the same.

use crate::coordinator::NodeCoordinator;
use api::statistics::{Statistic, httpd};
use model::catalog::Database;
use query::result::{Cell, Series};
use std::sync::Arc;
use std::time::Duration;

/// `FOR` of the statistic that is about all indexes together.
const INDEXES: &str = "indexes";

impl NodeCoordinator {
    /// Everything this node counts.
    pub(crate) fn statistics(&self) -> Vec<Statistic> {
        let mut all = vec![runtime(), self.query_statistic()];
        let catalog = self.host.catalog();
        all.extend(catalog.databases.iter().map(|database| self.database_statistic(database)));
        let points = self.metrics.points();
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let counts = self.about.http.counts();
        all.push(Statistic::new(
            "write",
            vec![
                ("pointReq", number(points.0 + points.1)),
                ("pointReqLocal", number(points.0 + points.1)),
                ("req", number(counts.writes)),
                ("writeDrop", number(points.1)),
                ("writeError", number(counts.write_errors)),
                ("writeOk", number(counts.writes.saturating_sub(counts.write_errors))),
                ("writeTimeout", 0),
            ],
        ));
        all.push(httpd(&self.about.http, &self.about.bind, points));
        let (groups, shards) = self.shard_counts();
        let leading = self.host.groups().iter().filter(|group| group.is_leader()).count();
        all.push(Statistic::new(
            "steadfast",
            vec![
                ("dataGroups", groups as i64),
                ("groupsLed", leading as i64),
                ("queriesWaiting", self.turns.waiting() as i64),
                ("queryMemoryBytes", number(self.query_memory.used_bytes())),
                ("shards", shards as i64),
            ],
        ));
        all
    }

    fn query_statistic(&self) -> Statistic {
        let (finished, took) = self.metrics.statements();
        let active = self.running.count() as i64;
        let finished = i64::try_from(finished).unwrap_or(i64::MAX);
        Statistic::new(
            "queryExecutor",
            vec![
                ("queriesActive", active),
                ("queriesExecuted", finished.saturating_add(active)),
                ("queriesFinished", finished),
                ("queryDurationNs", i64::try_from(took.as_nanos()).unwrap_or(i64::MAX)),
                ("recoveredPanics", 0),
            ],
        )
    }

    fn database_statistic(&self, database: &Database) -> Statistic {
        let stores = self.stores();
        let series: u64 = stores.values().map(|store| store.series_count(database.id)).sum();
        let names: std::collections::BTreeSet<Arc<str>> =
            stores.values().flat_map(|store| store.reader().measurements(database.id)).collect();
        Statistic {
            name: "database",
            tags: vec![("database", database.name.to_string())],
            values: vec![
                ("numMeasurements", names.len() as i64),
                ("numSeries", i64::try_from(series).unwrap_or(i64::MAX)),
            ],
        }
    }

    /// SHOW STATS [FOR …].
    pub(super) fn show_stats(&self, module: &str) -> Vec<Series> {
        if module == INDEXES {
            let bytes: u64 = self.stores().values().map(|store| store.memory().total()).sum();
            let bytes = Cell::Integer(i64::try_from(bytes).unwrap_or(i64::MAX));
            return vec![table(INDEXES, &["memoryBytes"], vec![bytes])];
        }
        let wanted = |statistic: &Statistic| module.is_empty() || statistic.name == module;
        let series = |statistic: Statistic| {
            let tags = statistic.tags.iter().map(|(key, value)| (Arc::from(*key), Arc::from(value.as_str())));
            let tags: Vec<(Arc<str>, Arc<str>)> = tags.collect();
            let columns: Vec<&str> = statistic.values.iter().map(|(name, _)| *name).collect();
            let cells = statistic.values.iter().map(|(_, value)| Cell::Integer(*value)).collect();
            Series { tags: (!tags.is_empty()).then_some(tags), ..table(statistic.name, &columns, cells) }
        };
        self.statistics().into_iter().filter(wanted).map(series).collect()
    }

    /// SHOW DIAGNOSTICS [FOR …].
    pub(super) fn show_diagnostics(&self, module: &str) -> Vec<Series> {
        let limits = &self.limits;
        let text = |text: &str| Cell::String(text.into());
        let number = |value: u64| Cell::Integer(i64::try_from(value).unwrap_or(i64::MAX));
        let started = jiff::Timestamp::from_nanosecond(i128::from(self.about.started_ns)).unwrap_or_default();
        let now = jiff::Timestamp::from_nanosecond(i128::from(self.clock.now_ns())).unwrap_or_default();
        let uptime = Duration::from_nanos(self.clock.now_ns().saturating_sub(self.about.started_ns) as u64);
        let all = vec![
            table(
                "build",
                &["Branch", "Build Time", "Commit", "Version"],
                vec![text("unknown"), text(""), text("unknown"), text(api::config::INFLUXDB_VERSION)],
            ),
            table(
                "config-coordinator",
                &[
                    "log-queries-after",
                    "max-concurrent-queries",
                    "max-select-buckets",
                    "max-select-point",
                    "max-select-series",
                    "query-timeout",
                    "write-timeout",
                ],
                vec![
                    text("0s"),
                    number(limits.query_slots as u64),
                    number(limits.query.buckets_max),
                    number(limits.query.points_max),
                    number(limits.query.series_max),
                    text(&format!("{:?}", limits.query_timeout)),
                    text(&format!("{:?}", limits.write_timeout)),
                ],
            ),
            table("network", &["hostname"], vec![text(&hostname())]),
            table(
                "runtime",
                &["GOARCH", "GOMAXPROCS", "GOOS", "version"],
                vec![
                    text(go_arch()),
                    number(std::thread::available_parallelism().map_or(1, |n| n.get() as u64)),
                    text(std::env::consts::OS),
                    text("rust"),
                ],
            ),
            table(
                "steadfast",
                &["cluster", "node", "version"],
                vec![text(self.host.cluster()), number(self.host.node().0), text(env!("CARGO_PKG_VERSION"))],
            ),
            table(
                "system",
                &["PID", "currentTime", "started", "uptime"],
                vec![
                    number(u64::from(std::process::id())),
                    text(&now.to_string()),
                    text(&started.to_string()),
                    text(&format!("{uptime:?}")),
                ],
            ),
        ];
        all.into_iter().filter(|series| module.is_empty() || *series.name == *module).collect()
    }
}

/// What 1.x tells of Go's runtime, as far as there is such a thing: there is no garbage collection.
fn runtime() -> Statistic {
    let memory = api::statistics::process_memory();
    let resident = i64::try_from(memory.resident_bytes).unwrap_or(i64::MAX);
    Statistic::new(
        "runtime",
        vec![
            ("Alloc", resident),
            ("HeapAlloc", resident),
            ("HeapInUse", resident),
            ("NumGC", 0),
            ("NumGoroutine", i64::try_from(memory.threads).unwrap_or(i64::MAX)),
            ("PauseTotalNs", 0),
            ("Sys", i64::try_from(memory.virtual_bytes).unwrap_or(i64::MAX)),
        ],
    )
}

fn table(name: &str, columns: &[&str], cells: Vec<Cell>) -> Series {
    Series {
        name: name.into(),
        columns: columns.iter().map(|column| Arc::from(*column)).collect(),
        cells,
        ..Series::default()
    }
}

fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// The processor as Go calls it.
fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
