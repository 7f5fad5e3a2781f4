//! Folds and rows of one series: what a fragment does once for each series that its condition lets through.

use super::columns::{Column, ColumnCursor, Input, SeriesAt, cells, converted};
use super::{FoldState, Span};
use crate::aggregate::{Pick, pick_in_windows};
use crate::condition::{RowExpr, SeriesFilter};
use crate::error::QueryError;
use crate::points::Points;
use crate::result::Cell;
use crate::window::Window;
use model::TimeRange;
use model::scan::{Chunk, SeriesRef};
use std::cell::RefCell;
use std::sync::Arc;

/// A column selected beside the value.
#[derive(Debug, Clone)]
pub(crate) enum AuxInput {
    /// A field.
    Field(Input),
    /// A tag.
    Tag(Arc<str>),
    /// Nothing that this measurement has.
    Nothing,
}

/// What a statement reads as rows of a series.
#[derive(Debug, Clone)]
pub(crate) struct RowsOp {
    /// The field whose points make rows; `None` when every auxiliary field does.
    pub(crate) driver: Option<Input>,
    /// Columns beside it.
    pub(crate) aux: Vec<AuxInput>,
    /// Rows a series need not give more of.
    pub(crate) limit: Option<usize>,
    /// Which end the limit counts from.
    pub(crate) ascending: bool,
    /// Keeps one row a window only.
    pub(crate) pick: Option<Pick>,
}

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
        let column = filtered(at, &chunks, input, (filter, expr), scanned)?;
        push(states, &column.times, &column.values, (window, range));
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
struct TestedColumns(Vec<Option<Column>>);

struct TestedCursors<'a>(RefCell<Vec<Option<ColumnCursor<'a>>>>);

impl TestedColumns {
    fn load(at: SeriesAt<'_>, inputs: &[Option<Input>], range: TimeRange) -> Result<Self, QueryError> {
        let load = |input: &Option<Input>| {
            input.map(|input| Column::load(&at.chunks(input, range)?, input, range)).transpose()
        };
        Ok(Self(inputs.iter().map(load).collect::<Result<_, _>>()?))
    }

    fn cursors(&self) -> TestedCursors<'_> {
        TestedCursors(RefCell::new(self.0.iter().map(|c| c.as_ref().map(Column::cursor)).collect()))
    }
}

impl TestedCursors<'_> {
    /// `time` must not go back.
    fn passes(&mut self, expr: &RowExpr, time: i64) -> bool {
        expr.passes(&|i| match self.0.borrow_mut().get_mut(i) {
            Some(Some(cursor)) => cursor.at(time),
            _ => Cell::Null,
        })
    }
}

/// The rows of a series, times rising.
pub(crate) fn rows_of_series(
    at: SeriesAt<'_>,
    series: &SeriesRef,
    op: &RowsOp,
    filter: &Filter<'_>,
    (window, range): (&Window, (i64, i64)),
) -> Result<Points, QueryError> {
    let scanned = half_open(range);
    let leads = op.leading_inputs();
    let chunks = leads.iter().map(|input| at.chunks(*input, scanned)).collect::<Result<Vec<_>, _>>()?;
    let mut parts = Vec::new();
    let mut rows = 0;
    for segment in segments(&chunks, scanned, op) {
        let part = rows_of_segment(at, series, op, filter, (&chunks, segment))?;
        rows += part.len();
        parts.push(part);
        if op.limit.is_some_and(|limit| rows >= limit) {
            break;
        }
    }
    if !op.ascending {
        parts.reverse();
    }
    let mut points = joined(parts, op.aux.len());
    if let Some(limit) = op.limit
        && points.len() > limit
    {
        let all = points.len();
        let kept: Vec<usize> = if op.ascending { (0..limit).collect() } else { (all - limit..all).collect() };
        points.keep(&kept);
    }
    if let Some(pick) = op.pick {
        points = pick_in_windows(pick, points, window, range);
    }
    Ok(points)
}

impl RowsOp {
    /// The fields whose points make rows.
    fn leading_inputs(&self) -> Vec<Input> {
        match self.driver {
            Some(driver) => vec![driver],
            None => self
                .aux
                .iter()
                .filter_map(|a| match a {
                    AuxInput::Field(input) => Some(*input),
                    AuxInput::Tag(_) | AuxInput::Nothing => None,
                })
                .collect(),
        }
    }
}

/// The range in pieces to read one after the other: one piece, or with a limit pieces that grow chunk by chunk from
/// the end where the limit counts, so that a LIMIT 10 over years decodes one chunk.
fn segments(chunks: &[Vec<Box<dyn Chunk>>], range: TimeRange, op: &RowsOp) -> Vec<TimeRange> {
    if op.limit.is_none() {
        return vec![range];
    }
    let mut ends: Vec<i64> =
        chunks.iter().flatten().map(|c| c.bounds().1.saturating_add(1)).filter(|e| *e < range.end).collect();
    ends.sort_unstable();
    ends.dedup();
    if !op.ascending {
        ends.reverse();
    }
    let mut segments = Vec::new();
    let (mut edge, mut step, mut i) = (if op.ascending { range.start } else { range.end }, 1, 0);
    while i < ends.len() {
        let next = ends[i];
        segments.push(if op.ascending { TimeRange::new(edge, next) } else { TimeRange::new(next, edge) });
        edge = next;
        i += step;
        step *= 2;
    }
    segments.push(if op.ascending {
        TimeRange::new(edge, range.end)
    } else {
        TimeRange::new(range.start, edge)
    });
    segments
}

