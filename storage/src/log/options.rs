//! How the Raft log is tuned: its own limits, and RocksDB's options with the reason for each that is not a default.

use rocksdb::{DBCompressionType, DBRecoveryMode, Options};

use super::faults::SyncFaults;

/// The limits of one log. The defaults suit a node with a handful of groups.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// Bytes that may wait for the writer, all groups together; who comes later waits without blocking a thread.
    /// An operation counts at least 4 KiB. Default 64 MiB.
    pub queue_bytes: usize,
    /// Bytes of the newest entries kept in memory for each group, so that replication does not read the disk.
    /// Entries that are not yet durable are kept beyond it. Default 1 MiB: some 100,000 points, and a follower that is
    /// further behind reads what is in RocksDB's memory as well.
    pub cache_bytes: usize,
    /// Whether nobody writes by himself: no thread is started, and whoever opened the log calls
    /// [`LogDb::write_round`](super::LogDb::write_round) when the disk is to do something. For simulations. Default no.
    pub by_hand: bool,
    /// Faults of the disk, for tests. Default none.
    pub faults: SyncFaults,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { queue_bytes: 64 << 20, cache_bytes: 1 << 20, by_hand: false, faults: SyncFaults::default() }
    }
}

/// RocksDB's options of the log.
pub(super) fn rocksdb_options() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    // The default mode opens after a flipped bit and silently drops all that follows it: lost votes and lost
    // acknowledged entries. This one refuses, and still forgives the torn tail that every power loss leaves.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    // A recycled file ends in old records, which would make a torn tail look like a damaged middle.
    options.set_recycle_log_file_num(0);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_paranoid_checks(true);
    // Two of them are merged before a flush, so that entries purged soon never reach a table file. There are four at
    // most, so the log takes up to 64 MiB of memory under a heavy load, and a start replays no more than that.
    options.set_write_buffer_size(16 << 20);
    options.set_max_write_buffer_number(4);
    options.set_min_write_buffer_number_to_merge(2);
    options.set_max_total_wal_size(512 << 20);
    options.set_manifest_preallocation_size(64 << 10);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_max_background_jobs(2);
    options.set_keep_log_file_num(5);
    options.set_max_open_files(256);
    options
}
