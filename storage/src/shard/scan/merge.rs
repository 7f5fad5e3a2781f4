//! Blocks of one day and the head's points around them, cut into pieces that do not overlap. Knows times only.
//!
//! The days of a column do not overlap each other and come in the order of reading. So everything that the head has on
//! the near side of a day comes before it, and what it has on the far side waits for the next day.

use crate::chunk::{Clock, Damage, Header, Rows, decode_batch, decode_rows};
use model::FieldType;
use model::scan::{Bounds, ChunkStats, ColumnBatch, Order};
use std::collections::VecDeque;
use std::ops::Range;

/// Points that were written at one time.
#[derive(Debug)]
pub(super) enum Block {
    /// A chunk: its header, and where its body is in the bytes of the day.
    Encoded(Encoded),
    /// What deletes have left of several chunks, at least one point.
    Plain(Rows, Bounds),
}

#[derive(Debug)]
pub(super) struct Encoded {
    field_type: FieldType,
    count: usize,
    bounds: Bounds,
    clock: Clock,
    stats: Option<ChunkStats>,
    body: Range<usize>,
}

impl Encoded {
    /// The header again, over the same bytes.
    fn header<'v>(&self, bytes: &'v [u8]) -> Header<'v> {
        Header {
            field_type: self.field_type,
            count: self.count,
            first: self.bounds.first,
            last: self.bounds.last,
            clock: self.clock,
            stats: None,
            body: bytes.get(self.body.clone()).unwrap_or_default(),
        }
    }
}

impl Block {
    /// Remembers the header of a chunk that lies in `bytes`.
    pub(super) fn new(bytes: &[u8], header: &Header<'_>) -> Self {
        let from = header.body.as_ptr() as usize - bytes.as_ptr() as usize;
        Self::Encoded(Encoded {
            field_type: header.field_type,
            count: header.count,
            bounds: Bounds { first: header.first, last: header.last },
            clock: header.clock,
            stats: header.stats.clone(),
            body: from..from + header.body.len(),
        })
    }

    /// Rows that are sorted; `None` if there is none.
    pub(super) fn of_rows(rows: Rows) -> Option<Self> {
        let bounds = Bounds { first: rows.rows.first()?.0, last: rows.rows.last()?.0 };
        Some(Self::Plain(rows, bounds))
    }

    pub(super) fn bounds(&self) -> Bounds {
        match self {
            Self::Encoded(encoded) => encoded.bounds,
            Self::Plain(_, bounds) => *bounds,
        }
    }

    /// Bytes of its encoded points.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Encoded(encoded) => encoded.body.len(),
            Self::Plain(rows, _) => rows.rows.len() * size_of::<(i64, u64)>(),
        }
    }

    pub(super) fn stats(&self) -> Option<&ChunkStats> {
        match self {
            Self::Encoded(encoded) => encoded.stats.as_ref(),
            Self::Plain(..) => None,
        }
    }

    /// Its points for reading; `bytes` are those of the day.
    pub(super) fn decode(&self, bytes: &[u8], batch: &mut ColumnBatch) -> Result<(), Damage> {
        *batch = match self {
            Self::Encoded(encoded) => decode_batch(&encoded.header(bytes))?,
            Self::Plain(rows, _) => rows.clone().into_batch(),
        };
        Ok(())
    }

    /// Its points for merging.
    pub(super) fn rows(&self, bytes: &[u8]) -> Result<Rows, Damage> {
        match self {
            Self::Encoded(encoded) => decode_rows(&encoded.header(bytes)),
            Self::Plain(rows, _) => Ok(rows.clone()),
        }
    }
}

/// Blocks that overlap each other, in the order they were written, and the head's points among them.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) bounds: Bounds,
    pub(super) blocks: Vec<Block>,
    /// Places in the head.
    pub(super) head: Range<usize>,
}

/// Pieces that are ready, oldest first, and how much of the head is left.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    ready: VecDeque<Piece>,
    /// Places in the head that no piece has yet.
    left: Range<usize>,
}

impl Pieces {
    pub(super) fn clear(&mut self) {
        self.ready.clear();
        self.left = 0..0;
    }

    /// Begins with a partition whose head has this many points.
    pub(super) fn begin(&mut self, rows: usize) {
        self.ready.clear();
        self.left = 0..rows;
    }

    /// The next piece in the order of reading.
    pub(super) fn next(&mut self, order: Order) -> Option<Piece> {
        match order {
            Order::Ascending => self.ready.pop_front(),
            Order::Descending => self.ready.pop_back(),
        }
    }

    /// Takes in the blocks of the next day, and the head's points up to its far end.
    pub(super) fn add_day(&mut self, blocks: Vec<Block>, head: &[(i64, u64)], order: Order) {
        let spans = spans(blocks);
        let (Some(first), Some(last)) = (spans.first(), spans.last()) else { return };
        let (first, last) = (first.bounds.first, last.bounds.last);
        let rows = &head[self.left.clone()];
        let mut at = match order {
            Order::Ascending => self.left.start,
            Order::Descending => self.left.start + rows.partition_point(|r| r.0 < first),
        };
        let end = match order {
            Order::Ascending => self.left.start + rows.partition_point(|r| r.0 <= last),
            Order::Descending => self.left.end,
        };
        self.left = match order {
            Order::Ascending => end..self.left.end,
            Order::Descending => self.left.start..at,
        };
        for mut piece in spans {
            let from = at + head[at..end].partition_point(|r| r.0 < piece.bounds.first);
            let to = from + head[from..end].partition_point(|r| r.0 <= piece.bounds.last);
            self.ready.extend(of_head(head, at..from));
            piece.head = from..to;
            self.ready.push_back(piece);
            at = to;
        }
        self.ready.extend(of_head(head, at..end));
    }

    /// Takes in what is left of the head; false when that is nothing.
    pub(super) fn add_rest(&mut self, head: &[(i64, u64)]) -> bool {
        let left = std::mem::take(&mut self.left);
        let piece = of_head(head, left);
        let some = piece.is_some();
        self.ready.extend(piece);
        some
    }
}

/// A piece of the head alone.
fn of_head(head: &[(i64, u64)], rows: Range<usize>) -> Option<Piece> {
    let (first, last) = (head[rows.clone()].first()?.0, head[rows.clone()].last()?.0);
    Some(Piece { bounds: Bounds { first, last }, blocks: Vec::new(), head: rows })
}

/// Blocks that overlap become one piece; pieces in order of time.
fn spans(blocks: Vec<Block>) -> Vec<Piece> {
    let alone = |block: Block| Piece { bounds: block.bounds(), blocks: vec![block], head: 0..0 };
    if blocks.len() <= 1 {
        return blocks.into_iter().map(alone).collect();
    }
    let mut ordered: Vec<(usize, Block)> = blocks.into_iter().enumerate().collect();
    ordered.sort_by_key(|(_, block)| block.bounds().first);
    let mut spans: Vec<(Bounds, Vec<(usize, Block)>)> = Vec::new();
    for (written, block) in ordered {
        let own = block.bounds();
        match spans.last_mut() {
            Some((bounds, members)) if own.first <= bounds.last => {
                bounds.last = bounds.last.max(own.last);
                members.push((written, block));
            }
            _ => spans.push((own, vec![(written, block)])),
        }
    }
    let piece = |(bounds, mut members): (Bounds, Vec<(usize, Block)>)| {
        members.sort_by_key(|(written, _)| *written);
        Piece { bounds, blocks: members.into_iter().map(|(_, block)| block).collect(), head: 0..0 }
    };
    spans.into_iter().map(piece).collect()
}
