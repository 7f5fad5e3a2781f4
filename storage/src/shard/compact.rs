//! Moves the windows of days that are over under one key each: fewer keys and headers, longer chunks.
//!
//! Only where points lie changes, never which there are, so every replica does it when it likes and the log knows
//! nothing of it. A [`Pass`] goes through the columns of one partition in small steps; each step is one batch that
//! puts days and deletes their windows, so a reader or a crash finds one or the other. A step has the turn, so no
//! flush runs at the same time; applies go on.
//!
//! A day is over when a flush has written to the second window after it, or to a later partition. Points that come
//! later still go to their windows, which are newer than the day under its key, and the next pass takes them in.

use super::partition::Partition;
use super::state::State;
use super::turn;
use super::{Inner, ShardStore, records};
use crate::chunk::blocks::{self, Block};
use crate::chunk::{Damage, POINTS_MAX};
use crate::error::StorageError;
use crate::key::{ChunkKey, Extent, PartitionKey, day_of, first_window, window_of};
use crate::rocks::{Batch, RangeIter, Rocks, Table};
use hashbrown::HashMap;
use model::{FieldId, SeriesId};

/// Points of a day above which its windows stay as they are: they fill chunks of their own.
const DAY_POINTS_MAX: usize = 12 * POINTS_MAX;
/// Bytes of a day's values above which they stay as they are: strings.
const DAY_BYTES_MAX: usize = 1 << 20;
/// What looking at a column costs, in points.
const COLUMN_POINTS: u64 = 50;

/// What one step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactionStep {
    /// Points that were written anew.
    pub points: u64,
    /// Nothing is left to do until more points are flushed.
    pub is_done: bool,
}

/// Where compaction is. Only in memory: what is finished is on disk.
#[derive(Debug, Default)]
pub(super) struct Compactor {
    /// The newest window that a flush wrote to a partition since the store was opened.
    newest: HashMap<PartitionKey, i32>,
    pass: Option<Pass>,
}

/// One walk through the columns of a partition.
#[derive(Debug)]
struct Pass {
    partition: PartitionKey,
    incarnation: u64,
    /// All days up to this one were compacted before.
    after: i32,
    /// The last day that is compacted now.
    last: i32,
    /// The first day that a flush wrote to meanwhile.
    touched: i32,
    /// The key to go on from.
    next: Vec<u8>,
}

impl ShardStore {
    /// Does a little compaction: rewrites about `points` points and returns. Call it again, after a pause, until it is
    /// done. Applies and reads go on meanwhile, flushes wait.
    ///
    /// # Errors
    ///
    /// A failed write poisons the store, a failed read does not. Damaged chunks are left where they are.
    pub fn compact(&self, points: u64) -> Result<CompactionStep, StorageError> {
        let _turn = turn::take(&self.inner);
        self.inner.check()?;
        self.inner.compactor.lock().step(&self.inner, points)
    }
}

impl Compactor {
    /// Notes that a flush writes to these windows of a partition, the least and the greatest.
    pub(super) fn touch(
        &mut self,
        rocks: &Rocks,
        partition: PartitionKey,
        (least, greatest): (i32, i32),
        batch: &mut Batch<'_>,
    ) -> Result<(), StorageError> {
        let day = day_of(least);
        if let Some(pass) = self.pass.as_mut().filter(|pass| pass.partition == partition) {
            pass.touched = pass.touched.min(day);
        }
        if day <= compacted(rocks, partition)? {
            batch.put(Table::Meta, &partition.compacted(), &records::compacted(day.saturating_sub(1)));
        }
        let newest = self.newest.entry(partition).or_insert(greatest);
        *newest = greatest.max(*newest);
        Ok(())
    }

