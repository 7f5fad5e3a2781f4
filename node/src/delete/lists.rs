//! Regular expressions of a deletion, tried before it is proposed.
//!
//! Every replica of a group carries out a deletion while it applies nothing else, so an expression that takes long must
//! not be tried there. Here it is tried on the values that the local replica knows, with the time limit of any statement;
//! what is proposed then are the values themselves. A value that somebody writes at the same moment may be left out, as
//! it may when it is written a moment later. What takes no time stays an expression: it is shorter.

use model::scan::GroupReader;
use model::{Delete, TagPredicate};
use regex::Regex;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// So long may expressions take where commands are applied.
const APPLY_TIME: Duration = Duration::from_millis(20);
/// Bytes of values in one command, and what an entry takes besides its text.
const LIST_BYTES_MAX: usize = 1 << 20;
const VALUE_BYTES: usize = 8;

/// Why a deletion cannot be carried out.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ListError {
    /// The statement's time is over.
    #[error("query-timeout limit exceeded")]
    Stopped,
    /// Several expressions together stand for too many values.
    #[error(
        "too many tag values match the regular expressions of the statement; name fewer in one statement"
    )]
    TooMany,
}

/// What to propose to a group for a deletion: itself, or the same with values in the place of its expressions.
pub(super) fn prepared(
    delete: &Delete,
    values: &dyn Fn(&str) -> Vec<Arc<str>>,
    stopped: &dyn Fn() -> bool,
    apply_time: Duration,
) -> Result<Vec<Delete>, ListError> {
    let begun = Instant::now();
    let mut lists = Vec::new();
    let predicate = listed(&delete.predicate, values, stopped, &mut lists)?;
    if begun.elapsed() <= apply_time {
        return Ok(vec![delete.clone()]);
    }
    let bytes: usize = lists.iter().flatten().map(|value| value.len() + VALUE_BYTES).sum();
    let with = |predicate: TagPredicate| Delete { predicate, ..delete.clone() };
    if bytes <= LIST_BYTES_MAX {
        return Ok(vec![with(predicate.filled(&lists))]);
    }
    // One list may be told in pieces: who satisfies the whole satisfies one of them.
    let [list] = &lists[..] else { return Err(ListError::TooMany) };
    Ok(pieces(list).map(|piece| with(predicate.filled(&[piece.to_vec()]))).collect())
}

/// As [`prepared`], with the values of a replica.
pub(super) fn prepared_for(
    delete: &Delete,
    measurement: &str,
    reader: &dyn GroupReader,
    stopped: &dyn Fn() -> bool,
) -> Result<Vec<Delete>, ListError> {
    let values = |key: &str| {
        reader.tag_values(delete.database, measurement, key, &TagPredicate::All).into_iter().collect()
    };
    prepared(delete, &values, stopped, APPLY_TIME)
}

/// Whether a predicate has an expression.
pub(super) fn has_expression(predicate: &TagPredicate) -> bool {
    match predicate {
        TagPredicate::Match(..) | TagPredicate::NotMatch(..) => true,
        TagPredicate::And(parts) | TagPredicate::Or(parts) => parts.iter().any(has_expression),
        TagPredicate::All | TagPredicate::Nothing | TagPredicate::Equal(..) | TagPredicate::NotEqual(..) => {
            false
        }
    }
}

/// A predicate whose expressions are lists of values.
enum Listed {
    Plain(TagPredicate),
    /// The tag has one of the values of a list.
    OneOf(Arc<str>, usize),
    And(Vec<Listed>),
    Or(Vec<Listed>),
}

impl Listed {
    fn filled(&self, lists: &[Vec<Arc<str>>]) -> TagPredicate {
        let all = |parts: &[Self]| parts.iter().map(|part| part.filled(lists)).collect();
        match self {
            Self::Plain(predicate) => predicate.clone(),
            Self::OneOf(key, list) => {
                let equal = |value: &Arc<str>| TagPredicate::Equal(Arc::clone(key), Arc::clone(value));
                TagPredicate::Or(lists[*list].iter().map(equal).collect())
            }
            Self::And(parts) => TagPredicate::And(all(parts)),
            Self::Or(parts) => TagPredicate::Or(all(parts)),
        }
    }
}

