//! One field of one series folded, with or without a row filter: what a fragment does for aggregates.

use super::columns::{Column, ColumnCursor, Input, SeriesAt, converted};
use super::segments::{Pace, segments};
use super::{FoldState, Span};
use crate::condition::{RowExpr, SeriesFilter};
use crate::error::QueryError;
use crate::result::Cell;
use crate::window::Window;
use model::TimeRange;
use model::scan::Chunk;
use std::cell::RefCell;

/// The filter of one series, with the fields it tests.
#[derive(Debug)]
pub(crate) struct Filter<'a> {
    pub(crate) series: &'a SeriesFilter,
    /// In the order of [`crate::condition::RowCondition::fields`].
    pub(crate) inputs: &'a [Option<Input>],
}

/// Which points of a series can matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// All of them.
    All,
    /// The first in the range.
    First,
    /// The last in the range.
    Last,
}

/// Folds one field of a series into all the states that want it.
pub(crate) fn fold_series(
    at: SeriesAt<'_>,
    input: Input,
    filter: &Filter<'_>,
    (window, range): (&Window, (i64, i64)),
    (states, reach): (&mut [&mut Box<dyn FoldState>], Reach),
) -> Result<(), QueryError> {
    let scanned = half_open(range);
    let mut chunks = at.chunks(input, scanned)?;
    if let SeriesFilter::Rows(expr) = filter.series {
        let chunks = [chunks];
        for segment in segments(&chunks, scanned, Pace::Steady) {
            let column = filtered(at, &chunks[0], input, (filter, expr), segment)?;
            push(states, &column.times, &column.values, (window, range));
        }
        return Ok(());
    }
    if reach == Reach::Last {
        chunks.reverse();
    }
    for chunk in &chunks {
        let (first, last) = chunk.bounds();
        if range.0 <= first && last <= range.1 && input.stored == input.wanted {
            let (start, end) = window.bounds(first, range);
            if last < end
                && let Some(stats) = chunk.stats()
                && states.iter().all(|s| s.takes_stats(&stats))
            {
                for state in &mut *states {
                    state.push_stats(start, &stats);
                }
                if reach == Reach::All {
                    continue;
                }
                return Ok(());
            }
        }
        let batch = chunk.decode()?;
        let from = batch.times.partition_point(|t| *t < range.0);
        let to = batch.times.partition_point(|t| *t <= range.1);
        let converted = (input.stored != input.wanted).then(|| converted(&batch.values, input.wanted));
        let values = converted.as_ref().unwrap_or(&batch.values);
        for state in &mut *states {
            state.push(Span { times: &batch.times, values, from, to }, window, range);
        }
        if reach != Reach::All && from < to {
            return Ok(());
        }
    }
    Ok(())
}

/// Folds a whole column.
pub(crate) fn push(
    states: &mut [&mut Box<dyn FoldState>],
    times: &[i64],
    values: &model::value::Values,
    (window, range): (&Window, (i64, i64)),
) {
    let span = Span { times, values, from: 0, to: times.len() };
    for state in states {
        state.push(span, window, range);
    }
}

/// The points of a field that pass a row filter.
fn filtered(
    at: SeriesAt<'_>,
    chunks: &[Box<dyn Chunk>],
    input: Input,
    (filter, expr): (&Filter<'_>, &RowExpr),
    range: TimeRange,
) -> Result<Column, QueryError> {
    let mut column = Column::load(chunks, input, range)?;
    let tested = TestedColumns::load(at, filter.inputs, range)?;
    let mut test = tested.cursors();
    let kept: Vec<usize> = (0..column.times.len()).filter(|i| test.passes(expr, column.times[*i])).collect();
    if kept.len() < column.times.len() {
        column.keep(&kept);
    }
    Ok(column)
}

/// The fields that a condition tests, as columns.
pub(super) struct TestedColumns(Vec<Option<Column>>);

pub(super) struct TestedCursors<'a>(RefCell<Vec<Option<ColumnCursor<'a>>>>);

impl TestedColumns {
    pub(super) fn load(
        at: SeriesAt<'_>,
        inputs: &[Option<Input>],
        range: TimeRange,
    ) -> Result<Self, QueryError> {
        let load = |input: &Option<Input>| {
            input.map(|input| Column::load(&at.chunks(input, range)?, input, range)).transpose()
        };
        Ok(Self(inputs.iter().map(load).collect::<Result<_, _>>()?))
    }

    pub(super) fn cursors(&self) -> TestedCursors<'_> {
        TestedCursors(RefCell::new(self.0.iter().map(|c| c.as_ref().map(Column::cursor)).collect()))
    }
}

impl TestedCursors<'_> {
    /// `time` must not go back.
    pub(super) fn passes(&mut self, expr: &RowExpr, time: i64) -> bool {
        expr.passes(&|i| match self.0.borrow_mut().get_mut(i) {
            Some(Some(cursor)) => cursor.at(time),
            _ => Cell::Null,
        })
    }
}

/// An inclusive range as a half-open one.
pub(crate) fn half_open(range: (i64, i64)) -> TimeRange {
    TimeRange::new(range.0, range.1.saturating_add(1)).intersect(&TimeRange::ALL)
}
