//! The only door to RocksDB for group state: open, read, write without WAL, flush, checkpoint.
//!
//! [`crate::state_db`] and [`crate::shard`] call it. It knows column families and bytes, not what they mean. The raft
//! log has its own database and its own door.

mod batch;
mod cursor;
mod options;
mod shared;

pub(crate) use batch::Batch;
pub(crate) use cursor::Cursor;
pub use shared::Shared;

use crate::bugs::{self, Bug};
use rocksdb::checkpoint::Checkpoint;
use rocksdb::{
    BottommostLevelCompaction, BoundColumnFamily, ColumnFamilyDescriptor, CompactOptions, DB, DBRawIterator,
    FlushOptions, ReadOptions,
};
use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// An error of RocksDB, kept opaque so that nobody else names the crate.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct EngineError(#[from] Cause);

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Rocks(#[from] rocksdb::Error),
    #[error("column family {0} does not exist")]
    MissingFamily(&'static str),
}

impl EngineError {
    /// Whether bytes on disk are not what was written.
    pub(crate) fn is_corruption(&self) -> bool {
        matches!(&self.0, Cause::Rocks(error) if error.kind() == rocksdb::ErrorKind::Corruption)
    }
}

impl From<rocksdb::Error> for EngineError {
    fn from(error: rocksdb::Error) -> Self {
        Self(Cause::Rocks(error))
    }
}

/// The column families of a state database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    /// Small records: applied marker, partitions, fields, activity, and the blobs of the meta group.
    Meta,
    /// Series id → database and key.
    Series,
    /// Sealed chunks; a merge operand is appended to the value.
    Chunk,
}

impl Table {
    const ALL: [Self; 3] = [Self::Meta, Self::Series, Self::Chunk];

    /// The column family's name on disk.
    fn name(self) -> &'static str {
        match self {
            Self::Meta => rocksdb::DEFAULT_COLUMN_FAMILY_NAME,
            Self::Series => "series",
            Self::Chunk => "chunk",
        }
    }
}

/// One open database in one directory.
pub(crate) struct Rocks {
    // Declared before `dir`: the database closes before its directory may be removed.
    db: DB,
    dir: LiveDir,
    /// The first damage that was found in it.
    damage: OnceLock<String>,
}

/// The directory of an open database; removed when the last user is gone, if it was given up.
struct LiveDir {
    path: PathBuf,
    given_up: AtomicBool,
}

impl Drop for LiveDir {
    fn drop(&mut self) {
        if self.given_up.load(Ordering::Acquire) {
            // What is left behind is removed at the next open: only the directory named by LIVE is kept.
            drop(std::fs::remove_dir_all(&self.path));
        }
    }
}

impl fmt::Debug for Rocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rocks").field("path", &self.dir.path).finish_non_exhaustive()
    }
}

impl Rocks {
    /// Opens the database in `path`, creating it if there is none.
    pub(crate) fn open(path: &Path, shared: &Shared) -> Result<Self, EngineError> {
        let families = Table::ALL.map(|t| ColumnFamilyDescriptor::new(t.name(), options::family(t, shared)));
        let db = DB::open_cf_descriptors(&options::database(shared), path, families)?;
        Ok(Self::over(db, path))
    }

    /// Opens the database in `path` for reading only; nothing of it is changed.
    pub(crate) fn open_read_only(path: &Path, shared: &Shared) -> Result<Self, EngineError> {
        let families = Table::ALL.map(|t| ColumnFamilyDescriptor::new(t.name(), options::family(t, shared)));
        let db = DB::open_cf_descriptors_read_only(&options::database(shared), path, families, false)?;
        Ok(Self::over(db, path))
    }

    fn over(db: DB, path: &Path) -> Self {
        let dir = LiveDir { path: path.to_owned(), given_up: AtomicBool::new(false) };
        Self { db, dir, damage: OnceLock::new() }
    }

