//! An iterator that stays open while its user moves over a range of keys in both directions.

use super::{EngineError, KeyValue, Rocks, Table};
use rocksdb::{DBRawIterator, ReadOptions};
use std::fmt;

/// A position in `[from, to)` of a table, which sees the database as it was when the cursor was made.
pub(crate) struct Cursor<'a> {
    iter: DBRawIterator<'a>,
}

impl fmt::Debug for Cursor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor").field("valid", &self.iter.valid()).finish_non_exhaustive()
    }
}

impl Rocks {
    /// A cursor over the keys of `[from, to)`, not on any of them yet.
    pub(crate) fn cursor(&self, table: Table, from: &[u8], to: &[u8]) -> Result<Cursor<'_>, EngineError> {
        let mut options = ReadOptions::default();
        options.set_iterate_range(from..to);
        Ok(Cursor { iter: self.db.raw_iterator_cf_opt(&self.family(table)?, options) })
    }
}

impl Cursor<'_> {
    /// Moves to the first key at or after `key`.
    pub(crate) fn seek(&mut self, key: &[u8]) -> Result<(), EngineError> {
        self.iter.seek(key);
        Ok(self.iter.status()?)
    }

    /// Moves to the last key at or before `key`.
    pub(crate) fn seek_back(&mut self, key: &[u8]) -> Result<(), EngineError> {
        self.iter.seek_for_prev(key);
        Ok(self.iter.status()?)
    }

    /// Moves to the next key; the cursor is on a key.
    pub(crate) fn next(&mut self) -> Result<(), EngineError> {
        self.iter.next();
        Ok(self.iter.status()?)
    }

    /// Moves to the key before; the cursor is on a key.
    pub(crate) fn back(&mut self) -> Result<(), EngineError> {
        self.iter.prev();
        Ok(self.iter.status()?)
    }

    /// The key and value under the cursor, `None` beyond the ends.
    pub(crate) fn item(&self) -> Option<KeyValue<'_>> {
        self.iter.item()
    }
}
