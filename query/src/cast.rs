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
        (Cell::Float(f), FieldType::Integer) => Cell::Integer(f as i64),
        (Cell::Unsigned(u), FieldType::Integer) => Cell::Integer(u as i64),
        (Cell::Float(f), FieldType::Unsigned) => Cell::Unsigned(f as u64),
        (Cell::Integer(i), FieldType::Unsigned) => Cell::Unsigned(i as u64),
        _ => Cell::Null,
    }
}

/// Whether values of one type can become the other.
pub(crate) fn castable(from: FieldType, to: FieldType) -> bool {
    let number = |t| matches!(t, FieldType::Float | FieldType::Integer | FieldType::Unsigned);
    from == to || (number(from) && number(to))
}
