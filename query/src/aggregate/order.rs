//! The order of two values of one column.

use crate::result::Cell;
use std::cmp::Ordering;

/// Numbers by size, strings by bytes, false before true; what cannot be compared is equal.
pub(crate) fn compare(a: &Cell, b: &Cell) -> Ordering {
    match (a, b) {
        (Cell::Float(a), Cell::Float(b)) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
        (Cell::Integer(a), Cell::Integer(b)) => a.cmp(b),
        (Cell::Unsigned(a), Cell::Unsigned(b)) => a.cmp(b),
        (Cell::Boolean(a), Cell::Boolean(b)) => a.cmp(b),
        (Cell::String(a), Cell::String(b)) => a.cmp(b),
        _ => Ordering::Equal,
    }
}

/// A number as float.
pub(crate) fn float(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Float(f) => Some(*f),
        Cell::Integer(i) => Some(*i as f64),
        Cell::Unsigned(u) => Some(*u as f64),
        Cell::Null | Cell::Time(_) | Cell::Boolean(_) | Cell::String(_) | Cell::Strings(_) => None,
    }
}
