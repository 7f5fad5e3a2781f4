//! Sealed points: up to about a thousand of one field of one series, compressed; `docs/format/chunk.md` draws it.
//!
//! Flush and compaction encode, scans and checksums decode. Pure: it knows no keys, no database and no RocksDB.
//! A value under a chunk key is a row of [blocks]; of two blocks that hold the same time, the later one wins.
//!
//! [blocks]: mod@blocks

mod bits;
mod blob;
pub(crate) mod blocks;
mod bools;
mod erasure;
mod floats;
mod header;
mod ints;
mod pcodec;
mod rows;
mod stats;
mod strings;
mod times;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;

pub(crate) use header::Header;
pub(crate) use rows::{Rows, Strings};
pub(crate) use times::Clock;

use crate::bytes::Cursor;
use model::FieldType;
use model::scan::ColumnBatch;
use model::value::Values;

/// Most points that one chunk may hold: what a decoder is ready to allocate.
pub(crate) const POINTS_MAX: usize = 1_024;

/// Why bytes are not a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Damage(pub(crate) &'static str);

/// Appends the chunk of `rows`, which are sorted, each time once, between 1 and [`POINTS_MAX`] of them.
pub(crate) fn encode(field_type: FieldType, rows: &[(i64, u64)], strings: &Strings, out: &mut Vec<u8>) {
    let start = out.len();
    header::encode(field_type, rows, out);
    times::encode_steps(rows, out);
    match field_type {
        FieldType::Float => {
            floats::encode(&rows.iter().map(|r| f64::from_bits(r.1)).collect::<Vec<_>>(), out);
        }
        FieldType::Integer | FieldType::Unsigned => {
            ints::encode(&rows.iter().map(|r| r.1 as i64).collect::<Vec<_>>(), out);
        }
        FieldType::Boolean => bools::encode(rows.iter().map(|r| r.1 != 0), out),
        FieldType::String => strings::encode(rows.iter().map(|r| strings.get(r.1)), out),
    }
    let crc = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
}

/// The values of a chunk as they are stored: strings as bytes, each distinct one once.
enum Column {
    Float(Vec<f64>),
    Integer(Vec<i64>),
    Boolean(Vec<bool>),
    String(strings::Dictionary),
}

fn decode_column(header: &Header<'_>) -> Result<(Vec<i64>, Column), Damage> {
    let mut body = Cursor::new(header.body);
    let times = times::decode(header, &mut body).ok_or(Damage("times"))?;
    let column = match header.field_type {
        FieldType::Float => floats::decode(&mut body, header.count).map(Column::Float),
        FieldType::Integer | FieldType::Unsigned => {
            ints::decode(&mut body, header.count).map(Column::Integer)
        }
        FieldType::Boolean => bools::decode(&mut body, header.count).map(Column::Boolean),
        FieldType::String => strings::decode(&mut body, header.count).map(Column::String),
    };
    let column = column.ok_or(Damage("values"))?;
    if !body.is_empty() {
        return Err(Damage("bytes after the values"));
    }
    Ok((times, column))
}

/// Decodes for reading.
pub(crate) fn decode_batch(header: &Header<'_>) -> Result<ColumnBatch, Damage> {
    let (times, column) = decode_column(header)?;
    let values = match column {
        Column::Float(v) => Values::Float(v),
        Column::Integer(v) if header.field_type == FieldType::Unsigned => {
            Values::Unsigned(v.into_iter().map(|v| v as u64).collect())
        }
        Column::Integer(v) => Values::Integer(v),
        Column::Boolean(v) => Values::Boolean(v),
        Column::String(v) => Values::String(v.texts()),
    };
    Ok(ColumnBatch { times, values })
}

/// Decodes for merging and hashing: every bit as it was written.
pub(crate) fn decode_rows(header: &Header<'_>) -> Result<Rows, Damage> {
    let (times, column) = decode_column(header)?;
    let mut strings = Strings::default();
    let bits: Vec<u64> = match column {
        Column::Float(v) => v.into_iter().map(f64::to_bits).collect(),
        Column::Integer(v) => v.into_iter().map(|v| v as u64).collect(),
        Column::Boolean(v) => v.into_iter().map(u64::from).collect(),
        Column::String(v) => {
            strings = Strings::from_distinct(&v.distinct());
            v.ids.into_iter().map(|id| id as u64).collect()
        }
    };
    let rows = times.into_iter().zip(bits).collect();
    Ok(Rows { field_type: header.field_type, rows, strings })
}
