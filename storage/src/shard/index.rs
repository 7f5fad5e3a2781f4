//! Which series have which tags: database → measurement → tag key → tag value → series, and back.
//!
//! Rebuilt in memory at open. Scans and SHOW statements select with it; only series that have points are in it. About
//! 200 bytes a series: a string is kept once ([`symbols`]), a tag set is one number a tag ([`tag_sets`]), a value that
//! few series have costs 16 bytes ([`postings`]).

mod matching;
mod postings;
mod select;
mod symbols;
mod tag_sets;

pub(super) use postings::bitmap_bytes;
pub(super) use select::Measured;

use hashbrown::HashMap;
use matching::Matches;
pub(super) use matching::Tried;
use model::series::{measurement_len, tags, text, unescape};
use model::{DatabaseId, SeriesId};
use postings::{Changed, Postings};
use roaring::RoaringBitmap;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use symbols::{Symbol, Symbols};
use tag_sets::TagSets;

/// The tags of a series, shared with whoever reads them.
pub(super) type Tags = Arc<[(Arc<str>, Arc<str>)]>;

/// The inverted index of a group.
#[derive(Debug, Default)]
pub(super) struct Index {
    databases: HashMap<DatabaseId, Database>,
    measurements: Slab<Measurement>,
    shapes: Slab<Shape>,
    tags: TagSets,
    symbols: Symbols,
    matches: Matches,
}

/// The measurements of one database.
#[derive(Debug, Default)]
struct Database {
    /// Their places, by name.
    measurements: BTreeMap<Arc<str>, u32>,
    series: u64,
}

/// The series of one measurement.
#[derive(Debug)]
struct Measurement {
    database: DatabaseId,
    name: Arc<str>,
    series: RoaringBitmap,
    /// Places of its shapes, by their tag keys.
    shapes: HashMap<Arc<[Symbol]>, u32>,
    keys: HashMap<Symbol, Postings>,
}

/// Series of one measurement with the same tag keys.
#[derive(Debug)]
struct Shape {
    measurement: u32,
    /// In the order of the canonical series key.
    keys: Arc<[Symbol]>,
    series: RoaringBitmap,
}

/// How many bytes the parts of an index take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct IndexBytes {
    pub(super) strings: usize,
    pub(super) tag_sets: usize,
    pub(super) postings: usize,
}

impl Index {
    /// Adds a series by its canonical key; nothing changes if it is there.
    pub(super) fn insert(&mut self, database: DatabaseId, id: SeriesId, key: &[u8]) {
        if self.contains(id) {
            return;
        }
        let name_end = measurement_len(key);
        let place = self.measurement_place(database, &shown(unescape(&key[..name_end], b", ")));
        let mut keys: Vec<Symbol> = Vec::with_capacity(16);
        let mut values: Vec<Symbol> = Vec::with_capacity(16);
        for (key, value) in tags(&key[name_end..]) {
            let (key, value) = (self.symbols.intern(&shown(key)), self.symbols.intern(&shown(value)));
            self.insert_tag(place, (key, value), id);
            keys.push(key);
            values.push(value);
        }
        let shape = self.shape_place(place, keys);
        self.tags.insert(id.0, shape, &values);
        if let Some(shape) = self.shapes.get_mut(shape) {
            shape.series.insert(id.0);
        }
        if let Some(measurement) = self.measurements.get_mut(place) {
            measurement.series.insert(id.0);
        }
        self.databases.entry(database).or_default().series += 1;
    }

    fn measurement_place(&mut self, database: DatabaseId, name: &str) -> u32 {
        let known = self.databases.entry(database).or_default();
        if let Some(place) = known.measurements.get(name) {
            return *place;
        }
        let name: Arc<str> = Arc::from(name);
        let place = self.measurements.insert(Measurement {
            database,
            name: Arc::clone(&name),
            series: RoaringBitmap::new(),
            shapes: HashMap::new(),
            keys: HashMap::new(),
        });
        known.measurements.insert(name, place);
        place
    }

    fn insert_tag(&mut self, place: u32, (key, value): (Symbol, Symbol), id: SeriesId) {
        let Self { measurements, symbols, matches, .. } = self;
        let Some(measurement) = measurements.get_mut(place) else { return };
        let postings = measurement.keys.entry(key).or_insert_with(|| {
            symbols.hold(key);
            Postings::default()
        });
        if postings.insert(value, id.0) == Changed::Value {
            symbols.hold(value);
            matches.added((place, key), value, symbols.text(value));
        }
    }

