//! Reads one field of series after series: heads and chunks of each partition, put together so that they do not overlap.
//!
//! Heads are copied under the lock, chunks are read after it. A flush in between is harmless: what it seals is in the
//! copy as well, and the copy wins with the same values. The oldest points are those of days, then come those of
//! windows, then the heads; a delete hides what is older than itself.
//!
//! Cursors on disk stay open from one series to the next, because in a wide scan the next series lies where the one
//! before ended. A flush that ended since they were opened makes them open again, as they do not see what it sealed.

mod disk;
mod merge;

use super::Inner;
use super::erase::SeriesErasure;
use super::head::{ColumnKey, Head};
use super::partition::Partition;
use super::state::State;
use crate::chunk::blocks::Erasure;
use crate::chunk::{Damage, Rows};
use crate::key::{PartitionKey, window_of, window_start};
use crate::rocks::Rocks;
use disk::{ColumnCursor, Day, Failure, Windows};
use merge::{Piece, Pieces};
use model::scan::{Bounds, ChunkCost, ChunkStats, ColumnBatch, ColumnReader, Order, PolicyReader, ScanError};
use model::time::TimeRange;
use model::{FieldId, RetentionPolicyId, SeriesId};
use parking_lot::RwLock;
use std::sync::Arc;

/// Cursors that a column keeps open, one a partition. Each pins a block or two.
const CURSORS_MAX: usize = 32;

/// A policy of a shard, open for reading.
#[derive(Debug)]
pub(super) struct OpenPolicy {
    inner: Arc<Inner>,
    policy: RetentionPolicyId,
    /// The chunks that belong to the state; after an install it belongs to another database.
    rocks: Arc<Rocks>,
}

impl OpenPolicy {
    pub(super) fn new(inner: Arc<Inner>, policy: RetentionPolicyId) -> Self {
        let rocks = Arc::clone(&inner.state.read().rocks);
        Self { inner, policy, rocks }
    }
}

impl PolicyReader for OpenPolicy {
    fn column(&self, field: FieldId) -> Box<dyn ColumnReader + '_> {
        Box::new(Column::new(&self.inner.state, &self.rocks, self.policy, field))
    }
}

/// Whether a column has no point in a partition, by its points and not by the index.
pub(super) fn is_empty(
    state: &RwLock<State>,
    partition: PartitionKey,
    (series, field): (SeriesId, FieldId),
) -> Result<bool, ScanError> {
    let (rocks, range) = {
        let state = state.read();
        let known = state.policies.get(&partition.policy).and_then(|p| p.partitions.get(&partition.start));
        let Some(known) = known else { return Ok(true) };
        (Arc::clone(&state.rocks), TimeRange::new(partition.start, known.end))
    };
    let mut column = Column::new(state, &rocks, partition.policy, field);
    column.seek(series, range, Order::Ascending)?;
    Ok(column.next_chunk()?.is_none())
}

/// Which column is read; named in errors.
#[derive(Debug, Clone, Copy)]
struct Source {
    series: SeriesId,
    field: FieldId,
}

impl Source {
    fn damaged(self, damage: Damage) -> ScanError {
        ScanError::Damaged { series: self.series, field: self.field, reason: damage.to_string() }
    }

    fn failed(self, failure: Failure) -> ScanError {
        match failure {
            Failure::Damage(damage) => self.damaged(damage),
            Failure::Io(error) => ScanError::Io(error.to_string()),
        }
    }
}

/// What one partition has of the column.
#[derive(Debug)]
struct Part {
    sealed: bool,
    /// Deletes of what is on disk.
    erasures: Vec<Erasure>,
    /// Points in memory, sorted, each time once.
    head: Option<Rows>,
}

impl Part {
    /// Times and bits of the points in memory.
    fn head_rows(&self) -> &[(i64, u64)] {
        self.head.as_ref().map_or(&[], |head| &head.rows)
    }
}

/// The partition that is being read.
#[derive(Debug)]
struct Reading {
    part: Part,
    /// Place of its cursor, while there may be more on disk.
    cursor: Option<usize>,
    /// Whether the cursor was moved to the column.
    is_placed: bool,
}

/// See [`ColumnReader`].
struct Column<'a> {
    state: &'a RwLock<State>,
    rocks: &'a Arc<Rocks>,
    policy: RetentionPolicyId,
    source: Source,
    range: TimeRange,
    order: Order,
    /// Flushes that the cursors have seen.
    seals: u64,
    /// Partitions that are still to be read, the next one last.
    parts: Vec<PartitionKey>,
    reading: Option<Reading>,
    /// What is on disk of the day that is being read.
    day: Day,
    /// What is left of that day, and of the head around it.
    pieces: Pieces,
    current: Option<Piece>,
    cursors: Vec<ColumnCursor<'a>>,
    /// Counts the uses of cursors.
    turn: u64,
}

