//! The summary in a chunk's header, so that a wide window need not decode: for numbers, when it pays.
//!
//! ```text
//! stats := form u8 | sum | first | last | least | greatest | offset of least varint | offset of greatest varint
//!   form 0: whole numbers: sum and first as zigzag varint, the others as zigzag varint of their distance to first
//!   form 1: five floats, 8 bytes LE each
//!   form 2: the sum as in form 1, then four 32-bit floats, 4 bytes LE each
//! offset := units from the first time to the earliest time with that value
//! ```

use super::times::Clock;
use crate::bytes::Cursor;
use model::batch::{put_varint, zigzag};
use model::scan::ChunkStats;
use model::{FieldType, FieldValue};

const WHOLE: u8 = 0;
const FLOATS: u8 = 1;
const SINGLES: u8 = 2;
/// Fewer points decode as fast as they are summed up, and the header would cost more than it saves.
const POINTS_MIN: usize = 64;

/// Statistics to be written.
pub(super) enum Stats {
    Whole(Summary<i64>),
    Floats(Summary<f64>),
}

pub(super) struct Summary<T> {
    sum: T,
    first: T,
    last: T,
    least: (i64, T),
    greatest: (i64, T),
}

/// The summary of these rows, unless they are few, all the same (then decoding is as cheap), or not numbers.
pub(super) fn of(field_type: FieldType, rows: &[(i64, u64)]) -> Option<Stats> {
    if rows.len() < POINTS_MIN || rows.iter().all(|r| r.1 == rows[0].1) {
        return None;
    }
    match field_type {
        FieldType::Integer => {
            let values = rows.iter().map(|r| (r.0, r.1 as i64));
            Some(Stats::Whole(summary(values, i64::wrapping_add, |a, b| a < b)?))
        }
        FieldType::Unsigned => {
            let values = rows.iter().map(|r| (r.0, r.1 as i64));
            Some(Stats::Whole(summary(values, i64::wrapping_add, |a, b| (a as u64) < b as u64)?))
        }
        FieldType::Float => {
            let values = rows.iter().map(|r| (r.0, f64::from_bits(r.1)));
            let floats = summary(values, |a, b| a + b, |a, b| a < b)?;
            Some(floats.as_whole().map_or(Stats::Floats(floats), Stats::Whole))
        }
        FieldType::Boolean | FieldType::String => None,
    }
}

fn summary<T: Copy>(
    mut values: impl Iterator<Item = (i64, T)>,
    add: impl Fn(T, T) -> T,
    less: impl Fn(T, T) -> bool,
) -> Option<Summary<T>> {
    let first = values.next()?;
    let mut sum = Summary { sum: first.1, first: first.1, last: first.1, least: first, greatest: first };
    for (time, value) in values {
        sum.sum = add(sum.sum, value);
        sum.last = value;
        if less(value, sum.least.1) {
            sum.least = (time, value);
        }
        if less(sum.greatest.1, value) {
            sum.greatest = (time, value);
        }
    }
    Some(sum)
}

impl Summary<f64> {
    /// The same as whole numbers, if that loses nothing.
    fn as_whole(&self) -> Option<Summary<i64>> {
        let whole = |v: f64| ((v as i64 as f64).to_bits() == v.to_bits()).then_some(v as i64);
        Some(Summary {
            sum: whole(self.sum)?,
            first: whole(self.first)?,
            last: whole(self.last)?,
            least: (self.least.0, whole(self.least.1)?),
            greatest: (self.greatest.0, whole(self.greatest.1)?),
        })
    }
}

impl Stats {
    /// Appends the summary of a chunk that starts at `first_time`.
    pub(super) fn put(&self, clock: Clock, first_time: i64, out: &mut Vec<u8>) {
        let (least, greatest) = match self {
            Self::Whole(s) => {
                out.push(WHOLE);
                put_varint(out, zigzag(s.sum));
                put_varint(out, zigzag(s.first));
                for value in [s.last, s.least.1, s.greatest.1] {
                    put_varint(out, zigzag(value.wrapping_sub(s.first)));
                }
                (s.least.0, s.greatest.0)
            }
            Self::Floats(s) => {
                let values = [s.first, s.last, s.least.1, s.greatest.1];
                let is_single = |v: &f64| f64::from(*v as f32).to_bits() == v.to_bits();
                let form = if values.iter().all(is_single) { SINGLES } else { FLOATS };
                out.push(form);
                out.extend_from_slice(&s.sum.to_le_bytes());
                for value in values {
                    match form {
                        SINGLES => out.extend_from_slice(&(value as f32).to_le_bytes()),
                        _ => out.extend_from_slice(&value.to_le_bytes()),
                    }
                }
                (s.least.0, s.greatest.0)
            }
        };
        put_varint(out, clock.offset(first_time, least));
        put_varint(out, clock.offset(first_time, greatest));
    }
}

/// Reads a summary back. `times` are the chunk's clock and its first and last time.
pub(super) fn parse(
    bytes: &mut Cursor<'_>,
    field_type: FieldType,
    count: usize,
    times: (Clock, i64, i64),
) -> Option<ChunkStats> {
    let [sum, first, last, least, greatest] = match bytes.byte()? {
        WHOLE => {
            let sum = bytes.zigzag()?;
            let first = bytes.zigzag()?;
            let mut next = || Some(bytes.zigzag()?.wrapping_add(first));
            [sum, first, next()?, next()?, next()?].map(|v| whole_value(field_type, v))
        }
        FLOATS if field_type == FieldType::Float => {
            let mut next = || bytes.array().map(f64::from_le_bytes);
            [next()?, next()?, next()?, next()?, next()?].map(FieldValue::Float)
        }
        SINGLES if field_type == FieldType::Float => {
            let sum = f64::from_le_bytes(bytes.array()?);
            let mut next = || bytes.array().map(f32::from_le_bytes).map(f64::from);
            [sum, next()?, next()?, next()?, next()?].map(FieldValue::Float)
        }
        _ => return None,
    };
    let (clock, first_time, last_time) = times;
    let mut time = || Some(clock.at(first_time, bytes.varint()?));
    let (least_time, greatest_time) = (time()?, time()?);
    Some(ChunkStats {
        count: count as u64,
        sum: Some(sum),
        min: Some((least_time, least)),
        max: Some((greatest_time, greatest)),
        first: (first_time, first),
        last: (last_time, last),
    })
}

fn whole_value(field_type: FieldType, value: i64) -> FieldValue {
    match field_type {
        FieldType::Float => FieldValue::Float(value as f64),
        FieldType::Unsigned => FieldValue::Unsigned(value as u64),
        FieldType::Integer | FieldType::Boolean | FieldType::String => FieldValue::Integer(value),
    }
}
