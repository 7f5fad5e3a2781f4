//! A value under a chunk key: chunks one after the other, each with its length before it, in the order they were
//! written. Appending a value to another one gives a value again, which is all that the merge operator does.
//!
//! ```text
//! blocks := (length varint | chunk)*
//! ```

use super::{Damage, Header, POINTS_MAX, Rows};
use crate::bytes::Cursor;
use model::FieldType;
use model::batch::put_varint;

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

/// The chunks of a value, in the order they were written.
pub(crate) fn split(value: &[u8]) -> Result<Vec<&[u8]>, Damage> {
    let mut bytes = Cursor::new(value);
    let mut chunks = Vec::new();
    while !bytes.is_empty() {
        chunks.push(bytes.slice().ok_or(Damage("length of a chunk"))?);
    }
    Ok(chunks)
}

/// All points of a value, folded: sorted, each time once, later chunks won. `None` for an empty value.
pub(crate) fn fold(value: &[u8]) -> Result<Option<Rows>, Damage> {
    let mut folded: Option<Rows> = None;
    for chunk in split(value)? {
        let rows = super::decode_rows(&Header::parse(chunk)?)?;
        match &mut folded {
            None => folded = Some(rows),
            Some(folded) if folded.field_type == rows.field_type => folded.append(&rows),
            Some(_) => return Err(Damage("chunks of different types")),
        }
    }
    if let Some(folded) = &mut folded {
        folded.settle();
    }
    Ok(folded)
}
