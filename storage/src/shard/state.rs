//! Everything a shard holds in memory. One lock guards it; sections are short.

use super::ShardStats;
use super::fields::Fields;
use super::flush::{Frozen, Pending};
use super::index::Index;
use super::partition::Policy;
use super::series::SeriesTable;
use crate::error::StorageError;
use crate::key;
use crate::marker::ApplyMarker;
use crate::rocks::{Rocks, Table};
use hashbrown::{HashMap, HashSet};
use model::{DatabaseId, RetentionPolicyId, SeriesId, SeriesKey};
use std::sync::Arc;

/// The state in memory at one applied index.
#[derive(Debug)]
pub(super) struct State {
    pub(super) marker: ApplyMarker,
    /// The chunks that belong to this state.
    pub(super) rocks: Arc<Rocks>,
    pub(super) series: SeriesTable,
    pub(super) index: Index,
    /// The first row of a field fixes its type; rows of another type are left out.
    pub(super) fields: Fields,
    pub(super) policies: HashMap<RetentionPolicyId, Policy>,
    pub(super) dropped_databases: HashSet<DatabaseId>,
    pub(super) dropped_policies: HashSet<RetentionPolicyId>,
    /// What the next freeze takes besides the heads.
    pub(super) pending: Pending,
    /// What a flush is writing, until it is durable.
    pub(super) frozen: Option<Arc<Frozen>>,
    /// Counts flushes whose heads were forgotten: readers that opened the disk before the last one must open it again.
    pub(super) seals: u64,
    /// Counts partitions as they are made; only in memory.
    pub(super) incarnation: u64,
    /// Bytes of heads and deletes that no flush has taken yet.
    pub(super) open_bytes: usize,
}

impl State {
    /// A state without series and points.
    pub(super) fn new(rocks: Arc<Rocks>, marker: ApplyMarker) -> Self {
        Self {
            marker,
            rocks,
            series: SeriesTable::default(),
            index: Index::default(),
            fields: Fields::default(),
            policies: HashMap::new(),
            dropped_databases: HashSet::new(),
            dropped_policies: HashSet::new(),
            pending: Pending::default(),
            frozen: None,
            seals: 0,
            incarnation: 0,
            open_bytes: 0,
        }
    }

    /// The canonical key of a known series: from what is not written yet, else from disk.
    pub(super) fn series_key(&self, id: SeriesId) -> Result<SeriesKey, StorageError> {
        let frozen = self.frozen.as_ref().map(|f| &f.pending);
        let mut unwritten = [Some(&self.pending), frozen].into_iter().flatten();
        if let Some(key) = unwritten.find_map(|p| p.series.get(id)) {
            return Ok(SeriesKey(key));
        }
        let value = self.rocks.get(Table::Series, &key::series(id))?;
        let value = value.ok_or(StorageError::damaged("series table: a known series is missing"))?;
        let (_, key) = super::records::parse_series(&value)?;
        Ok(SeriesKey(Box::from(key)))
    }

    /// Puts a series that has points into the index, if it is not there. `key` is its canonical key, if it is at hand.
    pub(super) fn index_series(
        &mut self,
        database: DatabaseId,
        id: SeriesId,
        key: Option<&[u8]>,
    ) -> Result<(), StorageError> {
        if !self.index.contains(id) {
            match key {
                Some(key) => self.index.insert(database, id, key),
                None => {
                    let key = self.series_key(id)?;
                    self.index.insert(database, id, &key.0);
                }
            }
        }
        Ok(())
    }

    /// Bytes that no flush has taken yet: points, deletes, keys of new series. O(1).
    pub(super) fn unflushed_bytes(&self) -> u64 {
        (self.open_bytes + self.pending.series.bytes()) as u64
    }

    pub(super) fn stats(&self, disk_bytes: u64, durable: u64) -> ShardStats {
        let partitions = || self.policies.values().flat_map(|p| p.partitions.values());
        let heads = || partitions().flat_map(|p| p.frozen.as_deref().into_iter().chain([&p.head]));
        ShardStats {
            series: self.series.len() as u64,
            series_indexed: self.index.len(),
            head_points: heads().map(|h| h.points() as u64).sum(),
            head_bytes: heads().map(|h| h.bytes() as u64).sum(),
            disk_bytes,
            partitions: partitions().count() as u64,
            applied: self.marker.index,
            durable,
        }
    }
}
