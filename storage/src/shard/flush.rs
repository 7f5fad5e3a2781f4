//! Takes what changed since the last flush out of memory and makes it durable, with the marker, in one batch.

use super::Inner;
use super::erase::SeriesErasure;
use super::fields::{Field, FieldName};
use super::head::Head;
use super::new_keys::NewKeys;
use super::partition::Partition;
use super::state::State;
use super::{erase, records, seal};
use crate::error::StorageError;
use crate::key::{self, PartitionKey};
use crate::marker::ApplyMarker;
use crate::rocks::{Batch, Table};
use hashbrown::HashMap;
use model::{DatabaseId, FieldId, RetentionPolicyId, SeriesId};
use roaring::RoaringBitmap;
use std::sync::Arc;

/// Changes besides points that are not on disk yet.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) series: NewKeys,
    pub(super) forgotten_series: Vec<SeriesId>,
    pub(super) fields: Vec<(FieldName, Field)>,
    pub(super) forgotten_fields: Vec<FieldName>,
    /// Partitions that were on disk when they were dropped.
    pub(super) dropped_partitions: Vec<PartitionKey>,
    pub(super) dropped_databases: Vec<DatabaseId>,
    pub(super) dropped_policies: Vec<RetentionPolicyId>,
}

/// One flush's worth of changes: the difference between the state at its marker and the disk.
#[derive(Debug)]
pub(super) struct Frozen {
    pub(super) marker: ApplyMarker,
    pub(super) pending: Pending,
    /// Databases of all policies that had points, for whoever reads the chunks later.
    pub(super) databases: HashMap<RetentionPolicyId, DatabaseId>,
    /// Checksum of everything but the points.
    pub(super) tables_sum: u64,
    next_series: u32,
    partitions: Vec<FrozenPartition>,
}

/// What changed in one partition.
#[derive(Debug)]
struct FrozenPartition {
    key: PartitionKey,
    incarnation: u64,
    database: DatabaseId,
    end: i64,
    is_new: bool,
    /// Empty for a field that has no points any more.
    activity: Vec<(FieldId, RoaringBitmap)>,
    /// Older than the head.
    erasures: Vec<Arc<SeriesErasure>>,
    head: Option<Arc<Head>>,
}

impl State {
    /// Takes heads and pending changes; applies go on into empty ones. Reads see the frozen heads until
    /// [`State::thaw`].
    pub(super) fn freeze(&mut self) -> Arc<Frozen> {
        let tables_sum = self.tables_sum();
        let mut partitions = Vec::new();
        let mut databases = HashMap::new();
        for (policy, known) in &mut self.policies {
            databases.insert(*policy, known.database);
            for (start, partition) in &mut known.partitions {
                let key = PartitionKey { policy: *policy, start: *start };
                partitions.extend(freeze_partition(partition, key, known.database));
            }
        }
        partitions.sort_unstable_by_key(|p| p.key);
        let frozen = Arc::new(Frozen {
            marker: self.marker.clone(),
            pending: std::mem::take(&mut self.pending),
            databases,
            tables_sum,
            next_series: self.series.next(),
            partitions,
        });
        self.open_bytes = 0;
        self.frozen = Some(Arc::clone(&frozen));
        frozen
    }

    /// Forgets the frozen heads, which are on disk now. Answers them, so that freeing them happens without the lock.
    fn thaw(&mut self, frozen: &Frozen) -> Vec<Arc<Head>> {
        self.frozen = None;
        self.seals += 1;
        let mut heads = Vec::new();
        for done in &frozen.partitions {
            let policy = self.policies.get_mut(&done.key.policy);
            let Some(partition) = policy.and_then(|p| p.partitions.get_mut(&done.key.start)) else {
                continue;
            };
            // A partition that was dropped and made again has nothing on disk yet.
            if partition.incarnation == done.incarnation {
                partition.sealed |= done.head.is_some();
                heads.extend(partition.frozen.take());
                partition.frozen_erasures.clear();
            }
        }
        heads
    }
}

fn freeze_partition(
    partition: &mut Partition,
    key: PartitionKey,
    database: DatabaseId,
) -> Option<FrozenPartition> {
    let head = Some(std::mem::take(&mut partition.head)).filter(|head| !head.is_empty()).map(Arc::new);
    let erasures = std::mem::take(&mut partition.erasures);
    if head.is_none() && erasures.is_empty() && partition.changed.is_empty() && partition.recorded {
        return None;
    }
    partition.frozen.clone_from(&head);
    partition.frozen_erasures.clone_from(&erasures);
    let changed = std::mem::take(&mut partition.changed);
    let activity = changed.into_iter().map(|field| (field, partition.packed(field))).collect();
    let is_new = !std::mem::replace(&mut partition.recorded, true);
    let (incarnation, end) = (partition.incarnation, partition.end);
    Some(FrozenPartition { key, incarnation, database, end, is_new, activity, erasures, head })
}

