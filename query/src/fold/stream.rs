//! One field of one series as a stream of points, chunk by chunk, in the order of reading. Memory: one chunk.
//!
//! Folds take whole chunks; rows and conditions go point by point and look fields up by time.

use super::Span;
use super::columns::{Input, cell, converted};
use crate::condition::RowExpr;
use crate::error::QueryError;
use crate::result::Cell;
use model::scan::{Bounds, ChunkStats, ColumnBatch, ColumnReader, EvenWindows, Order, PolicyReader};
use model::value::Values;
use model::{SeriesId, TimeRange};
use std::ops::Range;

/// Which points of which series are read, and from which end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) series: SeriesId,
    pub(crate) range: TimeRange,
    pub(crate) order: Order,
}

/// See the module.
pub(crate) struct Stream<'a> {
    reader: Box<dyn ColumnReader + 'a>,
    input: Input,
    range: TimeRange,
    order: Order,
    batch: ColumnBatch,
    /// The batch's values as they are wanted, if that is not as they are stored.
    converted: Option<Values>,
    /// Points of the batch that lie in the range and were not passed.
    left: Range<usize>,
}

impl<'a> Stream<'a> {
    pub(crate) fn open(policy: &'a dyn PolicyReader, input: Input) -> Self {
        Self {
            reader: policy.column(input.field),
            input,
            range: TimeRange::new(0, 0),
            order: Order::Ascending,
            batch: ColumnBatch::default(),
            converted: None,
            left: 0..0,
        }
    }

    pub(crate) fn order(&self) -> Order {
        self.order
    }

    /// As [`ColumnReader::expect_windows`].
    pub(crate) fn expect_windows(&mut self, windows: EvenWindows) {
        self.reader.expect_windows(windows);
    }

    /// Starts with another series.
    pub(crate) fn seek(&mut self, place: Place) -> Result<(), QueryError> {
        (self.range, self.order, self.left) = (place.range, place.order, 0..0);
        Ok(self.reader.seek(place.series, place.range, place.order)?)
    }

    /// Moves to the next chunk without decoding it.
    pub(crate) fn next_chunk(&mut self) -> Result<Option<Bounds>, QueryError> {
        self.left = 0..0;
        Ok(self.reader.next_chunk()?)
    }

    /// The chunk's summary, if it can stand for its points.
    pub(crate) fn stats(&self) -> Option<ChunkStats> {
        if self.input.stored == self.input.wanted { self.reader.stats() } else { None }
    }

    /// The points of the chunk that lie in the range, decoded.
    pub(crate) fn load(&mut self) -> Result<Span<'_>, QueryError> {
        self.reader.decode(&mut self.batch)?;
        let times = &self.batch.times;
        let (from, to) = match (times.first(), times.last()) {
            (Some(first), Some(last)) if self.range.contains(*first) && self.range.contains(*last) => {
                (0, times.len())
            }
            _ => (
                times.partition_point(|t| *t < self.range.start),
                times.partition_point(|t| *t < self.range.end),
            ),
        };
        let changes = self.input.stored != self.input.wanted;
        self.converted = changes.then(|| converted(&self.batch.values, self.input.wanted));
        self.left = from..to;
        Ok(self.span())
    }

    /// What is left of the chunk.
    pub(crate) fn span(&self) -> Span<'_> {
        let values = self.converted.as_ref().unwrap_or(&self.batch.values);
        Span { times: &self.batch.times, values, from: self.left.start, to: self.left.end }
    }

    /// The time of the next point in the order of reading.
    pub(crate) fn peek(&mut self) -> Result<Option<i64>, QueryError> {
        while self.left.is_empty() {
            if self.next_chunk()?.is_none() {
                return Ok(None);
            }
            self.load()?;
        }
        Ok(Some(self.batch.times[self.here()]))
    }

    /// Passes the next point; [`Stream::peek`] found one.
    pub(crate) fn pass(&mut self) {
        match self.order {
            Order::Ascending => self.left.start += 1,
            Order::Descending => self.left.end -= 1,
        }
    }

    /// The value of the next point; [`Stream::peek`] found one.
    pub(crate) fn value(&self) -> Cell {
        cell(self.span().values, self.here())
    }

    /// The value at `time`, null if the series has none there. Passes everything before it in the order of reading, but not
    /// the point itself.
    pub(crate) fn at(&mut self, time: i64) -> Result<Cell, QueryError> {
        loop {
            self.pass_until(time);
            if !self.left.is_empty() {
                let found = self.batch.times[self.here()] == time;
                return Ok(if found { self.value() } else { Cell::Null });
            }
            loop {
                let Some(bounds) = self.next_chunk()? else { return Ok(Cell::Null) };
                let before = match self.order {
                    Order::Ascending => bounds.last < time,
                    Order::Descending => bounds.first > time,
                };
                if !before {
                    break;
                }
            }
            self.load()?;
        }
    }

    fn pass_until(&mut self, time: i64) {
        let times = &self.batch.times[self.left.clone()];
        match self.order {
            Order::Ascending => self.left.start += times.iter().take_while(|t| **t < time).count(),
            Order::Descending => self.left.end -= times.iter().rev().take_while(|t| **t > time).count(),
        }
    }

    /// Where the next point is in the batch.
    fn here(&self) -> usize {
        match self.order {
            Order::Ascending => self.left.start,
            Order::Descending => self.left.end - 1,
        }
    }
}

/// The fields that a condition tests, beside the field that is read.
pub(crate) struct Tester<'a> {
    fields: Vec<Tested<'a>>,
    cells: Vec<Cell>,
}

enum Tested<'a> {
    /// The measurement has no such field.
    Nothing,
    /// The field that is read.
    Lead,
    Stream(Stream<'a>),
}

impl<'a> Tester<'a> {
    /// `lead` is the field whose value the caller hands in.
    pub(crate) fn open(policy: &'a dyn PolicyReader, inputs: &[Option<Input>], lead: Option<Input>) -> Self {
        let tested = |input: &Option<Input>| match input {
            None => Tested::Nothing,
            Some(input) if lead == Some(*input) => Tested::Lead,
            Some(input) => Tested::Stream(Stream::open(policy, *input)),
        };
        Self { fields: inputs.iter().map(tested).collect(), cells: vec![Cell::Null; inputs.len()] }
    }

    /// Starts with another series.
    pub(crate) fn seek(&mut self, place: Place) -> Result<(), QueryError> {
        for field in &mut self.fields {
            if let Tested::Stream(stream) = field {
                stream.seek(place)?;
            }
        }
        Ok(())
    }

    /// Whether this field of the condition is the one that is read.
    pub(crate) fn is_lead(&self, field: usize) -> bool {
        matches!(self.fields.get(field), Some(Tested::Lead))
    }

    /// Whether the row at `time` passes; times go in the order of reading. `lead` is the value of the field that is read.
    pub(crate) fn passes(
        &mut self,
        expr: &RowExpr,
        time: i64,
        lead: impl Fn() -> Cell,
    ) -> Result<bool, QueryError> {
        for (field, cell) in self.fields.iter_mut().zip(&mut self.cells) {
            match field {
                Tested::Nothing => {}
                Tested::Lead => *cell = lead(),
                Tested::Stream(stream) => *cell = stream.at(time)?,
            }
        }
        Ok(expr.passes(&|i| self.cells.get(i).cloned().unwrap_or(Cell::Null)))
    }
}
