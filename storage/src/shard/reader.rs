//! What queries ask of a shard, answered from the index and by scans.

use super::Inner;
use super::index::Measurement;
use super::scan;
use model::scan::{Chunk, GroupReader, ScanError, SeriesRef};
use model::{DatabaseId, FieldId, FieldType, RetentionPolicyId, SeriesId, TagPredicate, TimeRange};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Reads a shard as it is at each call.
#[derive(Debug)]
pub(super) struct ShardReader {
    inner: Arc<Inner>,
}

impl ShardReader {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// Runs `read` on a measurement, under the lock.
    fn with<T: Default>(
        &self,
        database: DatabaseId,
        measurement: &str,
        read: impl FnOnce(&Measurement) -> T,
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
        let mut found: Vec<SeriesRef> = {
            let state = self.inner.state.read();
            let Some(known) = state.index.measurement(database, measurement) else { return Vec::new() };
            let ids = known.select(predicate);
            let tags = |id| Some(SeriesRef { id, tags: Arc::clone(&state.series.indexed(id)?.tags) });
            ids.iter().filter_map(|id| tags(SeriesId(id))).collect()
        };
        found.sort_by(|a, b| a.tags.cmp(&b.tags));
        found
    }

    fn tag_keys(
        &self,
        database: DatabaseId,
        measurement: &str,
        predicate: &TagPredicate,
    ) -> BTreeSet<Arc<str>> {
        self.with(database, measurement, |m| m.tag_keys(&m.select(predicate)))
    }

    fn tag_values(
        &self,
        database: DatabaseId,
        measurement: &str,
        key: &str,
        predicate: &TagPredicate,
    ) -> BTreeSet<Arc<str>> {
        self.with(database, measurement, |m| m.tag_values(key, &m.select(predicate)))
    }

    fn fields(
        &self,
        database: DatabaseId,
        policy: RetentionPolicyId,
        measurement: &str,
    ) -> BTreeMap<FieldId, FieldType> {
        let state = self.inner.state.read();
        let Some(known) = state.policies.get(&policy).filter(|p| p.database == database) else {
            return BTreeMap::new();
        };
        let with_points = known.partitions.values().flat_map(|p| p.columns.keys());
        let of_measurement = with_points.filter_map(|id| {
            let field = state.fields.get(&(database, *id))?;
            (&*field.measurement == measurement).then_some((*id, field.field_type))
        });
        of_measurement.collect()
    }

    fn scan(
        &self,
        policy: RetentionPolicyId,
        series: SeriesId,
        field: FieldId,
        range: TimeRange,
    ) -> Result<Vec<Box<dyn Chunk>>, ScanError> {
        scan::scan(&self.inner.state, policy, (series, field), range)
    }

    fn is_active(&self, series: SeriesId, range: TimeRange) -> bool {
        let state = self.inner.state.read();
        let mut partitions = state.policies.values().flat_map(|p| p.overlapping(range));
        partitions.any(|(_, partition)| partition.series.contains(series.0))
    }
}
