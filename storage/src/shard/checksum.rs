//! One number over everything a replica holds, so that replicas can be compared.
//!
//! A wrapping sum of 64-bit hashes: over all points (database, policy, series key, field, type, time, value), all
//! known series with their ids, all fields, all partitions and everything dropped. Equal on replicas at the same
//! applied index, whatever their flushes were.

use super::flush::Frozen;
use super::state::State;
use super::turn::{self, TurnGuard};
use super::{Inner, ShardStore};
use crate::chunk::{Rows, blocks};
use crate::error::StorageError;
use crate::key::{ChunkKey, Extent, KeyKind, day_of};
use crate::rocks::{RangeIter, Table};
use model::{DatabaseId, FieldId, FieldType, RetentionPolicyId, SeriesId};
use std::sync::Arc;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// What a replica holds at an applied index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checksum {
    /// The applied index it was taken at.
    pub index: u64,
    /// The sum.
    pub value: u64,
}

/// A checksum whose point in the log is fixed; [`ChecksumJob::run`] computes it on any thread while applies go on.
/// Flushes wait until it has read its first byte. Dropping it unrun does no harm.
#[derive(Debug)]
pub struct ChecksumJob {
    inner: Arc<Inner>,
    frozen: Arc<Frozen>,
    turn: TurnGuard,
}

impl ShardStore {
    /// Fixes the state as of the last applied entry. The applier calls it between two entries; it waits for a running
    /// flush, else it is quick.
    ///
    /// # Errors
    ///
    /// [`StorageError::Poisoned`], or a failed flush.
    pub fn begin_checksum(&self) -> Result<ChecksumJob, StorageError> {
        let turn = turn::take(&self.inner);
        let frozen = self.inner.freeze()?;
        Ok(ChecksumJob { inner: Arc::clone(&self.inner), frozen, turn })
    }

    /// The checksum at the index that was last applied when it was called: fixes the state and reads it all.
    ///
    /// # Errors
    ///
    /// [`StorageError::Damaged`] when a chunk on disk does not have its format.
    pub fn checksum(&self) -> Result<Checksum, StorageError> {
        self.begin_checksum()?.run()
    }
}

impl ChecksumJob {
    /// The applied index that the checksum will be of.
    pub fn index(&self) -> u64 {
        self.frozen.marker.index
    }

    /// Flushes what was frozen and reads all chunks. Cost: decodes every point; memory of one chunk.
    ///
    /// # Errors
    ///
    /// [`StorageError::Damaged`] when a chunk on disk does not have its format. A failed flush poisons the store.
    pub fn run(self) -> Result<Checksum, StorageError> {
        let Self { inner, frozen, turn } = self;
        inner.check()?;
        inner.persist(&frozen)?;
        let rocks = inner.db.rocks();
        let (from, to) = KeyKind::Chunk.range();
        // The iterator keeps seeing what is on disk now; flushes and drops may go on.
        let chunks = rocks.range(Table::Chunk, &from, &to)?;
        drop(turn);
        let points = sum_points(&inner, &frozen, chunks).inspect_err(|error| inner.note(error))?;
        Ok(Checksum { index: frozen.marker.index, value: points.wrapping_add(frozen.tables_sum) })
    }
}

/// Sums day by day of each column: what compaction put under the key of a day and what was written to its windows
/// since are one. Holds the chunks of a day, decoded only where a day has a key of its own.
fn sum_points(inner: &Inner, frozen: &Frozen, mut chunks: RangeIter<'_>) -> Result<u64, StorageError> {
    let mut sum = 0u64;
    let mut day = Day::default();
    while let Some((key, value)) = chunks.next()? {
        let key = ChunkKey::parse(key).ok_or(StorageError::damaged("chunk key"))?;
        if day.key.is_some_and(|known| !same_day(known, key)) {
            sum = sum.wrapping_add(day.sum(inner, frozen)?);
        }
        day.add(key, value);
    }
    Ok(sum.wrapping_add(day.sum(inner, frozen)?))
}

fn same_day(a: ChunkKey, b: ChunkKey) -> bool {
    let place = |key: ChunkKey| (key.partition, key.series, key.field, day_of(key.window));
    place(a) == place(b)
}

/// The values of one day of a column.
#[derive(Default)]
struct Day {
    key: Option<ChunkKey>,
    compacted: Option<Vec<u8>>,
    windows: Vec<Vec<u8>>,
}

