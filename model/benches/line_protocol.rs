//! Reading line protocol and encoding batches: ns for a line of Heapster's shape, 330 bytes.

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use model::batch::{BatchHeader, BatchReader, BatchWriter, RowSeries};
use model::line_protocol::{LineReader, RawLines, parse};
use model::placement::{Slotter, slot};
use model::time::ShardOrigin;
use model::value::ValueRef;
use model::{DatabaseId, FieldId, RetentionPolicyId, SeriesId};
use std::fmt::Write;

const LINES: usize = 1_000;

fn main() {
    divan::main();
}

fn body() -> String {
    let mut body = String::new();
    for i in 0..LINES {
        let (node, pod) = (i % 50, i % 300);
        let key = format!(
            "memory/working_set,cluster_name=default,container_base_image=registry.example.com/shop/cart:1.{pod},\
             container_name=cart,host_id=node-{node:03}.example.internal,hostname=node-{node:03}.example.internal,\
             labels=app:cart\\,tier:backend,namespace_name=production,nodename=node-{node:03}.example.internal,\
             pod_id=0c4c2f40-c953-11e8-9b63-{pod:012},pod_name=cart-3303029031-{i:05},type=pod_container"
        );
        writeln!(body, "{key} value={}i 1795235260000000000", 100_000 + i * 4096).unwrap_or_default();
    }
    body
}

fn header() -> BatchHeader {
    BatchHeader {
        database: DatabaseId(1),
        policy: RetentionPolicyId(1),
        shard_duration_ns: 1 << 50,
        shard_origin: ShardOrigin::YearOne,
    }
}

fn batch() -> Vec<u8> {
    let mut batch = BatchWriter::new(header());
    for i in 0..LINES as u32 {
        let value = ValueRef::Integer(100_000 + i64::from(i) * 4096);
        let series = RowSeries::Known(SeriesId(i * 7 % 12_345));
        batch.push_value(series, 1_795_235_260_000_000_000, FieldId(i % 40), &value);
    }
    let mut bytes = Vec::new();
    batch.finish(&mut bytes);
    bytes
}

#[divan::bench]
fn parse_whole_lines(bencher: Bencher<'_, '_>) {
    let body = body();
    let counted = bencher.counter(ItemsCount::new(LINES)).counter(BytesCount::of_str(&body));
    counted.bench(|| parse(black_box(body.as_bytes()), 1).lines.len());
}

#[divan::bench]
fn find_raw_keys(bencher: Bencher<'_, '_>) {
    let body = body();
    let counted = bencher.counter(ItemsCount::new(LINES)).counter(BytesCount::of_str(&body));
    counted.bench(|| {
        RawLines::new(black_box(body.as_bytes())).filter_map(|raw| raw.key).map(|key| key.len).sum::<u32>()
    });
}

#[divan::bench]
fn read_values(bencher: Bencher<'_, '_>) {
    let body = body();
    let lines: Vec<_> = RawLines::new(body.as_bytes()).collect();
    bencher.counter(ItemsCount::new(LINES)).bench(|| {
        let mut reader = LineReader::new(1);
        let key_len = |raw: &model::line_protocol::RawLine<'_>| raw.key.map_or(0, |key| key.len as usize);
        lines.iter().filter(|raw| reader.values(black_box(raw.text), key_len(raw)).is_ok()).count()
    });
}

#[divan::bench(args = ["one by one", "slotter"])]
fn find_slots(bencher: Bencher<'_, '_>, way: &str) {
    let body = body();
    let raw: Vec<_> = RawLines::new(body.as_bytes()).collect();
    let keys: Vec<&[u8]> = raw.iter().filter_map(|raw| Some(&raw.text[..raw.key?.len as usize])).collect();
    let counted = bencher.counter(ItemsCount::new(LINES));
    if way == "slotter" {
        counted.bench(|| {
            let mut slotter = Slotter::new("k8s");
            keys.iter().map(|key| u32::from(slotter.slot(black_box(key)))).sum::<u32>()
        });
    } else {
        counted.bench(|| keys.iter().map(|key| u32::from(slot("k8s", black_box(key)))).sum::<u32>());
    }
}

#[divan::bench]
fn encode_batch(bencher: Bencher<'_, '_>) {
    bencher.counter(ItemsCount::new(LINES)).bench(|| black_box(batch()).len());
}

#[divan::bench]
fn decode_batch(bencher: Bencher<'_, '_>) {
    let bytes = batch();
    bencher
        .counter(ItemsCount::new(LINES))
        .bench(|| BatchReader::new(black_box(&bytes)).into_iter().flatten().flatten().count());
}
