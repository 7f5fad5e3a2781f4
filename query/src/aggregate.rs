//! Aggregates that need all points of a window: picks with auxiliary columns, quantiles, deviation, distinct, top and
//! bottom, samples. They run where partials have been merged, over one output group at a time.

mod deviation;
mod distinct;
mod integral;
mod order;
mod pick;
mod quantile;
mod top;

pub(crate) use integral::integral;
pub(crate) use order::float;
pub(crate) use pick::{Pick, pick_in_windows};

use crate::budget::Budget;
use crate::error::QueryError;
use crate::points::Points;
use crate::result::Cell;
use crate::window::Window;
use std::ops::Range;

/// Points between two looks at deadline and cancellation.
const POINTS_PER_CHECK: usize = 65_536;
/// Values that are sorted at once.
const RUN: usize = 1 << 17;

/// What makes one or more points of a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Reducer {
    /// min, max, first, last with auxiliary columns.
    Pick(Pick),
    /// count of what is there, over `distinct()`.
    Count,
    Median,
    Mode,
    Stddev,
    Percentile(f64),
    Distinct,
    Top(usize),
    Bottom(usize),
    /// Size and seed.
    Sample(usize, u64),
}

impl Reducer {
    /// Reduces the points of a group window by window. Points with a null value do not count. A reducer that makes a
    /// value of no particular point gives it the time of the window's start.
    ///
    /// # Errors
    ///
    /// Those of the budget.
    pub(crate) fn reduce(
        self,
        points: &Points,
        (window, range): (&Window, (i64, i64)),
        budget: &Budget,
    ) -> Result<Points, QueryError> {
        let mut out = Points::new(points.width);
        let mut stopped = Ok(());
        let mut seen = 0;
        each_window(points, window, range, |start, rows| {
            seen += rows.len();
            if seen >= POINTS_PER_CHECK {
                seen = 0;
                stopped = stopped.clone().and_then(|()| budget.check());
            }
            let mut rows: Vec<usize> = rows.filter(|i| points.values[*i] != Cell::Null).collect();
            if rows.is_empty() || stopped.is_err() {
                return;
            }
            if self.sorts() && rows.len() > RUN {
                stopped = self.sort_runs(points, &mut rows, budget);
            }
            if stopped.is_ok() {
                self.reduce_window(points, start, rows, &mut out);
            }
        });
        stopped.map(|()| out)
    }

    /// Whether it sorts the values of a window.
    fn sorts(self) -> bool {
        match self {
            Self::Median | Self::Mode | Self::Percentile(_) | Self::Top(_) | Self::Bottom(_) => true,
            Self::Pick(_) | Self::Count | Self::Stddev | Self::Distinct | Self::Sample(..) => false,
        }
    }

    /// Sorts many values run by run, looking at the budget in between: the sort that follows merges the runs, which takes
    /// a fraction of the time. Rows of one value keep their order.
    fn sort_runs(self, points: &Points, rows: &mut [usize], budget: &Budget) -> Result<(), QueryError> {
        for run in rows.chunks_mut(RUN) {
            budget.check()?;
            match self {
                Self::Top(_) => run.sort_by(|a, b| order::total(&points.values[*b], &points.values[*a])),
                _ => run.sort_by(|a, b| order::total(&points.values[*a], &points.values[*b])),
            }
        }
        budget.check()
    }

    fn reduce_window(self, points: &Points, start: i64, rows: Vec<usize>, out: &mut Points) {
        let nothing = vec![Cell::Null; points.width];
        let values = || rows.iter().map(|i| &points.values[*i]);
        match self {
            Self::Pick(pick) => copy(points, pick.best(points, &rows), out),
            Self::Count => out.push(start, Cell::Integer(rows.len() as i64), &nothing),
            Self::Median => out.push(start, quantile::median(values()), &nothing),
            Self::Mode => out.push(start, quantile::mode(points, &rows), &nothing),
            Self::Stddev => out.push(start, deviation::stddev(values()), &nothing),
            Self::Percentile(percent) => {
                if let Some(row) = quantile::percentile(points, rows, percent) {
                    copy(points, row, out);
                }
            }
            Self::Distinct => {
                for row in distinct::distinct(points, &rows) {
                    out.push(points.times[row], points.values[row].clone(), &nothing);
                }
            }
            Self::Top(n) => copy_all(points, top::largest(points, rows, n), out),
            Self::Bottom(n) => copy_all(points, top::smallest(points, rows, n), out),
            Self::Sample(n, seed) => copy_all(points, top::sample(points, rows, n, seed), out),
        }
    }
}

fn copy_all(points: &Points, rows: Vec<usize>, out: &mut Points) {
    for row in rows {
        copy(points, row, out);
    }
}

fn copy(points: &Points, row: usize, out: &mut Points) {
    out.push(points.times[row], points.values[row].clone(), points.aux_of(row));
}

/// Calls `f` with the start and the rows of each window, in the order of the points. Without GROUP BY time all rows are in one,
/// also those of a subquery or of distinct() whose time is not in the range.
pub(crate) fn each_window(
    points: &Points,
    window: &Window,
    range: (i64, i64),
    mut f: impl FnMut(i64, Range<usize>),
) {
    let mut from = 0;
    while from < points.len() {
        let (start, end) = window.bounds(points.times[from], range);
        let mut to = from + 1;
        while to < points.len() && (window.is_none() || (start..end).contains(&points.times[to])) {
            to += 1;
        }
        f(start, from..to);
        from = to;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_group_by_time_all_rows_are_one_window() {
        let mut points = Points::new(0);
        for time in [0, 0, 7] {
            points.push(time, Cell::Integer(1), &[]);
        }
        // Those of distinct() and of subqueries may lie outside of the range.
        let mut seen = Vec::new();
        each_window(&points, &Window::default(), (-100, -50), |start, rows| seen.push((start, rows)));
        assert_eq!(seen, [(-100, 0..3)]);
    }
}
