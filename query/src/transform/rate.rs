//! derivative, difference, elapsed: what changed since the point before.

use crate::points::Points;
use crate::result::Cell;

/// Points that have a value, each time once: a joined series may have several points at one time, of which 1.x takes
/// the first.
fn advancing(points: &Points) -> impl Iterator<Item = (i64, &Cell)> {
    let mut last = None;
    points.times.iter().zip(&points.values).filter_map(move |(time, value)| {
        if *value == Cell::Null || last == Some(*time) {
            return None;
        }
        last = Some(*time);
        Some((*time, value))
    })
}

/// `b - a`, as a number of their own type.
fn minus(b: &Cell, a: &Cell) -> Option<Cell> {
    Some(match (b, a) {
        (Cell::Float(b), Cell::Float(a)) => Cell::Float(b - a),
        (Cell::Integer(b), Cell::Integer(a)) => Cell::Integer(b.wrapping_sub(*a)),
        (Cell::Unsigned(b), Cell::Unsigned(a)) => Cell::Unsigned(b.wrapping_sub(*a)),
        _ => return None,
    })
}

/// `b - a` as a float; unsigned differences may be negative.
fn change(b: &Cell, a: &Cell) -> Option<f64> {
    match (b, a) {
        (Cell::Unsigned(b), Cell::Unsigned(a)) if a > b => Some(-((a - b) as f64)),
        _ => match minus(b, a)? {
            Cell::Float(f) => Some(f),
            Cell::Integer(i) => Some(i as f64),
            Cell::Unsigned(u) => Some(u as f64),
            _ => None,
        },
    }
}

/// Change per `unit` ns. In descending order the pairs are taken as they come.
pub(super) fn derivative(points: &Points, unit: i64, non_negative: bool, ascending: bool) -> Points {
    let mut out = Points::new(0);
    let mut previous: Option<(i64, &Cell)> = None;
    for (time, value) in advancing(points) {
        if let Some((before, value_before)) = previous.replace((time, value))
            && let Some(change) = change(value, value_before)
            // NaN, which stddev() makes of one point, is not negative.
            && !(non_negative && change < 0.0)
        {
            let elapsed = if ascending { time - before } else { before - time };
            out.push(time, Cell::Float(change / (elapsed as f64 / unit as f64)), &[]);
        }
    }
    out
}

/// Change.
pub(super) fn difference(points: &Points, non_negative: bool) -> Points {
    let mut out = Points::new(0);
    let mut previous: Option<&Cell> = None;
    for (time, value) in advancing(points) {
        if let Some(before) = previous.replace(value)
            && let Some(difference) = minus(value, before)
        {
            let negative = change(value, before).is_some_and(|c| c < 0.0);
            if !(non_negative && negative) {
                out.push(time, difference, &[]);
            }
        }
    }
    out
}

/// Time since the point before, in whole units; also between points of one time.
pub(super) fn elapsed(points: &Points, unit: i64) -> Points {
    let mut out = Points::new(0);
    let mut previous: Option<i64> = None;
    for (time, value) in points.times.iter().zip(&points.values) {
        if *value == Cell::Null {
            continue;
        }
        if let Some(before) = previous.replace(*time) {
            out.push(*time, Cell::Integer((time - before) / unit), &[]);
        }
    }
    out
}
