//! Columns of one series read from chunks: clipped to a range, cast, filtered, looked up by time.

use crate::cast::{cast, castable, truncated};
use crate::error::QueryError;
use crate::result::Cell;
use model::scan::{Chunk, GroupReader};
use model::value::Values;
use model::{FieldId, FieldType, RetentionPolicyId, SeriesId, TimeRange};
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

/// Where a series is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SeriesAt<'a> {
    pub(crate) reader: &'a dyn GroupReader,
    pub(crate) policy: RetentionPolicyId,
    pub(crate) series: SeriesId,
}

impl SeriesAt<'_> {
    /// Chunks of a field that overlap the range.
    pub(crate) fn chunks(&self, input: Input, range: TimeRange) -> Result<Vec<Box<dyn Chunk>>, QueryError> {
        Ok(self.reader.scan(self.policy, self.series, input.field, range)?)
    }
}

/// Points of one field of one series, times rising.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) times: Vec<i64>,
    pub(crate) values: Values,
}

impl Column {
    /// The points of the chunks that lie in the range, as the wanted type.
    pub(crate) fn load(
        chunks: &[Box<dyn Chunk>],
        input: Input,
        range: TimeRange,
    ) -> Result<Self, QueryError> {
        let mut column = Self { times: Vec::new(), values: Values::new(input.stored) };
        for chunk in chunks {
            let (first, last) = chunk.bounds();
            if last < range.start || first >= range.end {
                continue;
            }
            let batch = chunk.decode()?;
            let from = batch.times.partition_point(|t| *t < range.start);
            let to = batch.times.partition_point(|t| *t < range.end);
            if column.times.is_empty() && from == 0 && to == batch.times.len() {
                column = Self { times: batch.times, values: batch.values };
            } else {
                append(&mut column.values, &batch.values, from, to);
                column.times.extend_from_slice(&batch.times[from..to]);
                column.times.truncate(column.values.len());
            }
        }
        if input.stored != input.wanted {
            column.values = converted(&column.values, input.wanted);
        }
        Ok(column)
    }

    /// Only the points at these positions.
    pub(crate) fn keep(&mut self, positions: &[usize]) {
        self.times = positions.iter().map(|i| self.times[*i]).collect();
        self.values = match &self.values {
            Values::Float(v) => Values::Float(positions.iter().map(|i| v[*i]).collect()),
            Values::Integer(v) => Values::Integer(positions.iter().map(|i| v[*i]).collect()),
            Values::Unsigned(v) => Values::Unsigned(positions.iter().map(|i| v[*i]).collect()),
            Values::Boolean(v) => Values::Boolean(positions.iter().map(|i| v[*i]).collect()),
            Values::String(v) => Values::String(positions.iter().map(|i| Arc::clone(&v[*i])).collect()),
        };
    }

    /// Reads the column along rising times.
    pub(crate) fn cursor(&self) -> ColumnCursor<'_> {
        ColumnCursor { column: self, at: 0 }
    }
}

/// A position in a column that only moves forward.
#[derive(Debug)]
pub(crate) struct ColumnCursor<'a> {
    column: &'a Column,
    at: usize,
}

impl ColumnCursor<'_> {
    /// The value at `time`, null if the series has none there. `time` must not go back.
    pub(crate) fn at(&mut self, time: i64) -> Cell {
        let times = &self.column.times;
        while self.at < times.len() && times[self.at] < time {
            self.at += 1;
        }
        if times.get(self.at) == Some(&time) { cell(&self.column.values, self.at) } else { Cell::Null }
    }
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

/// All values of a column.
pub(crate) fn cells(values: Values) -> Vec<Cell> {
    match values {
        Values::Float(v) => v.into_iter().map(Cell::Float).collect(),
        Values::Integer(v) => v.into_iter().map(Cell::Integer).collect(),
        Values::Unsigned(v) => v.into_iter().map(Cell::Unsigned).collect(),
        Values::Boolean(v) => v.into_iter().map(Cell::Boolean).collect(),
        Values::String(v) => v.into_iter().map(Cell::String).collect(),
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

fn append(to: &mut Values, from: &Values, start: usize, end: usize) {
    match (to, from) {
        (Values::Float(to), Values::Float(from)) => to.extend_from_slice(&from[start..end]),
        (Values::Integer(to), Values::Integer(from)) => to.extend_from_slice(&from[start..end]),
        (Values::Unsigned(to), Values::Unsigned(from)) => to.extend_from_slice(&from[start..end]),
        (Values::Boolean(to), Values::Boolean(from)) => to.extend_from_slice(&from[start..end]),
        (Values::String(to), Values::String(from)) => to.extend_from_slice(&from[start..end]),
        // A field has one type; a chunk of another is not its own.
        _ => {}
    }
}
