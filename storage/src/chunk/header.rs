//! What is known of a chunk without decoding it: type, count, first and last time, and perhaps statistics.

use super::{Damage, POINTS_MAX, stats, times};
use crate::bytes::Cursor;
use model::FieldType;
use model::batch::put_varint;
use model::scan::ChunkStats;

const VERSION: u8 = 1;
const TYPE_MASK: u8 = 0b111;
const HAS_STATS: u8 = 1 << 3;
/// Bytes of the checksum at the end of every block.
pub(super) const CRC_BYTES: usize = 4;

/// A chunk whose checksum is right, taken apart as far as its header.
#[derive(Debug, Clone)]
pub(crate) struct Header<'a> {
    pub(crate) field_type: FieldType,
    /// Between 1 and [`POINTS_MAX`].
    pub(crate) count: usize,
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) clock: times::Clock,
    pub(crate) stats: Option<ChunkStats>,
    /// Steps of times, then values.
    pub(crate) body: &'a [u8],
}

impl<'a> Header<'a> {
    /// Checks version and checksum and reads the header.
    pub(crate) fn parse(chunk: &'a [u8]) -> Result<Self, Damage> {
        let body_len = chunk.len().checked_sub(CRC_BYTES).ok_or(Damage("chunk too short"))?;
        let (body, crc) = chunk.split_at(body_len);
        if crc != crc32fast::hash(body).to_le_bytes() {
            return Err(Damage("chunk checksum"));
        }
        let mut bytes = Cursor::new(body);
        if bytes.byte() != Some(VERSION) {
            return Err(Damage("chunk version"));
        }
        Self::parse_fields(&mut bytes).ok_or(Damage("chunk header"))
    }

    fn parse_fields(bytes: &mut Cursor<'a>) -> Option<Self> {
        let head = bytes.byte()?;
        let field_type = FieldType::from_code(head & TYPE_MASK)?;
        let count = bytes.count(POINTS_MAX).filter(|n| *n > 0)?;
        let (clock, first, last) = times::parse_bounds(bytes)?;
        let stats = if head & HAS_STATS == 0 {
            None
        } else {
            Some(stats::parse(bytes, field_type, count, (clock, first, last))?)
        };
        Some(Self { field_type, count, first, last, clock, stats, body: bytes.rest() })
    }
}

/// Appends the header of these rows.
pub(super) fn encode(field_type: FieldType, rows: &[(i64, u64)], out: &mut Vec<u8>) {
    let clock = times::Clock::of(rows);
    let stats = stats::of(field_type, rows);
    out.push(VERSION);
    out.push(field_type.code() | if stats.is_some() { HAS_STATS } else { 0 });
    put_varint(out, rows.len() as u64);
    times::put_bounds(clock, rows, out);
    if let Some(stats) = stats {
        stats.put(clock, rows[0].0, out);
    }
}
