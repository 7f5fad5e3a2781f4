//! Known differences in answers about names: SHOW, and what it shows after a deletion.

use serde_json::Value;

/// Asks for the series that a deletion left.
pub const AFTER_DELETION: &str = "SHOW SERIES -- after a deletion";

/// Why two answers that are not equal may differ.
pub(super) fn explanation(q: &str, want: &str, got: &str) -> Option<&'static str> {
    let statement = q.to_lowercase();
    let counts = statement.contains("series exact cardinality") || statement.contains("series cardinality");
    if counts && without_numbers(want) == without_numbers(got) {
        return Some("1.6 counts a series once for every shard");
    }
    if got.contains(TAG_TO_TAG) && !want.contains("\"error\"") {
        return Some(DELETED_BY_TWO_TAGS);
    }
    if is_numbered_otherwise(want, got) {
        return Some(
            "what is wrong with a later statement before it runs is told in the place of the first there",
        );
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

/// What is said where a deletion compares two tags.
const TAG_TO_TAG: &str = "tags cannot be compared with each other during deletion";
/// Why a deletion was done there and refused here.
pub const DELETED_BY_TWO_TAGS: &str = "1.x deletes series that have both tags, whatever their values are";

/// What is said where tags and time do not decide what a deletion deletes.
const FIELDS_IN_DELETION: &str = "fields not supported in WHERE clause during deletion";
/// Why a deletion is refused here, and was done there, or a part of it was.
pub const DELETED_IN_PART: &str =
    "1.x deletes series after series until it meets one that tags and time do not decide about";

/// Whether a deletion was refused here that 1.x may have done in part.
pub(super) fn is_deleted_in_part(want: &str, got: &str) -> bool {
    got.contains(FIELDS_IN_DELETION) && (want.contains(FIELDS_IN_DELETION) || !want.contains("error"))
}

/// Whether 1.x tells a fault of a later statement, found before that one ran, under the number of the first statement.
fn is_numbered_otherwise(want: &str, got: &str) -> bool {
    let results = |text: &str| -> Vec<Value> {
        let answer: Value = serde_json::from_str(text).unwrap_or_default();
        answer["results"].as_array().cloned().unwrap_or_default()
    };
    let (mut want, mut got) = (results(want), results(got));
    let not_executed = |result: &Value| result["error"] == "not executed";
    // Both may end with a statement that was not executed, which outweighs the fault here.
    let told = if want.last().is_some_and(not_executed) { want.pop().is_some() } else { false };
    let (Some(fault), Some(here)) = (want.pop(), got.pop()) else { return false };
    let early = |text: &str| {
        text.ends_with("doesn't support time in WHERE clause")
            || text.starts_with("unable to use system source")
    };
    let same = if told { not_executed(&here) } else { here["error"] == fault["error"] };
    let later = here["statement_id"].as_u64().unwrap_or_default();
    fault["statement_id"] == 0
        && fault["error"].as_str().is_some_and(early)
        && later > 0
        && same
        // The result of the first statement is lost if it came right before.
        && (want == got || (later == 1 && want.is_empty() && got.len() == 1))
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
    fn a_later_fault_may_be_told_under_the_first_number() {
        let answer = |results: &str| format!("{{\"results\":[{results}]}}");
        let fault =
            |id| format!(r#"{{"statement_id":{id},"error":"SHOW x doesn't support time in WHERE clause"}}"#);
        let rows = |id| format!(r#"{{"statement_id":{id},"series":[]}}"#);
        assert!(is_numbered_otherwise(&answer(&fault(0)), &answer(&format!("{},{}", rows(0), fault(1)))));
        let third = format!("{},{},", rows(0), rows(1));
        assert!(is_numbered_otherwise(
            &answer(&(third.clone() + &fault(0))),
            &answer(&(third.clone() + &fault(2)))
        ));
        assert!(
            !is_numbered_otherwise(&answer(&fault(0)), &answer(&(third + &fault(2)))),
            "rows are missing"
        );
        assert!(!is_numbered_otherwise(&answer(&fault(0)), &answer(&rows(0))));
    }

    #[test]
    fn a_kept_series_begins_another() {
        let answer = |keys: &str| format!("{{\"series\":[{{\"columns\":[\"key\"],\"values\":[{keys}]}}]}}");
        let want = answer(r#"["cpu"],["cpu,h=a"],["m"]"#);
        assert!(has_deleted_beginnings(&want, &answer(r#"["cpu,h=a"],["m"]"#)));
        assert!(!has_deleted_beginnings(&want, &answer(r#"["cpu"],["cpu,h=a"]"#)), "m begins nothing");
        assert!(!has_deleted_beginnings(&answer(r#"["m"]"#), &want), "more than there are");
    }
}
