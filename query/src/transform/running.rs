//! cumulative_sum and moving_average.

use crate::points::Points;
use crate::result::Cell;

/// The sum up to each point.
pub(super) fn cumulative_sum(points: &Points) -> Points {
    let mut out = Points::new(0);
    let (mut float, mut integer, mut unsigned) = (0.0, 0_i64, 0_u64);
    for (time, value) in points.times.iter().zip(&points.values) {
        let sum = match value {
            Cell::Float(f) => {
                float += f;
                Cell::Float(float)
            }
            Cell::Integer(i) => {
                integer = integer.wrapping_add(*i);
                Cell::Integer(integer)
            }
            Cell::Unsigned(u) => {
                unsigned = unsigned.wrapping_add(*u);
                Cell::Unsigned(unsigned)
            }
            Cell::Null | Cell::Time(_) | Cell::Boolean(_) | Cell::String(_) | Cell::Strings(_) => continue,
        };
        out.push(*time, sum, &[]);
    }
    out
}

/// The mean of each `n` points in a row, at the time of the last.
pub(super) fn moving_average(points: &Points, n: usize) -> Points {
    let mut out = Points::new(0);
    let mut floats = Vec::new();
    let mut integers = Vec::new();
    let (mut float, mut integer) = (0.0, 0_i64);
    for (time, value) in points.times.iter().zip(&points.values) {
        // The sum is kept up, not made anew, because that is how 1.x rounds.
        let average = match value {
            Cell::Float(f) => {
                floats.push(*f);
                if floats.len() > n {
                    float -= floats[floats.len() - 1 - n];
                }
                float += f;
                (floats.len() >= n).then(|| float / n as f64)
            }
            Cell::Integer(_) | Cell::Unsigned(_) => {
                let whole = match value {
                    Cell::Integer(i) => *i,
                    Cell::Unsigned(u) => *u as i64,
                    _ => 0,
                };
                integers.push(whole);
                if integers.len() > n {
                    integer = integer.wrapping_sub(integers[integers.len() - 1 - n]);
                }
                integer = integer.wrapping_add(whole);
                (integers.len() >= n).then(|| integer as f64 / n as f64)
            }
            Cell::Null | Cell::Time(_) | Cell::Boolean(_) | Cell::String(_) | Cell::Strings(_) => continue,
        };
        if let Some(average) = average {
            out.push(*time, Cell::Float(average), &[]);
        }
    }
    out
}
