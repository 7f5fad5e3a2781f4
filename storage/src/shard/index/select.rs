//! Answers questions about one measurement: which series a predicate wants, which tags series have.
//!
//! The cost is that of the series found, not of those that exist: what is asked for by name is looked up, and once few
//! series are left they are tried one by one.

use super::matching::Tried;
use super::{Index, Measurement, Shape, Symbol};
use model::{SeriesId, TagPredicate};
use regex::Regex;
use roaring::RoaringBitmap;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

/// So few series are tried one by one instead of looking for all that a condition selects.
const FEW_SERIES: u64 = 64;

/// A measurement that has series.
#[derive(Debug, Clone, Copy)]
pub(in crate::shard) struct Measured<'a> {
    pub(super) index: &'a Index,
    pub(super) place: u32,
    pub(super) measurement: &'a Measurement,
    /// What was tried before the index was locked.
    pub(super) tried: Option<&'a Tried>,
}

impl<'a> Measured<'a> {
    /// Answers expressions from what was tried before.
    pub(in crate::shard) fn with_tried<'b>(self, tried: &'b Tried) -> Measured<'b>
    where
        'a: 'b,
    {
        Measured { tried: Some(tried), ..self }
    }

    /// All values of a tag key, if an expression has to be tried on each and there are many.
    pub(in crate::shard) fn to_try(self, key: &str, regex: &Regex) -> Option<Vec<Arc<str>>> {
        let key = self.index.symbols.find(key)?;
        let postings = self.measurement.keys.get(&key)?;
        let long = self.index.matches.is_long((self.place, key), postings, regex);
        long.then(|| postings.values().map(|value| self.index.symbols.shared(value)).collect())
    }

    /// Number of values that a tag key has. O(1).
    pub(in crate::shard) fn value_count(self, key: &str) -> u64 {
        let key = self.index.symbols.find(key);
        key.and_then(|key| self.measurement.keys.get(&key)).map_or(0, |postings| postings.len() as u64)
    }

    /// Whether a series has this value of a tag key. O(1).
    pub(in crate::shard) fn has_value(self, key: &str, value: &str) -> bool {
        let (Some(key), Some(value)) = (self.index.symbols.find(key), self.index.symbols.find(value)) else {
            return false;
        };
        self.measurement.keys.get(&key).is_some_and(|postings| postings.contains(value))
    }

    /// The series that satisfy the predicate.
    pub(in crate::shard) fn select(self, predicate: &TagPredicate) -> Cow<'a, RoaringBitmap> {
        match predicate {
            TagPredicate::All => Cow::Borrowed(&self.measurement.series),
            TagPredicate::Nothing => Cow::Owned(RoaringBitmap::new()),
            TagPredicate::Equal(key, value) => self.equal(key, value),
            TagPredicate::NotEqual(key, value) => {
                Cow::Owned(&self.measurement.series - &*self.equal(key, value))
            }
            TagPredicate::Match(key, regex) => Cow::Owned(self.matching(key, regex)),
            TagPredicate::NotMatch(key, regex) => {
                Cow::Owned(&self.measurement.series - self.matching(key, regex))
            }
            TagPredicate::And(parts) => self.all_of(parts),
            TagPredicate::Or(parts) => {
                let mut union = RoaringBitmap::new();
                for part in parts {
                    union |= &*self.select(part);
                }
                Cow::Owned(union)
            }
        }
    }

    fn all_of(self, parts: &[TagPredicate]) -> Cow<'a, RoaringBitmap> {
        // What names a value comes first: it leaves the fewest.
        let names_value =
            |part: &&TagPredicate| matches!(part, TagPredicate::Equal(_, value) if !value.is_empty());
        let (named, others): (Vec<_>, Vec<_>) = parts.iter().partition(names_value);
        let mut common = Cow::Borrowed(&self.measurement.series);
        for part in named.into_iter().chain(others) {
            if common.is_empty() {
                break;
            }
            common = Cow::Owned(self.narrow(&common, part));
        }
        common
    }

    /// Those of the series that satisfy the predicate.
    fn narrow(self, series: &RoaringBitmap, predicate: &TagPredicate) -> RoaringBitmap {
        if series.len() <= FEW_SERIES {
            return series.iter().filter(|id| self.satisfies(*id, predicate)).collect();
        }
        match predicate {
            TagPredicate::NotEqual(key, value) => series - &*self.equal(key, value),
            TagPredicate::NotMatch(key, regex) => series - self.matching(key, regex),
            TagPredicate::All
            | TagPredicate::Nothing
            | TagPredicate::Equal(..)
            | TagPredicate::Match(..)
            | TagPredicate::And(_)
            | TagPredicate::Or(_) => series & &*self.select(predicate),
        }
    }

    fn satisfies(self, id: u32, predicate: &TagPredicate) -> bool {
        let tag = |key: &str| {
            let value = self.index.symbols.find(key).and_then(|key| self.value(id, key));
            value.map_or("", |value| self.index.symbols.text(value))
        };
        predicate.matches(&tag)
    }

    /// The value that a series has of a tag key.
    fn value(self, id: u32, key: Symbol) -> Option<Symbol> {
        let (_, shape) = self.index.shape_of(SeriesId(id))?;
        let place = shape.keys.iter().position(|known| *known == key)?;
        self.index.tags.value(id, place)
    }

    fn equal(self, key: &str, value: &str) -> Cow<'a, RoaringBitmap> {
        let key = self.index.symbols.find(key);
        if value.is_empty() {
            return Cow::Owned(self.without(key));
        }
        let postings = key.and_then(|key| self.measurement.keys.get(&key));
        let found = postings.zip(self.index.symbols.find(value));
        found.map_or_else(|| Cow::Owned(RoaringBitmap::new()), |(postings, value)| postings.series(value))
    }

    /// Series whose value the expression matches; a tag that a series lacks counts as `""`.
    fn matching(self, key: &str, regex: &Regex) -> RoaringBitmap {
        let name = key;
        let key = self.index.symbols.find(name);
        let without = if regex.is_match("") { self.without(key) } else { RoaringBitmap::new() };
        let Some((key, postings)) = key.and_then(|key| Some((key, self.measurement.keys.get(&key)?))) else {
            return without;
        };
        let (matches, symbols, key) = (&self.index.matches, &self.index.symbols, (self.place, key));
        let tried =
            self.tried.and_then(|tried| matches.of_tried((key, name), postings, symbols, (regex, tried)));
        let values = tried.unwrap_or_else(|| matches.of(key, postings, symbols, regex));
        without | postings.union(values.iter().copied())
    }

    fn shapes(self) -> impl Iterator<Item = &'a Shape> {
        self.measurement.shapes.values().filter_map(move |place| self.index.shapes.get(*place))
    }

    /// Series that lack the tag.
    fn without(self, key: Option<Symbol>) -> RoaringBitmap {
        let lacking = self.shapes().filter(|shape| key.is_none_or(|key| !shape.keys.contains(&key)));
        lacking.fold(RoaringBitmap::new(), |all, shape| all | &shape.series)
    }

    /// Tag keys that one of the series has.
    pub(in crate::shard) fn tag_keys(self, series: &RoaringBitmap) -> BTreeSet<Arc<str>> {
        let shapes = self.shapes().filter(|shape| !shape.series.is_disjoint(series));
        shapes.flat_map(|shape| shape.keys.iter()).map(|key| self.index.symbols.shared(*key)).collect()
    }

    /// Values of a tag key that one of the series has.
    pub(in crate::shard) fn tag_values(self, key: &str, series: &RoaringBitmap) -> BTreeSet<Arc<str>> {
        let symbols = &self.index.symbols;
        let Some(key) = symbols.find(key) else { return BTreeSet::new() };
        let Some(postings) = self.measurement.keys.get(&key) else { return BTreeSet::new() };
        let shared = |value| symbols.shared(value);
        if series.len() == self.measurement.series.len() {
            postings.values().map(shared).collect()
        } else if series.len() < postings.len() as u64 {
            series.iter().filter_map(|id| self.value(id, key)).map(shared).collect()
        } else {
            postings.values_of(series).map(shared).collect()
        }
    }
}
