//! min, max, first and last as selectors of whole rows.

use super::each_window;
use super::order::compare;
use crate::points::Points;
use crate::result::Cell;
use crate::window::Window;
use std::cmp::Ordering;

/// Which row of a window is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pick {
    Min,
    Max,
    First,
    Last,
}

impl Pick {
    /// The row that wins. First and last prefer the larger value at one time (first: false), min and max the earlier time at
    /// one value.
    pub(super) fn best(self, points: &Points, rows: &[usize]) -> usize {
        let mut best = rows[0];
        for &row in &rows[1..] {
            let time = points.times[row].cmp(&points.times[best]);
            let value = compare(&points.values[row], &points.values[best]);
            let wins = match self {
                Self::Min => value.then(time) == Ordering::Less,
                Self::Max => value.reverse().then(time) == Ordering::Less,
                Self::First if matches!(points.values[row], Cell::Boolean(_)) => {
                    time.then(value) == Ordering::Less
                }
                Self::First => time.then(value.reverse()) == Ordering::Less,
                Self::Last => time.reverse().then(value.reverse()) == Ordering::Less,
            };
            if wins {
                best = row;
            }
        }
        best
    }
}

/// Keeps the best row of each window, with its own time.
pub(crate) fn pick_in_windows(pick: Pick, mut points: Points, window: &Window, range: (i64, i64)) -> Points {
    let mut kept = Vec::new();
    each_window(&points, window, range, |_, rows| {
        let rows: Vec<usize> = rows.filter(|i| points.values[*i] != Cell::Null).collect();
        if !rows.is_empty() {
            kept.push(pick.best(&points, &rows));
        }
    });
    points.keep(&kept);
    points
}
