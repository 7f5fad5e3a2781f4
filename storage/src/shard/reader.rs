//! What queries ask of a shard, answered from the index and by scans.

use super::Inner;
use super::index::{Measured, Tags, Tried};
use super::scan;
use hashbrown::HashMap;
use model::scan::{GroupReader, PolicyReader, SeriesRef};
use model::{DatabaseId, FieldId, FieldType, RetentionPolicyId, SeriesId, TagPredicate, TimeRange};
use regex::Regex;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// Series whose tags are collected per hold of the state's lock: some hundred microseconds.
const SERIES_PER_HOLD: usize = 1_024;

/// Says whether nobody wants the answer any more.
pub type Stop = Arc<dyn Fn() -> bool + Send + Sync>;

/// Reads a shard as it is at each call.
pub(super) struct ShardReader {
    inner: Arc<Inner>,
    stop: Option<Stop>,
}

impl fmt::Debug for ShardReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardReader").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl ShardReader {
    pub(super) fn new(inner: Arc<Inner>, stop: Option<Stop>) -> Self {
        Self { inner, stop }
    }

    fn is_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop())
    }

    /// Tries the expressions of a predicate that take long, without holding the lock: writes must not wait for them.
    /// `None` if nobody wants the answer any more.
    fn tried(&self, database: DatabaseId, measurement: &str, predicate: &TagPredicate) -> Option<Tried> {
        let mut tried = Tried::default();
        let mut expressions = Vec::new();
        collect_expressions(predicate, &mut expressions);
        for (key, regex) in expressions {
            if tried.contains(key, regex) {
                continue;
            }
            let Some(values) = self.with(database, measurement, |known| known.to_try(key, regex)) else {
                continue;
            };
            let mut answers = HashMap::with_capacity(values.len());
            for value in values {
                if self.is_stopped() {
                    return None;
                }
                let yes = regex.is_match(&value);
                answers.insert(value, yes);
            }
            tried.insert(key, regex, answers);
        }
        Some(tried)
    }

    /// Runs `read` on a measurement, under the lock.
    fn with<T: Default>(
        &self,
        database: DatabaseId,
        measurement: &str,
        read: impl FnOnce(Measured<'_>) -> T,
    ) -> T {
        let state = self.inner.state.read();
        state.index.measurement(database, measurement).map(read).unwrap_or_default()
    }
}

impl GroupReader for ShardReader {
    fn measurements(&self, database: DatabaseId) -> Vec<Arc<str>> {
        self.inner.state.read().index.measurements(database)
    }

    fn series(&self, database: DatabaseId, measurement: &str, predicate: &TagPredicate) -> Vec<SeriesRef> {
        let Some(tried) = self.tried(database, measurement, predicate) else { return Vec::new() };
        let select = |known: Measured<'_>| known.with_tried(&tried).select(predicate).iter().collect();
        let ids: Vec<u32> = self.with(database, measurement, select);
        let mut found: Vec<SeriesRef> = Vec::with_capacity(ids.len());
        for ids in ids.chunks(SERIES_PER_HOLD) {
            if self.is_stopped() {
                return Vec::new();
            }
            let state = self.inner.state.read();
            // One that has lost its points in the meantime is left out.
            let series =
                |id: &u32| Some(SeriesRef { id: SeriesId(*id), tags: state.index.tags(SeriesId(*id))? });
            found.extend(ids.iter().filter_map(series));
        }
        found.sort_unstable_by(|a, b| by_tags(&a.tags, &b.tags));
        found
    }

    fn tag_keys(
        &self,
        database: DatabaseId,
        measurement: &str,
        predicate: &TagPredicate,
    ) -> BTreeSet<Arc<str>> {
        let Some(tried) = self.tried(database, measurement, predicate) else { return BTreeSet::new() };
        self.with(database, measurement, |m| m.tag_keys(&m.with_tried(&tried).select(predicate)))
    }

    fn tag_values(
        &self,
        database: DatabaseId,
        measurement: &str,
        key: &str,
        predicate: &TagPredicate,
    ) -> BTreeSet<Arc<str>> {
        let Some(tried) = self.tried(database, measurement, predicate) else { return BTreeSet::new() };
        self.with(database, measurement, |m| m.tag_values(key, &m.with_tried(&tried).select(predicate)))
    }

    fn fields(
        &self,
        database: DatabaseId,
        policy: RetentionPolicyId,
        measurement: &str,
        range: TimeRange,
    ) -> BTreeMap<FieldId, FieldType> {
        let state = self.inner.state.read();
        let Some(known) = state.policies.get(&policy).filter(|p| p.database == database) else {
            return BTreeMap::new();
        };
        let fields = state.fields.of_measurement(database, measurement).iter();
        // The newest partition first: it has nearly all of them.
        let has_points =
            |id: &FieldId| known.overlapping(range).rev().any(|(_, p)| p.columns.contains_key(id));
        let with_points = fields.filter(|id| has_points(id));
        with_points.filter_map(|id| Some((*id, state.fields.get((database, *id))?.field_type))).collect()
    }

    fn open(&self, policy: RetentionPolicyId) -> Box<dyn PolicyReader> {
        Box::new(scan::OpenPolicy::new(Arc::clone(&self.inner), policy))
    }

    fn slices(&self, policy: RetentionPolicyId) -> Vec<TimeRange> {
        let state = self.inner.state.read();
        let known = state.policies.get(&policy).into_iter().flat_map(|known| &known.partitions);
        let with_points = known.filter(|(_, partition)| !partition.series.is_empty());
        with_points.map(|(start, partition)| TimeRange::new(*start, partition.end)).collect()
    }

    fn is_active(&self, series: SeriesId, policy: Option<RetentionPolicyId>, range: TimeRange) -> bool {
        let state = self.inner.state.read();
        let policies = state.policies.iter().filter(|(id, _)| policy.is_none_or(|wanted| wanted == **id));
        // The newest first: what is alive has points there.
        let mut partitions = policies.flat_map(|(_, known)| known.overlapping(range).rev());
        partitions.any(|(_, partition)| partition.series.contains(series.0))
    }
}

/// The regular expressions of a predicate, and the tag keys that they are about.
fn collect_expressions<'a>(predicate: &'a TagPredicate, into: &mut Vec<(&'a Arc<str>, &'a Regex)>) {
    match predicate {
        TagPredicate::Match(key, regex) | TagPredicate::NotMatch(key, regex) => into.push((key, regex)),
        TagPredicate::And(parts) | TagPredicate::Or(parts) => {
            for part in parts {
                collect_expressions(part, into);
            }
        }
        TagPredicate::All | TagPredicate::Nothing | TagPredicate::Equal(..) | TagPredicate::NotEqual(..) => {}
    }
}

/// The order of tag sets. Equal strings of a group are mostly the same allocation, so they are rarely compared.
fn by_tags(a: &Tags, b: &Tags) -> Ordering {
    let by_text = |a: &Arc<str>, b: &Arc<str>| if Arc::ptr_eq(a, b) { Ordering::Equal } else { a.cmp(b) };
    let pairs = a.iter().zip(b.iter()).map(|(a, b)| by_text(&a.0, &b.0).then_with(|| by_text(&a.1, &b.1)));
    pairs.into_iter().find(|order| order.is_ne()).unwrap_or_else(|| a.len().cmp(&b.len()))
}