impl Day {
    fn add(&mut self, key: ChunkKey, value: &[u8]) {
        self.key = Some(key);
        match key.extent {
            Extent::Day => self.compacted = Some(value.to_vec()),
            Extent::Window => self.windows.push(value.to_vec()),
        }
    }

    /// The sum of its points; it is empty afterwards.
    fn sum(&mut self, inner: &Inner, frozen: &Frozen) -> Result<u64, StorageError> {
        let Self { key: Some(key), compacted, windows } = std::mem::take(self) else { return Ok(0) };
        let policy = key.partition.policy;
        let database =
            *frozen.databases.get(&policy).ok_or(StorageError::damaged("chunk without its policy"))?;
        let add = |sum: u64, values: &mut dyn Iterator<Item = &[u8]>| -> Result<u64, StorageError> {
            let rows = blocks::fold_all(values).map_err(|_| StorageError::damaged("chunk"))?;
            let Some(rows) = rows else { return Ok(sum) };
            let seed = column_seed(inner, (database, policy), (key.series, key.field), rows.field_type);
            Ok(sum.wrapping_add(sum_rows(&rows, seed)))
        };
        let windows = || windows.iter().map(Vec::as_slice);
        match &compacted {
            Some(compacted) => add(0, &mut std::iter::once(&compacted[..]).chain(windows())),
            None => windows().try_fold(0, |sum, value| add(sum, &mut std::iter::once(value))),
        }
    }
}

/// The hash of everything that the points of a column have in common.
fn column_seed(
    inner: &Inner,
    (database, policy): (DatabaseId, RetentionPolicyId),
    (series, field): (SeriesId, FieldId),
    field_type: FieldType,
) -> u64 {
    let mut bytes = [0; 29];
    bytes[..16].copy_from_slice(&inner.state.read().series.hash(series).bytes());
    bytes[16..20].copy_from_slice(&database.0.to_le_bytes());
    bytes[20..24].copy_from_slice(&policy.0.to_le_bytes());
    bytes[24..28].copy_from_slice(&field.0.to_le_bytes());
    bytes[28] = field_type.code();
    xxh3_64(&bytes)
}

fn sum_rows(rows: &Rows, seed: u64) -> u64 {
    let mut sum = 0u64;
    let mut bytes = [0; 16];
    for (time, bits) in &rows.rows {
        let value = match rows.field_type {
            FieldType::String => xxh3_64(rows.strings.get(*bits)),
            FieldType::Float | FieldType::Integer | FieldType::Boolean | FieldType::Unsigned => *bits,
        };
        bytes[..8].copy_from_slice(&time.to_le_bytes());
        bytes[8..].copy_from_slice(&value.to_le_bytes());
        sum = sum.wrapping_add(xxh3_64_with_seed(&bytes, seed));
    }
    sum
}

impl State {
    /// The checksum of everything but the points.
    pub(super) fn tables_sum(&self) -> u64 {
        let mut sum = self.series.sum();
        let mut add = |kind: KeyKind, numbers: [u64; 4], text: &str| {
            let mut bytes = vec![kind as u8];
            bytes.extend(numbers.iter().flat_map(|n| n.to_le_bytes()));
            bytes.extend_from_slice(text.as_bytes());
            sum = sum.wrapping_add(xxh3_64(&bytes));
        };
        add(KeyKind::NextSeries, [u64::from(self.series.next()), 0, 0, 0], "");
        for ((database, field), known) in self.fields.iter() {
            let (database, field) = (u64::from(database.0), u64::from(field.0));
            let field_type = u64::from(known.field_type.code());
            add(KeyKind::Field, [database, field, field_type, 0], &known.measurement);
        }
        for (id, policy) in &self.policies {
            let (policy_id, database) = (u64::from(id.0), u64::from(policy.database.0));
            for (start, partition) in &policy.partitions {
                add(KeyKind::Partition, [policy_id, database, *start as u64, partition.end as u64], "");
            }
        }
        for database in &self.dropped_databases {
            add(KeyKind::DroppedDatabase, [u64::from(database.0), 0, 0, 0], "");
        }
        for policy in &self.dropped_policies {
            add(KeyKind::DroppedPolicy, [u64::from(policy.0), 0, 0, 0], "");
        }
        sum
    }
}
