//! What reading costs: ns a point to scan and decode, ns a series to find it. `cargo bench -p storage --bench scan`.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use model::batch::{BatchHeader, BatchWriter, Row};
use model::scan::{ColumnBatch, ColumnReader, Order};
use model::time::ShardOrigin;
use model::value::ValueRef;
use model::{DatabaseId, FieldId, RetentionPolicyId, SeriesId, TagPredicate, TimeRange};
use std::sync::LazyLock;
use storage::{ApplyMarker, ShardStore, Shared, StorageConfig};

const DB: DatabaseId = DatabaseId(1);
const RP: RetentionPolicyId = RetentionPolicyId(1);
const GAUGE: FieldId = FieldId(0);
const COUNTER: FieldId = FieldId(1);
const RATE: FieldId = FieldId(2);
const SERIES: u32 = 50;
const DAYS: i64 = 14;
const MINUTE_NS: i64 = 60_000_000_000;
const DAY_NS: i64 = 1_440 * MINUTE_NS;

fn main() {
    divan::main();
}

struct Filled {
    store: ShardStore,
    _dir: tempfile::TempDir,
}

/// Two weeks of a point a minute, flushed as it came; `compacted` puts days together.
fn filled(compacted: bool) -> Filled {
    let dir = tempfile::tempdir().expect("a directory");
    let shared = Shared::new(&StorageConfig::default()).expect("an environment");
    let store = ShardStore::open(&dir.path().join("state"), &shared).expect("a store");
    let header = BatchHeader {
        database: DB,
        policy: RP,
        shard_duration_ns: 7 * DAY_NS,
        shard_origin: ShardOrigin::YearOne,
    };
    for day in 0..DAYS {
        let mut batch = BatchWriter::new(header);
        let keys: Vec<_> = (0..SERIES)
            .map(|s| batch.add_series(format!("m,host=h{s:05},zone=z{}", s % 3).as_bytes()))
            .collect();
        for minute in 0..1_440 {
            let time = day * DAY_NS + minute * MINUTE_NS;
            for (s, series) in keys.iter().enumerate() {
                let n = day * 1_440 + minute;
                let noise = (n * 7_919 + s as i64 * 104_729) % 1_000;
                let values = [
                    (GAUGE, ValueRef::Float(noise as f64 * 4_096.0)),
                    (COUNTER, ValueRef::Integer(n * 1_000 + noise)),
                    (RATE, ValueRef::Float(f64::from((noise as f32) / 7.0))),
                ];
                for (field, value) in values {
                    batch.push(&Row { series: *series, time, field, value });
                }
            }
        }
        let mut bytes = Vec::new();
        batch.finish(&mut bytes);
        store.apply_write(&bytes, ApplyMarker { index: day as u64 + 1, bytes: Vec::new() }).expect("applied");
        store.flush().expect("flushed");
    }
    while compacted && !store.compact(1_000_000).expect("compacted").is_done {}
    Filled { store, _dir: dir }
}

static WINDOWS: LazyLock<Filled> = LazyLock::new(|| filled(false));
static DAYS_TOGETHER: LazyLock<Filled> = LazyLock::new(|| filled(true));

/// Reads all points of a field of all series; answers how many there are.
fn read_all(filled: &Filled, field: FieldId, decode: bool) -> usize {
    let reader = filled.store.reader();
    let policy = reader.open(RP);
    let mut column = policy.column(field);
    let mut batch = ColumnBatch::default();
    let mut points = 0;
    for series in 0..SERIES {
        column.seek(SeriesId(series), TimeRange::ALL, Order::Ascending).expect("sought");
        while column.next_chunk().expect("read").is_some() {
            if decode {
                column.decode(&mut batch).expect("decoded");
                points += black_box(&batch).times.len();
            } else {
                points += black_box(column.stats()).map_or(0, |stats| stats.count as usize);
            }
        }
    }
    points
}

/// Items are points.
#[divan::bench(args = [("gauge", GAUGE), ("counter", COUNTER), ("rate", RATE)].map(|(n, f)| Field(n, f)))]
fn decode_windows(bencher: Bencher, field: Field) {
    bencher
        .counter(ItemsCount::new(SERIES as usize * DAYS as usize * 1_440))
        .bench(|| read_all(&WINDOWS, field.1, true));
}

/// Items are points.
#[divan::bench(args = [("gauge", GAUGE), ("counter", COUNTER), ("rate", RATE)].map(|(n, f)| Field(n, f)))]
fn decode_days(bencher: Bencher, field: Field) {
    bencher
        .counter(ItemsCount::new(SERIES as usize * DAYS as usize * 1_440))
        .bench(|| read_all(&DAYS_TOGETHER, field.1, true));
}

/// Summaries only; items are points.
#[divan::bench]
fn summaries_of_days(bencher: Bencher) {
    bencher
        .counter(ItemsCount::new(SERIES as usize * DAYS as usize * 1_440))
        .bench(|| read_all(&DAYS_TOGETHER, COUNTER, false));
}

/// The newest chunk of a series after the other; items are series.
#[divan::bench]
fn last_chunk(bencher: Bencher) {
    bencher.counter(ItemsCount::new(SERIES as usize)).bench(|| {
        let reader = DAYS_TOGETHER.store.reader();
        let policy = reader.open(RP);
        let mut column: Box<dyn ColumnReader + '_> = policy.column(COUNTER);
        for series in 0..SERIES {
            column.seek(SeriesId(series), TimeRange::ALL, Order::Descending).expect("sought");
            black_box(column.next_chunk().expect("read"));
        }
    });
}

/// Series by a tag; items are series found.
#[divan::bench]
fn lookup(bencher: Bencher) {
    let reader = WINDOWS.store.reader();
    let predicate = TagPredicate::Equal("zone".into(), "z1".into());
    let found = reader.series(DB, "m", &predicate).len();
    bencher.counter(ItemsCount::new(found)).bench(|| reader.series(DB, "m", &predicate).len());
}

#[derive(Debug, Clone, Copy)]
struct Field(&'static str, FieldId);

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}
