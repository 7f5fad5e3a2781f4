//! Time literals in strings, and time zones by name.

use crate::error::QueryError;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

/// The zone of `tz('name')`.
///
/// # Errors
///
/// [`QueryError::Statement`] when there is no such zone.
pub fn zone(name: &str) -> Result<TimeZone, QueryError> {
    if name.is_empty() || name == "UTC" {
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(name).map_err(|_| QueryError::Statement(format!("unable to find time zone {name}")))
}

/// Whether a string looks like a time: `YYYY-MM-DD` and whatever follows.
pub(super) fn looks_like_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 10
        && bytes[..10].iter().enumerate().all(|(i, b)| match i {
            4 | 7 => *b == b'-',
            _ => b.is_ascii_digit(),
        })
}

/// The time in ns that a string says in `zone`: `YYYY-MM-DD`, `YYYY-MM-DD HH:MM:SS[.ffffff]` or RFC 3339.
/// `None` if it says none, or one that does not fit 64 bits.
pub fn parse_time_literal(text: &str, zone: &TimeZone) -> Option<i64> {
    if !looks_like_time(text) {
        return None;
    }
    let date =
        Date::new(text[..4].parse().ok()?, text[5..7].parse().ok()?, text[8..10].parse().ok()?).ok()?;
    let rest = &text[10..];
    if rest.is_empty() {
        return local(DateTime::from_parts(date, Time::midnight()), zone);
    }
    let separator = rest.as_bytes()[0];
    let (clock, after) = clock(rest.get(1..)?)?;
    let civil = DateTime::from_parts(date, clock);
    match (separator, after) {
        (b' ', "") => local(civil, zone),
        (b'T', "Z") => local(civil, &TimeZone::UTC),
        (b'T', offset) => {
            let seconds = offset_seconds(offset)?;
            local(civil, &TimeZone::UTC)?.checked_sub(seconds * 1_000_000_000)
        }
        _ => None,
    }
}

/// `HH:MM:SS[.fraction]` and what follows it.
fn clock(text: &str) -> Option<(Time, &str)> {
    let bytes = text.as_bytes();
    let hour_len = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    if !(1..=2).contains(&hour_len) || bytes.len() < hour_len + 6 {
        return None;
    }
    let rest = text.get(hour_len..hour_len + 6)?;
    let parts = rest.as_bytes();
    if parts[0] != b':' || parts[3] != b':' {
        return None;
    }
    let hour: i8 = text[..hour_len].parse().ok()?;
    let minute: i8 = rest.get(1..3)?.parse().ok()?;
    let second: i8 = rest.get(4..6)?.parse().ok()?;
    let mut after = &text[hour_len + 6..];
    let mut nanos = 0;
    if let Some(fraction) = after.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return None;
        }
        let mut scale = 100_000_000;
        for digit in fraction.bytes().take(digits) {
            nanos += i32::from(digit - b'0') * scale;
            scale /= 10;
        }
        after = &fraction[digits..];
    }
    Some((Time::new(hour, minute, second, nanos).ok()?, after))
}

/// `+HH:MM` or `-HH:MM` in seconds.
fn offset_seconds(text: &str) -> Option<i64> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = text[1..].split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

fn local(civil: DateTime, zone: &TimeZone) -> Option<i64> {
    let timestamp = zone.to_ambiguous_timestamp(civil).compatible().ok()?;
    i64::try_from(timestamp.as_nanosecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_that_are_times() {
        let utc = |text| parse_time_literal(text, &TimeZone::UTC);
        assert_eq!(utc("1970-01-02"), Some(86_400_000_000_000));
        assert_eq!(utc("1970-01-01 00:00:01"), Some(1_000_000_000));
        assert_eq!(utc("1970-01-01 00:00:01.5"), Some(1_500_000_000));
        assert_eq!(utc("1970-01-01T00:00:01Z"), Some(1_000_000_000));
        assert_eq!(utc("1970-01-01T00:00:01.000000001Z"), Some(1_000_000_001));
        assert_eq!(utc("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(utc("1970-13-01"), None);
        assert_eq!(utc("1970-01-01 nope"), None);
        assert_eq!(utc("soon"), None);
        assert_eq!(utc("9999-01-01"), None);
        let new_york = zone("America/New_York").unwrap();
        assert_eq!(parse_time_literal("1970-01-01 00:00:00", &new_york), Some(5 * 3_600_000_000_000));
    }
}
