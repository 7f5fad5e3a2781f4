//! Times: RFC 3339 with up to nine digits, or whole units since the epoch.

use super::number::push_integer;
use jiff::tz::TimeZone;
use std::time::Duration;

const NS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// How an answer prints times: `epoch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Epoch {
    /// RFC 3339 text.
    Text,
    /// Whole units of so many ns, cut toward zero.
    Units(i64),
}

impl Epoch {
    /// Reads the parameter. Like 1.x, a word that is no unit means ns.
    pub(crate) fn from_parameter(text: &str) -> Self {
        let unit = |duration: Duration| Self::Units(duration.as_nanos() as i64);
        match text.trim() {
            "" => Self::Text,
            "u" => unit(Duration::from_micros(1)),
            "ms" => unit(Duration::from_millis(1)),
            "s" => unit(Duration::from_secs(1)),
            "m" => unit(Duration::from_secs(60)),
            "h" => unit(Duration::from_secs(3_600)),
            _ => unit(Duration::from_nanos(1)),
        }
    }
}

/// Appends `ns / unit`, cut toward zero as Go's division is.
pub(crate) fn push_units(out: &mut Vec<u8>, ns: i64, unit: i64) {
    push_integer(out, ns / unit);
}

/// Appends the time as Go's `time.RFC3339Nano` prints it: no trailing zeros, `Z` or an offset.
pub(crate) fn push_rfc3339(out: &mut Vec<u8>, ns: i64, zone: Option<&TimeZone>) {
    let seconds = ns.div_euclid(NS_PER_SECOND);
    let offset = zone.map_or(0, |zone| {
        jiff::Timestamp::from_second(seconds).map_or(0, |time| i64::from(zone.to_offset(time).seconds()))
    });
    push_civil(out, seconds + offset);
    push_fraction(out, ns.rem_euclid(NS_PER_SECOND) as u32);
    if offset == 0 {
        out.push(b'Z');
        return;
    }
    out.push(if offset < 0 { b'-' } else { b'+' });
    let minutes = (offset.abs() / 60) as u32;
    push_padded(out, minutes / 60, 2);
    out.push(b':');
    push_padded(out, minutes % 60, 2);
}

/// `2006-01-02T15:04:05` of seconds since the epoch.
fn push_civil(out: &mut Vec<u8>, seconds: i64) {
    let (year, month, day) = civil_from_days(seconds.div_euclid(SECONDS_PER_DAY));
    let of_day = seconds.rem_euclid(SECONDS_PER_DAY) as u32;
    push_padded(out, year, 4);
    out.push(b'-');
    push_padded(out, month, 2);
    out.push(b'-');
    push_padded(out, day, 2);
    out.push(b'T');
    push_padded(out, of_day / 3_600, 2);
    out.push(b':');
    push_padded(out, of_day / 60 % 60, 2);
    out.push(b':');
    push_padded(out, of_day % 60, 2);
}

/// Year, month and day in the Gregorian calendar; all times of 64 bits lie in the years 1677 to 2262. Years are counted
/// from March, so that the leap day comes last.
fn civil_from_days(days: i64) -> (u32, u32, u32) {
    const DAYS_PER_ERA: i64 = 146_097;
    const DAYS_FROM_ERA_TO_EPOCH: i64 = 719_468;
    let shifted = days + DAYS_FROM_ERA_TO_EPOCH;
    let era = shifted.div_euclid(DAYS_PER_ERA);
    let of_era = shifted.rem_euclid(DAYS_PER_ERA);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year as u32, month as u32, day as u32)
}

fn push_padded(out: &mut Vec<u8>, value: u32, digits: u32) {
    for place in (0..digits).rev() {
        out.push(b'0' + (value / 10_u32.pow(place) % 10) as u8);
    }
}

fn push_fraction(out: &mut Vec<u8>, ns: u32) {
    if ns == 0 {
        return;
    }
    out.push(b'.');
    push_padded(out, ns, 9);
    while out.last() == Some(&b'0') {
        out.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ns: i64, zone: Option<&str>, expected: &str) {
        let zone = zone.map(|name| TimeZone::get(name).expect("a zone"));
        let mut out = Vec::new();
        push_rfc3339(&mut out, ns, zone.as_ref());
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn times_print_as_go_prints_them() {
        check(0, None, "1970-01-01T00:00:00Z");
        check(1, None, "1970-01-01T00:00:00.000000001Z");
        check(1_500_000_000, None, "1970-01-01T00:00:01.5Z");
        check(-1, None, "1969-12-31T23:59:59.999999999Z");
        check(i64::MAX - 1, None, "2262-04-11T23:47:16.854775806Z");
        check(i64::MIN + 2, None, "1677-09-21T00:12:43.145224194Z");
        check(951_782_400_000_000_000, None, "2000-02-29T00:00:00Z");
        check(1_577_836_800_000_000_000, None, "2020-01-01T00:00:00Z");
        check(1_577_836_800_000_000_000, Some("America/New_York"), "2019-12-31T19:00:00-05:00");
        check(1_593_561_600_000_000_000, Some("Europe/Berlin"), "2020-07-01T02:00:00+02:00");
        check(1_577_836_800_000_000_000, Some("Asia/Kolkata"), "2020-01-01T05:30:00+05:30");
        check(1_577_836_800_000_000_000, Some("Europe/London"), "2020-01-01T00:00:00Z");
    }

    #[test]
    fn every_day_of_the_range_is_what_jiff_says() {
        for days in (-106_751..106_751).step_by(13) {
            let time = jiff::Timestamp::from_second(days * SECONDS_PER_DAY).expect("in range");
            check(days * SECONDS_PER_DAY * NS_PER_SECOND, None, &time.to_string());
        }
    }

    #[test]
    fn epochs_are_read_as_1x_reads_them() {
        for (text, unit) in [("u", 1_000), ("ms", 1_000_000), ("s", NS_PER_SECOND), ("m", 60 * NS_PER_SECOND)]
        {
            assert_eq!(Epoch::from_parameter(text), Epoch::Units(unit));
        }
        for text in ["ns", "n", "us", "µ", "d", "x"] {
            assert_eq!(Epoch::from_parameter(text), Epoch::Units(1), "{text}");
        }
        assert_eq!(Epoch::from_parameter("  "), Epoch::Text);
        let mut out = Vec::new();
        push_units(&mut out, -1_500, 1_000);
        assert_eq!(out, b"-1");
    }
}
