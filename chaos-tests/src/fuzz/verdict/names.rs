//! Known differences in answers about names: SHOW, and what it shows after a deletion.

/// Asks for the series that a deletion left.
pub const AFTER_DELETION: &str = "SHOW SERIES -- after a deletion";

/// Why two answers that are not equal may differ.
pub(super) fn explanation(q: &str, want: &str, got: &str) -> Option<&'static str> {
    let statement = q.to_lowercase();
    if statement.contains("series exact cardinality") && without_numbers(want) == without_numbers(got) {
        return Some("1.6 counts a series once for every shard");
    }
    if q == AFTER_DELETION && has_deleted_beginnings(want, got) {
        return Some("1.x keeps a deleted series whose key begins another key");
    }
    if statement.contains("show field keys") && statement.contains(" desc") {
        return Some("1.x merges lists that rise as if they fell");
    }
    if statement.contains("show tag values") && statement.replace("tag values", "").contains("value") {
        return Some("`value` is the tag's value, as from 1.7 on");
    }
    let of_tags = statement.contains("show tag keys") || statement.contains("show tag values");
    if of_tags && statement.contains("time ") && got.len() < want.len() {
        return Some("with a bound of time, tags of series without points there are left out");
    }
    None
}

/// The text without its digits; in MessagePack numbers up to 127 are a control character or more.
fn without_numbers(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit() && !c.is_control()).collect()
}

/// Whether `want` has all series of `got`, and besides them only such as begin the key of another.
fn has_deleted_beginnings(want: &str, got: &str) -> bool {
    let (want, got) = (keys(want), keys(got));
    let kept = want.iter().filter(|key| !got.contains(key));
    got.iter().all(|key| want.contains(key))
        && kept.into_iter().all(|key| want.iter().any(|other| other != key && other.starts_with(key)))
}

/// The keys of SHOW SERIES as JSON.
fn keys(answer: &str) -> Vec<&str> {
    let values = answer.split_once("\"values\":[[\"").and_then(|(_, rest)| rest.split_once("\"]]"));
    values.map_or_else(Vec::new, |(keys, _)| keys.split("\"],[\"").collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_series_begins_another() {
        let answer = |keys: &str| format!("{{\"series\":[{{\"columns\":[\"key\"],\"values\":[{keys}]}}]}}");
        let want = answer(r#"["cpu"],["cpu,h=a"],["m"]"#);
        assert!(has_deleted_beginnings(&want, &answer(r#"["cpu,h=a"],["m"]"#)));
        assert!(!has_deleted_beginnings(&want, &answer(r#"["cpu"],["cpu,h=a"]"#)), "m begins nothing");
        assert!(!has_deleted_beginnings(&answer(r#"["m"]"#), &want), "more than there are");
    }
}
