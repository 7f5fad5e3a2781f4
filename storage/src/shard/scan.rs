//! Reads one field of one series: heads and chunks of each partition, put together so that they do not overlap.
//!
//! Heads are copied under the lock, chunks are read after it. A flush in between is harmless: what it seals is in the
//! copy as well, and the copy wins with the same values. The oldest points are those of days, then come those of
//! windows, then the heads; a delete hides what is older than itself.

use super::head::{ColumnKey, Head};
use super::state::State;
use crate::chunk::blocks::{Block, Erasure};
use crate::chunk::{Damage, Header, Rows, blocks, decode_batch, decode_rows};
use crate::key::{ChunkKey, Extent, PartitionKey, day_of, first_window, window_of, window_start};
use crate::rocks::{Rocks, Table};
use model::scan::{Chunk, ChunkStats, ColumnBatch, ScanError};
use model::time::TimeRange;
use model::{FieldId, RetentionPolicyId, SeriesId};
use parking_lot::RwLock;
use std::sync::Arc;

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
}

/// Points in the order they were written: of two pieces that hold the same time, the later one wins.
enum Piece {
    Sealed { chunk: Box<[u8]>, first: i64, last: i64, stats: Option<Box<ChunkStats>> },
    Head { rows: Rows, first: i64, last: i64 },
}

impl Piece {
    fn bounds(&self) -> (i64, i64) {
        match self {
            Self::Sealed { first, last, .. } | Self::Head { first, last, .. } => (*first, *last),
        }
    }

    fn rows(&self) -> Result<Rows, Damage> {
        match self {
            Self::Sealed { chunk, .. } => decode_rows(&Header::parse(chunk)?),
            Self::Head { rows, .. } => Ok(rows.clone()),
        }
    }

    /// Rows that are sorted; `None` if there is none.
    fn of_rows(rows: Rows) -> Option<Self> {
        let (first, last) = (rows.rows.first()?.0, rows.rows.last()?.0);
        Some(Self::Head { rows, first, last })
    }

    /// What a delete leaves of it.
    fn erased(self, erasure: Erasure) -> Result<Option<Self>, Damage> {
        let bounds = self.bounds();
        if erasure.covers_all(bounds) {
            return Ok(None);
        }
        if erasure.within(bounds).is_none() {
            return Ok(Some(self));
        }
        let mut rows = self.rows()?;
        rows.erase(erasure);
        Ok(Self::of_rows(rows))
    }
}

/// What was written at one time.
enum Layer {
    Piece(Piece),
    Erasure(Erasure),
}

/// Adds what was written later.
fn add(pieces: &mut Vec<Piece>, layer: Layer) -> Result<(), Damage> {
    match layer {
        Layer::Piece(piece) => pieces.push(piece),
        Layer::Erasure(erasure) => {
            for piece in std::mem::take(pieces) {
                pieces.extend(piece.erased(erasure)?);
            }
        }
    }
    Ok(())
}

/// A run of points as queries see it: one piece, or several that overlap.
struct ShardChunk {
    source: Source,
    first: i64,
    last: i64,
    pieces: Vec<Piece>,
}

impl Chunk for ShardChunk {
    fn bounds(&self) -> (i64, i64) {
        (self.first, self.last)
    }

    fn stats(&self) -> Option<ChunkStats> {
        match &self.pieces[..] {
            [Piece::Sealed { stats, .. }] => stats.as_deref().cloned(),
            _ => None,
        }
    }

    fn decode(&self) -> Result<ColumnBatch, ScanError> {
        self.decode_pieces().map_err(|damage| self.source.damaged(damage))
    }
}

impl ShardChunk {
    fn decode_pieces(&self) -> Result<ColumnBatch, Damage> {
        if let [Piece::Sealed { chunk, .. }] = &self.pieces[..] {
            return decode_batch(&Header::parse(chunk)?);
        }
        let (first, later) = self.pieces.split_first().ok_or(Damage("no piece"))?;
        let mut rows = first.rows()?;
        for piece in later {
            let piece = piece.rows()?;
            if piece.field_type != rows.field_type {
                return Err(Damage("pieces of different types"));
            }
            rows.append(&piece);
        }
        rows.settle();
        Ok(rows.into_batch())
    }
}

/// What one partition has of the column, as far as it was in memory.
struct Part {
    key: PartitionKey,
    sealed: bool,
    /// In the order of writing.
    layers: Vec<Layer>,
}

/// The chunks of a column that overlap the range, in order.
pub(super) fn scan(
    state: &RwLock<State>,
    policy: RetentionPolicyId,
    column: (SeriesId, FieldId),
    range: TimeRange,
) -> Result<Vec<Box<dyn Chunk>>, ScanError> {
    let source = Source { series: column.0, field: column.1 };
    if range.is_empty() {
        return Ok(Vec::new());
    }
    let (rocks, parts) = {
        let state = state.read();
        (Arc::clone(&state.rocks), in_memory(&state, policy, source, range))
    };
    let mut chunks: Vec<Box<dyn Chunk>> = Vec::new();
    for part in parts {
        for chunk in group(source, pieces(&rocks, part, source, range)?) {
            // Windows are copied and read whole; the ends may lie outside.
            if chunk.last >= range.start && chunk.first < range.end {
                chunks.push(Box::new(chunk));
            }
        }
    }
    Ok(chunks)
}

