//! The limits on series and tag values, as InfluxDB 1.x keeps them (`tsdb/index/inmem`): looked at for new series only,
//! against what the replicas hold before the body. Bodies that are in work at the same time do not see each other's new
//! series, so the limits may be passed by what is in flight.

use super::check;
use super::directory::SeriesDirectory;
use super::fields::{shown, shown_tag};
use hashbrown::{HashMap, HashSet};
use model::series;
use storage::KeyHash;

/// How many series and tag values a database may have; 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesLimits {
    /// Series of a database.
    pub series_max: u64,
    /// Values of one tag of one measurement.
    pub values_max: u64,
}

impl SeriesLimits {
    /// No limits.
    pub const NONE: Self = Self { series_max: 0, values_max: 0 };
}

/// What a new series comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may be created.
    Welcome,
    /// It has one value too many, for this reason.
    TooManyValues(String),
    /// The body as a whole has more new series than there is room for.
    TooManySeries,
}

/// Judges the new series of one body.
pub(super) struct Cardinality<'c> {
    limits: SeriesLimits,
    known: &'c dyn SeriesDirectory,
    /// Room for new series, once it was asked for.
    room: Option<u64>,
    new: HashSet<KeyHash>,
    /// Escaped measurement → how many values its tags have.
    tags: HashMap<Box<[u8]>, Vec<TagValues>>,
}

struct TagValues {
    /// Escaped.
    tag: Box<[u8]>,
    values: u64,
}

impl<'c> Cardinality<'c> {
    pub(super) fn new(limits: SeriesLimits, known: &'c dyn SeriesDirectory) -> Self {
        Self { limits, known, room: None, new: HashSet::new(), tags: HashMap::new() }
    }

    /// Whether a series that no group knows may be created. `measurement_len` is that of the escaped measurement in its
    /// canonical key.
    pub(super) fn judge(&mut self, hash: KeyHash, key: &[u8], measurement_len: usize) -> Verdict {
        if self.limits.series_max == 0 && self.limits.values_max == 0 || self.new.contains(&hash) {
            return Verdict::Welcome;
        }
        if self.limits.values_max > 0
            && let Some(reason) = self.full_tag(&key[..measurement_len], &key[measurement_len..])
        {
            return Verdict::TooManyValues(reason);
        }
        self.new.insert(hash);
        if self.limits.series_max > 0 && self.new.len() as u64 > self.room() {
            return Verdict::TooManySeries;
        }
        Verdict::Welcome
    }

    fn room(&mut self) -> u64 {
        let (limits, known) = (self.limits, self.known);
        *self.room.get_or_insert_with(|| limits.series_max.saturating_sub(known.series_count()))
    }

    /// The reason to refuse a series whose tags bring a value that is one too many.
    fn full_tag(&mut self, measurement: &[u8], tags: &[u8]) -> Option<String> {
        let limit = self.limits.values_max;
        if !self.tags.contains_key(measurement) {
            self.tags.insert(Box::from(measurement), Vec::new());
        }
        let counted = self.tags.get_mut(measurement)?;
        for (tag, value) in series::escaped_tags(tags) {
            let values = match counted.iter().find(|known| *known.tag == *tag) {
                Some(known) => known.values,
                None => {
                    let values = self.known.value_count(&shown(measurement), &shown_tag(tag), limit);
                    counted.push(TagValues { tag: Box::from(tag), values });
                    values
                }
            };
            if values < limit {
                continue;
            }
            let (measurement, tag, value) = (shown(measurement), shown_tag(tag), shown_tag(value));
            if !self.known.has_value(&measurement, &tag, &value) {
                return Some(check::values_exceeded(values, limit, &measurement, &tag, &value));
            }
        }
        None
    }
}
