//! Other statements made of one: without a clause, with a part of it only. Where those are answered alike, or differ for a
//! known reason, so is it known why the statement itself is not answered alike.

use super::clauses::{Level, levels, mask};
use super::explained;

/// The statement without some clauses that are a word and a number, on the levels that are meant; `None` if there are none.
pub(super) fn without(q: &str, words: &[&str], meant: impl Fn(usize, &Level) -> bool) -> Option<String> {
    let mut dropped: std::collections::BTreeSet<usize> = std::collections::BTreeSet::new();
    for (_, level) in levels(q).iter().enumerate().filter(|(n, level)| meant(*n, level)) {
        let masked: Vec<char> = level.masked.chars().collect();
        for word in words {
            let word: Vec<char> = format!(" {word} ").chars().collect();
            for from in 0..masked.len().saturating_sub(word.len()) {
                if masked[from..].starts_with(&word) {
                    let number =
                        masked[from + word.len()..].iter().take_while(|c| c.is_ascii_digit()).count();
                    dropped.extend(&level.places[from..from + word.len() + number]);
                }
            }
        }
    }
    let kept = q.chars().enumerate().filter(|(place, _)| !dropped.contains(place));
    (!dropped.is_empty()).then(|| kept.map(|(_, c)| c).collect())
}

/// The statement with every tag once in each GROUP BY, or with a pattern only where there is one; `None` if that is so.
pub(super) fn without_repeated_tags(q: &str) -> Option<String> {
    let mut edits: Vec<(usize, usize, String)> = Vec::new();
    for level in levels(q).iter().filter(|level| level.groups_twice()) {
        let (places, parts) = level.dimensions();
        let of_pattern = |part: &str| part == "*" || part.starts_with('/');
        let only =
            parts.iter().find(|part| *part == "*").or_else(|| parts.iter().find(|part| of_pattern(part)));
        let mut kept: Vec<&str> = Vec::new();
        for part in &parts {
            let time = part.to_lowercase().starts_with("time(");
            let known = kept.iter().any(|other| other.trim_matches('"') == part.trim_matches('"'));
            if time || only.map_or(!known, |only| only == part && !known) {
                kept.push(part);
            }
        }
        if let (Some(first), Some(last)) = (places.first(), places.last()) {
            edits.push((*first, *last + 1, kept.join(", ")));
        }
    }
    replaced(q, edits)
}

/// The statement with windows of one series only in its subqueries, where the outermost level groups by time.
pub(super) fn without_inner_tags(q: &str) -> Option<String> {
    const CLAUSE: usize = "GROUP BY ".len();
    let levels = levels(q);
    let (outer, inner) = levels.split_first()?;
    let mut edits: Vec<(usize, usize, String)> = Vec::new();
    for level in inner.iter().filter(|level| outer.groups_by_time() && level.groups_by_tags()) {
        let (places, parts) = level.dimensions();
        let times: Vec<_> =
            parts.into_iter().filter(|part| part.to_lowercase().starts_with("time(")).collect();
        if let (Some(first), Some(last)) = (places.first(), places.last()) {
            let from = if times.is_empty() { first - CLAUSE } else { *first };
            edits.push((from, *last + 1, times.join(", ")));
        }
    }
    replaced(q, edits)
}

/// The statement with one window around everything on the outermost level, where the times of the rows that are read may lie
/// outside of its range.
pub(super) fn with_one_window(q: &str) -> Option<String> {
    const WINDOW: &str = "time(5000w)";
    let levels = levels(q);
    let (level, inner) = levels.split_first()?;
    let is_meant = if level.groups_by_time() {
        inner.iter().any(Level::groups_by_time)
    } else {
        !inner.is_empty() || level.calls("distinct")
    };
    let (places, parts) = is_meant.then(|| level.dimensions())?;
    let others: Vec<String> =
        parts.into_iter().filter(|part| !part.to_lowercase().starts_with("time(")).collect();
    let edit = match (places.first(), places.last()) {
        (Some(first), Some(last)) => {
            let window = std::iter::once(WINDOW.to_owned());
            (*first, *last + 1, window.chain(others).collect::<Vec<_>>().join(", "))
        }
        _ => {
            let end = level.tail();
            (end, end, format!(" GROUP BY {WINDOW}"))
        }
    };
    replaced(q, vec![edit])
}

