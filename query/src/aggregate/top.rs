//! top, bottom, sample: some rows of a window, given in order of time.

use super::order::total;
use crate::points::Points;
use std::cmp::Ordering;

/// The `n` rows of the largest values; of equal values the earlier.
pub(super) fn largest(points: &Points, rows: Vec<usize>, n: usize) -> Vec<usize> {
    best(points, rows, n, |a, b| total(&points.values[b], &points.values[a]))
}

/// The `n` rows of the smallest values; of equal values the earlier.
pub(super) fn smallest(points: &Points, rows: Vec<usize>, n: usize) -> Vec<usize> {
    best(points, rows, n, |a, b| total(&points.values[a], &points.values[b]))
}

fn best(
    points: &Points,
    mut rows: Vec<usize>,
    n: usize,
    by_value: impl Fn(usize, usize) -> Ordering,
) -> Vec<usize> {
    rows.sort_by(|a, b| by_value(*a, *b).then_with(|| points.times[*a].cmp(&points.times[*b])));
    rows.truncate(n);
    by_time(points, &mut rows);
    rows
}

/// Some `n` rows, each as likely as any other (reservoir sampling). The same seed and rows give the same sample.
pub(super) fn sample(points: &Points, rows: Vec<usize>, n: usize, seed: u64) -> Vec<usize> {
    let mut random = seed ^ (points.times[rows[0]] as u64) | 1;
    let mut reservoir: Vec<usize> = Vec::with_capacity(n.min(rows.len()));
    for (seen, row) in rows.into_iter().enumerate() {
        if seen < n {
            reservoir.push(row);
            continue;
        }
        // xorshift: enough to spread a sample over a chart.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let at = (random % (seen as u64 + 1)) as usize;
        if let Some(slot) = reservoir.get_mut(at) {
            *slot = row;
        }
    }
    reservoir.sort_by(|a, b| total(&points.values[*a], &points.values[*b]));
    by_time(points, &mut reservoir);
    reservoir
}

/// By rising time, also when the query goes down: 1.x does the same.
fn by_time(points: &Points, rows: &mut [usize]) {
    rows.sort_by_key(|row| points.times[*row]);
}