impl ColumnReader for Column<'_> {
    fn seek(&mut self, series: SeriesId, range: TimeRange, order: Order) -> Result<(), ScanError> {
        self.source.series = series;
        (self.range, self.order) = (range, order);
        (self.reading, self.current) = (None, None);
        self.pieces.clear();
        self.parts.clear();
        let state = self.state.read();
        if !Arc::ptr_eq(&state.rocks, self.rocks) {
            return Err(ScanError::Replaced);
        }
        let Some(known) = state.policies.get(&self.policy) else { return Ok(()) };
        let key = ColumnKey::new(series, self.source.field);
        let parts = known.overlapping(range).filter(|(_, partition)| partition.has(key));
        self.parts.extend(parts.map(|(start, _)| PartitionKey { policy: self.policy, start }));
        if order == Order::Ascending {
            self.parts.reverse();
        }
        Ok(())
    }

    fn next_chunk(&mut self) -> Result<Option<Bounds>, ScanError> {
        loop {
            while let Some(piece) = self.pieces.next(self.order) {
                let Bounds { first, last } = piece.bounds;
                // Windows are read whole; their ends may lie outside.
                if last >= self.range.start && first < self.range.end {
                    self.current = Some(piece);
                    return Ok(Some(Bounds { first, last }));
                }
            }
            self.current = None;
            if !self.load_pieces()? {
                return Ok(None);
            }
        }
    }

    fn stats(&self) -> Option<ChunkStats> {
        let piece = self.current.as_ref()?;
        let inside = self.range.start <= piece.bounds.first && piece.bounds.last < self.range.end;
        match &piece.blocks[..] {
            [block] if inside && piece.head.is_empty() => block.stats().cloned(),
            _ => None,
        }
    }

    fn cost(&self) -> ChunkCost {
        let Some(piece) = &self.current else { return ChunkCost::default() };
        ChunkCost {
            blocks: piece.blocks.len() as u64,
            block_bytes: piece.blocks.iter().map(|block| block.bytes() as u64).sum(),
            cached: piece.head.len() as u64,
        }
    }

    fn decode(&mut self, batch: &mut ColumnBatch) -> Result<(), ScanError> {
        self.decode_current(batch).map_err(|damage| self.source.damaged(damage))
    }
}

impl<'a> Column<'a> {
    fn new(
        state: &'a RwLock<State>,
        rocks: &'a Arc<Rocks>,
        policy: RetentionPolicyId,
        field: FieldId,
    ) -> Self {
        Self {
            state,
            rocks,
            policy,
            source: Source { series: SeriesId(0), field },
            range: TimeRange::new(0, 0),
            order: Order::Ascending,
            seals: 0,
            parts: Vec::new(),
            reading: None,
            day: Day::default(),
            pieces: Pieces::default(),
            current: None,
            cursors: Vec::new(),
            turn: 0,
        }
    }

    /// Puts what comes next in the order of reading into `pieces`; false at the end.
    fn load_pieces(&mut self) -> Result<bool, ScanError> {
        loop {
            if self.reading.is_none() {
                let Some(key) = self.parts.pop() else { return Ok(false) };
                let Some(part) = self.open_part(key)? else { continue };
                let cursor = if part.sealed { Some(self.cursor_of(key)?) } else { None };
                self.pieces.begin(part.head_rows().len());
                self.reading = Some(Reading { part, cursor, is_placed: false });
            }
            if self.load_day()? {
                return Ok(true);
            }
            let Some(reading) = self.reading.take() else { return Ok(false) };
            if self.pieces.add_rest(reading.part.head_rows()) {
                self.reading = Some(reading);
                return Ok(true);
            }
        }
    }

    /// What is in memory of a partition; `None` if it was dropped since the series was sought.
    fn open_part(&mut self, key: PartitionKey) -> Result<Option<Part>, ScanError> {
        let state = self.state.read();
        if !Arc::ptr_eq(&state.rocks, self.rocks) {
            return Err(ScanError::Replaced);
        }
        if state.seals != self.seals {
            // What was sealed since is no longer in the heads, and these cursors do not see it.
            self.cursors.clear();
            self.seals = state.seals;
        }
        let known = state.policies.get(&key.policy).and_then(|policy| policy.partitions.get(&key.start));
        Ok(known.map(|partition| in_memory(partition, self.source, self.range)))
    }

