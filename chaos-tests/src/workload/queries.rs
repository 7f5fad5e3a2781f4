//! Recorded queries with their times filled in.
//!
//! A query file holds one query a line, its columns separated by tabs; `#` starts a comment. Times are written as
//! `{end-30m}` (milliseconds since 1970), `{utc end-15m}` or `{tokyo end}` (RFC 3339, the latter with the offset +09:00),
//! so that the same queries can be asked of data of any age.

/// Lines of a query file, comments dropped, split into columns.
pub fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.split('\t').collect())
}

/// `query` with its times filled in; `end_ms` is the time of the newest point.
///
/// Panics on a placeholder it does not know: a mistake in the file.
pub fn at(query: &str, end_ms: i64) -> String {
    let mut text = String::with_capacity(query.len());
    let mut rest = query;
    while let Some(start) = rest.find('{') {
        let (before, from) = rest.split_at(start);
        let Some(close) = from.find('}') else { panic!("unclosed placeholder in {query}") };
        text.push_str(before);
        text.push_str(
            &placeholder(&from[1..close], end_ms).unwrap_or_else(|| panic!("{} in {query}", &from[..=close])),
        );
        rest = &from[close + 1..];
    }
    text + rest
}

fn placeholder(inner: &str, end_ms: i64) -> Option<String> {
    let (form, expression) = inner.split_once(' ').unwrap_or(("ms", inner));
    let time = end_ms + offset_ms(expression.strip_prefix("end")?)?;
    match form {
        "ms" => Some(time.to_string()),
        "utc" => Some(rfc3339(time, 0)),
        "tokyo" => Some(rfc3339(time, 9)),
        _ => None,
    }
}

fn offset_ms(text: &str) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    let digits = text.find(|c: char| c.is_ascii_lowercase())?;
    let factor = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    text[..digits].parse::<i64>().ok()?.checked_mul(factor)
}

/// RFC 3339 to the second, with an offset of whole hours.
fn rfc3339(time_ms: i64, offset_hours: i64) -> String {
    let local = time_ms.div_euclid(1_000) + offset_hours * 3_600;
    let (year, month, day) = date(local.div_euclid(86_400));
    let second = local.rem_euclid(86_400);
    let zone = if offset_hours == 0 { "Z".to_owned() } else { format!("{offset_hours:+03}:00") };
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}{zone}",
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}

/// Year, month and day of a day number since 1970-01-01, by counting 400-year cycles from a 1 March.
fn date(day: i64) -> (i64, i64, i64) {
    let shifted = day + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_become_times() {
        let end = 1_795_236_530_000;
        assert_eq!(
            at("time > {end-30m}ms AND time < {end}ms", end),
            "time > 1795234730000ms AND time < 1795236530000ms"
        );
        assert_eq!(
            at("'{utc end-15m}' '{tokyo end+4s}'", end),
            "'2026-11-21T04:33:50Z' '2026-11-21T13:48:54+09:00'"
        );
        assert_eq!(rfc3339(951_782_400_000, 0), "2000-02-29T00:00:00Z");
    }

    #[test]
    fn rows_are_split_and_comments_dropped() {
        assert_eq!(rows("# x\na\tb\n").collect::<Vec<_>>(), [["a", "b"]]);
    }
}