    /// Reads every block of every table and checks its checksum; calls `visit` with each key and value.
    pub(crate) fn verify(
        &self,
        mut visit: impl FnMut(Table, &[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        for table in Table::ALL {
            let mut options = ReadOptions::default();
            options.set_verify_checksums(true);
            options.fill_cache(false);
            options.set_readahead_size(1 << 20);
            let mut iter = self.db.raw_iterator_cf_opt(&self.family(table)?, options);
            iter.seek_to_first();
            while let Some((key, value)) = iter.item() {
                if visit(table, key, value).is_break() {
                    return Ok(());
                }
                iter.next();
            }
            self.seen(iter.status())?;
        }
        Ok(())
    }

    /// The first damage that was found in this database since it was opened.
    pub(crate) fn damage(&self) -> Option<String> {
        self.damage.get().cloned()
    }

    /// Remembers that bytes of this database are not what was written.
    pub(crate) fn report_damage(&self, what: &str) {
        self.damage.get_or_init(|| what.to_owned());
    }

    /// Failed flushes and compactions since it was opened.
    pub(crate) fn background_errors(&self) -> u64 {
        self.db.property_int_value(rocksdb::properties::BACKGROUND_ERRORS).ok().flatten().unwrap_or(0)
    }

    /// Stops compactions, which need room before they free any, or lets them go on.
    pub(crate) fn save_space(&self, save: bool) {
        let value = if save { "true" } else { "false" };
        for table in Table::ALL {
            let set = self.family(table).and_then(|family| {
                Ok(self.db.set_options_cf(&family, &[("disable_auto_compactions", value)])?)
            });
            if let Err(error) = set {
                tracing::warn!(%error, save, "compactions not switched");
            }
        }
    }

    /// Notes damage that a call came upon.
    fn seen<T>(&self, result: Result<T, rocksdb::Error>) -> Result<T, EngineError> {
        if let Err(error) = &result
            && error.kind() == rocksdb::ErrorKind::Corruption
        {
            self.report_damage(error.as_ref());
        }
        Ok(result?)
    }

    /// Lets the directory be removed as soon as nobody reads from it any more.
    pub(crate) fn give_up(&self) {
        self.dir.given_up.store(true, Ordering::Release);
    }

    fn family(&self, table: Table) -> Result<Arc<BoundColumnFamily<'_>>, EngineError> {
        let name = table.name();
        self.db.cf_handle(name).ok_or(EngineError(Cause::MissingFamily(name)))
    }

    /// The value of a key.
    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.seen(self.db.get_cf(&self.family(table)?, key))
    }

