//! Rows of a subquery as the series that an outer level reads.

use crate::budget::Budget;
use crate::cast::cast;
use crate::condition::SeriesFilter;
use crate::error::QueryError;
use crate::fold::columns::typed;
use crate::fold::fold_state;
use crate::fold::series::push;
use crate::points::{GroupKey, Points};
use crate::result::Cell;
use crate::rows::RowGroup;
use crate::stage::{InnerColumn, InnerLeaf, Leaf, LeafKind, Stage, SubquerySource};
use crate::window::Window;
use std::sync::Arc;

/// What one row group of a subquery gives to a leaf.
pub(crate) enum Contribution {
    /// A state of one series.
    Fold(Box<dyn crate::fold::FoldState>),
    /// Rows, in the order of the query.
    Rows(Points),
    /// Nothing.
    Nothing,
}

/// Positions of the rows that the outer WHERE lets through.
///
/// # Errors
///
/// Those of the budget.
pub(crate) fn passing_rows(
    source: &SubquerySource,
    inner: &Stage,
    group: &RowGroup,
    budget: &Budget,
) -> Result<Vec<usize>, QueryError> {
    let width = inner.outputs.len();
    let tag = |key: &str| tag_of(inner, &group.key, key);
    let all = 0..group.times.len();
    budget.check()?;
    Ok(match source.condition.bind_in_subquery(&tag) {
        SeriesFilter::All => all.collect(),
        SeriesFilter::Nothing => Vec::new(),
        SeriesFilter::Rows(expr) => {
            let mut passing = Vec::new();
            for row in all {
                if row.is_multiple_of(TESTS_PER_CHECK) {
                    budget.check()?;
                }
                let passes = expr.passes_in_subquery(&|i| match source.condition_columns.get(i) {
                    Some(column) => cell_of(inner, group, column, row * width),
                    None => Cell::Null,
                });
                if passes {
                    passing.push(row);
                }
            }
            passing
        }
    })
}

/// Rows between two looks where each is tested.
const TESTS_PER_CHECK: usize = 16;

/// Reads a leaf from the rows of one group; `source` is the subquery's number among the sources.
///
/// # Errors
///
/// Those of the budget.
pub(crate) fn contribution(
    (leaf, columns, source): (&Leaf, &InnerLeaf, usize),
    (inner, group): (&Stage, &RowGroup),
    rows: &[usize],
    (window, ascending): (&Window, bool),
    budget: &Budget,
) -> Result<Contribution, QueryError> {
    budget.check()?;
    let width = inner.outputs.len();
    let row_bytes = size_of::<i64>() + (1 + columns.aux.len()) * size_of::<Cell>();
    budget.charge(rows.len() * row_bytes)?;
    let read = |column: &InnerColumn| -> Vec<Cell> {
        rows.iter().map(|row| cell_of(inner, group, column, row * width)).collect()
    };
    let times = || rows.iter().map(|row| group.times[*row]).collect::<Vec<_>>();
    Ok(match (leaf.kind, &columns.driver) {
        (LeafKind::Nothing, _) | (LeafKind::Fold(..) | LeafKind::Points(..), None) => Contribution::Nothing,
        (LeafKind::Fold(kind, wanted), Some(driver)) => {
            let wanted = leaf.points_of(source, wanted);
            let (mut times, mut values) = (times(), read(driver));
            if !ascending {
                times.reverse();
                values.reverse();
            }
            // top() and bottom() give their points by rising time even when the query goes down.
            if !times.is_sorted() {
                let mut rows: Vec<(i64, Cell)> = times.into_iter().zip(values).collect();
                rows.sort_by_key(|row| row.0);
                (times, values) = rows.into_iter().unzip();
            }
            let column = typed(&times, &values, wanted);
            let Some(mut state) = fold_state(kind, wanted) else { return Ok(Contribution::Nothing) };
            push(&mut *state, &column.times, &column.values, (window, leaf.range));
            state.end_series(None);
            // The rows were read once and are gone; what is kept are windows.
            budget.release((rows.len() * row_bytes).saturating_sub(state.bytes()));
            if state.is_empty() { Contribution::Nothing } else { Contribution::Fold(state) }
        }
        (LeafKind::Points(wanted, _), Some(driver)) => {
            let wanted = leaf.points_of(source, wanted);
            let mut points = Points::new(columns.aux.len());
            for row in rows {
                let value = cast(cell_of(inner, group, driver, row * width), wanted);
                if value != Cell::Null {
                    points.times.push(group.times[*row]);
                    points.values.push(value);
                    points.aux.extend(columns.aux.iter().map(|c| cell_of(inner, group, c, row * width)));
                }
            }
            Contribution::Rows(points)
        }
        (LeafKind::Raw, _) => {
            let mut points = Points { times: times(), width: columns.aux.len(), ..Points::default() };
            points.values = vec![Cell::Null; points.times.len()];
            for row in rows {
                points.aux.extend(columns.aux.iter().map(|c| cell_of(inner, group, c, row * width)));
            }
            Contribution::Rows(points)
        }
    })
}

fn is_nan(cell: &Cell) -> bool {
    matches!(cell, Cell::Float(f) if f.is_nan())
}

/// The output series of a leaf that a row group of the subquery belongs to.
pub(crate) fn outer_key(leaf: &Leaf, inner: &Stage, key: &GroupKey) -> GroupKey {
    let tags = leaf.dimensions.iter().map(|d| Arc::from(tag_of(inner, key, d))).collect();
    GroupKey { name: Arc::clone(&key.name), tags }
}

/// A GROUP BY tag of the subquery; `""` if it has none of this name.
fn tag_of<'a>(inner: &Stage, key: &'a GroupKey, name: &str) -> &'a str {
    inner.dimensions.iter().position(|d| &**d == name).map_or("", |i| &key.tags[i])
}

/// One cell; `first` is the index of the row's first cell.
fn cell_of(inner: &Stage, group: &RowGroup, column: &InnerColumn, first: usize) -> Cell {
    match column {
        InnerColumn::Field(i, wanted) => {
            let cell = group.cells[first + i].clone();
            // What cannot be cast is read as it is, NaN too; only the column that leads a call makes a number of it.
            match wanted.map(|wanted| cast(cell.clone(), wanted)) {
                None | Some(Cell::Null) => cell,
                Some(_) if is_nan(&cell) => cell,
                Some(fitting) => fitting,
            }
        }
        // Unlike a tag of a series, a missing tag of a subquery is an empty string.
        InnerColumn::Tag(name) => Cell::String(tag_of(inner, &group.key, name).into()),
        InnerColumn::Nothing => Cell::Null,
    }
}
