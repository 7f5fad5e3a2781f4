//! The rows of one series: a leading field or all of them, auxiliary columns beside it, filtered, limited.

use super::columns::{Column, ColumnCursor, Input, SeriesAt, cells};
use super::segments::{Pace, segments};
use super::series::{Filter, TestedColumns, half_open};
use crate::aggregate::{Pick, pick_in_windows};
use crate::budget::Budget;
use crate::condition::{RowExpr, SeriesFilter};
use crate::error::QueryError;
use crate::points::Points;
use crate::result::Cell;
use crate::window::Window;
use model::TimeRange;
use model::scan::{Chunk, SeriesRef};
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

/// The rows of a series, times rising. Memory is charged piece by piece.
pub(crate) fn rows_of_series(
    at: SeriesAt<'_>,
    series: &SeriesRef,
    op: &RowsOp,
    filter: &Filter<'_>,
    (window, range, budget): (&Window, (i64, i64), &Budget),
) -> Result<Points, QueryError> {
    let scanned = half_open(range);
    let leads = op.leading_inputs();
    let chunks = leads.iter().map(|input| at.chunks(*input, scanned)).collect::<Result<Vec<_>, _>>()?;
    let pace = match (op.limit, op.ascending) {
        (None, _) => Pace::Steady,
        (Some(_), true) => Pace::GrowingFromStart,
        (Some(_), false) => Pace::GrowingFromEnd,
    };
    let mut parts = Vec::new();
    let mut rows = 0;
    for segment in segments(&chunks, scanned, pace) {
        budget.check()?;
        let mut part = rows_of_segment(at, series, op, filter, (&chunks, segment))?;
        if let Some(pick) = op.pick {
            part = pick_in_windows(pick, part, window, range);
        }
        budget.charge(part.bytes())?;
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
        // A window may lie in two pieces.
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
