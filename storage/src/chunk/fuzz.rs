//! Decoders against bytes that nobody wrote. Each runs for a bounded time under plain `cargo test`;
//! `BOLERO_RANDOM_TEST_TIME_MS=600000 cargo test -p storage fuzz` drives them longer.
//!
//! The property: no panic, and what comes out has as many values as were asked for.

use super::*;
use crate::chunk::blocks::Block;
use std::time::Duration;

/// How long each target runs if nobody says otherwise.
const TIME: Duration = Duration::from_millis(400);

/// Runs a decoder on any bytes and any count.
fn decoder<T>(decode: impl Fn(&mut Cursor<'_>, usize) -> Option<Vec<T>> + std::panic::RefUnwindSafe) {
    bolero::check!().with_type::<(u16, Vec<u8>)>().with_test_time(TIME).for_each(|(count, bytes)| {
        let count = usize::from(*count) % POINTS_MAX + 1;
        if let Some(values) = decode(&mut Cursor::new(bytes), count) {
            assert_eq!(values.len(), count);
        }
    });
}

/// Runs a decoder on what an encoder wrote, with some bytes changed.
fn mutated(encode: impl Fn(&[u64], &mut Vec<u8>) + std::panic::RefUnwindSafe, decode: fn(&[u8], usize)) {
    let input = bolero::check!().with_type::<(Vec<u64>, u8, Vec<(u16, u8)>)>();
    input.with_test_time(TIME).for_each(|(values, shift, changes)| {
        let values: Vec<u64> = values.iter().take(POINTS_MAX).map(|v| v >> (shift % 64)).collect();
        if values.is_empty() {
            return;
        }
        let mut bytes = Vec::new();
        encode(&values, &mut bytes);
        for (place, byte) in changes {
            let place = usize::from(*place) % bytes.len();
            bytes[place] ^= byte;
        }
        decode(&bytes, values.len());
    });
}

#[test]
fn fuzz_ints() {
    decoder(ints::decode);
}

#[test]
fn fuzz_floats() {
    decoder(floats::decode);
}

#[test]
fn fuzz_bools() {
    decoder(bools::decode);
}

#[test]
fn fuzz_strings() {
    decoder(|bytes, count| strings::decode(bytes, count).map(|dictionary| dictionary.texts()));
}

#[test]
fn fuzz_changed_ints() {
    let encode = |values: &[u64], out: &mut Vec<u8>| {
        ints::encode(&values.iter().map(|v| *v as i64).collect::<Vec<_>>(), out);
    };
    mutated(encode, |bytes, count| drop(ints::decode(&mut Cursor::new(bytes), count)));
}

#[test]
fn fuzz_changed_floats() {
    let encode = |values: &[u64], out: &mut Vec<u8>| {
        floats::encode(&values.iter().map(|v| f64::from_bits(*v)).collect::<Vec<_>>(), out);
    };
    mutated(encode, |bytes, count| drop(floats::decode(&mut Cursor::new(bytes), count)));
}

#[test]
fn fuzz_changed_pco() {
    let encode = |values: &[u64], out: &mut Vec<u8>| {
        let values: Vec<f64> = values.iter().map(|v| *v as f64 / 7.0).collect();
        out.extend(pcodec::encode(&values).unwrap_or_default());
        out.push(0);
    };
    mutated(encode, |bytes, count| {
        drop(pcodec::decode::<f64>(bytes, count));
        drop(pcodec::decode::<f32>(bytes, count));
    });
}

/// A chunk whose checksum is right and whose other bytes are anything.
fn checked(bytes: &[u8]) -> Vec<u8> {
    let mut chunk = bytes.to_vec();
    chunk.extend(crc32fast::hash(bytes).to_le_bytes());
    chunk
}

fn read(chunk: &[u8]) {
    if let Ok(Block::Chunk(header)) = Block::parse(chunk) {
        if let Ok(batch) = decode_batch(&header) {
            assert_eq!((batch.times.len(), batch.values.len()), (header.count, header.count));
            assert!(batch.times.is_sorted_by(|a, b| a < b));
        }
        drop(decode_rows(&header));
    }
}

#[test]
fn fuzz_chunks() {
    bolero::check!().with_type::<Vec<u8>>().with_test_time(TIME).for_each(|bytes| {
        read(&checked(bytes));
        read(&checked(&[&[1, 2, 4, 0, 0, 4], &bytes[..]].concat()));
    });
}

#[test]
fn fuzz_changed_chunks() {
    for field_type in [FieldType::Float, FieldType::Integer, FieldType::String, FieldType::Boolean] {
        let encode = move |values: &[u64], out: &mut Vec<u8>| {
            let mut rows = Rows::new(field_type);
            for (time, value) in (0..).map(|i| i * 1_000_000_000 + i % 3).zip(values) {
                let bits = match field_type {
                    FieldType::String => rows.strings.push(&value.to_le_bytes()[..3]),
                    FieldType::Boolean => value & 1,
                    FieldType::Float | FieldType::Integer | FieldType::Unsigned => *value,
                };
                rows.rows.push((time, bits));
            }
            encode(field_type, &rows.rows, &rows.strings, out);
            out.truncate(out.len() - header::CRC_BYTES);
        };
        mutated(encode, |bytes, _| read(&checked(bytes)));
    }
}

#[test]
fn fuzz_values() {
    bolero::check!().with_type::<Vec<u8>>().with_test_time(TIME).for_each(|bytes| {
        drop(blocks::split(bytes));
        drop(blocks::fold(bytes));
        // As one block whose checksum is right.
        let block = checked(bytes);
        let mut value = Vec::new();
        model::batch::put_varint(&mut value, block.len() as u64);
        value.extend(block);
        drop(blocks::fold(&value));
    });
}
