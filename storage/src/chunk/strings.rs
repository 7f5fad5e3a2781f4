//! Strings: each distinct one once, compressed together, and a number for each point.
//!
//! ```text
//! strings := distinct varint | raw length varint | blob of distinct × (length varint | bytes)
//!          | ids as ints, unless distinct = 1
//! ```

use super::{blob, ints};
use crate::bytes::Cursor;
use hashbrown::HashMap;
use model::batch::put_varint;
use std::sync::Arc;

/// Appends the values, at least one.
pub(super) fn encode<'a>(values: impl Iterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
    let mut places: HashMap<&[u8], i64> = HashMap::new();
    let mut raw = Vec::new();
    let mut ids = Vec::new();
    for value in values {
        let next = places.len() as i64;
        let id = *places.entry(value).or_insert_with(|| {
            put_varint(&mut raw, value.len() as u64);
            raw.extend_from_slice(value);
            next
        });
        ids.push(id);
    }
    put_varint(out, places.len() as u64);
    put_varint(out, raw.len() as u64);
    blob::put(&raw, out);
    if places.len() > 1 {
        ints::encode(&ids, out);
    }
}

/// Distinct strings in one piece of memory, and which one each point has.
pub(super) struct Dictionary {
    raw: Vec<u8>,
    ends: Vec<(usize, usize)>,
    pub(super) ids: Vec<usize>,
}

impl Dictionary {
    /// The distinct strings, in the order that ids count them.
    pub(super) fn distinct(&self) -> Vec<&[u8]> {
        self.ends.iter().map(|(start, end)| &self.raw[*start..*end]).collect()
    }

    /// The values as text for reading.
    pub(super) fn texts(&self) -> Vec<Arc<str>> {
        let distinct: Vec<Arc<str>> = self.distinct().into_iter().map(model::series::text).collect();
        self.ids.iter().map(|id| Arc::clone(&distinct[*id])).collect()
    }
}

/// Reads `count` values back.
pub(super) fn decode(bytes: &mut Cursor<'_>, count: usize) -> Option<Dictionary> {
    let distinct = bytes.count(count).filter(|n| *n > 0)?;
    let raw_len = bytes.count(blob::BYTES_MAX)?;
    let raw = blob::read(bytes, raw_len)?;
    let mut ends = Vec::with_capacity(distinct);
    let mut cursor = Cursor::new(&raw);
    for _ in 0..distinct {
        let len = cursor.slice()?.len();
        let end = raw.len() - cursor.rest().len();
        ends.push((end - len, end));
    }
    if !cursor.is_empty() {
        return None;
    }
    let ids = if distinct == 1 {
        vec![0; count]
    } else {
        let ids = ints::decode(bytes, count)?.into_iter();
        ids.map(|id| usize::try_from(id).ok().filter(|id| *id < distinct)).collect::<Option<Vec<_>>>()?
    };
    Some(Dictionary { raw, ends, ids })
}