    fn step(&mut self, inner: &Inner, points: u64) -> Result<CompactionStep, StorageError> {
        let rocks = inner.db.rocks();
        if self.pass.is_none() {
            self.pass = self.begin(&rocks, &inner.state.read())?;
        }
        let Some(pass) = &mut self.pass else { return Ok(CompactionStep { points: 0, is_done: true }) };
        let mut batch = rocks.batch()?;
        let mut done = 0;
        let mut is_over = !pass.exists(&inner.state.read());
        if !is_over {
            is_over = pass.walk(&rocks, points, &mut batch, &mut done)?;
            if is_over {
                let through = pass.last.min(pass.touched.saturating_sub(1));
                batch.put(Table::Meta, &pass.partition.compacted(), &records::compacted(through));
            }
            inner.poison_on(rocks.write(batch).map_err(StorageError::from))?;
        }
        if is_over {
            self.pass = None;
        }
        Ok(CompactionStep { points: done, is_done: false })
    }

    /// The first partition that has days to compact.
    fn begin(&mut self, rocks: &Rocks, state: &State) -> Result<Option<Pass>, StorageError> {
        self.newest.retain(|key, _| partition(state, *key).is_some());
        for (policy, known) in &state.policies {
            let newest_start = known.partitions.keys().next_back().copied();
            for (start, partition) in known.partitions.iter().filter(|(_, p)| p.sealed) {
                let key = PartitionKey { policy: *policy, start: *start };
                let last = if newest_start == Some(*start) {
                    let Some(newest) = self.newest.get(&key) else { continue };
                    day_of(newest.saturating_sub(1)).saturating_sub(1)
                } else {
                    day_of(window_of(partition.end.saturating_sub(1)))
                };
                let after = compacted(rocks, key)?;
                if after < last {
                    let (next, _) = key.chunk_range();
                    let incarnation = partition.incarnation;
                    let touched = i32::MAX;
                    return Ok(Some(Pass { partition: key, incarnation, after, last, touched, next }));
                }
            }
        }
        Ok(None)
    }
}

/// Through which day a partition was compacted.
fn compacted(rocks: &Rocks, partition: PartitionKey) -> Result<i32, StorageError> {
    let value = rocks.get(Table::Meta, &partition.compacted())?;
    value.map_or(Ok(i32::MIN), |value| records::parse_compacted(&value))
}

fn partition(state: &State, key: PartitionKey) -> Option<&Partition> {
    state.policies.get(&key.policy)?.partitions.get(&key.start)
}

impl Pass {
    /// Whether the partition was not dropped meanwhile.
    fn exists(&self, state: &State) -> bool {
        partition(state, self.partition).is_some_and(|p| p.incarnation == self.incarnation)
    }

    /// Goes through columns until `points` were decoded; answers whether it came to the end.
    fn walk(
        &mut self,
        rocks: &Rocks,
        points: u64,
        batch: &mut Batch<'_>,
        done: &mut u64,
    ) -> Result<bool, StorageError> {
        let (_, end) = self.partition.chunk_range();
        let mut iter = rocks.range(Table::Chunk, &self.next, &end)?;
        let mut cost = 0;
        while cost < points {
            iter.seek(&self.next);
            let Some((key, _)) = iter.next()? else { return Ok(true) };
            let column = ChunkKey::parse(key).ok_or(StorageError::damaged("chunk key"))?;
            let written = self.column(rocks, &mut iter, (column.series, column.field), batch)?;
            *done += written;
            cost += written + COLUMN_POINTS;
            let (series, field) = match column.field.0.checked_add(1) {
                Some(field) => (column.series, FieldId(field)),
                None => (SeriesId(column.series.0.saturating_add(1)), FieldId(0)),
            };
            self.next = ChunkKey::window(self.partition, (series, field), i32::MIN).encode().to_vec();
        }
        Ok(false)
    }