impl Inner {
    /// Freezes and persists. The caller has the turn.
    pub(super) fn flush(&self) -> Result<ApplyMarker, StorageError> {
        let frozen = self.freeze()?;
        self.persist(&frozen)
    }

    /// Freezes between two entries. The caller has the turn.
    pub(super) fn freeze(&self) -> Result<Arc<Frozen>, StorageError> {
        self.check()?;
        // A checksum that was begun but never run leaves its heads frozen.
        let left = self.state.read().frozen.clone();
        if let Some(left) = left {
            self.persist(&left)?;
        }
        let _between_entries = self.applying.lock();
        let frozen = self.state.write().freeze();
        self.head_bytes.store(0, std::sync::atomic::Ordering::Release);
        Ok(frozen)
    }

    /// Makes what was frozen durable. The caller has the turn.
    pub(super) fn persist(&self, frozen: &Frozen) -> Result<ApplyMarker, StorageError> {
        let mut tails = self.tails.lock();
        self.poison_on(self.write_frozen(frozen, &mut tails))?;
        let heads = self.state.write().thaw(frozen);
        drop(heads);
        self.free_space(frozen);
        Ok(frozen.marker.clone())
    }

    fn write_frozen(&self, frozen: &Frozen, tails: &mut seal::Tails) -> Result<(), StorageError> {
        let rocks = self.db.rocks();
        let mut compactor = self.compactor.lock();
        self.db.write(&frozen.marker, |batch| {
            put_deletes(&frozen.pending, batch);
            put_records(frozen, batch)?;
            for partition in &frozen.partitions {
                let (key, erasures) = (partition.key, &partition.erasures);
                let mut touched = erase::put(&rocks, key, erasures, batch)?;
                if let Some(head) = &partition.head {
                    let tails = tails.of(partition.incarnation, key);
                    let place = seal::Place { rocks: &rocks, partition: key, erasures };
                    touched.extend(seal::seal(place, head, tails, batch)?);
                }
                let windows = touched.iter().copied().min().zip(touched.iter().copied().max());
                if let Some(windows) = windows {
                    compactor.touch(&rocks, key, windows, batch)?;
                }
            }
            let written: Vec<u64> = frozen.partitions.iter().map(|p| p.incarnation).collect();
            tails.retire(&rocks, &written, &frozen.pending.dropped_partitions, batch)
        })?;
        self.db.flush()?;
        Ok(())
    }

    /// Frees the disk of dropped partitions at once: files of their own are deleted, those shared with others are written
    /// anew without them.
    fn free_space(&self, frozen: &Frozen) {
        let rocks = self.db.rocks();
        for gone in &frozen.pending.dropped_partitions {
            // Made again since: its new chunks are in the same range.
            if frozen.partitions.iter().any(|p| p.key == *gone) {
                continue;
            }
            let (from, to) = gone.chunk_range();
            let freed = rocks.delete_files(Table::Chunk, &from, &to);
            if let Err(error) = freed.and_then(|()| rocks.compact(Table::Chunk, &from, &to)) {
                // The range is deleted already; only its space comes back later.
                tracing::warn!(%error, "files of a dropped partition were not deleted");
            }
        }
    }
}

fn put_deletes(pending: &Pending, batch: &mut Batch<'_>) {
    for gone in &pending.dropped_partitions {
        let (from, to) = gone.chunk_range();
        batch.delete_range(Table::Chunk, &from, &to);
        let (from, to) = gone.activity_range();
        batch.delete_range(Table::Meta, &from, &to);
        batch.delete(Table::Meta, &gone.record());
        batch.delete(Table::Meta, &gone.compacted());
    }
    for id in &pending.forgotten_series {
        batch.delete(Table::Series, &key::series(*id));
    }
    for (database, field) in &pending.forgotten_fields {
        batch.delete(Table::Meta, &key::field(*database, *field));
    }
}

fn put_records(frozen: &Frozen, batch: &mut Batch<'_>) -> Result<(), StorageError> {
    let pending = &frozen.pending;
    pending.series.each(|id, database, key| {
        batch.put(Table::Series, &key::series(id), &records::series(database, key));
    });
    batch.put(Table::Meta, &key::NEXT_SERIES, &records::next_series(frozen.next_series));
    for ((database, field), known) in &pending.fields {
        let value = records::field(known.field_type, &known.measurement);
        batch.put(Table::Meta, &key::field(*database, *field), &value);
    }
    for database in &pending.dropped_databases {
        batch.put(Table::Meta, &key::dropped_database(*database), &records::mark());
    }
    for policy in &pending.dropped_policies {
        batch.put(Table::Meta, &key::dropped_policy(*policy), &records::mark());
    }
    for partition in &frozen.partitions {
        if partition.is_new {
            let value = records::partition(partition.end, partition.database);
            batch.put(Table::Meta, &partition.key.record(), &value);
        }
        for (field, series) in &partition.activity {
            let key = partition.key.activity(*field);
            if series.is_empty() {
                batch.delete(Table::Meta, &key);
            } else {
                batch.put(Table::Meta, &key, &records::activity(series)?);
            }
        }
    }
    Ok(())
}
