//! `::type` and the conversions between columns of different measurements: numbers into numbers, nothing else.

use crate::result::Cell;
use model::FieldType;

/// The value as the type, null if it cannot be.
pub(crate) fn cast(cell: Cell, to: FieldType) -> Cell {
    match (cell, to) {
        (Cell::Null, _) => Cell::Null,
        (cell @ Cell::Float(_), FieldType::Float)
        | (cell @ Cell::Integer(_), FieldType::Integer)
        | (cell @ Cell::Unsigned(_), FieldType::Unsigned)
        | (cell @ Cell::String(_), FieldType::String)
        | (cell @ Cell::Boolean(_), FieldType::Boolean) => cell,
        (Cell::Integer(i), FieldType::Float) => Cell::Float(i as f64),
        (Cell::Unsigned(u), FieldType::Float) => Cell::Float(u as f64),
        (Cell::Float(f), FieldType::Integer) => Cell::Integer(truncated(f)),
        (Cell::Unsigned(u), FieldType::Integer) => Cell::Integer(u as i64),
        (Cell::Float(f), FieldType::Unsigned) => Cell::Unsigned(f as u64),
        (Cell::Integer(i), FieldType::Unsigned) => Cell::Unsigned(i as u64),
        _ => Cell::Null,
    }
}

/// The whole part; what does not fit is the least integer, as on the machines that 1.x runs on.
pub(crate) fn truncated(f: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&f) { f as i64 } else { i64::MIN }
}

/// Whether values of one type can become the other.
pub(crate) fn castable(from: FieldType, to: FieldType) -> bool {
    let number = |t| matches!(t, FieldType::Float | FieldType::Integer | FieldType::Unsigned);
    from == to || (number(from) && number(to))
}
