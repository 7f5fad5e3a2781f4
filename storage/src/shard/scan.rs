//! Reads one field of one series: heads and chunks of each partition, put together so that they do not overlap.
//!
//! Heads are copied under the lock, chunks are read after it. A flush in between is harmless: what it seals is in the
//! copy as well, and the copy wins with the same values.

use super::head::{ColumnKey, Head};
use super::state::State;
use crate::chunk::{Damage, Header, Rows, blocks, decode_batch, decode_rows};
use crate::key::{ChunkKey, PartitionKey, window_of, window_start};
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
    heads: Vec<Rows>,
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
        let mut pieces = if part.sealed { on_disk(&rocks, part.key, source, range)? } else { Vec::new() };
        pieces.extend(part.heads.into_iter().flat_map(by_window));
        for chunk in group(source, pieces) {
            // Windows are copied and read whole; the ends may lie outside.
            if chunk.last >= range.start && chunk.first < range.end {
                chunks.push(Box::new(chunk));
            }
        }
    }
    Ok(chunks)
}

fn in_memory(state: &State, policy: RetentionPolicyId, source: Source, range: TimeRange) -> Vec<Part> {
    let Some(known) = state.policies.get(&policy) else { return Vec::new() };
    let key = ColumnKey::new(source.series, source.field);
    // Whole windows: a chunk's points outside the range are right as well.
    let from = window_start(window_of(range.start));
    let to = window_start(window_of(range.end - 1).saturating_add(1)).saturating_sub(1).max(range.end - 1);
    let copy = |head: &Head| head.get(key).map(|c| c.copy(from, to)).filter(|rows| !rows.rows.is_empty());
    let mut parts = Vec::new();
    for (start, partition) in known.overlapping(range) {
        if partition.has(key) {
            let heads = partition.frozen.as_deref().into_iter().chain([&partition.head]);
            let key = PartitionKey { policy, start };
            parts.push(Part { key, sealed: partition.sealed, heads: heads.filter_map(copy).collect() });
        }
    }
    parts
}

/// The sealed chunks of the windows that overlap the range, in key and write order.
fn on_disk(
    rocks: &Rocks,
    partition: PartitionKey,
    source: Source,
    range: TimeRange,
) -> Result<Vec<Piece>, ScanError> {
    let io = |error: crate::rocks::EngineError| ScanError::Io(error.to_string());
    let Source { series, field } = source;
    let key = |window| ChunkKey { partition, series, field, window }.encode();
    let (from, to) = (window_of(range.start), window_of(range.end - 1).saturating_add(1));
    let mut iter = rocks.range(Table::Chunk, &key(from), &key(to)).map_err(io)?;
    let mut pieces = Vec::new();
    while let Some((_, value)) = iter.next().map_err(io)? {
        for chunk in blocks::split(value).map_err(|damage| source.damaged(damage))? {
            let header = Header::parse(chunk).map_err(|damage| source.damaged(damage))?;
            pieces.push(Piece::Sealed {
                chunk: Box::from(chunk),
                first: header.first,
                last: header.last,
                stats: header.stats.map(Box::new),
            });
        }
    }
    Ok(pieces)
}

/// Cuts a head's points at windows, so that one late point does not make all chunks overlap.
fn by_window(rows: Rows) -> Vec<Piece> {
    let piece = |part: Vec<(i64, u64)>, strings| {
        let (first, last) = (part.first()?.0, part.last()?.0);
        Some(Piece::Head { rows: Rows { field_type: rows.field_type, rows: part, strings }, first, last })
    };
    let parts = rows.rows.chunk_by(|a, b| window_of(a.0) == window_of(b.0));
    parts.filter_map(|part| piece(part.to_vec(), rows.strings.clone())).collect()
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
