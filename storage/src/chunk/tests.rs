//! Round trips, sizes and damage of whole chunks.

use super::*;
use model::FieldValue;
use model::scan::ChunkStats;
use proptest::prelude::*;

fn any_rows() -> impl Strategy<Value = Rows> {
    let times = prop_oneof![
        // Regular, as collectors write; with gaps; and anything.
        (any::<i32>(), 1i64..100_000, 1usize..300, prop::sample::select(vec![1, 1_000_000, 1_000_000_000]))
            .prop_map(|(first, step, n, unit)| (0..n as i64)
                .map(|i| (i64::from(first) + i * step) * unit)
                .collect::<Vec<_>>()),
        prop::collection::btree_set(-5_000i64..5_000, 1..300)
            .prop_map(|s| s.into_iter().map(|t| t * 1_000).collect()),
        prop::collection::btree_set(any::<i64>(), 1..50).prop_map(|s| s.into_iter().collect()),
    ];
    let types = prop::sample::select(vec![
        FieldType::Float,
        FieldType::Integer,
        FieldType::String,
        FieldType::Boolean,
        FieldType::Unsigned,
    ]);
    (times, types, any::<u64>(), 0u32..64)
        .prop_map(|(times, field_type, seed, shift)| rows_of(field_type, &times, seed, shift))
}

fn rows_of(field_type: FieldType, times: &[i64], seed: u64, shift: u32) -> Rows {
    let mut rows = Rows::new(field_type);
    let mut state = seed | 1;
    for time in times {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let value = state >> shift;
        let bits = match field_type {
            FieldType::Float if seed.is_multiple_of(3) => (value as f64).to_bits(),
            FieldType::Boolean => value & 1,
            FieldType::String => rows.strings.push(&value.to_le_bytes()[..(seed % 9) as usize]),
            FieldType::Float | FieldType::Integer | FieldType::Unsigned => value,
        };
        rows.rows.push((*time, bits));
    }
    rows
}

fn encoded(rows: &Rows) -> Vec<u8> {
    let mut chunk = Vec::new();
    encode(rows.field_type, &rows.rows, &rows.strings, &mut chunk);
    chunk
}

/// Values without regard to how strings are stored.
fn values(rows: &Rows) -> Vec<(i64, Vec<u8>)> {
    let value = |bits: u64| match rows.field_type {
        FieldType::String => rows.strings.get(bits).to_vec(),
        _ => bits.to_le_bytes().to_vec(),
    };
    rows.rows.iter().map(|(time, bits)| (*time, value(*bits))).collect()
}

fn minutes(n: i64) -> Vec<i64> {
    (0..n).map(|i| 1_700_000_040_000_000_000 + i * 60_000_000_000).collect()
}

#[test]
fn a_window_of_a_collector_costs_little() {
    let chunk = |field_type, value: fn(i64) -> u64| {
        let mut rows = Rows::new(field_type);
        rows.rows = minutes(120).into_iter().enumerate().map(|(i, t)| (t, value(i as i64))).collect();
        encoded(&rows).len()
    };
    let constant = chunk(FieldType::Integer, |_| 4_000_000_000);
    let counter = chunk(FieldType::Integer, |i| (5_000_000_000 + i * 60_000_000) as u64);
    let memory = chunk(FieldType::Float, |i| ((1_000_000_000 + 4096 * (i * i % 37)) as f64).to_bits());
    let cents = chunk(FieldType::Float, |i| ((i * i % 9_973) as f64 / 100.0).to_bits());
    assert!(constant <= 24, "constant: {constant}");
    assert!(counter <= 56, "counter: {counter}");
    assert!(memory <= 150, "memory: {memory}");
    assert!(cents <= 270, "cents: {cents}");
}

#[test]
fn statistics_are_those_of_the_points() {
    let mut rows = Rows::new(FieldType::Integer);
    rows.rows =
        minutes(100).into_iter().enumerate().map(|(i, t)| (t, ((i as i64 * 37) % 100 - 50) as u64)).collect();
    let chunk = encoded(&rows);
    let value = |i: usize| (rows.rows[i].0, FieldValue::Integer(rows.rows[i].1 as i64));
    let place = |v: i64| value(rows.rows.iter().position(|r| r.1 as i64 == v).unwrap());
    let expected = ChunkStats {
        count: 100,
        sum: Some(FieldValue::Integer(-50)),
        min: Some(place(-50)),
        max: Some(place(49)),
        first: value(0),
        last: value(99),
    };
    assert_eq!(Header::parse(&chunk).unwrap().stats, Some(expected));
}

