//! median, percentile, mode: what sorting a window by value tells.

use super::order::{float, total};
use crate::points::Points;
use crate::result::Cell;

/// The middle value, or the mean of the two middle ones.
pub(super) fn median<'a>(values: impl Iterator<Item = &'a Cell>) -> Cell {
    let mut sorted: Vec<&Cell> = values.collect();
    sorted.sort_by(|a, b| total(a, b));
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        return float(sorted[middle]).map_or(Cell::Null, Cell::Float);
    }
    Cell::Float(match (sorted[middle - 1], sorted[middle]) {
        (Cell::Float(low), Cell::Float(high)) => low + (high - low) / 2.0,
        (Cell::Integer(low), Cell::Integer(high)) => *low as f64 + high.wrapping_sub(*low) as f64 / 2.0,
        (Cell::Unsigned(low), Cell::Unsigned(high)) => *low as f64 + high.wrapping_sub(*low) as f64 / 2.0,
        _ => return Cell::Null,
    })
}

/// The row whose value is the percentile; none if there are too few points for it.
pub(super) fn percentile(points: &Points, mut rows: Vec<usize>, percent: f64) -> Option<usize> {
    let index = (rows.len() as f64 * percent / 100.0 + 0.5).floor() - 1.0;
    if index.is_nan() || index < 0.0 || index >= rows.len() as f64 {
        return None;
    }
    rows.sort_by(|a, b| total(&points.values[*a], &points.values[*b]));
    Some(rows[index as usize])
}

/// The most frequent value.
///
/// Of equally frequent values InfluxDB 1.x takes the one whose first point is earliest, but a value that occurs once
/// only wins if it is the least.
pub(super) fn mode(points: &Points, rows: &[usize]) -> Cell {
    if let Cell::Boolean(_) = points.values[rows[0]] {
        let yes = rows.iter().filter(|r| points.values[**r] == Cell::Boolean(true)).count();
        // A single point is itself in 1.x, and so is it here.
        return Cell::Boolean(2 * yes >= rows.len());
    }
    let mut sorted = rows.to_vec();
    sorted.sort_by(|a, b| total(&points.values[*a], &points.values[*b]));
    let (mut best, mut best_count, mut best_time) = (sorted[0], 0, points.times[sorted[0]]);
    let (mut current, mut count, mut first_time) = (sorted[0], 0, best_time);
    for &row in &sorted {
        if points.values[row] != points.values[current] {
            (current, count, first_time) = (row, 1, points.times[row]);
            continue;
        }
        count += 1;
        if best_count > count || (best_count == count && first_time > best_time) {
            continue;
        }
        (best, best_count, best_time) = (row, count, points.times[row]);
    }
    points.values[best].clone()
}
