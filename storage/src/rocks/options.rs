//! How state databases are tuned, with the reason for each option that is not a default.

use super::{Shared, Table};
use crate::bugs::{self, Bug};
use rocksdb::{BlockBasedOptions, ChecksumType, DBCompressionType, LogLevel, MergeOperands, Options};

/// Options of the whole database.
pub(super) fn database(shared: &Shared) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    // Without a WAL the column families would come back from a crash at different points otherwise.
    options.set_atomic_flush(!bugs::is(Bug::NoAtomicFlush));
    options.set_env(shared.env());
    options.set_write_buffer_manager(shared.write_buffers());
    options.set_max_background_jobs(
        i32::try_from(shared.config().background_threads).unwrap_or(i32::MAX).saturating_add(1),
    );
    let rate = i64::try_from(shared.config().background_bytes_per_second).unwrap_or(i64::MAX);
    options.set_auto_tuned_ratelimiter(rate, 100_000, 10);
    options.set_bytes_per_sync(1 << 20);
    options.set_paranoid_checks(true);
    options.set_max_open_files(512);
    options.set_skip_stats_update_on_db_open(true);
    options.set_max_manifest_file_size(16 << 20);
    // The default takes 4 MiB of disk for each group, of which next to nothing is ever written.
    options.set_manifest_preallocation_size(64 << 10);
    options.set_keep_log_file_num(2);
    options.set_log_level(LogLevel::Warn);
    options.set_stats_dump_period_sec(0);
    options
}

/// Options of one column family.
pub(super) fn family(table: Table, shared: &Shared) -> Options {
    let mut options = Options::default();
    options.set_level_compaction_dynamic_level_bytes(true);
    // Data must never expire by the wall clock of one node: replicas would differ.
    options.set_periodic_compaction_seconds(0);
    options.set_ttl(0);
    options.set_block_based_table_factory(&blocks(shared));
    match table {
        Table::Meta => {
            options.set_write_buffer_size(4 << 20);
            options.set_compression_type(DBCompressionType::Lz4);
        }
        Table::Series => {
            options.set_write_buffer_size(16 << 20);
            options.set_compression_type(DBCompressionType::Lz4);
            options.set_bottommost_compression_type(DBCompressionType::Zstd);
        }
        Table::Chunk => {
            options.set_write_buffer_size(32 << 20);
            // Chunks are dense already; this mostly squeezes keys and headers.
            options.set_compression_type(DBCompressionType::Lz4);
            options.set_bottommost_compression_type(DBCompressionType::Zstd);
            options.set_merge_operator_associative("chunk.concat.1", concatenate);
        }
    }
    // Small arenas: many groups share a process and most memtables stay small.
    options.set_arena_block_size(256 << 10);
    options
}

fn blocks(shared: &Shared) -> BlockBasedOptions {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_size(16 << 10);
    blocks.set_block_cache(shared.cache());
    blocks.set_format_version(6);
    blocks.set_ribbon_filter(10.0);
    blocks.set_optimize_filters_for_memory(true);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    blocks.set_checksum_type(ChecksumType::XXH3);
    blocks
}

/// Appends the operands to the value: total and associative, because it runs inside RocksDB's threads.
#[expect(clippy::unnecessary_wraps, reason = "the signature is RocksDB's")]
fn concatenate(_key: &[u8], existing: Option<&[u8]>, operands: &MergeOperands) -> Option<Vec<u8>> {
    let len = existing.map_or(0, <[u8]>::len) + operands.iter().map(<[u8]>::len).sum::<usize>();
    let mut value = Vec::with_capacity(len);
    value.extend_from_slice(existing.unwrap_or_default());
    for operand in operands {
        value.extend_from_slice(operand);
    }
    Some(value)
}
