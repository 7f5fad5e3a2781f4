//! Bytes from the network and from a disk against what reads them: no panic, and what comes out is sound. Each target runs
//! for a bounded time under plain `cargo test`; `BOLERO_RANDOM_TEST_TIME_MS=600000` drives them longer.

use model::batch::{BatchHeader, BatchReader, BatchWriter, Row, RowSeries};
use model::line_protocol::{LineReader, Lines, RawLines, parse};
use model::time::ShardOrigin;
use model::value::ValueRef;
use model::{DatabaseId, Delete, FieldId, RetentionPolicyId, SeriesId};
use std::time::{Duration, Instant};

/// How long each target runs if nobody says otherwise.
const TIME: Duration = Duration::from_millis(400);
/// Far above what any input below takes, far below what it would take if the cost were not linear.
const PATIENCE: Duration = Duration::from_secs(20);

fn read_batch(bytes: &[u8]) {
    let Ok(reader) = BatchReader::new(bytes) else { return };
    assert!(reader.header().shard_duration_ns > 0);
    let new_series = reader.new_series().len();
    let mut rows = 0_usize;
    for row in reader {
        let Ok(Row { series, .. }) = row else { break };
        assert!(matches!(series, RowSeries::Known(_)) || new_series > 0);
        rows += 1;
    }
    // A row takes a byte at least, so memory is bounded by what was sent.
    assert!(rows + new_series <= bytes.len());
}

#[test]
fn fuzz_batches() {
    bolero::check!().with_type::<Vec<u8>>().with_test_time(TIME).for_each(|bytes| {
        read_batch(bytes);
        // Behind a head that is right.
        read_batch(&[&[1, 1, 1, 1, 1, 1, b'm'], &bytes[..]].concat());
    });
}

#[test]
fn fuzz_changed_batches() {
    let input = bolero::check!().with_type::<(Vec<(u16, i64, u64)>, Vec<(u16, u8)>)>();
    input.with_test_time(TIME).for_each(|(points, changes)| {
        let header = BatchHeader {
            database: DatabaseId(1),
            policy: RetentionPolicyId(2),
            shard_duration_ns: 3_600_000_000_000,
            shard_origin: ShardOrigin::YearOne,
        };
        let mut writer = BatchWriter::new(header);
        let new = writer.add_series(b"m,h=a");
        for (place, time, bits) in points {
            let series = if place % 2 == 0 { new } else { RowSeries::Known(SeriesId(u32::from(*place))) };
            let text = bits.to_le_bytes();
            let value = match place % 5 {
                0 => ValueRef::Float(f64::from_bits(*bits)),
                1 => ValueRef::Integer(*bits as i64),
                2 => ValueRef::Unsigned(*bits),
                3 => ValueRef::Boolean(bits % 2 == 0),
                _ => ValueRef::String(text.as_slice().into()),
            };
            writer.push_value(series, *time, FieldId(u32::from(*place) % 7), &value);
        }
        let mut bytes = Vec::new();
        writer.finish(&mut bytes);
        assert_eq!(BatchReader::new(&bytes).unwrap().flatten().count(), points.len());
        for (place, byte) in changes {
            let place = usize::from(*place) % bytes.len();
            bytes[place] ^= byte;
        }
        read_batch(&bytes);
    });
}

#[test]
fn fuzz_deletes() {
    bolero::check!().with_type::<Vec<u8>>().with_test_time(TIME).for_each(|bytes| {
        drop(Delete::decode(bytes));
        drop(Delete::decode(&[&[1], &bytes[..]].concat()));
    });
}

/// Reads a body both ways, as `/write` does and as a whole, and compares.
fn read_lines(body: &[u8]) {
    let Lines { lines, fields, errors } = parse(body, 1_000);
    let mut reader = LineReader::new(1_000);
    let mut good = 0;
    let raw = RawLines::new(body).inspect(|raw| {
        if let Ok(key) = reader.key(raw.text) {
            good += usize::from(reader.values(raw.text, key.raw_len).is_ok());
        }
    });
    let all = raw.count();
    assert_eq!(good, lines.len());
    assert!(errors.len() <= all && lines.len() <= all);
    for line in &lines {
        assert!(line.fields.start < line.fields.end && line.fields.end as usize <= fields.len());
        assert!(!line.measurement().is_empty());
        let keys: Vec<_> = line.tags().map(|tag| tag.0.into_owned()).collect();
        assert!(keys.is_sorted(), "tags of {:?}", String::from_utf8_lossy(&line.key));
    }
}

#[test]
fn fuzz_bodies() {
    bolero::check!().with_type::<Vec<u8>>().with_test_time(TIME).for_each(|bytes| read_lines(bytes));
}

/// Parts of lines in any order: they go deeper than bytes.
#[test]
fn fuzz_lines() {
    const PARTS: [&str; 24] = [
        "m",
        "cpu",
        ",",
        "=",
        " ",
        "\n",
        "\\",
        "\"",
        "h=a",
        "v=1",
        "i=2i",
        "s=\"x\"",
        "b=t",
        "1000",
        "-5",
        "9223372036854775807",
        "#",
        "\r",
        "\\,",
        "\\=",
        "\\ ",
        "é",
        "\0",
        "1e400",
    ];
    bolero::check!().with_type::<Vec<u8>>().with_test_time(TIME).for_each(|choices| {
        let body: String = choices.iter().map(|c| PARTS[usize::from(*c) % PARTS.len()]).collect();
        read_lines(body.as_bytes());
    });
}

#[test]
fn a_body_costs_no_more_than_its_bytes() {
    const BYTES: usize = 4 << 20;
    for part in [
        ",",
        "=",
        " ",
        "\n",
        "\\",
        "\"",
        "\\\"",
        "a,",
        "a=b,",
        "a\\",
        "m v=\"",
        "m v=1\n",
        "m v=1,v=1,",
        "#",
        "\0",
        "m,b=1,a=1 v=1 1\n",
        "0",
        "-",
        "m v=1 ",
    ] {
        for head in ["", "m ", "m,", "m v=", "m v=\"", "m v=1 "] {
            let body = [head, &part.repeat(BYTES / part.len())].concat();
            let begun = Instant::now();
            drop(parse(body.as_bytes(), 1));
            assert!(begun.elapsed() < PATIENCE, "{head:?} and many {part:?}");
        }
    }
}