    /// An empty batch for this database.
    pub(crate) fn batch(&self) -> Result<Batch<'_>, EngineError> {
        Ok(Batch::new([self.family(Table::Meta)?, self.family(Table::Series)?, self.family(Table::Chunk)?]))
    }

    /// Applies a batch to the memtables, all of it or nothing. Not durable before [`Self::flush`].
    pub(crate) fn write(&self, batch: Batch<'_>) -> Result<(), EngineError> {
        self.seen(self.db.write_without_wal(batch.into_inner()))
    }

    /// Makes everything written durable, all column families at the same point. Files and directory are fsynced.
    pub(crate) fn flush(&self) -> Result<(), EngineError> {
        let handles = [self.family(Table::Meta)?, self.family(Table::Series)?, self.family(Table::Chunk)?];
        let mut wait = FlushOptions::default();
        wait.set_wait(true);
        if bugs::is(Bug::NoAtomicFlush) {
            return self.seen(self.db.flush_cfs_opt(&[&handles[0]], &wait));
        }
        self.seen(self.db.flush_cfs_opt(&[&handles[0], &handles[1], &handles[2]], &wait))
    }

    /// Creates a copy in `target`, which must not exist: hard links where the file system allows them.
    pub(crate) fn checkpoint(&self, target: &Path) -> Result<(), EngineError> {
        Ok(Checkpoint::new(&self.db)?.create_checkpoint(target)?)
    }

    /// Deletes the files that hold nothing but keys of `[from, to)`. Frees the space of deleted ranges at once;
    /// not seen by iterators that are open already.
    pub(crate) fn delete_files(&self, table: Table, from: &[u8], to: &[u8]) -> Result<(), EngineError> {
        Ok(self.db.delete_file_in_range_cf(&self.family(table)?, from, to)?)
    }

    /// Writes the files anew that reach into `[from, to)`, without what was deleted. Blocks until that is done; cheap
    /// after [`Self::delete_files`] of the same range, which leaves at most the two at its ends on each level.
    pub(crate) fn compact(&self, table: Table, from: &[u8], to: &[u8]) -> Result<(), EngineError> {
        let mut options = CompactOptions::default();
        // Others may compact meanwhile.
        options.set_exclusive_manual_compaction(false);
        self.db.compact_range_cf_opt(&self.family(table)?, Some(from), Some(to), &options);
        Ok(())
    }

    /// An iterator over the keys of `[from, to)`, which sees the database as it is now.
    pub(crate) fn range(&self, table: Table, from: &[u8], to: &[u8]) -> Result<RangeIter<'_>, EngineError> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(to);
        let mut iter = self.db.raw_iterator_cf_opt(&self.family(table)?, options);
        iter.seek(from);
        Ok(RangeIter { iter, started: false, of: self })
    }

    /// The greatest key of `[from, to)`.
    pub(crate) fn last_key(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
    ) -> Result<Option<Vec<u8>>, EngineError> {
        let mut options = ReadOptions::default();
        options.set_iterate_range(from..to);
        let mut iter = self.db.raw_iterator_cf_opt(&self.family(table)?, options);
        iter.seek_to_last();
        self.seen(iter.status())?;
        Ok(iter.key().map(<[u8]>::to_vec))
    }

    /// Calls `visit` with each key and value of `[from, to)` in key order until it says to stop.
    pub(crate) fn scan(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        let mut iter = self.range(table, from, to)?;
        while let Some((key, value)) = iter.next()? {
            if visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Bytes of the live files of all column families.
    pub(crate) fn disk_bytes(&self) -> u64 {
        Table::ALL.iter().map(|table| self.table_bytes(*table)).sum()
    }

    /// Bytes of the live files of one column family.
    pub(crate) fn table_bytes(&self, table: Table) -> u64 {
        let Ok(family) = self.family(table) else { return 0 };
        let bytes = self.db.property_int_value_cf(&family, rocksdb::properties::LIVE_SST_FILES_SIZE);
        bytes.ok().flatten().unwrap_or(0)
    }

    /// Writes all files anew, as compaction would in time: what was deleted or overwritten leaves the disk.
    pub(crate) fn compact_all(&self) -> Result<(), EngineError> {
        let mut options = CompactOptions::default();
        options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
        for table in Table::ALL {
            let family = self.family(table)?;
            self.db.compact_range_cf_opt(&family, None::<&[u8]>, None::<&[u8]>, &options);
        }
        Ok(())
    }
}

/// A key and its value, borrowed from an iterator.
pub(crate) type KeyValue<'a> = (&'a [u8], &'a [u8]);

/// A run over a range of keys.
pub(crate) struct RangeIter<'a> {
    iter: DBRawIterator<'a>,
    started: bool,
    of: &'a Rocks,
}

impl RangeIter<'_> {
    /// Goes to the first key at or after this one, forwards or backwards.
    pub(crate) fn seek(&mut self, key: &[u8]) {
        self.iter.seek(key);
        self.started = false;
    }

    /// The next key and value, borrowed until the next call.
    pub(crate) fn next(&mut self) -> Result<Option<KeyValue<'_>>, EngineError> {
        if self.started {
            self.iter.next();
        }
        self.started = true;
        if !self.iter.valid() {
            self.of.seen(self.iter.status())?;
            return Ok(None);
        }
        Ok(self.iter.item())
    }
}
