//! Seals a frozen head into chunks, so that a window on disk stays in few blocks.
//!
//! A flush comes more often than a window ends. The newest window of a column gets what is new appended; after some
//! appends, and when the column has moved on to the next window, it is read, folded and written as one. Points for
//! older windows (late ones) are folded in at once. Only a flush writes chunks, so read and write cannot be torn.

use super::erase::SeriesErasure;
use super::head::{Column, ColumnKey, Head};
use crate::chunk::blocks::Erasure;
use crate::chunk::{Rows, blocks};
use crate::error::StorageError;
use crate::key::{ChunkKey, ChunkKeyBytes, PartitionKey, window_of};
use crate::rocks::{Batch, Rocks, Table};
use hashbrown::HashMap;
use std::sync::Arc;

/// Blocks that may be appended to a window before it is folded.
const APPENDS_MAX: u8 = 8;

/// The newest window that a column has on disk, and how many blocks were appended to it.
#[derive(Debug, Clone, Copy)]
struct Tail {
    window: i32,
    appends: u8,
}

/// The tails of one partition's columns.
#[derive(Debug)]
pub(super) struct PartitionTails {
    key: PartitionKey,
    columns: HashMap<ColumnKey, Tail>,
}

/// The tails of the partitions that the last flush wrote to. Only in memory: a column without a tail costs one read.
#[derive(Debug, Default)]
pub(super) struct Tails(HashMap<u64, PartitionTails>);

impl Tails {
    /// Those of the partition with this incarnation.
    pub(super) fn of(&mut self, incarnation: u64, key: PartitionKey) -> &mut PartitionTails {
        self.0.entry(incarnation).or_insert_with(|| PartitionTails { key, columns: HashMap::new() })
    }

    /// Forgets the partitions that this flush does not write to, folding their last windows; `dropped` ones have
    /// nothing left to fold.
    pub(super) fn retire(
        &mut self,
        rocks: &Rocks,
        written: &[u64],
        dropped: &[PartitionKey],
        batch: &mut Batch<'_>,
    ) -> Result<(), StorageError> {
        let retired = self.0.extract_if(|incarnation, _| !written.contains(incarnation));
        for (_, tails) in retired.filter(|(_, tails)| !dropped.contains(&tails.key)) {
            for (column, tail) in tails.columns.into_iter().filter(|(_, tail)| tail.appends > 0) {
                // A partition that was deleted from is one that is written to.
                let key = chunk_key(tails.key, column, tail.window);
                Folding { rocks, erasures: &[] }.fold(&key, None, batch)?;
            }
        }
        Ok(())
    }
}

/// Where a head is sealed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) rocks: &'a Rocks,
    pub(super) partition: PartitionKey,
    /// Deletes that are in the batch already; what is read from disk does not know them yet.
    pub(super) erasures: &'a [Arc<SeriesErasure>],
}

/// Puts the chunks of a frozen head into the batch. Answers the least and the greatest window it wrote to.
///
/// # Errors
///
/// When chunks that must be folded cannot be read. Damaged ones are appended to instead: the damage stays where it
/// is and readers are told.
pub(super) fn seal(
    place: Place<'_>,
    head: &Head,
    tails: &mut PartitionTails,
    batch: &mut Batch<'_>,
) -> Result<Vec<i32>, StorageError> {
    let (mut least, mut greatest) = (i64::MAX, i64::MIN);
    for column in head.in_order() {
        let rows = column.copy(i64::MIN, i64::MAX);
        let series = column.key.series();
        let erasures: Vec<Erasure> = place.erasures.iter().filter_map(|e| e.of(series)).collect();
        let folding = Folding { rocks: place.rocks, erasures: &erasures };
        let sealing = Sealing { folding, partition: place.partition, column: column.key, rows: &rows };
        let tail = tails.columns.get(&column.key).copied();
        let tail = sealing.seal(&column, tail, batch)?;
        tails.columns.insert(column.key, tail);
        least = rows.rows.first().map_or(least, |r| least.min(r.0));
        greatest = rows.rows.last().map_or(greatest, |r| greatest.max(r.0));
    }
    Ok(if least <= greatest { vec![window_of(least), window_of(greatest)] } else { Vec::new() })
}

/// One column on its way to disk.
struct Sealing<'a> {
    folding: Folding<'a>,
    partition: PartitionKey,
    column: ColumnKey,
    rows: &'a Rows,
}

