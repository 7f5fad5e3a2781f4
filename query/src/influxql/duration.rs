//! Durations as InfluxQL writes them (`1h30m`, `90m`) and as Go prints them (`1h30m0s`).

use std::borrow::Cow;
use std::fmt::Write;

const MICROSECOND: i64 = 1_000;
const MILLISECOND: i64 = 1_000 * MICROSECOND;
const SECOND: i64 = 1_000 * MILLISECOND;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not digits followed by a unit, once or more.
    #[error("invalid duration")]
    Invalid,
    /// More than 2^63 - 1 ns.
    #[error("overflowed duration {0}: choose a smaller duration or INF")]
    Overflow(String),
}

/// The ns of a duration such as `1h30m`; units are `ns u µ ms s m h d w`. A leading `-` makes it negative.
///
/// # Errors
///
/// [`DurationError`], whose text is that of InfluxDB 1.x.
pub fn parse(text: &str) -> Result<i64, DurationError> {
    let (mut rest, negative) = match text.strip_prefix('-') {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    if rest.is_empty() {
        return Err(DurationError::Invalid);
    }
    let mut total = 0_i64;
    while !rest.is_empty() {
        let digits_end = rest.find(|c: char| !c.is_ascii_digit()).ok_or(DurationError::Invalid)?;
        let count: i64 = rest[..digits_end].parse().map_err(|_| DurationError::Invalid)?;
        let (unit_ns, unit_len) = unit(&rest[digits_end..]).ok_or(DurationError::Invalid)?;
        let end = digits_end + unit_len;
        total = count
            .checked_mul(unit_ns)
            .and_then(|ns| total.checked_add(ns))
            .ok_or_else(|| DurationError::Overflow(format!("{count}{}", &rest[digits_end..end])))?;
        rest = &rest[end..];
    }
    Ok(if negative { -total } else { total })
}

/// ns and bytes of the unit at the start of `text`.
fn unit(text: &str) -> Option<(i64, usize)> {
    const UNITS: [(&str, i64); 9] = [
        ("ns", 1),
        ("u", MICROSECOND),
        ("µ", MICROSECOND),
        ("ms", MILLISECOND),
        ("s", SECOND),
        ("m", MINUTE),
        ("h", HOUR),
        ("d", DAY),
        ("w", WEEK),
    ];
    UNITS.iter().find(|(name, _)| text.starts_with(name)).map(|(name, ns)| (*ns, name.len()))
}

/// The duration in the largest unit that divides it, as InfluxDB 1.x prints it in statements.
pub fn format(ns: i64) -> String {
    const UNITS: [(&str, i64); 8] = [
        ("w", WEEK),
        ("d", DAY),
        ("h", HOUR),
        ("m", MINUTE),
        ("s", SECOND),
        ("ms", MILLISECOND),
        ("u", MICROSECOND),
        ("ns", 1),
    ];
    if ns == 0 {
        return "0s".to_owned();
    }
    match UNITS.iter().find(|(_, unit_ns)| ns % unit_ns == 0) {
        Some((name, unit_ns)) => format!("{}{name}", ns / unit_ns),
        None => format!("{ns}ns"),
    }
}

/// The duration as Go's `time.Duration` prints it: `168h0m0s`, `1.5s`, `3µs`, `0s`.
pub fn format_go(ns: i64) -> String {
    let magnitude = ns.unsigned_abs();
    let sign = if ns < 0 { "-" } else { "" };
    if magnitude < SECOND as u64 {
        let (unit, digits) = match magnitude {
            0 => return "0s".to_owned(),
            1..1_000 => ("ns", 0),
            1_000..1_000_000 => ("µs", 3),
            _ => ("ms", 6),
        };
        return format!("{sign}{}{unit}", decimal(magnitude, digits));
    }
    let hours = magnitude / HOUR as u64;
    let minutes = magnitude / MINUTE as u64 % 60;
    let seconds = decimal(magnitude % MINUTE as u64, 9);
    let mut out = sign.to_owned();
    // Writing to a String cannot fail.
    if hours > 0 {
        write!(out, "{hours}h").ok();
    }
    if hours > 0 || minutes > 0 {
        write!(out, "{minutes}m").ok();
    }
    write!(out, "{seconds}s").ok();
    out
}

/// `value / 10^digits` without trailing zeros.
fn decimal(value: u64, digits: usize) -> Cow<'static, str> {
    if digits == 0 {
        return value.to_string().into();
    }
    let scale = 10_u64.pow(digits as u32);
    let fraction = format!("{:0digits$}", value % scale);
    match fraction.trim_end_matches('0') {
        "" => (value / scale).to_string().into(),
        fraction => format!("{}.{fraction}", value / scale).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        assert_eq!(parse("1h30m"), Ok(90 * MINUTE));
        assert_eq!(parse("5µ"), Ok(5_000));
        assert_eq!(parse("5u"), Ok(5_000));
        assert_eq!(parse("1ms1m"), Ok(MINUTE + MILLISECOND));
        for bad in ["", "-", "1", "s", "1y", "1n", "1h5"] {
            assert_eq!(parse(bad), Err(DurationError::Invalid), "{bad:?}");
        }
        assert_eq!(parse("15251w"), Err(DurationError::Overflow("15251w".into())));
        assert_eq!(parse("1s15251w"), Err(DurationError::Overflow("15251w".into())));
    }

    #[test]
    fn durations_are_printed() {
        for (ns, influx, go) in [
            (0, "0s", "0s"),
            (WEEK, "1w", "168h0m0s"),
            (90 * MINUTE, "90m", "1h30m0s"),
            (-SECOND, "-1s", "-1s"),
            (1_500 * MILLISECOND, "1500ms", "1.5s"),
            (3_100, "3100ns", "3.1µs"),
            (12, "12ns", "12ns"),
            (61 * SECOND, "61s", "1m1s"),
        ] {
            assert_eq!(format(ns), influx);
            assert_eq!(format_go(ns), go);
        }
    }
}