    /// Compacts the days of one column; answers how many points it wrote.
    fn column(
        &self,
        rocks: &Rocks,
        iter: &mut RangeIter<'_>,
        column: (SeriesId, FieldId),
        batch: &mut Batch<'_>,
    ) -> Result<u64, StorageError> {
        let first = first_window(self.after.saturating_add(1));
        iter.seek(&ChunkKey::window(self.partition, column, first).encode());
        let mut written = 0;
        let mut day: Option<Day> = None;
        while let Some((bytes, value)) = iter.next()? {
            let key = ChunkKey::parse(bytes).ok_or(StorageError::damaged("chunk key"))?;
            let number = day_of(key.window);
            if (key.series, key.field) != column || number > self.last {
                break;
            }
            if let Some(over) = day.take_if(|day| day.number != number) {
                written += self.write(rocks, &over, column, batch);
            }
            day.get_or_insert_with(|| Day::new(number)).add(key, value);
        }
        Ok(written + day.map_or(0, |day| self.write(rocks, &day, column, batch)))
    }

    /// The replica is to be rebuilt; until then the chunk stays where it is.
    fn found(&self, rocks: &Rocks, damage: &Damage, column: (SeriesId, FieldId)) {
        rocks.report_damage(&format!("damaged chunk of {column:?} in {:?}: {damage}", self.partition));
    }

    /// Puts a day under one key, if that is worth it; answers how many points it has.
    fn write(&self, rocks: &Rocks, day: &Day, column: (SeriesId, FieldId), batch: &mut Batch<'_>) -> u64 {
        match day.is_worth_it() {
            Ok(true) => {}
            Ok(false) => return 0,
            Err(damage) => {
                self.found(rocks, &damage, column);
                return 0;
            }
        }
        let values = day.compacted.iter().chain(day.windows.iter().map(|(_, value)| value));
        let rows = match blocks::fold_all(values.map(Vec::as_slice)) {
            Ok(rows) => rows,
            Err(damage) => {
                self.found(rocks, &damage, column);
                return 0;
            }
        };
        let key = ChunkKey::day(self.partition, column, day.number).encode();
        match &rows {
            Some(rows) => batch.put(Table::Chunk, &key, &blocks::encode(rows, &rows.rows)),
            None => batch.delete(Table::Chunk, &key),
        }
        for (window, _) in &day.windows {
            batch.delete(Table::Chunk, &ChunkKey::window(self.partition, column, *window).encode());
        }
        rows.map_or(0, |rows| rows.rows.len() as u64)
    }
}

/// What one day of a column has on disk.
struct Day {
    number: i32,
    compacted: Option<Vec<u8>>,
    windows: Vec<(i32, Vec<u8>)>,
    bytes: usize,
}

impl Day {
    fn new(number: i32) -> Self {
        Self { number, compacted: None, windows: Vec::new(), bytes: 0 }
    }

    fn add(&mut self, key: ChunkKey, value: &[u8]) {
        self.bytes += value.len();
        // What is too much is not held: it will not be rewritten.
        let value = if self.bytes <= DAY_BYTES_MAX { value.to_vec() } else { Vec::new() };
        match key.extent {
            Extent::Day => self.compacted = Some(value),
            Extent::Window => self.windows.push((key.window, value)),
        }
    }

    /// Whether there is something to put together, and little enough.
    fn is_worth_it(&self) -> Result<bool, Damage> {
        if self.bytes > DAY_BYTES_MAX {
            return Ok(false);
        }
        let (mut points, mut chunks, mut has_erasure) = (0, 0, false);
        for value in self.compacted.iter().chain(self.windows.iter().map(|(_, value)| value)) {
            for block in blocks::split(value)? {
                match Block::parse(block)? {
                    Block::Chunk(header) => points += header.count,
                    Block::Erasure(_) => has_erasure = true,
                }
                chunks += 1;
            }
        }
        let is_scattered = match (self.windows.len(), &self.compacted) {
            (0, _) => false,
            (1, None) => chunks > 1,
            _ => true,
        };
        Ok(points <= DAY_POINTS_MAX && (is_scattered || has_erasure))
    }
}
