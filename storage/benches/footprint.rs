//! Memory a series, nanoseconds an applied row, and the time to open, for the replicas of all groups of one node.
//!
//! `MALLOC_CONF=dirty_decay_ms:0,muzzy_decay_ms:0 cargo bench -p storage --bench footprint -- 100000`

mod corpus;

use corpus::{Corpus, GROUPS};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};
use storage::{ApplyMarker, ShardMemory, ShardStore, Shared, StorageConfig};

/// Scrapes of known series.
const SCRAPES: i64 = 10;

struct Node {
    corpus: Corpus,
    clusters: usize,
    stores: Vec<ShardStore>,
    index: u64,
    first_rss: u64,
}

fn main() {
    let wanted = std::env::args().skip(1).find_map(|arg| arg.parse::<usize>().ok()).unwrap_or(100_000);
    let dir = tempfile::tempdir().expect("directory");
    let small = StorageConfig {
        block_cache_bytes: 8 << 20,
        write_buffer_bytes: 16 << 20,
        ..StorageConfig::default()
    };
    let shared = Shared::new(&small).expect("RocksDB");
    let corpus = Corpus::load();
    let clusters = wanted.div_ceil(corpus.series_per_cluster());
    let (stores, ..) = open_all(dir.path(), &shared);
    let mut node = Node { corpus, clusters, stores, index: 0, first_rss: rss() };
    say(&format!("{} series, {GROUPS} groups", node.series()));
    node.scrapes("new series, 1 point each", 0..1);
    node.flush("flushed");
    node.scrapes("known series, 10 points each", 1..SCRAPES + 1);
    node.flush("flushed");
    node.scrapes("known series, 20 points each", SCRAPES + 1..3 * SCRAPES + 1);
    node.flush("flushed");
    let Node { corpus, clusters, stores, index, first_rss } = node;
    drop(stores);
    let (stores, took, on_cpu) = open_all(dir.path(), &shared);
    let node = Node { corpus, clusters, stores, index, first_rss };
    node.report(&format!(
        "opened in {:.2} s, {:.2} s of processors",
        took.as_secs_f64(),
        on_cpu.as_secs_f64()
    ));
}

/// Opens all stores on as many threads as there are groups.
fn open_all(dir: &Path, shared: &Shared) -> (Vec<ShardStore>, Duration, Duration) {
    let (began, began_on_cpu) = (Instant::now(), all_on_cpu());
    let stores = std::thread::scope(|scope| {
        let opening: Vec<_> = (0..GROUPS)
            .map(|group| {
                scope.spawn(move || ShardStore::open(&dir.join(group.to_string()), shared).expect("store"))
            })
            .collect();
        opening.into_iter().map(|thread| thread.join().expect("opened")).collect()
    });
    (stores, began.elapsed(), all_on_cpu().saturating_sub(began_on_cpu))
}

impl Node {
    fn series(&self) -> usize {
        self.clusters * self.corpus.series_per_cluster()
    }

    fn scrapes(&mut self, what: &str, scrapes: std::ops::Range<i64>) {
        let (mut took, mut rows, mut bytes) = (Duration::ZERO, 0, 0);
        for scrape in scrapes {
            for cluster in 0..self.clusters {
                for (store, (batch, count)) in
                    self.stores.iter().zip(self.corpus.scrape(&self.stores, cluster, scrape))
                {
                    self.index += 1;
                    let marker = ApplyMarker { index: self.index, bytes: Vec::new() };
                    let began = on_cpu();
                    store.apply_write(&batch, marker).expect("applied");
                    took += on_cpu().saturating_sub(began);
                    rows += count;
                    bytes += batch.len();
                }
            }
        }
        let each = took.as_nanos() as f64 / rows as f64;
        self.report(&format!(
            "{what}: {each:.0} ns a row, {:.1} bytes of log a row",
            bytes as f64 / rows as f64
        ));
    }

    fn flush(&self, what: &str) {
        let (began, began_on_cpu) = (Instant::now(), all_on_cpu());
        for store in &self.stores {
            store.flush().expect("flushed");
        }
        let (took, on_cpu) =
            (began.elapsed().as_secs_f64(), all_on_cpu().saturating_sub(began_on_cpu).as_secs_f64());
        self.report(&format!("{what} in {took:.2} s, {on_cpu:.2} s of processors"));
    }

    fn report(&self, what: &str) {
        let used = rss() - self.first_rss;
        let parts = self.stores.iter().map(ShardStore::memory);
        let sum = |part: fn(&ShardMemory) -> u64| {
            parts.clone().map(|memory| part(&memory)).sum::<u64>() as f64 / self.series() as f64
        };
        say(&format!(
            "{:>6.0} bytes a series ({} MiB): {what}",
            used as f64 / self.series() as f64,
            used >> 20
        ));
        say(&format!(
            "       {:.0} told: series {:.0}, strings {:.0}, tag sets {:.0}, postings {:.0}, activity {:.0}, heads {:.0}, new keys {:.0}",
            sum(ShardMemory::total),
            sum(|m| m.series),
            sum(|m| m.strings),
            sum(|m| m.tag_sets),
            sum(|m| m.postings),
            sum(|m| m.activity),
            sum(|m| m.heads),
            sum(|m| m.new_keys),
        ));
    }
}

/// Time on a processor of all threads of this process, to some ten milliseconds.
fn all_on_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").expect("stat");
    let fields: Vec<&str> = text.rsplit(") ").next().expect("fields").split(' ').collect();
    let ticks: u64 = fields[11..13].iter().map(|n| n.parse::<u64>().expect("ticks")).sum();
    Duration::from_millis(ticks * 10)
}

/// How long this thread has been on a processor: other work on the machine does not count.
fn on_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("schedstat");
    Duration::from_nanos(text.split(' ').next().and_then(|ns| ns.parse().ok()).expect("nanoseconds"))
}

/// Bytes of memory that the process holds.
fn rss() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("statm");
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("pages") * 4096
}

fn say(text: &str) {
    writeln!(std::io::stdout(), "{text}").expect("stdout");
}
