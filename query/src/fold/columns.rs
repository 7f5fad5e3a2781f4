//! Columns of values: what a field is read as, and values as cells and back.

use crate::cast::{cast, castable, truncated};
use crate::result::Cell;
use model::value::Values;
use model::{FieldId, FieldType};
use std::ops::Range;
use std::sync::Arc;

/// A field to read, and the type to read it as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) field: FieldId,
    pub(crate) stored: FieldType,
    pub(crate) wanted: FieldType,
}

impl Input {
    /// `None` if a column of the stored type cannot be read as the wanted one.
    pub(crate) fn new(field: FieldId, stored: FieldType, wanted: FieldType) -> Option<Self> {
        castable(stored, wanted).then_some(Self { field, stored, wanted })
    }
}

/// Points of one field, times rising.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) times: Vec<i64>,
    pub(crate) values: Values,
}

/// One value of a column.
pub(crate) fn cell(values: &Values, i: usize) -> Cell {
    match values {
        Values::Float(v) => Cell::Float(v[i]),
        Values::Integer(v) => Cell::Integer(v[i]),
        Values::Unsigned(v) => Cell::Unsigned(v[i]),
        Values::Boolean(v) => Cell::Boolean(v[i]),
        Values::String(v) => Cell::String(Arc::clone(&v[i])),
    }
}

/// Appends the values at these places to the cells.
pub(crate) fn extend_cells(cells: &mut Vec<Cell>, values: &Values, places: Range<usize>) {
    match values {
        Values::Float(v) => cells.extend(v[places].iter().map(|x| Cell::Float(*x))),
        Values::Integer(v) => cells.extend(v[places].iter().map(|x| Cell::Integer(*x))),
        Values::Unsigned(v) => cells.extend(v[places].iter().map(|x| Cell::Unsigned(*x))),
        Values::Boolean(v) => cells.extend(v[places].iter().map(|x| Cell::Boolean(*x))),
        Values::String(v) => cells.extend(v[places].iter().map(|x| Cell::String(Arc::clone(x)))),
    }
}

/// Appends one value to a column of the same type; a value of another type is left out.
pub(crate) fn push_value(to: &mut Values, from: &Values, place: usize) {
    match (to, from) {
        (Values::Float(to), Values::Float(from)) => to.push(from[place]),
        (Values::Integer(to), Values::Integer(from)) => to.push(from[place]),
        (Values::Unsigned(to), Values::Unsigned(from)) => to.push(from[place]),
        (Values::Boolean(to), Values::Boolean(from)) => to.push(from[place]),
        (Values::String(to), Values::String(from)) => to.push(Arc::clone(&from[place])),
        // A field has one type; a chunk of another is not its own.
        _ => {}
    }
}

/// A column of cells, all of this type; others are left out together with their times.
pub(crate) fn typed(times: &[i64], cells: &[Cell], wanted: FieldType) -> Column {
    let mut column = Column { times: Vec::with_capacity(times.len()), values: Values::new(wanted) };
    for (time, value) in times.iter().zip(cells) {
        match (&mut column.values, cast(value.clone(), wanted)) {
            (Values::Float(v), Cell::Float(f)) => v.push(f),
            (Values::Integer(v), Cell::Integer(i)) => v.push(i),
            (Values::Unsigned(v), Cell::Unsigned(u)) => v.push(u),
            (Values::Boolean(v), Cell::Boolean(b)) => v.push(b),
            (Values::String(v), Cell::String(s)) => v.push(s),
            _ => continue,
        }
        column.times.push(*time);
    }
    column
}

/// Numbers as numbers of another type; everything else unchanged.
pub(crate) fn converted(values: &Values, wanted: FieldType) -> Values {
    match (values, wanted) {
        (Values::Integer(v), FieldType::Float) => Values::Float(v.iter().map(|x| *x as f64).collect()),
        (Values::Unsigned(v), FieldType::Float) => Values::Float(v.iter().map(|x| *x as f64).collect()),
        (Values::Float(v), FieldType::Integer) => Values::Integer(v.iter().map(|x| truncated(*x)).collect()),
        (Values::Unsigned(v), FieldType::Integer) => Values::Integer(v.iter().map(|x| *x as i64).collect()),
        (Values::Float(v), FieldType::Unsigned) => Values::Unsigned(v.iter().map(|x| *x as u64).collect()),
        (Values::Integer(v), FieldType::Unsigned) => Values::Unsigned(v.iter().map(|x| *x as u64).collect()),
        (same, _) => same.clone(),
    }
}
