//! A time range in pieces that are read one after the other, cut where chunks end, so that reading a long series takes
//! the memory of a piece.

use model::TimeRange;
use model::scan::Chunk;

/// Chunks that a piece of a long series has.
const CHUNKS_PER_PIECE: usize = 1_024;

/// How a range is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// In pieces of one size, from the start.
    Steady,
    /// In pieces that grow from one chunk, from the start: the reader may stop soon.
    GrowingFromStart,
    /// In pieces that grow from one chunk, from the end.
    GrowingFromEnd,
}

/// The pieces in the order of reading; together they are the range.
pub(super) fn segments(chunks: &[Vec<Box<dyn Chunk>>], range: TimeRange, pace: Pace) -> Vec<TimeRange> {
    let downwards = pace == Pace::GrowingFromEnd;
    let mut ends: Vec<i64> = chunks
        .iter()
        .flatten()
        .map(|c| c.bounds().1.saturating_add(1))
        .filter(|end| range.start < *end && *end < range.end)
        .collect();
    ends.sort_unstable();
    ends.dedup();
    if downwards {
        ends.reverse();
    }
    let mut segments = Vec::new();
    let mut edge = if downwards { range.end } else { range.start };
    let mut step = if pace == Pace::Steady { CHUNKS_PER_PIECE } else { 1 };
    let mut next = step - 1;
    while let Some(&end) = ends.get(next) {
        segments.push(if downwards { TimeRange::new(end, edge) } else { TimeRange::new(edge, end) });
        edge = end;
        if pace != Pace::Steady {
            step = (step * 2).min(CHUNKS_PER_PIECE);
        }
        next += step;
    }
    segments.push(if downwards {
        TimeRange::new(range.start, edge)
    } else {
        TimeRange::new(edge, range.end)
    });
    segments
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::scan::{ChunkStats, ColumnBatch, ScanError};

    struct At(i64, i64);

    impl Chunk for At {
        fn bounds(&self) -> (i64, i64) {
            (self.0, self.1)
        }

        fn stats(&self) -> Option<ChunkStats> {
            None
        }

        fn decode(&self) -> Result<ColumnBatch, ScanError> {
            Err(ScanError::Io("not read".to_owned()))
        }
    }

    #[test]
    fn pieces_grow_from_the_wanted_end_and_cover_the_range() {
        let range = TimeRange::new(5, 65);
        let of = |pace| {
            let chunks = [(0..7).map(|i| Box::new(At(i * 10, i * 10 + 9)) as Box<dyn Chunk>).collect()];
            segments(&chunks, range, pace).iter().map(|s| (s.start, s.end)).collect::<Vec<_>>()
        };
        assert_eq!(of(Pace::Steady), [(5, 65)]);
        assert_eq!(of(Pace::GrowingFromStart), [(5, 10), (10, 30), (30, 65)]);
        assert_eq!(of(Pace::GrowingFromEnd), [(60, 65), (40, 60), (5, 40)]);
    }
}