    /// The next day of the partition that is on disk; false when there is none.
    fn load_day(&mut self) -> Result<bool, ScanError> {
        let (source, order, windows) = (self.source, self.order, self.windows());
        let Some(reading) = &mut self.reading else { return Ok(false) };
        let Some(place) = reading.cursor else { return Ok(false) };
        let cursor = &mut self.cursors[place];
        let column = (source.series, source.field);
        if !std::mem::replace(&mut reading.is_placed, true) {
            cursor.place(column, windows, order).map_err(|e| source.failed(Failure::Io(e)))?;
        }
        let found = self.day.read(cursor, column, windows, order).map_err(|e| source.failed(e))?;
        if !found {
            reading.cursor = None;
            return Ok(false);
        }
        let blocks = self.day.blocks(&reading.part.erasures).map_err(|e| source.damaged(e))?;
        self.pieces.add_day(blocks, reading.part.head_rows(), order);
        Ok(true)
    }

    /// The windows on disk that overlap the range.
    fn windows(&self) -> Windows {
        Windows { first: window_of(self.range.start), last: window_of(self.range.end - 1) }
    }

    /// The place of the partition's cursor. It is opened if it is not there; when there are many, the one that was not used
    /// for the longest time is moved here.
    fn cursor_of(&mut self, key: PartitionKey) -> Result<usize, ScanError> {
        self.turn += 1;
        if let Some(place) = self.cursors.iter().position(|c| c.partition() == key) {
            self.cursors[place].used = self.turn;
            return Ok(place);
        }
        if self.cursors.len() < CURSORS_MAX {
            let cursor = ColumnCursor::open(self.rocks, key, self.turn);
            let cursor = cursor.map_err(|e| self.source.failed(Failure::Io(e)))?;
            self.cursors.push(cursor);
            return Ok(self.cursors.len() - 1);
        }
        let oldest = self.cursors.iter().enumerate().min_by_key(|(_, c)| c.used);
        let place = oldest.map_or(0, |(place, _)| place);
        self.cursors[place].assign(key, self.turn);
        Ok(place)
    }

    fn decode_current(&mut self, batch: &mut ColumnBatch) -> Result<(), Damage> {
        let (Some(piece), Some(reading)) = (&self.current, &self.reading) else {
            return Err(Damage("no chunk to decode"));
        };
        let head = reading.part.head.as_ref().filter(|_| !piece.head.is_empty());
        if let ([block], None) = (&piece.blocks[..], head) {
            return block.decode(self.day.bytes(), batch);
        }
        let mut all: Option<Rows> = None;
        for block in &piece.blocks {
            add(&mut all, block.rows(self.day.bytes())?)?;
        }
        if let Some(head) = head {
            let rows = head.rows[piece.head.clone()].to_vec();
            add(&mut all, Rows { field_type: head.field_type, rows, strings: head.strings.clone() })?;
        }
        let mut rows = all.ok_or(Damage("no piece"))?;
        rows.settle();
        *batch = rows.into_batch();
        Ok(())
    }
}

/// Appends what was written later.
fn add(all: &mut Option<Rows>, later: Rows) -> Result<(), Damage> {
    match all {
        None => *all = Some(later),
        Some(rows) if rows.field_type == later.field_type => rows.append(&later),
        Some(_) => return Err(Damage("pieces of different types")),
    }
    Ok(())
}

/// What a partition has of the column besides its chunks.
fn in_memory(partition: &Partition, source: Source, range: TimeRange) -> Part {
    let key = ColumnKey::new(source.series, source.field);
    // Whole windows: a chunk's points outside the range are right as well.
    let from = window_start(window_of(range.start));
    let to = window_start(window_of(range.end - 1).saturating_add(1)).saturating_sub(1).max(range.end - 1);
    let copy = |head: &Head| head.get(key).map(|c| c.copy(from, to));
    let of_series = |erasures: &[Arc<SeriesErasure>]| -> Vec<Erasure> {
        erasures.iter().filter_map(|erasure| erasure.of(source.series)).collect()
    };
    let (mut erasures, later) = (of_series(&partition.frozen_erasures), of_series(&partition.erasures));
    let frozen = partition.frozen.as_deref().and_then(copy);
    let frozen = frozen.map(|mut rows| {
        for erasure in &later {
            rows.erase(*erasure);
        }
        rows
    });
    erasures.extend(later);
    let head = match (frozen, copy(&partition.head)) {
        (Some(mut older), Some(newer)) => {
            older.append(&newer);
            older.settle();
            Some(older)
        }
        (older, newer) => older.or(newer),
    };
    Part { sealed: partition.sealed, erasures, head }
}
