//! What the log takes on disk beyond its entries, and giving it back.
//!
//! A purge frees nothing by itself: the write-ahead files live until the memtable before them is flushed, and table
//! files until a compaction meets them. A maintenance loop calls [`LogDb::tidy`] every few seconds, on a thread that may
//! block. It never waits for the writer, and the writer never for it.

use rocksdb::{FlushOptions, properties};

use super::LogDb;
use super::error::LogError;

/// Files that are smaller than this are left alone, however little of them is in use.
const WASTE_MIN: u64 = 16 << 20;

/// What the log takes on disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogDisk {
    /// Bytes of the entries that are not purged, of all groups.
    pub live_bytes: u64,
    /// Bytes of write-ahead files.
    pub wal_bytes: u64,
    /// Bytes of table files.
    pub table_bytes: u64,
}

impl LogDb {
    /// Measures the files. Reads a directory.
    pub fn disk(&self) -> LogDisk {
        let live_bytes = self.groups.read().values().map(|log| log.lock().sizes.bytes()).sum();
        let files = std::fs::read_dir(self.dir()).into_iter().flatten().flatten();
        let wal = files.filter(|file| file.path().extension().is_some_and(|extension| extension == "log"));
        let wal_bytes = wal.filter_map(|file| Some(file.metadata().ok()?.len())).sum();
        let table_bytes = self.db.property_int_value(properties::TOTAL_SST_FILES_SIZE).ok().flatten();
        LogDisk { live_bytes, wal_bytes, table_bytes: table_bytes.unwrap_or(0) }
    }

    /// Frees files of which more than half is purged. Returns what is left.
    ///
    /// # Errors
    ///
    /// [`LogError::Poisoned`] if the log takes nothing more. A flush that fails says so at the next write.
    pub fn tidy(&self) -> Result<LogDisk, LogError> {
        self.check()?;
        let disk = self.disk();
        let wasteful = |bytes: u64| bytes >= WASTE_MIN && bytes / 2 > disk.live_bytes;
        let failed = |error: rocksdb::Error| tracing::warn!(%error, "the raft log was not tidied");
        if wasteful(disk.wal_bytes) {
            // What was purged before the flush never reaches a table file.
            self.db.flush_opt(&FlushOptions::default()).unwrap_or_else(failed);
        }
        if wasteful(disk.table_bytes) {
            self.db.compact_range(None::<&[u8]>, None::<&[u8]>);
        }
        Ok(self.disk())
    }
}
