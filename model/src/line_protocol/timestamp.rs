//! The last block of a line, an optional integer in the unit of the request.

use super::error::Reason;
use super::number::parse_integer;
use super::scan::skip_blanks;
use crate::series;
use crate::time::{TIME_MAX, TIME_MIN};

/// Parses what stands from `position` on; `None` if there is no timestamp.
pub(super) fn parse(line: &[u8], position: usize, precision_ns: i64) -> Result<Option<i64>, Reason> {
    let start = skip_blanks(line, position);
    let mut end = start + usize::from(line.get(start) == Some(&b'-'));
    while end < line.len() && !matches!(line[end], b' ' | b'\n') {
        if !line[end].is_ascii_digit() {
            return Err(Reason::BadTimestamp);
        }
        end += 1;
    }
    let text = &line[start..end];
    if text.is_empty() {
        return Ok(None);
    }
    if text == b"-" {
        return Err(Reason::TimestampSyntax(Box::from("-")));
    }
    let units =
        parse_integer(text).map_err(|_| Reason::TimestampOutOfRange(Box::from(&*series::text(text))))?;
    let time = units.checked_mul(precision_ns).filter(|time| (TIME_MIN..=TIME_MAX).contains(time));
    let time = time.ok_or(Reason::TimeOutsideRange)?;
    if line[end..].iter().any(|&byte| byte != b' ') {
        return Err(Reason::PointIsInvalid);
    }
    Ok(Some(time))
}
