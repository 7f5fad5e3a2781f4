//! Canonical keys of series that no flush has written yet.
//!
//! A key is some 300 bytes and half a million of them may wait for a flush, so they are compressed in blocks; the keys
//! of series that appear together are alike. Read at the next flush, and before it only when a series comes back that
//! lost its points.

use crate::bytes::Cursor;
use lz4_flex::block::{compress_prepend_size, decompress_size_prepended};
use model::{DatabaseId, SeriesId};

/// Bytes of keys that are compressed together.
const BLOCK_BYTES: usize = 64 << 10;

/// Keys in the order of their ids.
#[derive(Debug, Default)]
pub(super) struct NewKeys {
    /// Full blocks, compressed, with the first id of each.
    blocks: Vec<(SeriesId, Box<[u8]>)>,
    /// The block that is being filled: `id u32 | database u32 | len u32 | key`.
    open: Vec<u8>,
    open_first: Option<SeriesId>,
    compressed_bytes: usize,
    /// Databases that were dropped since; their keys are passed over.
    forgotten: Vec<DatabaseId>,
}

impl NewKeys {
    /// Adds the key of a series; ids must rise.
    pub(super) fn push(&mut self, id: SeriesId, database: DatabaseId, key: &[u8]) {
        self.open_first.get_or_insert(id);
        self.open.extend_from_slice(&id.0.to_be_bytes());
        self.open.extend_from_slice(&database.0.to_be_bytes());
        self.open.extend_from_slice(&(key.len() as u32).to_be_bytes());
        self.open.extend_from_slice(key);
        if self.open.len() >= BLOCK_BYTES
            && let Some(first) = self.open_first.take()
        {
            let block = compress_prepend_size(&self.open).into_boxed_slice();
            self.compressed_bytes += block.len();
            self.blocks.push((first, block));
            self.open.clear();
        }
    }

    /// The key of a series, if it is here.
    pub(super) fn get(&self, id: SeriesId) -> Option<Box<[u8]>> {
        let mut found = None;
        let after = self.blocks.partition_point(|(first, _)| *first <= id);
        let in_block = after.checked_sub(1).and_then(|place| decompressed(&self.blocks[place].1));
        for block in [in_block.as_deref(), Some(&self.open)].into_iter().flatten() {
            self.each_of(block, &mut |known, _, key| {
                if known == id {
                    found = Some(Box::from(key));
                }
            });
        }
        found
    }

    /// Calls `visit` with every key of a database that was not forgotten, ids rising.
    pub(super) fn each(&self, mut visit: impl FnMut(SeriesId, DatabaseId, &[u8])) {
        for (_, block) in &self.blocks {
            if let Some(block) = decompressed(block) {
                self.each_of(&block, &mut visit);
            }
        }
        self.each_of(&self.open, &mut visit);
    }

    fn each_of(&self, block: &[u8], visit: &mut impl FnMut(SeriesId, DatabaseId, &[u8])) {
        let mut bytes = Cursor::new(block);
        while let (Some(id), Some(database), Some(len)) = (bytes.u32_be(), bytes.u32_be(), bytes.u32_be()) {
            let Some(key) = bytes.take(len as usize) else { return };
            if !self.forgotten.contains(&DatabaseId(database)) {
                visit(SeriesId(id), DatabaseId(database), key);
            }
        }
    }

    /// Passes over the keys of a dropped database from now on.
    pub(super) fn forget(&mut self, database: DatabaseId) {
        self.forgotten.push(database);
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.open.capacity()
            + self.compressed_bytes
            + self.blocks.capacity() * size_of::<(SeriesId, Box<[u8]>)>()
    }
}

/// What was compressed a moment ago in the same memory comes back.
fn decompressed(block: &[u8]) -> Option<Vec<u8>> {
    decompress_size_prepended(block).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_in_order() {
        let key =
            |id: u32| format!("cpu/usage,pod_name=web-{id},labels={}", "app:web".repeat(20)).into_bytes();
        let mut keys = NewKeys::default();
        for id in (0..2_000).map(|n| n * 2) {
            keys.push(SeriesId(id), DatabaseId(id % 3), &key(id));
        }
        assert!(keys.blocks.len() > 3 && keys.bytes() < 200_000, "{} bytes", keys.bytes());
        let mut seen = Vec::new();
        keys.each(|id, database, bytes| {
            assert_eq!((database.0, bytes), (id.0 % 3, &key(id.0)[..]));
            seen.push(id.0);
        });
        assert!(seen.into_iter().eq((0..2_000).map(|n| n * 2)));
        for id in [0, 2, 398, 1_000, 3_998] {
            assert_eq!(keys.get(SeriesId(id)).as_deref(), Some(&key(id)[..]));
        }
        assert_eq!((keys.get(SeriesId(3)), keys.get(SeriesId(4_000))), (None, None));
        keys.forget(DatabaseId(0));
        let mut left = 0;
        keys.each(|_, database, _| {
            assert_ne!(database, DatabaseId(0));
            left += 1;
        });
        assert_eq!((left, keys.get(SeriesId(0))), (1_333, None));
    }
}
