//! Finds the timestamps at the ends of points and moves them. Only a replay needs this; it understands as much of the
//! line protocol as it takes to know where a point ends: newlines inside string fields do not end one.

/// A body with moved times.
#[derive(Debug)]
pub(super) struct Shifted {
    pub(super) body: Vec<u8>,
    /// Points in it.
    pub(super) points: u64,
}

/// Adds `shift_ns` to the timestamp of every point; points without one stay as they are.
pub(super) fn shift_times(body: &[u8], shift_ns: i64) -> Shifted {
    let mut shifted = Shifted { body: Vec::with_capacity(body.len() + 64), points: 0 };
    for line in points(body) {
        match time_of(line) {
            Some((time, at)) => {
                shifted.body.extend_from_slice(&line[..at]);
                shifted.body.extend_from_slice(time.saturating_add(shift_ns).to_string().as_bytes());
            }
            None => shifted.body.extend_from_slice(line),
        }
        shifted.body.push(b'\n');
        shifted.points += 1;
    }
    if body.last() != Some(&b'\n') {
        shifted.body.pop();
    }
    shifted
}

/// The newest timestamp of a body.
pub(super) fn newest_time(body: &[u8]) -> Option<i64> {
    points(body).filter_map(|line| time_of(line).map(|(time, _)| time)).max()
}

/// The points of a body, without their newlines.
fn points(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = body;
    std::iter::from_fn(move || {
        let (line, after) = rest.split_at(point_length(rest));
        rest = after.get(1..).unwrap_or_default();
        (!line.is_empty()).then_some(line)
    })
}

/// Bytes up to the newline that ends the first point. Quotes count only among the fields, after the first space that is
/// not escaped.
fn point_length(body: &[u8]) -> usize {
    let (mut in_fields, mut in_quotes, mut escaped) = (false, false, false);
    for (at, byte) in body.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' if in_fields => in_quotes = !in_quotes,
            b' ' => in_fields = true,
            b'\n' if !in_quotes => return at,
            _ => {}
        }
    }
    body.len()
}

/// The timestamp of a point and where it begins.
fn time_of(line: &[u8]) -> Option<(i64, usize)> {
    let at = line.iter().rposition(|byte| *byte == b' ')? + 1;
    let time = std::str::from_utf8(&line[at..]).ok()?.parse().ok()?;
    Some((time, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: &str, points: u64) {
        let shifted = shift_times(body.as_bytes(), 5);
        assert_eq!(String::from_utf8(shifted.body).unwrap(), expected);
        assert_eq!(shifted.points, points);
    }

    #[test]
    fn every_point_moves_by_the_same_time() {
        check("m,a=b v=1i 10\nm,a=c v=2 95\n", "m,a=b v=1i 15\nm,a=c v=2 100\n", 2);
        check("m v=1 -7", "m v=1 -2", 1);
    }

    #[test]
    fn strings_over_many_lines_stay_whole() {
        let body = "e,u=1 v=\"{\n \\\"a\\\": \\\"b 12\\\"\n}\" 10\ne,u=2 v=\"x\" 20\n";
        check(body, "e,u=1 v=\"{\n \\\"a\\\": \\\"b 12\\\"\n}\" 15\ne,u=2 v=\"x\" 25\n", 2);
    }

    #[test]
    fn tags_may_hold_escaped_spaces_and_quotes() {
        check("m,a=x\\ y,b=\" v=1i 10\nm v=1i 11\n", "m,a=x\\ y,b=\" v=1i 15\nm v=1i 16\n", 2);
    }

    #[test]
    fn what_has_no_time_stays_as_it_is() {
        check("m v=1\n", "m v=1\n", 1);
        check("", "", 0);
    }
}
