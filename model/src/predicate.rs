//! Which series a scan wants, said in terms of measurement tags only.
//!
//! `query` derives it from a WHERE clause (an upper bound: it may let through more series than the clause does, never
//! fewer), storage answers it from the inverted index. A tag that a series does not have counts as `""`.

use regex::Regex;
use std::sync::Arc;

/// A condition on the tag set of a series.
#[derive(Debug, Clone)]
pub enum TagPredicate {
    /// Every series.
    All,
    /// No series.
    Nothing,
    /// Tag equals the value.
    Equal(Arc<str>, Arc<str>),
    /// Tag differs from the value.
    NotEqual(Arc<str>, Arc<str>),
    /// Tag matches the regular expression, which is not anchored.
    Match(Arc<str>, Regex),
    /// Tag does not match.
    NotMatch(Arc<str>, Regex),
    /// All of them.
    And(Vec<TagPredicate>),
    /// One of them.
    Or(Vec<TagPredicate>),
}

impl TagPredicate {
    /// Whether a series with these tags is wanted. `tag` returns `""` for a tag that the series lacks.
    pub fn matches<'a>(&self, tag: &impl Fn(&str) -> &'a str) -> bool {
        match self {
            Self::All => true,
            Self::Nothing => false,
            Self::Equal(key, value) => tag(key) == &**value,
            Self::NotEqual(key, value) => tag(key) != &**value,
            Self::Match(key, regex) => regex.is_match(tag(key)),
            Self::NotMatch(key, regex) => !regex.is_match(tag(key)),
            Self::And(parts) => parts.iter().all(|p| p.matches(tag)),
            Self::Or(parts) => parts.iter().any(|p| p.matches(tag)),
        }
    }
}