/// Whether a column has no point in a partition, by its points and not by the index.
pub(super) fn is_empty(
    state: &RwLock<State>,
    partition: PartitionKey,
    column: (SeriesId, FieldId),
) -> Result<bool, ScanError> {
    let source = Source { series: column.0, field: column.1 };
    let (rocks, part) = {
        let state = state.read();
        let parts = in_memory(&state, partition.policy, source, TimeRange::ALL);
        (Arc::clone(&state.rocks), parts.into_iter().find(|part| part.key == partition))
    };
    let Some(part) = part else { return Ok(true) };
    Ok(pieces(&rocks, part, source, TimeRange::ALL)?.is_empty())
}

fn in_memory(state: &State, policy: RetentionPolicyId, source: Source, range: TimeRange) -> Vec<Part> {
    let Some(known) = state.policies.get(&policy) else { return Vec::new() };
    let key = ColumnKey::new(source.series, source.field);
    // Whole windows: a chunk's points outside the range are right as well.
    let from = window_start(window_of(range.start));
    let to = window_start(window_of(range.end - 1).saturating_add(1)).saturating_sub(1).max(range.end - 1);
    let copy = |head: &Head| by_window(head.get(key).map(|c| c.copy(from, to)));
    let mut parts = Vec::new();
    for (start, partition) in known.overlapping(range) {
        if partition.has(key) {
            let mut layers = Vec::new();
            let frozen = partition.frozen.as_deref();
            for (erasures, head) in
                [(&partition.frozen_erasures, frozen), (&partition.erasures, Some(&partition.head))]
            {
                layers.extend(erasures.iter().filter_map(|e| e.of(source.series)).map(Layer::Erasure));
                layers.extend(head.into_iter().flat_map(copy).map(Layer::Piece));
            }
            let key = PartitionKey { policy, start };
            parts.push(Part { key, sealed: partition.sealed, layers });
        }
    }
    parts
}

/// All pieces that one partition has of the column, in the order of writing.
fn pieces(rocks: &Rocks, part: Part, source: Source, range: TimeRange) -> Result<Vec<Piece>, ScanError> {
    let mut pieces = if part.sealed { on_disk(rocks, part.key, source, range)? } else { Vec::new() };
    for layer in part.layers {
        add(&mut pieces, layer).map_err(|damage| source.damaged(damage))?;
    }
    Ok(pieces)
}

/// The sealed chunks of the windows that overlap the range, in write order.
fn on_disk(
    rocks: &Rocks,
    partition: PartitionKey,
    source: Source,
    range: TimeRange,
) -> Result<Vec<Piece>, ScanError> {
    let io = |error: crate::rocks::EngineError| ScanError::Io(error.to_string());
    let damaged = |damage| source.damaged(damage);
    let key = |window| ChunkKey::window(partition, (source.series, source.field), window).encode();
    let (from, last) = (window_of(range.start), window_of(range.end - 1));
    // The day that has the last window comes after all windows of that day.
    let to = first_window(day_of(last).saturating_add(1));
    let mut iter = rocks.range(Table::Chunk, &key(from), &key(to)).map_err(io)?;
    let mut pieces = Vec::new();
    let mut newer = Vec::new();
    while let Some((key, value)) = iter.next().map_err(io)? {
        let key = ChunkKey::parse(key).ok_or(Damage("chunk key")).map_err(damaged)?;
        match key.extent {
            Extent::Window if key.window > last => {}
            Extent::Window => newer.extend(layers(value).map_err(damaged)?),
            Extent::Day => {
                for layer in layers(value).map_err(damaged)? {
                    add(&mut pieces, layer).map_err(damaged)?;
                }
            }
        }
    }
    for layer in newer {
        add(&mut pieces, layer).map_err(damaged)?;
    }
    Ok(pieces)
}

/// The blocks of a value.
fn layers(value: &[u8]) -> Result<Vec<Layer>, Damage> {
    let layer = |block| {
        Ok(match Block::parse(block)? {
            Block::Erasure(erasure) => Layer::Erasure(erasure),
            Block::Chunk(header) => Layer::Piece(Piece::Sealed {
                chunk: Box::from(block),
                first: header.first,
                last: header.last,
                stats: header.stats.map(Box::new),
            }),
        })
    };
    blocks::split(value)?.into_iter().map(layer).collect()
}

/// Cuts a head's points at windows, so that one late point does not make all chunks overlap.
fn by_window(rows: Option<Rows>) -> Vec<Piece> {
    let Some(rows) = rows else { return Vec::new() };
    let piece = |part: &[(i64, u64)]| {
        let strings = rows.strings.clone();
        Piece::of_rows(Rows { field_type: rows.field_type, rows: part.to_vec(), strings })
    };
    rows.rows.chunk_by(|a, b| window_of(a.0) == window_of(b.0)).filter_map(piece).collect()
}

/// Orders pieces by time; those that overlap become one chunk.
fn group(source: Source, pieces: Vec<Piece>) -> Vec<ShardChunk> {
    let mut ordered: Vec<(usize, Piece)> = pieces.into_iter().enumerate().collect();
    ordered.sort_by_key(|(_, piece)| piece.bounds().0);
    let mut groups: Vec<Group> = Vec::new();
    for (written, piece) in ordered {
        let (first, last) = piece.bounds();
        match groups.last_mut() {
            Some(group) if first <= group.last => {
                group.last = last.max(group.last);
                group.members.push((written, piece));
            }
            _ => groups.push(Group { first, last, members: vec![(written, piece)] }),
        }
    }
    let chunk = |mut group: Group| {
        group.members.sort_by_key(|(written, _)| *written);
        let pieces = group.members.into_iter().map(|(_, piece)| piece).collect();
        ShardChunk { source, first: group.first, last: group.last, pieces }
    };
    groups.into_iter().map(chunk).collect()
}

/// Pieces that overlap, each with its place in the order of writing.
struct Group {
    first: i64,
    last: i64,
    members: Vec<(usize, Piece)>,
}
