//! Sealing, folding and compaction, and what a point costs on disk.
//!
//! `cargo bench -p storage --bench seal` measures with divan; `-- --disk SERIES POINTS` writes Heapster's mix into one
//! store, a minute apart, flushes every ten minutes, and prints the bytes of its files.

#![allow(missing_docs, clippy::pedantic, clippy::unwrap_used, reason = "a benchmark")]

mod shapes;

use divan::Bencher;
use divan::counter::ItemsCount;
use model::batch::{BatchHeader, BatchWriter, Row, RowSeries};
use model::time::ShardOrigin;
use model::value::ValueRef;
use model::{DatabaseId, FieldId, FieldType, RetentionPolicyId};
use shapes::{ALL, Column, HEAPSTER, HEAPSTER_RATES, Shape};
use std::io::Write;
use std::time::Instant;
use storage::measure::{Points, compact_files, fold, table_bytes};
use storage::{ApplyMarker, ShardStore, Shared, StorageConfig};
use tempfile::TempDir;

const MINUTE: i64 = 60_000_000_000;
/// A Monday, 0:00.
const START: i64 = 1_699_833_600_000_000_000;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let Some(place) = args.iter().position(|arg| arg == "--disk") else { return divan::main() };
    let number = |n: usize, default| args.get(place + n).and_then(|s| s.parse().ok()).unwrap_or(default);
    disk(number(1, 2_000), number(2, 2_000), &mut std::io::stdout()).unwrap();
}

/// A store with Heapster's series in it.
struct Load {
    store: ShardStore,
    columns: Vec<Column>,
    minute: i64,
    index: u64,
    _dir: TempDir,
}

impl Load {
    fn new(series: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let shared = Shared::new(&StorageConfig::default()).unwrap();
        let store = ShardStore::open(&dir.path().join("state"), &shared).unwrap();
        let mix = || HEAPSTER.iter().chain(&HEAPSTER_RATES);
        let one = || mix().flat_map(|(shape, n)| std::iter::repeat_n(*shape, *n));
        let columns = one().cycle().take(series).enumerate().map(|(i, s)| Column::new(s, i as u64));
        Self { store, columns: columns.collect(), minute: 0, index: 0, _dir: dir }
    }

    /// What Heapster says of a container.
    fn key(series: usize) -> String {
        let (metric, pod) = (series % 30, series / 30);
        let (app, node) = (pod % 17, pod % 40);
        let hash = (pod as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let template = hash >> 34;
        let labels = format!(
            r"app.kubernetes.io/managed-by:Tiller\,app:service-{app}\,chart:service-{app}-1.8.2\,pod-template-hash:{template}\,tier:backend\,version:v2.17"
        );
        format!(
            "metric/{metric},cluster_name=default,container_base_image=registry.example/service-{app}:0.12.15,container_name=main,labels={labels},namespace_name=production,nodename=node-{node}.example.internal,pod_name=service-{app}-{template}-{:05x},type=pod_container",
            hash & 0xf_ffff
        )
    }

    /// Writes one point of each series.
    fn write(&mut self) {
        let header = BatchHeader {
            database: DatabaseId(1),
            policy: RetentionPolicyId(1),
            shard_duration_ns: 7 * 1_440 * MINUTE,
            shard_origin: ShardOrigin::YearOne,
        };
        let mut batch = BatchWriter::new(header);
        for (place, column) in self.columns.iter_mut().enumerate() {
            let key = Self::key(place);
            let known = self.store.lookup_series(DatabaseId(1), key.as_bytes());
            let series = known.map_or_else(|| batch.add_series(key.as_bytes()), RowSeries::Known);
            let bits = column.next();
            let value = match column.field_type() {
                FieldType::Float => ValueRef::Float(f64::from_bits(bits)),
                _ => ValueRef::Integer(bits as i64),
            };
            // A field belongs to a measurement and has one type.
            let float = u32::from(column.field_type() == FieldType::Float);
            let field = FieldId((place % 30) as u32 * 2 + float);
            batch.push(&Row { series, time: START + self.minute * MINUTE, field, value });
        }
        let mut bytes = Vec::new();
        batch.finish(&mut bytes);
        self.index += 1;
        self.minute += 1;
        self.store.apply_write(&bytes, ApplyMarker { index: self.index, bytes: vec![1] }).unwrap();
    }

    fn compact(&self) -> u64 {
        let mut points = 0;
        loop {
            let step = self.store.compact(50_000).unwrap();
            points += step.points;
            if step.is_done {
                return points;
            }
        }
    }
}

fn disk(series: usize, points: usize, out: &mut impl Write) -> std::io::Result<()> {
    let mut load = Load::new(series);
    let (mut writing, mut flushing) = (0.0, 0.0);
    for minute in 1..=points {
        let started = Instant::now();
        load.write();
        writing += started.elapsed().as_secs_f64();
        if minute % 10 == 0 || minute == points {
            let started = Instant::now();
            load.store.flush().unwrap();
            flushing += started.elapsed().as_secs_f64();
        }
    }
    let total = (series * points) as f64;
    let report = |out: &mut dyn Write, what: &str| {
        let [meta, series, chunks] = table_bytes(&load.store).map(|bytes| bytes as f64 / total);
        let all = meta + series + chunks;
        writeln!(out, "| {what} | {chunks:.3} | {series:.3} | {meta:.4} | **{all:.3}** |")
    };
    writeln!(
        out,
        "{series} series of {points} points; ns a point: write {:.0}, flush {:.0}",
        writing * 1e9 / total,
        flushing * 1e9 / total
    )?;
    writeln!(out, "| Bytes a point | chunks | series | records | all |\n|--|--|--|--|--|")?;
    report(out, "flushed")?;
    compact_files(&load.store).unwrap();
    report(out, "files compacted")?;
    let started = Instant::now();
    let rewritten = load.compact();
    let took = started.elapsed().as_secs_f64() * 1e9 / rewritten.max(1) as f64;
    load.store.flush().unwrap();
    compact_files(&load.store).unwrap();
    report(out, "days compacted")?;
    writeln!(out, "{rewritten} points compacted, {took:.0} ns each")
}

/// A flush of ten points each of 3,000 series.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn flush(bencher: Bencher<'_, '_>) {
    let mut load = Load::new(3_000);
    bencher.counter(ItemsCount::new(30_000usize)).bench_local(|| {
        for _ in 0..10 {
            load.write();
        }
        load.store.flush().unwrap();
    });
}

/// Folding a window of 120 points that eight flushes appended to.
#[divan::bench(args = ALL.map(|(shape, _)| shape))]
fn fold_window(bencher: Bencher<'_, '_>, shape: Shape) {
    let mut column = Column::new(shape, 1);
    let value: Vec<u8> = (0..8).flat_map(|i| column.points(START + i * 15 * MINUTE, 15).seal()).collect();
    bencher.counter(ItemsCount::new(120usize)).bench(|| fold(&value));
}

/// Sealing a day of 1,440 points.
#[divan::bench(args = ALL.map(|(shape, _)| shape))]
fn seal_day(bencher: Bencher<'_, '_>, shape: Shape) {
    let points: Points = Column::new(shape, 1).points(START, 1_440);
    bencher.counter(ItemsCount::new(1_440usize)).bench(|| points.seal());
}
