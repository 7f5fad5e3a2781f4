//! What all databases of a process share: threads, block cache, write buffer budget.

use super::EngineError;
use crate::config::StorageConfig;
use rocksdb::{Cache, Env, WriteBufferManager};
use std::fmt;
use std::sync::Arc;

/// The resources that every state database of a process is opened with. Cheap to clone; make one per process.
#[derive(Clone)]
pub struct Shared {
    inner: Arc<Inner>,
}

struct Inner {
    env: Env,
    cache: Cache,
    write_buffers: WriteBufferManager,
    config: StorageConfig,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("config", &self.inner.config).finish_non_exhaustive()
    }
}

impl Shared {
    /// Creates threads and caches. Values below their minimum are raised to it.
    ///
    /// # Errors
    ///
    /// [`EngineError`] when RocksDB cannot start its environment.
    pub fn new(config: &StorageConfig) -> Result<Self, EngineError> {
        let config = config.at_least_minimum();
        let mut env = Env::new()?;
        let threads = i32::try_from(config.background_threads).unwrap_or(i32::MAX);
        env.set_background_threads(threads);
        // Flushes have their own thread: a checkpoint must not wait for a compaction.
        env.set_high_priority_background_threads(1);
        let cache = Cache::new_hyper_clock_cache(config.block_cache_bytes, 0);
        // Never stall writers: a stall here would hold up applies, and with them the leader's answers.
        let write_buffers = WriteBufferManager::new_write_buffer_manager_with_cache(
            config.write_buffer_bytes,
            false,
            cache.clone(),
        );
        Ok(Self { inner: Arc::new(Inner { env, cache, write_buffers, config }) })
    }

    pub(super) fn env(&self) -> &Env {
        &self.inner.env
    }

    pub(super) fn cache(&self) -> &Cache {
        &self.inner.cache
    }

    pub(super) fn write_buffers(&self) -> &WriteBufferManager {
        &self.inner.write_buffers
    }

    pub(super) fn config(&self) -> &StorageConfig {
        &self.inner.config
    }
}
