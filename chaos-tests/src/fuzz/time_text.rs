//! Times as people write them.

/// Nanoseconds of a second.
pub(super) const SECOND: i64 = 1_000_000_000;

/// `YYYY-MM-DD`, hours, minutes, seconds and the nanoseconds below a second, in UTC.
fn civil(time_ns: i64) -> (String, String, i64) {
    let seconds = time_ns.div_euclid(SECOND);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Howard Hinnant's days-to-civil: eras of 400 years that begin in March.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let clock = format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60);
    (format!("{year:04}-{month:02}-{day:02}"), clock, time_ns.rem_euclid(SECOND))
}

/// `2020-01-01T00:00:00.5Z`
pub(super) fn rfc3339(time_ns: i64) -> String {
    let (date, clock, nanos) = civil(time_ns);
    format!("{date}T{clock}{}Z", fraction(nanos))
}

/// `2020-01-01 00:00:00.5`
pub(super) fn spaced(time_ns: i64) -> String {
    let (date, clock, nanos) = civil(time_ns);
    format!("{date} {clock}{}", fraction(nanos))
}

/// `2020-01-01`
pub(super) fn date(time_ns: i64) -> String {
    civil(time_ns).0
}

fn fraction(nanos: i64) -> String {
    if nanos == 0 { String::new() } else { format!(".{nanos:09}").trim_end_matches('0').to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_calendar_has_them() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_400_000_000_000), "2000-02-29T00:00:00Z");
        assert_eq!(spaced(-1), "1969-12-31 23:59:59.999999999");
        assert_eq!(date(1_600_000_000_500_000_000), "2020-09-13");
    }
}
