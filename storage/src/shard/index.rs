//! Which series have which tags: database → measurement → tag key → tag value → series.
//!
//! Rebuilt in memory at open. Scans and SHOW statements select with it; only series that have points are in it.

use super::series::{Indexed, Tags};
use hashbrown::{HashMap, HashSet};
use model::series::SeriesParts;
use model::{DatabaseId, SeriesId, TagPredicate};
use roaring::RoaringBitmap;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The inverted index of a group.
#[derive(Debug, Default)]
pub(super) struct Index {
    databases: HashMap<DatabaseId, Database>,
    strings: Interner,
}

/// The measurements of one database.
#[derive(Debug, Default)]
struct Database {
    measurements: BTreeMap<Arc<str>, Measurement>,
    series: u64,
}

/// The series of one measurement.
#[derive(Debug, Default)]
pub(super) struct Measurement {
    series: RoaringBitmap,
    tags: BTreeMap<Arc<str>, Values>,
}

type Values = BTreeMap<Arc<str>, RoaringBitmap>;

impl Index {
    /// Adds a series and answers its parts with shared strings.
    pub(super) fn insert(&mut self, database: DatabaseId, id: SeriesId, parts: SeriesParts) -> Indexed {
        let name = self.strings.intern(parts.measurement);
        let pairs = parts.tags.into_iter();
        let tags: Tags = pairs.map(|(k, v)| (self.strings.intern(k), self.strings.intern(v))).collect();
        let known = self.databases.entry(database).or_default();
        let measurement = known.measurements.entry(Arc::clone(&name)).or_default();
        known.series += u64::from(measurement.series.insert(id.0));
        for (key, value) in &*tags {
            let values = measurement.tags.entry(Arc::clone(key)).or_default();
            values.entry(Arc::clone(value)).or_default().insert(id.0);
        }
        Indexed { measurement: name, tags }
    }

    /// Removes a series and every tag and measurement that nobody else has.
    pub(super) fn remove(&mut self, database: DatabaseId, id: SeriesId, indexed: &Indexed) {
        let Some(known) = self.databases.get_mut(&database) else { return };
        let Some(measurement) = known.measurements.get_mut(&indexed.measurement) else { return };
        known.series -= u64::from(measurement.series.remove(id.0));
        for (key, value) in &*indexed.tags {
            let Some(values) = measurement.tags.get_mut(key) else { continue };
            let Some(series) = values.get_mut(value) else { continue };
            series.remove(id.0);
            if series.is_empty() {
                values.remove(value);
            }
            if values.is_empty() {
                measurement.tags.remove(key);
            }
        }
        if measurement.series.is_empty() {
            known.measurements.remove(&indexed.measurement);
        }
        if known.measurements.is_empty() {
            self.databases.remove(&database);
        }
    }

    /// Removes a whole database.
    pub(super) fn remove_database(&mut self, database: DatabaseId) {
        self.databases.remove(&database);
    }

    /// Frees strings that no series has any more. Cost: all strings; call it after removing many series.
    pub(super) fn sweep(&mut self) {
        self.strings.sweep();
    }

    /// Number of series in the index.
    pub(super) fn len(&self) -> u64 {
        self.databases.values().map(|database| database.series).sum()
    }

    /// Number of series of a database. O(1).
    pub(super) fn series_count(&self, database: DatabaseId) -> u64 {
        self.databases.get(&database).map_or(0, |known| known.series)
    }

    /// Names of a database's measurements, in order.
    pub(super) fn measurements(&self, database: DatabaseId) -> Vec<Arc<str>> {
        let names = |known: &Database| known.measurements.keys().map(Arc::clone).collect();
        self.databases.get(&database).map_or_else(Vec::new, names)
    }

    pub(super) fn measurement(&self, database: DatabaseId, name: &str) -> Option<&Measurement> {
        self.databases.get(&database)?.measurements.get(name)
    }
}

impl Measurement {
    /// Number of values that a tag key has. O(1).
    pub(super) fn value_count(&self, key: &str) -> u64 {
        self.tags.get(key).map_or(0, |values| values.len() as u64)
    }

    /// Whether a series has this value of a tag key. O(1).
    pub(super) fn has_value(&self, key: &str, value: &str) -> bool {
        self.tags.get(key).is_some_and(|values| values.contains_key(value))
    }

    /// The series that satisfy the predicate.
    pub(super) fn select(&self, predicate: &TagPredicate) -> Cow<'_, RoaringBitmap> {
        match predicate {
            TagPredicate::All => Cow::Borrowed(&self.series),
            TagPredicate::Nothing => Cow::Owned(RoaringBitmap::new()),
            TagPredicate::Equal(key, value) => self.equal(key, value),
            TagPredicate::NotEqual(key, value) => Cow::Owned(&self.series - &*self.equal(key, value)),
            TagPredicate::Match(key, regex) => Cow::Owned(self.matching(key, |v| regex.is_match(v))),
            TagPredicate::NotMatch(key, regex) => Cow::Owned(self.matching(key, |v| !regex.is_match(v))),
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

    fn all_of(&self, parts: &[TagPredicate]) -> Cow<'_, RoaringBitmap> {
        let mut common = Cow::Borrowed(&self.series);
        for part in parts {
            if common.is_empty() {
                break;
            }
            common = Cow::Owned(&*common & &*self.select(part));
        }
        common
    }

