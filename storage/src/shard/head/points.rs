//! Points of a column in the order of their times, a few bytes each.
//!
//! Not a format: it lives in memory until the next flush, and only this file reads it. A point is
//!
//! ```text
//! head  u8: bit 7 = the time is not where it is expected; bits 0-6 = length × 8 + trailing zero bytes
//! [difference to the expected time, zigzag varint]
//! [length bytes of the change, little endian, without its zero bytes at both ends]
//! ```
//!
//! A time is expected one step after the time before. The change of a number is the zigzag difference to the value
//! before, that of a float the exclusive or.

use super::blocks::Reader;
use model::FieldType;
use model::batch::{unzigzag, zigzag};

/// The most bytes a point takes: head, varint, change.
pub(super) const POINT_BYTES_MAX: usize = 1 + 10 + 8;

/// A column that has one point has no step of its own yet: that of the head is expected. No step is this long.
const NO_STEP: i64 = i64::MIN;
const UNEXPECTED_TIME: u8 = 1 << 7;

/// What the next point of a column is relative to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Last {
    pub(super) time: i64,
    step: i64,
    pub(super) bits: u64,
}

impl Last {
    /// Before the first point; that is expected at `time`.
    pub(super) fn none(time: i64) -> Self {
        Self { time, step: 0, bits: 0 }
    }

    /// The step that the head should expect of all columns, if this point shows it first.
    pub(super) fn first_step(&self, time: i64) -> Option<i64> {
        (self.step == NO_STEP).then(|| time.wrapping_sub(self.time))
    }

    fn expected(&self, head_step: i64) -> i64 {
        self.time.wrapping_add(if self.step == NO_STEP { head_step } else { self.step })
    }

    /// Moves to a point; `first` if there was none before.
    fn pass(&mut self, time: i64, bits: u64, first: bool) {
        self.step = if first { NO_STEP } else { time.wrapping_sub(self.time) };
        (self.time, self.bits) = (time, bits);
    }
}

/// Which point of a column is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nth {
    First,
    Later,
}

/// Encodes a point into `out` and moves `last` to it; answers the number of bytes.
pub(super) fn encode(
    out: &mut [u8; POINT_BYTES_MAX],
    last: &mut Last,
    (field_type, nth, head_step): (FieldType, Nth, i64),
    (time, bits): (i64, u64),
) -> usize {
    let mut len = 1;
    let mut head = 0;
    let late_by = time.wrapping_sub(last.expected(head_step));
    if late_by != 0 {
        head |= UNEXPECTED_TIME;
        let mut rest = zigzag(late_by);
        while rest >= 0x80 {
            out[len] = rest as u8 | 0x80;
            rest >>= 7;
            len += 1;
        }
        out[len] = rest as u8;
        len += 1;
    }
    let change = change(field_type, last.bits, bits);
    if change != 0 {
        let trailing = change.trailing_zeros() / 8;
        let bytes = 8 - trailing - change.leading_zeros() / 8;
        head |= (bytes * 8 + trailing) as u8;
        // Eight bytes at once; what is beyond the length is written over or not read.
        out[len..len + 8].copy_from_slice(&(change >> (trailing * 8)).to_le_bytes());
        len += bytes as usize;
    }
    out[0] = head;
    last.pass(time, bits, nth == Nth::First);
    len
}

/// The next point; `None` at the end.
pub(super) fn decode(
    bytes: &mut Reader<'_>,
    last: &mut Last,
    (field_type, nth, head_step): (FieldType, Nth, i64),
) -> Option<(i64, u64)> {
    let head = bytes.byte()?;
    let mut time = last.expected(head_step);
    if head & UNEXPECTED_TIME != 0 {
        let (mut late_by, mut shift) = (0u64, 0);
        loop {
            let byte = bytes.byte()?;
            late_by |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
        time = time.wrapping_add(unzigzag(late_by));
    }
    let (length, trailing) = ((head & 0x7f) / 8, head % 8);
    let mut change = 0;
    for place in trailing..trailing + length {
        change |= u64::from(bytes.byte()?) << (place * 8);
    }
    let bits = changed(field_type, last.bits, change);
    last.pass(time, bits, nth == Nth::First);
    Some((time, bits))
}

fn change(field_type: FieldType, from: u64, to: u64) -> u64 {
    match field_type {
        FieldType::Float => from ^ to,
        FieldType::Integer | FieldType::Unsigned | FieldType::Boolean | FieldType::String => {
            zigzag(to.wrapping_sub(from) as i64)
        }
    }
}

fn changed(field_type: FieldType, from: u64, change: u64) -> u64 {
    match field_type {
        FieldType::Float => from ^ change,
        FieldType::Integer | FieldType::Unsigned | FieldType::Boolean | FieldType::String => {
            from.wrapping_add(unzigzag(change) as u64)
        }
    }
}