/// The statement with one of its outermost calls for a select list, once for each of them and for those that they contain.
pub(super) fn with_single_calls(q: &str) -> Vec<String> {
    let levels = levels(q);
    let Some(level) = levels.first() else { return Vec::new() };
    let Some(from) = level.masked.find(" from ") else { return Vec::new() };
    let list: Vec<char> = level.masked[..from].chars().collect();
    let text: Vec<char> = level.text.chars().collect();
    let mut calls = Vec::new();
    for (open, _) in list.iter().enumerate().filter(|(_, c)| **c == '(') {
        let name = list[..open].iter().rev().take_while(|c| c.is_ascii_alphanumeric() || **c == '_').count();
        let mut depth = 0;
        let close = list[open..].iter().position(|c| {
            depth += i32::from(*c == '(') - i32::from(*c == ')');
            depth == 0
        });
        if let (true, Some(close)) = (name > 0, close) {
            calls.push(text[open - name..=open + close].iter().collect::<String>());
        }
    }
    let rest: String = q.chars().skip(level.places[list.len()]).collect();
    let whole = list.iter().collect::<String>();
    let others = |call: &String| whole.trim() != format!("select {}", call.to_lowercase());
    calls.iter().filter(|call| others(call)).map(|call| format!("SELECT {call}{rest}")).collect()
}

/// The subqueries, each as a statement.
pub(super) fn subqueries(q: &str) -> Vec<String> {
    let (masked, characters): (Vec<char>, Vec<char>) = (mask(q), q.chars().collect());
    let opens = masked.iter().enumerate().filter(|(i, c)| {
        let rest: String = masked[i + 1..].iter().skip_while(|c| **c == ' ').take(7).collect();
        **c == '(' && rest == "select "
    });
    let statement = |(open, _): (usize, &char)| {
        let mut depth = 0;
        let close = masked[open..].iter().position(|c| {
            depth += i32::from(*c == '(') - i32::from(*c == ')');
            depth == 0
        })?;
        Some(characters[open + 1..open + close].iter().collect())
    };
    opens.filter_map(statement).collect()
}

/// The statements of a request, each by itself.
pub(super) fn statements(q: &str) -> Vec<String> {
    let (masked, characters) = (mask(q), q.chars().collect::<Vec<_>>());
    let ends = masked.iter().enumerate().filter(|(_, c)| **c == ';').map(|(at, _)| at);
    let mut from = 0;
    let mut statements = Vec::new();
    for end in ends.chain([characters.len()]) {
        let statement: String = characters[from..end].iter().collect();
        statements.extend((!statement.trim().is_empty()).then(|| statement.trim().to_owned()));
        from = end + 1;
    }
    statements
}

/// All columns of what the outermost level reads.
pub(super) fn rows_of_sources(q: &str) -> Option<String> {
    let levels = levels(q);
    let level = levels.first().filter(|_| levels.len() > 1)?;
    let from = level.masked.find(" from ")?;
    let from = level.places[level.masked[..from].chars().count()];
    let to = level.dimensions().0.first().map_or_else(|| level.tail(), |first| first - "group by ".len());
    let sources: String = q.chars().skip(from).take(to - from).collect();
    Some(format!("SELECT *{}", sources.trim_end()))
}

/// The text with pieces of it replaced; `None` if nothing is.
fn replaced(q: &str, mut edits: Vec<(usize, usize, String)>) -> Option<String> {
    edits.sort();
    let characters: Vec<char> = q.chars().collect();
    let (mut text, mut at) = (String::new(), 0);
    for (from, to, new) in edits {
        text.extend(&characters[at..from]);
        text.push_str(&new);
        at = to;
    }
    text.extend(&characters[at..]);
    (text != q).then_some(text)
}

/// Whether a subquery applies a function to points as they are that goes from point to point.
pub(super) fn goes_from_point_to_point(q: &str) -> bool {
    let functions =
        ["derivative", "non_negative_derivative", "difference", "non_negative_difference", "moving_average"];
    let goes = |level: &Level| !level.groups_by_time() && functions.iter().any(|name| level.calls(name));
    levels(q).iter().skip(1).any(goes)
}