    fn equal(&self, key: &str, value: &str) -> Cow<'_, RoaringBitmap> {
        if value.is_empty() {
            return Cow::Owned(self.without(key));
        }
        let found = self.tags.get(key).and_then(|values| values.get(value));
        found.map_or_else(|| Cow::Owned(RoaringBitmap::new()), Cow::Borrowed)
    }

    /// Series whose value is wanted; a tag that a series lacks counts as `""`.
    fn matching(&self, key: &str, wanted: impl Fn(&str) -> bool) -> RoaringBitmap {
        let mut union = if wanted("") { self.without(key) } else { RoaringBitmap::new() };
        for (value, series) in self.tags.get(key).into_iter().flatten() {
            if wanted(value) {
                union |= series;
            }
        }
        union
    }

    /// Series that lack the tag.
    fn without(&self, key: &str) -> RoaringBitmap {
        let mut rest = self.series.clone();
        for series in self.tags.get(key).into_iter().flat_map(BTreeMap::values) {
            rest -= series;
        }
        rest
    }

    /// Tag keys that one of the series has.
    pub(super) fn tag_keys(&self, series: &RoaringBitmap) -> BTreeSet<Arc<str>> {
        let has = |values: &Values| values.values().any(|s| !s.is_disjoint(series));
        self.tags.iter().filter(|(_, values)| has(values)).map(|(key, _)| Arc::clone(key)).collect()
    }

    /// Values of a tag key that one of the series has.
    pub(super) fn tag_values(&self, key: &str, series: &RoaringBitmap) -> BTreeSet<Arc<str>> {
        let values = self.tags.get(key).into_iter().flatten();
        values.filter(|(_, s)| !s.is_disjoint(series)).map(|(value, _)| Arc::clone(value)).collect()
    }
}

/// Keeps equal strings once.
#[derive(Debug, Default)]
struct Interner(HashSet<Arc<str>>);

impl Interner {
    fn intern(&mut self, string: Arc<str>) -> Arc<str> {
        Arc::clone(self.0.get_or_insert_with(&*string, |_| Arc::clone(&string)))
    }

    fn sweep(&mut self) {
        self.0.retain(|string| Arc::strong_count(string) > 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::SeriesKey;
    use regex::Regex;

    const DB: DatabaseId = DatabaseId(1);

    fn index() -> (Index, Vec<Indexed>) {
        let mut index = Index::default();
        let keys: [&[u8]; 4] = [b"cpu,host=a,zone=x", b"cpu,host=b", b"cpu,host=c,zone=y", b"mem,host=a"];
        let entries = keys
            .iter()
            .enumerate()
            .map(|(i, key)| index.insert(DB, SeriesId(i as u32), SeriesKey(Box::from(*key)).parse()));
        let entries = entries.collect();
        (index, entries)
    }

    #[test]
    fn predicates_select_as_they_match() {
        use TagPredicate::*;
        let (index, entries) = index();
        let re = |s: &str| Regex::new(s).unwrap();
        let predicates = [
            All,
            Nothing,
            Equal("host".into(), "a".into()),
            Equal("zone".into(), "".into()),
            Equal("nope".into(), "".into()),
            Equal("nope".into(), "x".into()),
            NotEqual("zone".into(), "x".into()),
            NotEqual("zone".into(), "".into()),
            Match("zone".into(), re("^$")),
            Match("host".into(), re("[ab]")),
            NotMatch("zone".into(), re("x")),
            NotMatch("zone".into(), re(".*")),
            And(vec![Match("host".into(), re("a|c")), NotEqual("zone".into(), "y".into())]),
            Or(vec![Equal("host".into(), "b".into()), Equal("zone".into(), "y".into())]),
            And(vec![]),
            Or(vec![]),
        ];
        for predicate in predicates {
            let expected: Vec<u32> = (0..3)
                .filter(|i| {
                    let tags = &entries[*i as usize].tags;
                    let tag = |key: &str| tags.iter().find(|(k, _)| &**k == key).map_or("", |(_, v)| &**v);
                    predicate.matches(&tag)
                })
                .collect();
            let found: Vec<u32> = index.measurement(DB, "cpu").unwrap().select(&predicate).iter().collect();
            assert_eq!(found, expected, "{predicate:?}");
        }
    }

    #[test]
    fn what_nobody_has_is_gone() {
        let (mut index, entries) = index();
        index.remove(DB, SeriesId(0), &entries[0]);
        let cpu = index.measurement(DB, "cpu").unwrap();
        let all = cpu.select(&TagPredicate::All).into_owned();
        assert_eq!(cpu.tag_values("zone", &all), BTreeSet::from(["y".into()]));
        assert_eq!(cpu.tag_values("host", &all), BTreeSet::from(["b".into(), "c".into()]));
        index.remove(DB, SeriesId(3), &entries[3]);
        assert_eq!(index.measurements(DB), ["cpu".into()]);
        assert_eq!((index.series_count(DB), index.series_count(DatabaseId(2))), (2, 0));
        let cpu = index.measurement(DB, "cpu").unwrap();
        assert_eq!((cpu.value_count("host"), cpu.value_count("zone"), cpu.value_count("nope")), (2, 1, 0));
        assert!(cpu.has_value("host", "b") && !cpu.has_value("host", "a"));
        drop(entries);
        index.sweep();
        assert!(!index.strings.0.contains("mem") && index.strings.0.contains("b"));
    }
}
