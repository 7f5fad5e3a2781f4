//! Times of a chunk: unit, first, span, and the steps between them only if they are not all the same.

use super::{Header, ints};
use crate::bytes::Cursor;
use model::batch::{put_varint, zigzag};

/// Units that times are written in; the place is on disk.
const UNITS_NS: [i64; 5] = [1, 1_000, 1_000_000, 1_000_000_000, 60_000_000_000];
const IRREGULAR: u8 = 1 << 7;

/// How a chunk's times are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clock {
    unit: u8,
    regular: bool,
}

impl Clock {
    /// The greatest unit that all times are multiples of, and whether they are equally far apart.
    pub(super) fn of(rows: &[(i64, u64)]) -> Self {
        let divides = |unit: i64| rows.iter().all(|r| r.0 % unit == 0);
        let mut unit = 0;
        while unit + 1 < UNITS_NS.len() && divides(UNITS_NS[unit + 1]) {
            unit += 1;
        }
        Self { unit: unit as u8, regular: is_regular(rows) }
    }

    fn unit_ns(self) -> i64 {
        UNITS_NS[usize::from(self.unit)]
    }

    /// `time - first` in units.
    pub(super) fn offset(self, first: i64, time: i64) -> u64 {
        (time.wrapping_sub(first) as u64) / self.unit_ns() as u64
    }

    /// The time this many units after `first`.
    pub(super) fn at(self, first: i64, offset: u64) -> i64 {
        first.wrapping_add((offset as i64).wrapping_mul(self.unit_ns()))
    }
}

fn is_regular(rows: &[(i64, u64)]) -> bool {
    let step = |pair: &[(i64, u64)]| pair[1].0.wrapping_sub(pair[0].0);
    let Some(first) = rows.windows(2).next().map(step) else { return true };
    rows.windows(2).all(|pair| step(pair) == first)
}

/// Appends `clock u8 | first zigzag varint | span varint`.
pub(super) fn put_bounds(clock: Clock, rows: &[(i64, u64)], out: &mut Vec<u8>) {
    out.push(clock.unit | if clock.regular { 0 } else { IRREGULAR });
    let (first, last) = (rows[0].0, rows[rows.len() - 1].0);
    put_varint(out, zigzag(first / clock.unit_ns()));
    put_varint(out, clock.offset(first, last));
}

/// The clock, the first time and the last one.
pub(super) fn parse_bounds(bytes: &mut Cursor<'_>) -> Option<(Clock, i64, i64)> {
    let code = bytes.byte()?;
    let clock = Clock { unit: code & !IRREGULAR, regular: code & IRREGULAR == 0 };
    let unit_ns = *UNITS_NS.get(usize::from(clock.unit))?;
    let first = bytes.zigzag()?.checked_mul(unit_ns)?;
    let span = bytes.varint()?.checked_mul(unit_ns as u64)?;
    let last = first.checked_add_unsigned(span)?;
    Some((clock, first, last))
}

/// Appends the steps in units, unless they are all the same.
pub(super) fn encode_steps(rows: &[(i64, u64)], out: &mut Vec<u8>) {
    let clock = Clock::of(rows);
    if clock.regular {
        return;
    }
    let steps = rows.windows(2).map(|pair| clock.offset(pair[0].0, pair[1].0) as i64);
    ints::encode(&steps.collect::<Vec<_>>(), out);
}

/// All times; `None` unless they rise strictly from the header's first to its last.
pub(super) fn decode(header: &Header<'_>, body: &mut Cursor<'_>) -> Option<Vec<i64>> {
    let (first, last, steps) = (header.first, header.last, header.count - 1);
    let mut times = Vec::with_capacity(header.count);
    if header.clock.regular {
        let span = last.wrapping_sub(first) as u64;
        if steps == 0 {
            return (span == 0).then(|| vec![first]);
        }
        let step = span / steps as u64;
        if step == 0 || step * steps as u64 != span {
            return None;
        }
        // The last one is `last`, which is a time, so none of them overflows.
        times.extend((0..header.count as u64).map(|i| first.wrapping_add_unsigned(i * step)));
        return Some(times);
    }
    let mut time = first;
    times.push(time);
    for step in ints::decode(body, steps)? {
        let next = header.clock.at(time, step as u64);
        if next <= time {
            return None;
        }
        time = next;
        times.push(time);
    }
    (time == last).then_some(times)
}