/// Statements that are answered alike where those with these clauses are not, and why the clauses mean something else there.
pub(super) fn loosened(q: &str) -> Vec<(String, &'static str)> {
    let series = without(q, &["slimit", "soffset"], |_, _| true);
    let rows = without(q, &["limit", "offset"], |n, level| {
        (n > 0 && level.groups_by_tags()) || level.groups_twice() || level.calls("integral")
    });
    let inner = levels(q).iter().skip(1).any(Level::groups_by_tags);
    let cut = without(q, &["limit", "offset"], |n, _| n == 0 && inner);
    // A function that goes from window to window also sees one before the range.
    let modes = levels(q).iter().any(|level| level.calls("mode")).then(|| q.replace("mode(", "median("));
    let integers = levels(q).iter().any(|level| level.calls("abs")).then(|| with_floor(q));
    let reasons = [
        (integers, ABSOLUTE),
        (without_inner_tags(q), explained::WINDOWS_OF_SERIES),
        (modes, "which of equally frequent values mode() names is a matter of Go's sort"),
        (series, "SLIMIT counts the series of each shard group by itself, those without points, too"),
        (
            rows,
            "LIMIT in a subquery counts anew whenever series alternate, and twice where a tag is named twice",
        ),
        (
            without_repeated_tags(q),
            "where GROUP BY names a tag twice, the points of a series are limited twice",
        ),
        (cut, "which of several rows of one time LIMIT leaves out is a matter of the order of a heap"),
        (with_one_window(q), "a row of a subquery before the first time or behind the last ends the answer"),
    ];
    reasons.into_iter().filter_map(|(q, why)| Some((q?, why))).collect()
}

/// Why abs() of an integer differs; also in the words of an error.
pub(super) const ABSOLUTE: &str = "abs() of an integer is the integer there";

/// floor() in the place of abs(): an integer is the same to both.
fn with_floor(q: &str) -> String {
    q.replace("abs(", "floor(").replace("ABS(", "floor(")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clauses_are_left_out() {
        let q = r#"SELECT max(x) FROM (SELECT "min(" + (f) AS x FROM m GROUP BY time(1s, 2s), "a b", h LIMIT 3), k GROUP BY h, "h""#;
        let fewer = without(q, &["limit"], |n, _| n > 0).unwrap();
        assert!(!fewer.contains("LIMIT") && fewer.len() + " LIMIT 3".len() == q.len(), "{fewer}");
        assert_eq!(without(q, &["limit"], |n, _| n == 0), None);
    }

    #[test]
    fn statements_are_taken_apart() {
        let q = r#"SELECT max(x) + abs(sum(y)), z FROM (SELECT x FROM m GROUP BY h, "h", time(3s)) WHERE x > 1 GROUP BY h, /h/ LIMIT 3"#;
        assert_eq!(
            without_repeated_tags(q).unwrap(),
            "SELECT max(x) + abs(sum(y)), z FROM (SELECT x FROM m GROUP BY h, time(3s)) WHERE x > 1 GROUP BY /h/ LIMIT 3"
        );
        let rest = r#" FROM (SELECT x FROM m GROUP BY h, "h", time(3s)) WHERE x > 1"#;
        assert_eq!(rows_of_sources(q).unwrap(), format!("SELECT *{rest}"));
        assert_eq!(subqueries(q), [r#"SELECT x FROM m GROUP BY h, "h", time(3s)"#]);
        let single = with_single_calls(q);
        let starts: Vec<&str> = single.iter().filter_map(|q| q.split(" FROM ").next()).collect();
        assert_eq!(starts, ["SELECT max(x)", "SELECT abs(sum(y))", "SELECT sum(y)"]);
        assert!(single.iter().all(|q| q.ends_with(" GROUP BY h, /h/ LIMIT 3")));
        assert!(with_one_window(q).unwrap().contains("GROUP BY time(5000w), h, /h/ LIMIT 3"));
        let bare = with_one_window("SELECT max(x) FROM (SELECT x FROM m) LIMIT 3; SHOW STATS").unwrap();
        assert_eq!(bare, "SELECT max(x) FROM (SELECT x FROM m) GROUP BY time(5000w) LIMIT 3; SHOW STATS");
        assert_eq!(with_one_window("SELECT max(x) FROM m"), None);
        assert_eq!(without_inner_tags(q), None);
        assert_eq!(
            without_inner_tags("SELECT max(x) FROM (SELECT x FROM m GROUP BY h) GROUP BY time(1s)").unwrap(),
            "SELECT max(x) FROM (SELECT x FROM m ) GROUP BY time(1s)"
        );
        assert_eq!(with_single_calls("SELECT max(x) FROM m"), Vec::<String>::new());
    }
}