fn listed(
    predicate: &TagPredicate,
    values: &dyn Fn(&str) -> Vec<Arc<str>>,
    stopped: &dyn Fn() -> bool,
    lists: &mut Vec<Vec<Arc<str>>>,
) -> Result<Listed, ListError> {
    let mut of = |key: &Arc<str>, regex: &Regex, matches: bool| {
        let mut list = Vec::new();
        // A series without the tag has the value "".
        for value in std::iter::once(Arc::from("")).chain(values(key)) {
            if stopped() {
                return Err(ListError::Stopped);
            }
            if regex.is_match(&value) == matches {
                list.push(value);
            }
        }
        lists.push(list);
        Ok(Listed::OneOf(Arc::clone(key), lists.len() - 1))
    };
    match predicate {
        TagPredicate::Match(key, regex) => of(key, regex, true),
        TagPredicate::NotMatch(key, regex) => of(key, regex, false),
        TagPredicate::And(parts) => {
            let parts = parts.iter().map(|part| listed(part, values, stopped, lists));
            parts.collect::<Result<_, _>>().map(Listed::And)
        }
        TagPredicate::Or(parts) => {
            let parts = parts.iter().map(|part| listed(part, values, stopped, lists));
            parts.collect::<Result<_, _>>().map(Listed::Or)
        }
        TagPredicate::All | TagPredicate::Nothing | TagPredicate::Equal(..) | TagPredicate::NotEqual(..) => {
            Ok(Listed::Plain(predicate.clone()))
        }
    }
}

/// A list in pieces that fit a command each.
fn pieces(list: &[Arc<str>]) -> impl Iterator<Item = &[Arc<str>]> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = rest.iter().take_while(|value| {
            bytes += value.len() + VALUE_BYTES;
            bytes <= LIST_BYTES_MAX
        });
        let (piece, behind) = rest.split_at(fits.count().max(1).min(rest.len()));
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::delete::Measurements;
    use model::{DatabaseId, TimeRange};

    fn delete(predicate: TagPredicate) -> Delete {
        let measurements = Measurements::Named("m".into());
        Delete { database: DatabaseId(1), policy: None, measurements, predicate, range: TimeRange::ALL }
    }

    fn matching(key: &str, pattern: &str) -> TagPredicate {
        TagPredicate::Match(key.into(), Regex::new(pattern).unwrap())
    }

    fn known(count: usize) -> impl Fn(&str) -> Vec<Arc<str>> {
        move |key| (0..count).map(|n| Arc::from(format!("{key}{n}"))).collect()
    }

    #[test]
    fn values_stand_for_expressions() {
        let not = |key: &str, pattern: &str| TagPredicate::NotMatch(key.into(), Regex::new(pattern).unwrap());
        let is = |key: &str, value: &str| TagPredicate::Equal(key.into(), value.into());
        for predicate in [
            matching("a", "[13]"),
            not("a", "[13]"),
            matching("a", ".*"),
            not("a", ".*"),
            TagPredicate::And(vec![matching("a", "1"), not("b", "^$"), is("c", "c0")]),
            TagPredicate::Or(vec![
                TagPredicate::And(vec![not("a", "1"), matching("b", "0|2")]),
                is("c", "c0"),
            ]),
        ] {
            let made = prepared(&delete(predicate.clone()), &known(4), &|| false, Duration::ZERO).unwrap();
            let [made] = &made[..] else { panic!("{} deletions", made.len()) };
            assert!(!has_expression(&made.predicate) && has_expression(&predicate));
            assert_eq!(Delete::decode(&made.encode()).unwrap().encode(), made.encode());
            for n in 0..125 {
                let value = |key: &str| {
                    let digit = n / 5_i32.pow(u32::from(key.as_bytes()[0] - b'a')) % 5;
                    if digit == 4 { String::new() } else { format!("{key}{digit}") }
                };
                let tags = [("a", value("a")), ("b", value("b")), ("c", value("c"))];
                let tag = |key: &str| tags.iter().find(|tag| tag.0 == key).map_or("", |tag| &tag.1);
                assert_eq!(made.predicate.matches(&tag), predicate.matches(&tag), "{predicate:?} {tags:?}");
            }
        }
    }

    #[test]
    fn what_takes_no_time_stays_an_expression() {
        let quick = delete(matching("a", "1"));
        let made = prepared(&quick, &known(4), &|| false, Duration::from_secs(60)).unwrap();
        assert_eq!(made.iter().map(Delete::encode).collect::<Vec<_>>(), [quick.encode()]);
    }

    #[test]
    fn long_lists_are_told_in_pieces() {
        let values = known(100_000);
        let one = delete(TagPredicate::And(vec![matching("a", "."), TagPredicate::All]));
        let made = prepared(&one, &values, &|| false, Duration::ZERO).unwrap();
        assert!(made.len() > 1 && made.iter().all(|delete| delete.encode().len() < 2 * LIST_BYTES_MAX));
        for value in ["a0", "a50000", "a99999"] {
            assert_eq!(made.iter().filter(|d| d.predicate.matches(&|_| value)).count(), 1, "{value}");
        }
        let two = delete(TagPredicate::Or(vec![matching("a", "."), matching("b", ".")]));
        assert_eq!(prepared(&two, &values, &|| false, Duration::ZERO).err(), Some(ListError::TooMany));
        assert_eq!(prepared(&two, &values, &|| true, Duration::ZERO).err(), Some(ListError::Stopped));
    }
}
