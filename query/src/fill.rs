//! fill(): points for the windows that have none.

use crate::budget::Budget;
use crate::cast::truncated;
use crate::error::QueryError;
use crate::points::Points;
use crate::result::Cell;
use crate::stage::FillKind;
use crate::window::Window;
use model::time::TIME_MIN;

/// Bytes that one filled point takes here and in the answer.
pub(crate) const BYTES_PER_POINT: usize = 32;

/// Points between two looks at deadline and cancellation.
const POINTS_PER_CHECK: usize = 65_536;

/// Fills the windows of one group from the start of the range (of the points, if the range has none) to its end.
///
/// # Errors
///
/// Those of the budget, asked before memory is taken.
pub(crate) fn fill(
    points: Points,
    kind: &FillKind,
    (window, range): (&Window, (i64, i64)),
    ascending: bool,
    budget: &Budget,
) -> Result<Points, QueryError> {
    let Some(&first) = points.times.first() else { return Ok(points) };
    let unbounded = range.0 <= TIME_MIN;
    let (begin, end) = if ascending {
        let begin = if unbounded { window.start(first, range) } else { window.start(range.0, range) };
        (begin, window.start(range.1, range))
    } else {
        (window.start(range.1, range), window.start(range.0, range))
    };
    // Downwards without a lower bound it ends with the data.
    let last = points.times[points.len() - 1];
    let end = if unbounded && !ascending { window.start(last, range) } else { end };
    let buckets = (i128::from(end) - i128::from(begin)).unsigned_abs() as u64 / window.interval as u64 + 1;
    budget.check_buckets(buckets)?;
    if buckets as usize == points.len() && points.times[0] == begin {
        // Nothing to fill.
        return Ok(points);
    }
    let bytes = (buckets as usize).saturating_mul(BYTES_PER_POINT + points.width * size_of::<Cell>());
    budget.charge(bytes)?;
    let filler = Filler { points, kind, window, ascending, budget };
    filler.run(begin, end)
}

struct Filler<'a> {
    points: Points,
    kind: &'a FillKind,
    window: &'a Window,
    ascending: bool,
    budget: &'a Budget,
}

impl Filler<'_> {
    fn run(&self, begin: i64, end: i64) -> Result<Points, QueryError> {
        let nothing = vec![Cell::Null; self.points.width];
        let mut out = Points::new(self.points.width);
        let mut zone_offset = self.window.zone_offset(begin);
        let (mut at, mut next) = (begin, 0);
        loop {
            if out.len() % POINTS_PER_CHECK == POINTS_PER_CHECK - 1 {
                self.budget.check()?;
            }
            match self.points.times.get(next) {
                Some(&time) if if self.ascending { time <= at } else { time >= at } => {
                    out.push(time, self.points.values[next].clone(), self.points.aux_of(next));
                    next += 1;
                }
                Some(_) => out.push(at, self.value(at, next), &nothing),
                None => {
                    let inside = if self.ascending { at <= end } else { at >= end };
                    if !inside {
                        return Ok(out);
                    }
                    out.push(at, self.value(at, next), &nothing);
                }
            }
            at = self.window.step(at, &mut zone_offset, self.ascending);
        }
    }

    /// The value of the window at `at`, which lies between points `next - 1` and `next`.
    fn value(&self, at: i64, next: usize) -> Cell {
        match self.kind {
            FillKind::Null => Cell::Null,
            FillKind::Value(cell) => cell.clone(),
            FillKind::Previous => match next.checked_sub(1) {
                Some(previous) => self.points.values[previous].clone(),
                None => Cell::Null,
            },
            FillKind::Linear => match next.checked_sub(1) {
                Some(previous) if next < self.points.len() => self.between(at, previous, next),
                _ => Cell::Null,
            },
        }
    }

    /// On the line between two points; times count in whole intervals, as in 1.x.
    fn between(&self, at: i64, previous: usize, next: usize) -> Cell {
        let index = |t: i64| t / self.window.interval;
        let (before, after) = (index(self.points.times[previous]), index(self.points.times[next]));
        let steps = (index(at) - before) as f64;
        let slope = |rise: f64| rise / (after - before) as f64;
        match (&self.points.values[previous], &self.points.values[next]) {
            (Cell::Float(a), Cell::Float(b)) => Cell::Float(slope(b - a) * steps + a),
            (Cell::Integer(a), Cell::Integer(b)) => {
                Cell::Integer(truncated(slope(b.wrapping_sub(*a) as f64) * steps + *a as f64))
            }
            (Cell::Unsigned(a), Cell::Unsigned(b)) => {
                Cell::Unsigned((slope(b.wrapping_sub(*a) as f64) * steps + *a as f64) as u64)
            }
            _ => Cell::Null,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::QueryLimits;
    use std::time::{Duration, Instant};

    fn filled(kind: &FillKind, ascending: bool) -> Vec<(i64, Cell)> {
        let mut points = Points::new(0);
        for (time, value) in [(10, 1), (40, 5)] {
            points.push(time, Cell::Integer(value), &[]);
        }
        if !ascending {
            points.reverse();
        }
        let budget = Budget::new(&QueryLimits::default(), Instant::now() + Duration::from_secs(9));
        let window = Window { interval: 10, offset: 0, zone: None };
        let out = fill(points, kind, (&window, (5, 55)), ascending, &budget).unwrap();
        out.times.into_iter().zip(out.values).collect()
    }

    #[test]
    fn linear_truncates_and_leaves_the_edges_null() {
        let expected = [
            (0, Cell::Null),
            (10, Cell::Integer(1)),
            (20, Cell::Integer(2)),
            (30, Cell::Integer(3)),
            (40, Cell::Integer(5)),
            (50, Cell::Null),
        ];
        assert_eq!(filled(&FillKind::Linear, true), expected);
    }

    #[test]
    fn previous_follows_the_order_of_the_answer() {
        let five = || Cell::Integer(5);
        let expected = [
            (50, Cell::Null),
            (40, five()),
            (30, five()),
            (20, five()),
            (10, Cell::Integer(1)),
            (0, Cell::Integer(1)),
        ];
        assert_eq!(filled(&FillKind::Previous, false), expected);
    }
}
