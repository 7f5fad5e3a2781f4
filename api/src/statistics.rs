//! What a node counts, by the names of InfluxDB 1.x: SHOW STATS and `/debug/vars`.

use crate::metrics::HttpMetrics;

/// Some values under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statistic {
    /// `httpd`, `write`, `queryExecutor`, …
    pub name: &'static str,
    /// What it is about, sorted by key.
    pub tags: Vec<(&'static str, String)>,
    /// By name, sorted.
    pub values: Vec<(&'static str, i64)>,
}

impl Statistic {
    /// A statistic without tags.
    pub fn new(name: &'static str, values: Vec<(&'static str, i64)>) -> Self {
        Self { name, tags: Vec::new(), values }
    }

    /// What it is called in `/debug/vars`: its name and the values of the tags that 1.x puts there.
    pub(crate) fn key(&self) -> String {
        let of = |tag: &str| self.tags.iter().find(|(key, _)| *key == tag).map_or("", |(_, value)| value);
        match self.name {
            "database" => format!("database:{}", of("database")),
            "httpd" => format!("httpd:{}", of("bind")),
            "shard" => format!("shard:{}:{}", of("path"), of("id")),
            name => name.to_owned(),
        }
    }
}

/// What the HTTP surface counts, under the name of 1.x's.
pub fn httpd(metrics: &HttpMetrics, bind: &str, points: (u64, u64)) -> Statistic {
    let counts = metrics.counts();
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    Statistic {
        name: "httpd",
        tags: vec![("bind", bind.to_owned())],
        values: vec![
            ("authFail", number(counts.auth_failures)),
            ("clientError", number(counts.client_errors)),
            ("pingReq", number(counts.pings)),
            ("pointsWrittenDropped", number(points.1)),
            ("pointsWrittenFail", 0),
            ("pointsWrittenOK", number(points.0)),
            ("queryReq", number(counts.queries)),
            ("queryReqDurationNs", number(counts.query_ns)),
            // A panic ends the request of a client and is counted nowhere else; there is no place that recovers from one.
            ("recoveredPanics", 0),
            ("req", number(counts.requests)),
            ("reqActive", number(counts.active)),
            ("reqDurationNs", number(counts.request_ns)),
            ("serverError", number(counts.server_errors)),
            ("writeReq", number(counts.writes)),
            ("writeReqBytes", number(counts.write_bytes)),
            ("writeReqDurationNs", number(counts.write_ns)),
        ],
    }
}

/// What the operating system says of this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProcessMemory {
    /// Bytes in memory.
    pub resident_bytes: u64,
    /// Bytes of address space.
    pub virtual_bytes: u64,
    /// Threads.
    pub threads: u64,
}

/// Reads `/proc/self/status`; zeros where there is none.
pub fn process_memory() -> ProcessMemory {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0)
    };
    ProcessMemory {
        resident_bytes: number("VmRSS:") * 1_024,
        virtual_bytes: number("VmSize:") * 1_024,
        threads: number("Threads:"),
    }
}
