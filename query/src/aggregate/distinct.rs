//! distinct: each value once, in the order of first appearance.

use super::order::total;
use crate::points::Points;
use crate::result::Cell;
use std::collections::HashSet;

/// The rows at which a value first appears in the order of the query; by rising time, then by value.
pub(super) fn distinct(points: &Points, rows: &[usize]) -> Vec<usize> {
    let mut seen = HashSet::new();
    let mut first: Vec<usize> =
        rows.iter().copied().filter(|r| seen.insert(Key::of(&points.values[*r]))).collect();
    first.sort_by(|a, b| {
        points.times[*a].cmp(&points.times[*b]).then_with(|| total(&points.values[*a], &points.values[*b]))
    });
    first
}

/// A value that can be hashed: floats by their bits, with one zero.
#[derive(PartialEq, Eq, Hash)]
enum Key<'a> {
    Bits(u64),
    Text(&'a str),
    Other(bool),
}

impl<'a> Key<'a> {
    fn of(cell: &'a Cell) -> Self {
        match cell {
            Cell::Float(f) => Self::Bits(if *f == 0.0 { 0 } else { f.to_bits() }),
            Cell::Integer(i) | Cell::Time(i) => Self::Bits(*i as u64),
            Cell::Unsigned(u) => Self::Bits(*u),
            Cell::String(s) => Self::Text(s),
            Cell::Boolean(b) => Self::Other(*b),
            Cell::Null | Cell::Strings(_) => Self::Other(false),
        }
    }
}
