//! stddev: of a sample, so one point has none.

use super::order::float;
use crate::result::Cell;

/// The sample standard deviation; NaN for one point.
pub(super) fn stddev<'a>(values: impl Iterator<Item = &'a Cell>) -> Cell {
    let values: Vec<f64> = values.filter_map(float).collect();
    if values.len() < 2 {
        return Cell::Float(f64::NAN);
    }
    let (mut mean, mut count) = (0.0, 0.0);
    for value in values.iter().filter(|v| !v.is_nan()) {
        count += 1.0;
        mean += (value - mean) / count;
    }
    let variance: f64 = values.iter().filter(|v| !v.is_nan()).map(|v| (v - mean) * (v - mean)).sum();
    Cell::Float((variance / (count - 1.0)).sqrt())
}
