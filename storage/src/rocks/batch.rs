//! Changes that become visible together.

use super::Table;
use rocksdb::{BoundColumnFamily, WriteBatch};
use std::fmt;
use std::sync::Arc;

/// Changes to one database, in order, applied together or not at all.
pub(crate) struct Batch<'a> {
    families: [Arc<BoundColumnFamily<'a>>; 3],
    writes: WriteBatch,
}

impl fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("changes", &self.writes.len()).finish_non_exhaustive()
    }
}

impl<'a> Batch<'a> {
    /// `families` in the order meta, series, chunk.
    pub(super) fn new(families: [Arc<BoundColumnFamily<'a>>; 3]) -> Self {
        Self { families, writes: WriteBatch::default() }
    }

    pub(super) fn into_inner(self) -> WriteBatch {
        self.writes
    }

    /// Sets a key.
    pub(crate) fn put(&mut self, table: Table, key: &[u8], value: &[u8]) {
        let family = &self.families[place(table)];
        self.writes.put_cf(family, key, value);
    }

    /// Appends `operand` to the value of a key; only [`Table::Chunk`] merges.
    pub(crate) fn merge(&mut self, key: &[u8], operand: &[u8]) {
        let family = &self.families[place(Table::Chunk)];
        self.writes.merge_cf(family, key, operand);
    }

    /// Removes a key.
    pub(crate) fn delete(&mut self, table: Table, key: &[u8]) {
        let family = &self.families[place(table)];
        self.writes.delete_cf(family, key);
    }

    /// Removes the keys of `[from, to)`.
    pub(crate) fn delete_range(&mut self, table: Table, from: &[u8], to: &[u8]) {
        let family = &self.families[place(table)];
        self.writes.delete_range_cf(family, from, to);
    }
}

fn place(table: Table) -> usize {
    match table {
        Table::Meta => 0,
        Table::Series => 1,
        Table::Chunk => 2,
    }
}
