//! What an operator may tune about the disk. Nothing here may change what is stored: replicas must stay equal.

/// Sizes that all groups of a process share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageConfig {
    /// Bytes of decompressed blocks kept in memory, all groups together, including memtables.
    /// More is faster queries over data that was sealed. Default 256 MiB, minimum 8 MiB.
    pub block_cache_bytes: usize,
    /// Bytes of memtables, all groups together. A flush passes its chunks through them. Default 128 MiB, minimum
    /// 16 MiB.
    pub write_buffer_bytes: usize,
    /// Threads that flush and compact, all groups together. Default 2, minimum 1.
    pub background_threads: u32,
    /// Bytes per second that flushes and compactions of one group may write at most, so that they leave the disk to
    /// the Raft log. Default 64 MiB, minimum 1 MiB.
    pub background_bytes_per_second: u64,
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self {
            block_cache_bytes: 256 << 20,
            write_buffer_bytes: 128 << 20,
            background_threads: 2,
            background_bytes_per_second: 64 << 20,
        }
    }
}

impl StorageConfig {
    /// The same, with every value raised to its documented minimum.
    #[must_use]
    pub fn at_least_minimum(&self) -> Self {
        Self {
            block_cache_bytes: self.block_cache_bytes.max(8 << 20),
            write_buffer_bytes: self.write_buffer_bytes.max(16 << 20),
            background_threads: self.background_threads.max(1),
            background_bytes_per_second: self.background_bytes_per_second.max(1 << 20),
        }
    }
}