    fn shape_place(&mut self, place: u32, keys: Vec<Symbol>) -> u32 {
        let Some(measurement) = self.measurements.get_mut(place) else { return u32::MAX };
        if let Some(shape) = measurement.shapes.get(&keys[..]) {
            return *shape;
        }
        let keys: Arc<[Symbol]> = Arc::from(keys);
        let series = RoaringBitmap::new();
        let shape = self.shapes.insert(Shape { measurement: place, keys: Arc::clone(&keys), series });
        measurement.shapes.insert(keys, shape);
        shape
    }

    /// Removes a series and every tag, measurement and string that nobody else has.
    pub(super) fn remove(&mut self, id: SeriesId) {
        let Some((shape_place, shape)) = self.shape_of(id) else { return };
        let (place, keys) = (shape.measurement, Arc::clone(&shape.keys));
        let values: Vec<Symbol> = self.tags.values(id.0, keys.len()).collect();
        self.tags.remove(id.0, keys.len());
        let Some(measurement) = self.measurements.get_mut(place) else { return };
        for (key, value) in keys.iter().zip(values) {
            let Some(postings) = measurement.keys.get_mut(key) else { continue };
            if postings.remove(value, id.0) == Changed::Value {
                self.symbols.release(value);
                self.matches.removed((place, *key));
            }
            if postings.is_empty() {
                measurement.keys.remove(key);
                self.symbols.release(*key);
            }
        }
        measurement.series.remove(id.0);
        let shape = self.shapes.get_mut(shape_place);
        if shape.is_some_and(|shape| shape.series.remove(id.0) && shape.series.is_empty()) {
            measurement.shapes.remove(&keys);
            self.shapes.remove(shape_place);
        }
        let database = measurement.database;
        let Some(known) = self.databases.get_mut(&database) else { return };
        known.series -= 1;
        if measurement.series.is_empty() {
            known.measurements.remove(&measurement.name);
            self.measurements.remove(place);
        }
        if known.measurements.is_empty() {
            self.databases.remove(&database);
        }
    }

    /// Removes a whole database. Cost: its series.
    pub(super) fn remove_database(&mut self, database: DatabaseId) {
        let Some(gone) = self.databases.remove(&database) else { return };
        for place in gone.measurements.into_values() {
            let Some(measurement) = self.measurements.remove(place) else { continue };
            for (key, postings) in measurement.keys {
                postings.values().for_each(|value| self.symbols.release(value));
                self.symbols.release(key);
            }
            for (keys, shape) in measurement.shapes {
                let series = self.shapes.remove(shape).map(|shape| shape.series);
                for id in series.into_iter().flatten() {
                    self.tags.remove(id, keys.len());
                }
            }
        }
        self.matches.clear();
    }

    /// Whether a series is in the index.
    pub(super) fn contains(&self, id: SeriesId) -> bool {
        self.tags.shape(id.0).is_some()
    }

    fn shape_of(&self, id: SeriesId) -> Option<(u32, &Shape)> {
        let place = self.tags.shape(id.0)?;
        Some((place, self.shapes.get(place)?))
    }

    /// The tags of a series that is in the index.
    pub(super) fn tags(&self, id: SeriesId) -> Option<Tags> {
        let (_, shape) = self.shape_of(id)?;
        let values = self.tags.values(id.0, shape.keys.len());
        let pairs = shape.keys.iter().zip(values);
        Some(pairs.map(|(key, value)| (self.symbols.shared(*key), self.symbols.shared(value))).collect())
    }

    /// The measurement of a series that is in the index.
    pub(super) fn measurement_of(&self, id: SeriesId) -> Option<&Arc<str>> {
        let (_, shape) = self.shape_of(id)?;
        Some(&self.measurements.get(shape.measurement)?.name)
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

    /// A measurement that has series.
    pub(super) fn measurement(&self, database: DatabaseId, name: &str) -> Option<Measured<'_>> {
        let place = *self.databases.get(&database)?.measurements.get(name)?;
        Some(Measured { index: self, place, measurement: self.measurements.get(place)?, tried: None })
    }

    /// What the parts take. Cost: all values and strings.
    pub(super) fn bytes(&self) -> IndexBytes {
        let shapes = self.shapes.iter().map(|shape| bitmap_bytes(&shape.series) + 128 + 4 * shape.keys.len());
        let of_measurement = |measurement: &Measurement| {
            let keys = measurement.keys.allocation_size() + measurement.shapes.allocation_size();
            let postings = measurement.keys.values().map(Postings::bytes).sum::<usize>();
            keys + postings + bitmap_bytes(&measurement.series)
        };
        IndexBytes {
            strings: self.symbols.bytes(),
            tag_sets: self.tags.bytes() + shapes.sum::<usize>(),
            postings: self.measurements.iter().map(of_measurement).sum(),
        }
    }
}

