//! A value under a chunk key: blocks one after the other, each with its length before it, in the order they were
//! written. Appending a value to another one gives a value again, which is all that the merge operator does.
//!
//! ```text
//! value := (length varint | block)*
//! block := chunk | erasure
//! ```
//!
//! An [`Erasure`] takes away points that stand before it; what stands behind it was written after the delete.

use super::{Damage, Header, POINTS_MAX, Rows, erasure};
use crate::bytes::Cursor;
use model::FieldType;
use model::batch::put_varint;

pub(crate) use super::erasure::Erasure;

/// One block of a value, its checksum checked.
#[derive(Debug, Clone)]
pub(crate) enum Block<'a> {
    /// Points.
    Chunk(Header<'a>),
    /// Points that are no more.
    Erasure(Erasure),
}

impl<'a> Block<'a> {
    /// Checks checksum and version and reads what stands before the points.
    pub(crate) fn parse(block: &'a [u8]) -> Result<Self, Damage> {
        if block.first() == Some(&erasure::VERSION) {
            Erasure::parse(block).map(Self::Erasure)
        } else {
            Header::parse(block).map(Self::Chunk)
        }
    }
}

/// Points per chunk when there are many: larger ones compress little better and cost more to read for a narrow range.
const POINTS_AIM: usize = 1_000;
/// Bytes of strings per chunk, after which the next one starts: a reader holds one chunk decoded.
const STRING_BYTES_AIM: usize = 1 << 20;
const _: () = assert!(POINTS_AIM <= POINTS_MAX);

/// The blocks of these rows, which are sorted, each time once.
pub(crate) fn encode(rows: &Rows, part: &[(i64, u64)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut chunk = Vec::new();
    let mut rest = part;
    while !rest.is_empty() {
        // Equal parts instead of full ones and a small rest.
        let parts = rest.len().div_ceil(POINTS_AIM);
        let (now, later) = rest.split_at(string_limit(rows, &rest[..rest.len().div_ceil(parts)]));
        chunk.clear();
        super::encode(rows.field_type, now, &rows.strings, &mut chunk);
        put_varint(&mut out, chunk.len() as u64);
        out.extend_from_slice(&chunk);
        rest = later;
    }
    out
}

/// The value that takes away what it is appended to, as far as the erasure says.
pub(crate) fn encode_erasure(erasure: Erasure) -> Vec<u8> {
    let mut block = Vec::new();
    erasure.encode(&mut block);
    let mut out = Vec::with_capacity(block.len() + 1);
    put_varint(&mut out, block.len() as u64);
    out.extend_from_slice(&block);
    out
}

/// How many of the rows go into one chunk by their string bytes; at least one.
fn string_limit(rows: &Rows, part: &[(i64, u64)]) -> usize {
    if rows.field_type != FieldType::String {
        return part.len();
    }
    let mut bytes = 0;
    let fits = part.iter().take_while(|r| {
        bytes += rows.strings.get(r.1).len();
        bytes <= STRING_BYTES_AIM
    });
    fits.count().max(1)
}

/// The blocks of a value, in the order they were written.
pub(crate) fn split(value: &[u8]) -> Result<Vec<&[u8]>, Damage> {
    let mut bytes = Cursor::new(value);
    let mut blocks = Vec::new();
    while !bytes.is_empty() {
        blocks.push(bytes.slice().ok_or(Damage("length of a block"))?);
    }
    Ok(blocks)
}

/// All points of a value, folded: sorted, each time once, later blocks won. `None` if there is none.
pub(crate) fn fold(value: &[u8]) -> Result<Option<Rows>, Damage> {
    fold_all(std::iter::once(value))
}

/// All points of several values, of which later ones were written later.
pub(crate) fn fold_all<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<Rows>, Damage> {
    let mut folded: Option<Rows> = None;
    for value in values {
        for block in split(value)? {
            match Block::parse(block)? {
                Block::Chunk(header) => add(&mut folded, super::decode_rows(&header)?)?,
                Block::Erasure(erasure) => {
                    if let Some(folded) = &mut folded {
                        folded.erase(erasure);
                    }
                }
            }
        }
    }
    if let Some(folded) = &mut folded {
        folded.settle();
    }
    Ok(folded.filter(|folded| !folded.rows.is_empty()))
}

fn add(folded: &mut Option<Rows>, rows: Rows) -> Result<(), Damage> {
    match folded {
        None => *folded = Some(rows),
        Some(folded) if folded.field_type == rows.field_type => folded.append(&rows),
        Some(_) => return Err(Damage("chunks of different types")),
    }
    Ok(())
}