fn rows_of_segment(
    at: SeriesAt<'_>,
    series: &SeriesRef,
    op: &RowsOp,
    filter: &Filter<'_>,
    (chunks, range): (&[Vec<Box<dyn Chunk>>], TimeRange),
) -> Result<Points, QueryError> {
    let leads = op.leading_inputs();
    let mut columns = leads
        .iter()
        .zip(chunks)
        .map(|(input, chunks)| Column::load(chunks, *input, range))
        .collect::<Result<Vec<_>, _>>()?;
    if op.driver.is_some() && op.aux.is_empty() && matches!(filter.series, SeriesFilter::All) {
        let column = columns.pop().unwrap_or(Column { times: Vec::new(), values: no_values() });
        return Ok(Points { times: column.times, values: cells(column.values), aux: Vec::new(), width: 0 });
    }
    let times = if op.driver.is_some() { columns[0].times.clone() } else { all_times(&columns) };
    let driver = op.driver.is_some().then(|| &columns[0]);
    let beside = aux_columns(at, op, range)?;
    let sources = aux_sources(op, series, driver.is_none().then_some(&columns[..]), &beside);
    let tested = match filter.series {
        SeriesFilter::Rows(expr) => Some((expr, TestedColumns::load(at, filter.inputs, range)?)),
        SeriesFilter::All | SeriesFilter::Nothing => None,
    };
    Ok(assemble(&times, driver, sources, tested.as_ref()))
}

fn no_values() -> model::value::Values {
    model::value::Values::Float(Vec::new())
}

/// One auxiliary column while rows are put together.
enum AuxSource<'a> {
    Column(ColumnCursor<'a>),
    Constant(Cell),
}

/// Columns of the auxiliary fields beside a driver; those that lead are loaded already.
fn aux_columns(at: SeriesAt<'_>, op: &RowsOp, range: TimeRange) -> Result<Vec<Column>, QueryError> {
    if op.driver.is_none() {
        return Ok(Vec::new());
    }
    let mut columns = Vec::new();
    for aux in &op.aux {
        if let AuxInput::Field(input) = aux {
            columns.push(Column::load(&at.chunks(*input, range)?, *input, range)?);
        }
    }
    Ok(columns)
}

fn aux_sources<'a>(
    op: &RowsOp,
    series: &SeriesRef,
    leading: Option<&'a [Column]>,
    beside: &'a [Column],
) -> Vec<AuxSource<'a>> {
    let mut fields = leading.unwrap_or(beside).iter();
    op.aux
        .iter()
        .map(|aux| match aux {
            AuxInput::Field(_) => fields
                .next()
                .map_or(AuxSource::Constant(Cell::Null), |column| AuxSource::Column(column.cursor())),
            AuxInput::Tag(key) => AuxSource::Constant(match series.tag(key) {
                "" => Cell::Null,
                value => Cell::String(value.into()),
            }),
            AuxInput::Nothing => AuxSource::Constant(Cell::Null),
        })
        .collect()
}

fn assemble(
    times: &[i64],
    driver: Option<&Column>,
    mut sources: Vec<AuxSource<'_>>,
    tested: Option<&(&RowExpr, TestedColumns)>,
) -> Points {
    let mut points = Points::new(sources.len());
    let mut test = tested.map(|(expr, columns)| (*expr, columns.cursors()));
    let mut lead = driver.map(Column::cursor);
    for &time in times {
        if let Some((expr, cursors)) = &mut test
            && !cursors.passes(expr, time)
        {
            continue;
        }
        points.times.push(time);
        points.values.push(lead.as_mut().map_or(Cell::Null, |c| c.at(time)));
        for source in &mut sources {
            points.aux.push(match source {
                AuxSource::Column(cursor) => cursor.at(time),
                AuxSource::Constant(cell) => cell.clone(),
            });
        }
    }
    points
}

/// Every time that one of the columns has, rising.
fn all_times(columns: &[Column]) -> Vec<i64> {
    let mut times = match columns {
        [] => return Vec::new(),
        [one] => return one.times.clone(),
        [first, rest @ ..] if rest.iter().all(|c| c.times == first.times) => return first.times.clone(),
        many => many.iter().flat_map(|c| c.times.iter().copied()).collect::<Vec<_>>(),
    };
    times.sort_unstable();
    times.dedup();
    times
}

fn joined(mut parts: Vec<Points>, width: usize) -> Points {
    if parts.len() == 1 {
        return parts.pop().unwrap_or_default();
    }
    let mut all = Points::new(width);
    for part in parts {
        all.times.extend(part.times);
        all.values.extend(part.values);
        all.aux.extend(part.aux);
    }
    all
}

/// An inclusive range as a half-open one.
pub(crate) fn half_open(range: (i64, i64)) -> TimeRange {
    TimeRange::new(range.0, range.1.saturating_add(1)).intersect(&TimeRange::ALL)
}
