//! Bytes and time a point, encoding and decoding, for each shape of values.
//!
//! `cargo bench -p storage --bench codecs` measures with divan; with `-- --table` it prints a table in Markdown for
//! chunks of 120 and 1,000 points instead.

#![allow(missing_docs, clippy::pedantic, clippy::unwrap_used, reason = "a benchmark")]

mod shapes;

use divan::Bencher;
use shapes::{ALL, Column, HEAPSTER, HEAPSTER_RATES, Shape};
use std::io::Write;
use std::time::Instant;
use storage::measure::{Points, decode_chunk};

const START: i64 = 1_700_000_040_000_000_000;

fn main() {
    if std::env::args().any(|arg| arg == "--table") {
        table(&mut std::io::stdout()).unwrap();
    } else {
        divan::main();
    }
}

fn shapes() -> impl Iterator<Item = Shape> {
    ALL.iter().map(|(shape, _)| *shape)
}

#[divan::bench(args = shapes())]
fn encode(bencher: Bencher<'_, '_>, shape: Shape) {
    let points = Column::new(shape, 1).points(START, 120);
    bencher.counter(divan::counter::ItemsCount::new(120usize)).bench(|| points.encode());
}

#[divan::bench(args = shapes())]
fn decode(bencher: Bencher<'_, '_>, shape: Shape) {
    let chunk = Column::new(shape, 1).points(START, 120).encode();
    bencher.counter(divan::counter::ItemsCount::new(120usize)).bench(|| decode_chunk(&chunk));
}

/// Bytes, ns to encode and ns to decode, each a point.
fn measure(shape: Shape, points: usize) -> [f64; 3] {
    let columns: Vec<Points> = (0..40).map(|seed| Column::new(shape, seed).points(START, points)).collect();
    let rounds = 40_000 / points / 40 + 1;
    let total = (points * columns.len()) as f64;
    let mut chunks = Vec::new();
    let started = Instant::now();
    for _ in 0..rounds {
        chunks = columns.iter().map(Points::encode).collect();
    }
    let encode = started.elapsed().as_nanos() as f64 / rounds as f64;
    let bytes: usize = chunks.iter().map(Vec::len).sum();
    let started = Instant::now();
    for _ in 0..rounds {
        for chunk in &chunks {
            std::hint::black_box(decode_chunk(chunk));
        }
    }
    let decode = started.elapsed().as_nanos() as f64 / rounds as f64;
    [bytes as f64, encode, decode].map(|sum| sum / total)
}

fn table(out: &mut impl Write) -> std::io::Result<()> {
    writeln!(
        out,
        "| Values | 120 points: bytes | encode ns | decode ns | 1,000 points: bytes | encode ns | decode ns |"
    )?;
    writeln!(out, "|--|--|--|--|--|--|--|")?;
    let mut row = |name: &str, small: [f64; 3], large: [f64; 3]| {
        let cells = small.iter().chain(&large).map(|v| format!("{v:.2}")).collect::<Vec<_>>();
        writeln!(out, "| {name} | {} |", cells.join(" | "))
    };
    for (shape, name) in ALL {
        row(name, measure(shape, 120), measure(shape, 1_000))?;
    }
    let mix = |points| {
        let mut sum = [0.0; 3];
        let mut count = 0;
        for (shape, n) in HEAPSTER.iter().chain(&HEAPSTER_RATES) {
            let of_shape = measure(*shape, points);
            count += n;
            for (sum, value) in sum.iter_mut().zip(of_shape) {
                *sum += value * *n as f64;
            }
        }
        sum.map(|v| v / count as f64)
    };
    row("**Heapster's mix**", mix(120), mix(1_000))
}
