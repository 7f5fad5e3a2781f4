//! Where the memory of a store goes, for metrics and for whoever wants less of it.

use super::ShardStore;
use super::index::bitmap_bytes;

/// Bytes in memory by part, within some per cent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShardMemory {
    /// Identities of all series that were ever seen.
    pub series: u64,
    /// Tag keys and values, each once.
    pub strings: u64,
    /// Which tags a series has.
    pub tag_sets: u64,
    /// Which series have a tag.
    pub postings: u64,
    /// Which series have points in a partition.
    pub activity: u64,
    /// Points that are not sealed.
    pub heads: u64,
    /// Keys of series that are not on disk yet.
    pub new_keys: u64,
}

impl ShardMemory {
    /// All of it.
    pub fn total(&self) -> u64 {
        let Self { series, strings, tag_sets, postings, activity, heads, new_keys } = *self;
        series + strings + tag_sets + postings + activity + heads + new_keys
    }
}

impl ShardStore {
    /// What is in memory. Cost: walks all strings, values and bitmaps under the read lock, some ten milliseconds with
    /// 100,000 series: not for every scrape of the metrics.
    pub fn memory(&self) -> ShardMemory {
        let state = self.inner.state.read();
        let index = state.index.bytes();
        let partitions = || state.policies.values().flat_map(|policy| policy.partitions.values());
        let activity = partitions().map(|partition| {
            let columns = partition.columns.values().map(bitmap_bytes).sum::<usize>();
            columns + partition.columns.allocation_size() + bitmap_bytes(&partition.series)
        });
        let heads = partitions().flat_map(|p| p.frozen.as_deref().into_iter().chain([&p.head]));
        ShardMemory {
            series: state.series.bytes() as u64,
            strings: index.strings as u64,
            tag_sets: index.tag_sets as u64,
            postings: index.postings as u64,
            activity: activity.sum::<usize>() as u64,
            heads: heads.map(|head| head.bytes() as u64).sum(),
            new_keys: state.pending.series.bytes() as u64,
        }
    }
}