impl Sealing<'_> {
    fn seal(
        &self,
        column: &Column<'_>,
        tail: Option<Tail>,
        batch: &mut Batch<'_>,
    ) -> Result<Tail, StorageError> {
        let newest = self.rows.rows.last().map_or(i32::MIN, |r| window_of(r.0));
        let tail = match tail {
            _ if column.fresh => Tail { window: i32::MIN, appends: 0 },
            Some(tail) => tail,
            None => self.tail_on_disk()?,
        };
        let mut next = Tail { window: newest, appends: 0 };
        let mut touched_tail = false;
        for part in self.rows.rows.chunk_by(|a, b| window_of(a.0) == window_of(b.0)) {
            let window = window_of(part[0].0);
            let closes = window < newest;
            touched_tail |= window == tail.window;
            if window > tail.window {
                batch.put(Table::Chunk, &self.key(window), &blocks::encode(self.rows, part));
            } else if window == tail.window && !closes && tail.appends < APPENDS_MAX {
                batch.merge(&self.key(window), &blocks::encode(self.rows, part));
                next.appends = tail.appends + 1;
            } else {
                self.folding.fold(&self.key(window), Some(&self.part(part)), batch)?;
            }
        }
        if !touched_tail && tail.appends > 0 && tail.window < newest {
            self.folding.fold(&self.key(tail.window), None, batch)?;
        }
        // Late points only: the tail is where it was.
        if tail.window > newest {
            next = tail;
        }
        Ok(next)
    }

    /// The newest window on disk; how many blocks it has is not known, so they count as many.
    fn tail_on_disk(&self) -> Result<Tail, StorageError> {
        let last = self.folding.rocks.last_key(Table::Chunk, &self.key(i32::MIN), &self.key(i32::MAX))?;
        let Some(key) = last else { return Ok(Tail { window: i32::MIN, appends: 0 }) };
        let key = ChunkKey::parse(&key).ok_or(StorageError::damaged("chunk key"))?;
        Ok(Tail { window: key.window, appends: APPENDS_MAX })
    }

    fn key(&self, window: i32) -> ChunkKeyBytes {
        chunk_key(self.partition, self.column, window)
    }

    /// Some of the rows on their own.
    fn part(&self, part: &[(i64, u64)]) -> Rows {
        let strings = self.rows.strings.clone();
        Rows { rows: part.to_vec(), strings, ..Rows::new(self.rows.field_type) }
    }
}

fn chunk_key(partition: PartitionKey, column: ColumnKey, window: i32) -> ChunkKeyBytes {
    ChunkKey::window(partition, (column.series(), column.field()), window).encode()
}

/// What folding a window reads.
#[derive(Debug, Clone, Copy)]
struct Folding<'a> {
    rocks: &'a Rocks,
    /// Deletes of the column that are not on disk yet.
    erasures: &'a [Erasure],
}

impl Folding<'_> {
    /// Reads what a window has, adds the points that are `newer`, and writes it as one.
    fn fold(&self, key: &[u8], newer: Option<&Rows>, batch: &mut Batch<'_>) -> Result<(), StorageError> {
        let value = self.rocks.get(Table::Chunk, key)?.unwrap_or_default();
        let erased = |mut rows: Rows| {
            self.erasures.iter().for_each(|erasure| rows.erase(*erasure));
            (!rows.rows.is_empty()).then_some(rows)
        };
        let old = blocks::fold(&value).map(|rows| rows.and_then(erased));
        let put = |rows: &Rows, batch: &mut Batch<'_>| {
            batch.put(Table::Chunk, key, &blocks::encode(rows, &rows.rows));
        };
        match (old, newer) {
            (Ok(Some(rows)), None) => put(&rows, batch),
            (Ok(Some(mut rows)), Some(newer)) if rows.field_type == newer.field_type => {
                rows.append(newer);
                rows.settle();
                put(&rows, batch);
            }
            (Ok(None), Some(newer)) => put(newer, batch),
            (Ok(None), None) if value.is_empty() => {}
            (Ok(None), None) => batch.delete(Table::Chunk, key),
            (Ok(Some(_)) | Err(_), newer) => {
                let key_parts = ChunkKey::parse(key);
                tracing::error!(?key_parts, "damaged chunk");
                if let Some(newer) = newer {
                    batch.merge(key, &blocks::encode(newer, &newer.rows));
                }
            }
        }
        Ok(())
    }
}
