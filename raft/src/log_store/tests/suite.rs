//! openraft's own suite of what a log store must do, on the log store over RocksDB.

use crate::log_store::LogStore;
use crate::type_config::TypeConfig;
use model::GroupId;
use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use storage::log::{LogDb, LogOptions};
use tempfile::TempDir;

use super::memory_machine::MemoryMachine;

/// Builds a fresh store for each case. With a cache of 0 bytes every read of a durable entry comes from disk.
struct Builder {
    cache_bytes: usize,
}

impl StoreBuilder<TypeConfig, LogStore, MemoryMachine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, MemoryMachine), StorageError<TypeConfig>> {
        let dir = tempfile::tempdir().unwrap();
        let options = LogOptions { cache_bytes: self.cache_bytes, ..LogOptions::default() };
        let log = LogDb::open_with(dir.path(), options).unwrap();
        Ok((dir, LogStore::new(log, GroupId(3)), MemoryMachine::default()))
    }
}

#[tokio::test]
async fn the_log_store_passes_the_suite_from_memory() {
    Suite::test_all(Builder { cache_bytes: 1 << 20 }).await.unwrap();
}

#[tokio::test]
async fn the_log_store_passes_the_suite_from_disk() {
    Suite::test_all(Builder { cache_bytes: 0 }).await.unwrap();
}
