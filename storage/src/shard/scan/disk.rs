//! A cursor over the chunks of a policy, moved from column to column of one partition, and what it finds of one day.
//!
//! The bytes of a day are copied: its windows are a few hundred bytes each, and a day under one key is a few thousand. So
//! a whole day is at hand, in the order it was written, whatever the cursor does next.

use super::merge::Block;
use crate::chunk::Damage;
use crate::chunk::blocks::{self, Erasure};
use crate::key::{ChunkKey, ChunkKeyBytes, Extent, PartitionKey, day_of};
use crate::rocks::{Cursor, EngineError, Rocks, Table};
use model::scan::{Bounds, Order};
use model::{FieldId, SeriesId};
use std::ops::Range;

/// Why a day could not be read.
#[derive(Debug)]
pub(super) enum Failure {
    Damage(Damage),
    Io(EngineError),
}

impl From<Damage> for Failure {
    fn from(damage: Damage) -> Self {
        Self::Damage(damage)
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self::Io(error)
    }
}

/// Windows of a column, both ends included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Windows {
    pub(super) first: i32,
    pub(super) last: i32,
}

/// See the module.
#[derive(Debug)]
pub(super) struct ColumnCursor<'a> {
    partition: PartitionKey,
    cursor: Cursor<'a>,
    /// The cursor is on the first key after this one; `None` when that is not known.
    after: Option<ChunkKeyBytes>,
    /// When it was used last, as its owner counts.
    pub(super) used: u64,
}

impl<'a> ColumnCursor<'a> {
    /// Sees what is on disk now.
    pub(super) fn open(rocks: &'a Rocks, partition: PartitionKey, used: u64) -> Result<Self, EngineError> {
        let (from, _) = PartitionKey { start: i64::MIN, ..partition }.chunk_range();
        let (_, to) = PartitionKey { start: i64::MAX, ..partition }.chunk_range();
        Ok(Self { partition, cursor: rocks.cursor(Table::Chunk, &from, &to)?, after: None, used })
    }

    /// Serves another partition from now on.
    pub(super) fn assign(&mut self, partition: PartitionKey, used: u64) {
        (self.partition, self.used, self.after) = (partition, used, None);
    }

    pub(super) fn partition(&self) -> PartitionKey {
        self.partition
    }

    /// Moves to the column's first key in the order of reading.
    pub(super) fn place(
        &mut self,
        column: (SeriesId, FieldId),
        windows: Windows,
        order: Order,
    ) -> Result<(), EngineError> {
        match order {
            Order::Ascending => {
                let key = ChunkKey::window(self.partition, column, windows.first).encode();
                // Where the column before ended is where this one begins, more often than not.
                let is_here = self.after.is_some_and(|after| after[..] < key[..])
                    && self.cursor.item().is_none_or(|(at, _)| key[..] <= *at);
                if !is_here {
                    self.cursor.seek(&key)?;
                }
            }
            Order::Descending => {
                let key = ChunkKey::day(self.partition, column, day_of(windows.last)).encode();
                self.cursor.seek_back(&key)?;
            }
        }
        self.after = None;
        Ok(())
    }

    /// The key and value under the cursor, if they are the column's.
    fn item(&self, column: (SeriesId, FieldId)) -> Result<Option<(ChunkKey, &[u8])>, Failure> {
        let Some((key, value)) = self.cursor.item() else { return Ok(None) };
        let key = ChunkKey::parse(key).ok_or(Damage("chunk key"))?;
        let is_mine = key.partition == self.partition && (key.series, key.field) == column;
        Ok(is_mine.then_some((key, value)))
    }

    /// Moves on in the order of reading.
    fn step(&mut self, from: ChunkKey, order: Order) -> Result<(), EngineError> {
        match order {
            Order::Ascending => {
                self.after = Some(from.encode());
                self.cursor.next()
            }
            Order::Descending => self.cursor.back(),
        }
    }
}

/// What is on disk of one day of a column.
#[derive(Debug, Default)]
pub(super) struct Day {
    bytes: Vec<u8>,
    /// The value under the day's own key, which is older than those of its windows.
    compacted: Option<Range<usize>>,
    windows: Vec<Range<usize>>,
}

impl Day {
    /// Reads the next day in the order of reading; false when the column has no more.
    pub(super) fn read(
        &mut self,
        cursor: &mut ColumnCursor<'_>,
        column: (SeriesId, FieldId),
        windows: Windows,
        order: Order,
    ) -> Result<bool, Failure> {
        self.bytes.clear();
        self.compacted = None;
        self.windows.clear();
        let mut day = None;
        while let Some((key, value)) = cursor.item(column)? {
            let number = day_of(key.window);
            let (first, last) = (day_of(windows.first), day_of(windows.last));
            if number < first || last < number || day.is_some_and(|day| day != number) {
                break;
            }
            day = Some(number);
            let place = self.bytes.len()..self.bytes.len() + value.len();
            match key.extent {
                Extent::Day => {
                    self.bytes.extend_from_slice(value);
                    self.compacted = Some(place);
                }
                Extent::Window if windows.first <= key.window && key.window <= windows.last => {
                    self.bytes.extend_from_slice(value);
                    self.windows.push(place);
                }
                Extent::Window => {}
            }
            cursor.step(key, order)?;
        }
        Ok(day.is_some())
    }

    /// The bytes that blocks lie in.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The blocks of points in the order they were written, after all deletes.
    pub(super) fn blocks(&self, later: &[Erasure]) -> Result<Vec<Block>, Damage> {
        let mut blocks = Vec::with_capacity(self.windows.len() + 1);
        let mut is_erased = false;
        for value in self.values() {
            for block in blocks::split(&self.bytes[value])? {
                match blocks::Block::parse(block)? {
                    blocks::Block::Chunk(header) => blocks.push(Block::new(&self.bytes, &header)),
                    blocks::Block::Erasure(_) => is_erased = true,
                }
            }
        }
        let hides = |block: &Block| {
            let Bounds { first, last } = block.bounds();
            later.iter().any(|erasure| erasure.within((first, last)).is_some())
        };
        if !is_erased && !blocks.iter().any(hides) {
            return Ok(blocks);
        }
        let values = self.values().map(|value| &self.bytes[value]);
        let Some(mut rows) = blocks::fold_all(values)? else { return Ok(Vec::new()) };
        for erasure in later {
            rows.erase(*erasure);
        }
        Ok(Block::of_rows(rows).into_iter().collect())
    }

    fn values(&self) -> impl Iterator<Item = Range<usize>> {
        self.compacted.iter().chain(&self.windows).cloned()
    }
}
