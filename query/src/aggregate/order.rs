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

/// As [`compare`], and NaN, which a subquery may compute, before everything else: a sort needs an order of all values.
pub(crate) fn total(a: &Cell, b: &Cell) -> Ordering {
    match (a, b) {
        (Cell::Float(a), Cell::Float(b)) if a.is_nan() || b.is_nan() => b.is_nan().cmp(&a.is_nan()),
        _ => compare(a, b),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_are_no_numbers_have_their_place() {
        // So many that a sort notices when the order is none.
        let mut values: Vec<Cell> = (0..500)
            .map(|i| Cell::Float(if i % 3 == 0 { f64::NAN } else { f64::from(i * 7 % 11) }))
            .collect();
        values.sort_by(total);
        let nans = values.iter().take_while(|v| matches!(v, Cell::Float(f) if f.is_nan())).count();
        assert_eq!(nans, 167);
        assert!(values[nans..].windows(2).all(|w| compare(&w[0], &w[1]) != Ordering::Greater));
    }
}