#[test]
fn float_statistics_keep_fractions() {
    let mut rows = Rows::new(FieldType::Float);
    rows.rows = minutes(64).into_iter().enumerate().map(|(i, t)| (t, (i as f64 / 3.0).to_bits())).collect();
    let chunk = encoded(&rows);
    let stats = Header::parse(&chunk).unwrap().stats.unwrap();
    let sum = rows.rows.iter().skip(1).fold(0.0, |sum, r| sum + f64::from_bits(r.1));
    assert_eq!(stats.sum, Some(FieldValue::Float(sum)));
    assert_eq!(stats.max, Some((rows.rows[63].0, FieldValue::Float(21.0))));
}

#[test]
fn many_points_become_even_chunks() {
    let mut rows = Rows::new(FieldType::Integer);
    rows.rows = (0..2_001).map(|t| (t, t as u64)).collect();
    let value = blocks::encode(&rows, &rows.rows);
    let counts: Vec<usize> =
        blocks::split(&value).unwrap().iter().map(|c| Header::parse(c).unwrap().count).collect();
    assert_eq!(counts, [667, 667, 667]);
    assert_eq!(blocks::fold(&value).unwrap().unwrap(), rows);
}

#[test]
fn long_strings_become_more_chunks() {
    let mut rows = Rows::new(FieldType::String);
    for time in 0..40 {
        let place = rows.strings.push(format!("{time}{}", "x".repeat(100_000)).as_bytes());
        rows.rows.push((time, place));
    }
    let value = blocks::encode(&rows, &rows.rows);
    assert!(blocks::split(&value).unwrap().len() >= 4);
    assert_eq!(values(&blocks::fold(&value).unwrap().unwrap()), values(&rows));
}

#[test]
fn later_blocks_win() {
    let block = |points: &[(i64, u64)]| {
        let rows = Rows { rows: points.to_vec(), ..Rows::new(FieldType::Integer) };
        blocks::encode(&rows, &rows.rows)
    };
    let value =
        [block(&[(1, 1), (2, 2)]), block(&[(2, 20), (0, 0)][..1]), block(&[(2, 21), (3, 3)])].concat();
    assert_eq!(blocks::fold(&value).unwrap().unwrap().rows, [(1, 1), (2, 21), (3, 3)]);
    assert_eq!(blocks::fold(b"").unwrap(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn chunks_round_trip(rows in any_rows()) {
        let chunk = encoded(&rows);
        let header = Header::parse(&chunk).unwrap();
        prop_assert_eq!(header.count, rows.rows.len());
        prop_assert_eq!((header.first, header.last), (rows.rows[0].0, rows.rows[rows.rows.len() - 1].0));
        let back = decode_rows(&header).unwrap();
        prop_assert_eq!(values(&back), values(&rows));
        let batch = decode_batch(&header).unwrap();
        prop_assert_eq!(batch.times, rows.rows.iter().map(|r| r.0).collect::<Vec<_>>());
        prop_assert_eq!(format!("{:?}", batch.values), format!("{:?}", rows.into_batch().values));
    }

    #[test]
    fn a_flipped_bit_is_an_error(rows in any_rows(), at: prop::sample::Index, bit in 0u8..8) {
        let mut chunk = encoded(&rows);
        let at = at.index(chunk.len());
        chunk[at] ^= 1 << bit;
        prop_assert!(Header::parse(&chunk).is_err());
    }

    #[test]
    fn damage_that_the_checksum_misses_never_panics(rows in any_rows(), at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let chunk = encoded(&rows);
        let mut body = chunk[..chunk.len() - 4].to_vec();
        let at = at.index(body.len());
        body[at] = byte;
        body.truncate(cut.index(body.len()) + 1);
        body.extend(crc32fast::hash(&body.clone()).to_le_bytes());
        if let Ok(header) = Header::parse(&body) {
            drop(decode_batch(&header));
            drop(decode_rows(&header));
        }
    }

    #[test]
    fn foreign_bytes_never_panic(bytes: Vec<u8>) {
        drop(Header::parse(&bytes));
        drop(blocks::fold(&bytes));
    }
}
