//! integral: the area under the line through the points of a group, cut at window borders by interpolation.

use super::order::float;
use crate::points::Points;
use crate::result::Cell;
use crate::window::Window;
use model::time::TIME_MIN;

/// Areas in value × `unit` (ns), one a window in which a line was drawn; the time is the window's start. The points are in
/// the order of the query. Without windows the time is 0, but for integers 1.x makes one window of the whole range.
pub(crate) fn integral(
    points: &Points,
    window: &Window,
    range: (i64, i64),
    unit: i64,
    ascending: bool,
) -> Points {
    let mut out = Points::new(points.width);
    let nothing = vec![Cell::Null; points.width];
    let has_borders = !window.is_none() || matches!(points.values.first(), Some(Cell::Integer(_)));
    let borders = |t| {
        if !has_borders {
            return (0, 0);
        }
        let (start, end) = window.bounds(t, range);
        // A range without a start is shown as the epoch, and counts as if it began there.
        let shown = if start <= TIME_MIN { 0 } else { start };
        if ascending { (shown, end) } else { (end, start) }
    };
    let mut previous: Option<(i64, f64)> = None;
    let (mut area, mut start, mut end) = (0.0, 0, 0);
    for (time, value) in points.times.iter().zip(&points.values) {
        let is_float = matches!(value, Cell::Float(_));
        let (time, Some(value)) = (*time, float(value)) else { continue };
        let mut reached = value;
        let Some((mut before, mut value_before)) = previous.replace((time, value)) else {
            (start, end) = borders(time);
            continue;
        };
        if before == time {
            continue;
        }
        let beyond = if ascending { time >= end } else { time <= end };
        if has_borders && beyond {
            if before != end {
                let slope = (value - value_before) / (time - before) as f64;
                let at_border = slope * (end - before) as f64 + value_before;
                area += 0.5 * (at_border + value_before) * ((end - before) as f64 / unit as f64);
                before = end;
                // For whole numbers 1.x goes on from the value before the border to the one at it.
                if is_float { value_before = at_border } else { reached = at_border }
            }
            out.push(start, Cell::Float(area), &nothing);
            (start, end) = borders(time);
            area = 0.0;
        }
        area += 0.5 * (reached + value_before) * ((time - before) as f64 / unit as f64);
    }
    // A point on the start of a window encloses no area.
    if previous.is_some_and(|(time, _)| time != start) {
        out.push(start, Cell::Float(area), &nothing);
    }
    out
}