/// Bytes as text for reading (U+FFFD for bytes that are not UTF-8).
fn shown(bytes: Cow<'_, [u8]>) -> Cow<'_, str> {
    match bytes {
        Cow::Borrowed(bytes) => match std::str::from_utf8(bytes) {
            Ok(shown) => Cow::Borrowed(shown),
            Err(_) => Cow::Owned(text(bytes).to_string()),
        },
        Cow::Owned(bytes) => Cow::Owned(text(&bytes).to_string()),
    }
}

/// Values with a place each; places are used again.
#[derive(Debug)]
struct Slab<T> {
    values: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { values: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    fn insert(&mut self, value: T) -> u32 {
        let place = self.free.pop().unwrap_or(self.values.len() as u32);
        match self.values.get_mut(place as usize) {
            Some(unused) => *unused = Some(value),
            None => self.values.push(Some(value)),
        }
        place
    }

    fn remove(&mut self, place: u32) -> Option<T> {
        let value = self.values.get_mut(place as usize)?.take()?;
        self.free.push(place);
        Some(value)
    }

    fn get(&self, place: u32) -> Option<&T> {
        self.values.get(place as usize)?.as_ref()
    }

    fn get_mut(&mut self, place: u32) -> Option<&mut T> {
        self.values.get_mut(place as usize)?.as_mut()
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        self.values.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::TagPredicate;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const DB: DatabaseId = DatabaseId(1);
    const OTHER: DatabaseId = DatabaseId(2);

    fn index(keys: &[&str]) -> Index {
        let mut index = Index::default();
        for (id, key) in keys.iter().enumerate() {
            index.insert(DB, SeriesId(id as u32), key.as_bytes());
        }
        index
    }

    #[test]
    fn what_nobody_has_is_gone() {
        let mut index = index(&["cpu,host=a,zone=x", "cpu,host=b", "cpu,host=c,zone=y", "mem,host=a"]);
        index.remove(SeriesId(0));
        let cpu = index.measurement(DB, "cpu").unwrap();
        let all = cpu.select(&TagPredicate::All).into_owned();
        assert_eq!(cpu.tag_values("zone", &all), BTreeSet::from(["y".into()]));
        assert_eq!(cpu.tag_values("host", &all), BTreeSet::from(["b".into(), "c".into()]));
        index.remove(SeriesId(3));
        assert_eq!(index.measurements(DB), ["cpu".into()]);
        assert_eq!((index.series_count(DB), index.series_count(OTHER)), (2, 0));
        let cpu = index.measurement(DB, "cpu").unwrap();
        assert_eq!((cpu.value_count("host"), cpu.value_count("zone"), cpu.value_count("nope")), (2, 1, 0));
        assert!(cpu.has_value("host", "b") && !cpu.has_value("host", "a"));
        assert!(index.symbols.find("a").is_none() && index.symbols.find("b").is_some());
        index.remove_database(DB);
        assert_eq!((index.len(), index.symbols.len()), (0, 0));
        assert!(index.measurement(DB, "cpu").is_none() && !index.contains(SeriesId(1)));
    }

    #[test]
    fn keys_that_show_alike_are_counted_twice_and_leave_together() {
        let mut index = Index::default();
        index.insert(DB, SeriesId(0), b"m,\xfe=1,\xff=1");
        index.insert(DB, SeriesId(1), b"m,\xfe=1,\xff=2");
        assert_eq!(index.tags(SeriesId(1)).unwrap().len(), 2);
        index.remove(SeriesId(0));
        index.remove(SeriesId(1));
        assert_eq!((index.len(), index.symbols.len()), (0, 0));
    }

    /// Series by number: database, measurement and tags follow from it.
    fn series(n: u32) -> (DatabaseId, String, Vec<(String, String)>) {
        let tags = [("a", n % 7), ("b", n % 3), ("c", n / 20)];
        let tags = tags.iter().filter(|(_, v)| *v > 0).map(|(k, v)| ((*k).to_owned(), format!("v{v}")));
        (if n.is_multiple_of(11) { OTHER } else { DB }, format!("m{}", n % 2), tags.collect())
    }

    fn key(n: u32) -> Vec<u8> {
        let (_, measurement, tags) = series(n);
        let tags = tags.iter().map(|(k, v)| format!(",{k}={v}"));
        (measurement + &tags.collect::<String>()).into_bytes()
    }

    fn check(index: &Index, model: &BTreeSet<u32>, predicates: &[TagPredicate]) {
        assert_eq!(index.len(), model.len() as u64);
        for (database, measurement) in [(DB, "m0"), (DB, "m1"), (OTHER, "m0"), (OTHER, "m1")] {
            let of = |n: &&u32| (series(**n).0, &*series(**n).1) == (database, measurement);
            let mine: Vec<u32> = model.iter().filter(of).copied().collect();
            let Some(found) = index.measurement(database, measurement) else {
                assert!(mine.is_empty());
                continue;
            };
            for predicate in predicates {
                let matching = |n: &&u32| {
                    let tags = series(**n).2;
                    let tag =
                        |key: &str| tags.iter().find(|(k, _)| k == key).map_or("", |(_, v)| &**v).to_owned();
                    let (a, b, c) = (tag("a"), tag("b"), tag("c"));
                    predicate.matches(&|key| match key {
                        "a" => &*a,
                        "b" => &*b,
                        "c" => &*c,
                        _ => "",
                    })
                };
                let expected: Vec<u32> = mine.iter().filter(matching).copied().collect();
                let selected = found.select(predicate);
                assert_eq!(selected.iter().collect::<Vec<_>>(), expected, "{predicate:?}");
                let tags = || expected.iter().flat_map(|n| series(*n).2);
                let keys: BTreeSet<Arc<str>> = tags().map(|(k, _)| Arc::from(&*k)).collect();
                assert_eq!(found.tag_keys(&selected), keys);
                let values: BTreeSet<Arc<str>> =
                    tags().filter(|(k, _)| k == "a").map(|(_, v)| Arc::from(&*v)).collect();
                assert_eq!(found.tag_values("a", &selected), values);
            }
        }
        for n in model {
            let tags = index.tags(SeriesId(*n)).unwrap();
            let tags: Vec<(String, String)> =
                tags.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
            assert_eq!(tags, series(*n).2);
            assert_eq!(&**index.measurement_of(SeriesId(*n)).unwrap(), series(*n).1);
        }
    }

    fn predicates() -> impl Strategy<Value = TagPredicate> {
        use TagPredicate::*;
        let key = prop_oneof!["a", "b", "c", "d"];
        let value = prop_oneof![Just(String::new()), "v[0-9]"];
        let regex = prop_oneof![
            Just("^$"),
            Just("v"),
            Just("^(v1|v2)$"),
            Just("^(v3|)$"),
            Just("[12]"),
            Just(".*"),
            Just("^v5$")
        ];
        let pair = (key, value, regex, 0u8..6).prop_map(|(key, value, regex, kind)| {
            let (key, value) = (Arc::from(key), Arc::from(value));
            let regex = regex::Regex::new(regex).unwrap();
            match kind {
                0 => Equal(key, value),
                1 => NotEqual(key, value),
                2 => Match(key, regex),
                3 => NotMatch(key, regex),
                4 => All,
                _ => Nothing,
            }
        });
        pair.prop_recursive(3, 12, 4, |inner| {
            let parts = prop::collection::vec(inner, 0..4);
            prop_oneof![parts.clone().prop_map(And), parts.prop_map(Or)]
        })
    }

    proptest! {
        /// Series come and go; what a predicate selects is what it matches.
        #[test]
        fn an_index_is_a_filter(
            ops in prop::collection::vec((0u32..300, any::<bool>()), 0..400),
            predicates in prop::collection::vec(predicates(), 1..6),
            dropped: bool,
        ) {
            let (mut index, mut model) = (Index::default(), BTreeSet::new());
            for (n, (id, insert)) in ops.into_iter().enumerate() {
                if insert {
                    index.insert(series(id).0, SeriesId(id), &key(id));
                    model.insert(id);
                } else {
                    index.remove(SeriesId(id));
                    model.remove(&id);
                }
                if n % 101 == 100 {
                    check(&index, &model, &predicates);
                }
            }
            check(&index, &model, &predicates);
            if dropped {
                index.remove_database(DB);
                model.retain(|n| series(*n).0 != DB);
                check(&index, &model, &predicates);
            }
            for id in &model {
                index.remove(SeriesId(*id));
            }
            prop_assert_eq!((index.len(), index.symbols.len(), index.shapes.iter().count()), (0, 0, 0));
        }
    }
}
