//! Deletes points by tags and times.
//!
//! A delete edits the heads at once. What is frozen or sealed is older than it, so it is noted beside the partition
//! as a [`SeriesErasure`]: reads hide what it covers, and the next flush writes it behind the chunks it takes points
//! from, or removes their keys where nothing would be left. A series whose points are all gone leaves the index, as
//! it does when its partitions are dropped; it keeps its id, and a later write brings it back.
//!
//! Which series have points left is read from the points themselves, so it is the same on every replica. Cost: the
//! keys of the series that lose some but perhaps not all points of a partition are read.

use super::Inner;
use super::head::ColumnKey;
use super::partition::Partition;
use super::scan;
use super::state::State;
use crate::chunk::blocks::{self, Erasure};
use crate::error::StorageError;
use crate::key::{ChunkKey, PartitionKey};
use crate::rocks::{Batch, Rocks, Table};
use model::time::{TIME_MAX, TIME_MIN};
use model::{Delete, FieldId, RetentionPolicyId, SeriesId};
use roaring::RoaringBitmap;
use std::sync::Arc;

/// Times whose points of some series are gone from everything that was written before.
#[derive(Debug)]
pub(super) struct SeriesErasure {
    series: RoaringBitmap,
    times: Erasure,
}

impl SeriesErasure {
    /// What of it is about this series.
    pub(super) fn of(&self, series: SeriesId) -> Option<Erasure> {
        self.series.contains(series.0).then_some(self.times)
    }

    /// Memory in use, about.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.series.serialized_size()
    }
}

/// A partition that loses points, and the series that had some in it.
struct Hit {
    partition: PartitionKey,
    series: RoaringBitmap,
    /// All its times are deleted.
    whole: bool,
}

/// Applies a delete. The caller holds off other entries.
pub(super) fn apply(inner: &Inner, delete: &Delete) -> Result<(), StorageError> {
    let first = delete.range.start.max(TIME_MIN);
    let last = delete.range.end.saturating_sub(1).min(TIME_MAX);
    if last < first {
        return Ok(());
    }
    let times = Erasure { first, last };
    let hits = inner.state.read().hits(delete, times);
    for hit in hits {
        let touched = inner.state.write().erase(&hit, times);
        let gone = if hit.whole { touched } else { emptied(inner, hit.partition, touched)? };
        inner.state.write().forget(hit.partition, &gone);
    }
    Ok(())
}

/// Series by field.
type Columns = Vec<(FieldId, RoaringBitmap)>;

/// Those of the columns that have no point left.
fn emptied(inner: &Inner, partition: PartitionKey, columns: Columns) -> Result<Columns, StorageError> {
    let mut gone = Columns::new();
    for (field, series) in columns {
        let mut of_field = RoaringBitmap::new();
        for id in series {
            match scan::is_empty(&inner.state, partition, (SeriesId(id), field)) {
                Ok(true) => {
                    of_field.insert(id);
                }
                Ok(false) => {}
                // The other replicas know which columns are empty now and this one does not: it must be rebuilt.
                Err(error @ model::scan::ScanError::Damaged { .. }) => {
                    inner.db.report_damage(&error.to_string());
                }
                Err(model::scan::ScanError::Io(_) | model::scan::ScanError::Replaced) => {
                    return Err(StorageError::damaged("chunk: it cannot be read"));
                }
            }
        }
        gone.push((field, of_field));
    }
    Ok(gone)
}

impl State {
    /// The partitions that lose points.
    fn hits(&self, delete: &Delete, times: Erasure) -> Vec<Hit> {
        let mut wanted = RoaringBitmap::new();
        for name in self.index.measurements(delete.database) {
            if delete.measurements.contains(&name)
                && let Some(measurement) = self.index.measurement(delete.database, &name)
            {
                wanted |= &*measurement.select(&delete.predicate);
            }
        }
        let is_meant = |policy: RetentionPolicyId| delete.policy.is_none_or(|only| only == policy);
        let policies = self.policies.iter().filter(|(id, p)| p.database == delete.database && is_meant(**id));
        let mut hits = Vec::new();
        for (policy, known) in policies {
            for (start, partition) in known.overlapping(delete.range) {
                let series = &wanted & &partition.series;
                if !series.is_empty() {
                    let whole = times.covers_all((start, partition.end - 1));
                    hits.push(Hit { partition: PartitionKey { policy: *policy, start }, series, whole });
                }
            }
        }
        hits
    }

    fn partition_mut(&mut self, key: PartitionKey) -> Option<&mut Partition> {
        self.policies.get_mut(&key.policy)?.partitions.get_mut(&key.start)
    }

    /// Takes points out of the head and hides older ones; answers the columns that may have lost some.
    fn erase(&mut self, hit: &Hit, times: Erasure) -> Columns {
        let Some(partition) = self.partition_mut(hit.partition) else { return Columns::new() };
        let bytes_before = partition.open_bytes();
        let mut touched = Columns::new();
        for (field, series) in &partition.columns {
            let common = series & &hit.series;
            for id in &common {
                partition.head.erase(ColumnKey::new(SeriesId(id), *field), times);
            }
            if !common.is_empty() {
                touched.push((*field, common));
            }
        }
        if partition.sealed || partition.frozen.is_some() {
            let series = hit.series.clone();
            partition.erasures.push(Arc::new(SeriesErasure { series, times }));
        }
        let bytes = partition.open_bytes();
        self.open_bytes = (self.open_bytes + bytes).saturating_sub(bytes_before);
        touched
    }

    /// Notes which columns of a partition are empty; series without points leave the index.
    fn forget(&mut self, key: PartitionKey, gone: &Columns) {
        let Some(partition) = self.partition_mut(key) else { return };
        let mut orphans = RoaringBitmap::new();
        for (field, series) in gone.iter().filter(|(_, series)| !series.is_empty()) {
            orphans |= partition.forget(*field, series);
        }
        self.leave_index(orphans);
    }
}

/// Puts the deletes of a partition into the batch, before the points that were written after them. Answers the first
/// window of each that took something away.
pub(super) fn put(
    rocks: &Rocks,
    partition: PartitionKey,
    erasures: &[Arc<SeriesErasure>],
    batch: &mut Batch<'_>,
) -> Result<Vec<i32>, StorageError> {
    let mut touched = Vec::new();
    for erasure in erasures {
        let mut first = None;
        for series in &erasure.series {
            let found = put_series(rocks, partition, SeriesId(series), erasure.times, batch)?;
            first = first.into_iter().chain(found).min();
        }
        touched.extend(first);
    }
    Ok(touched)
}

/// Deletes or hides what one series has; answers the first window where it hid something.
fn put_series(
    rocks: &Rocks,
    partition: PartitionKey,
    series: SeriesId,
    times: Erasure,
    batch: &mut Batch<'_>,
) -> Result<Option<i32>, StorageError> {
    let (from, to) = ChunkKey::series_range(partition, series);
    let mut keys = rocks.range(Table::Chunk, &from, &to)?;
    let mut first = None;
    while let Some((bytes, _)) = keys.next()? {
        let key = ChunkKey::parse(bytes).ok_or(StorageError::damaged("chunk key"))?;
        if times.covers_all(key.times()) {
            batch.delete(Table::Chunk, bytes);
        } else if let Some(erasure) = times.within(key.times()) {
            batch.merge(bytes, &blocks::encode_erasure(erasure));
            first = first.into_iter().chain([key.window]).min();
        }
    }
    Ok(first)
}
