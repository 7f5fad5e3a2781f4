//! What a query reads from one replica of one group: series by tag predicate, then column chunks by time range.
//!
//! Storage implements [`GroupReader`], `query` folds over it; neither knows the other. Chunks are handed out one at a
//! time: who has enough stops, and a window that covers a whole chunk folds its [`ChunkStats`] and never decodes it.

use crate::id::{DatabaseId, FieldId, RetentionPolicyId, SeriesId};
use crate::predicate::TagPredicate;
use crate::time::TimeRange;
use crate::value::{FieldType, FieldValue, Values};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

/// One series of a group: what is needed to group and to scan it.
#[derive(Debug, Clone)]
pub struct SeriesRef {
    /// Its id within the group.
    pub id: SeriesId,
    /// Its tags, sorted by key, unescaped; bytes that are not UTF-8 show as U+FFFD.
    pub tags: Arc<[(Arc<str>, Arc<str>)]>,
}

impl SeriesRef {
    /// The value of a tag, `""` if the series lacks it.
    pub fn tag(&self, key: &str) -> &str {
        self.tags.binary_search_by(|(k, _)| (**k).cmp(key)).map_or("", |i| &self.tags[i].1)
    }
}

/// A summary of a chunk's values: enough for count, sum, mean, min, max, spread, first and last.
#[derive(Debug, Clone, PartialEq)]
pub struct ChunkStats {
    /// Number of points, at least 1.
    pub count: u64,
    /// Sum of the values: exact (wrapping) for integers, in time order for floats; `None` for strings and booleans.
    pub sum: Option<FieldValue>,
    /// Least value and the earliest time it has; `None` for strings.
    pub min: Option<(i64, FieldValue)>,
    /// Greatest value and the earliest time it has; `None` for strings.
    pub max: Option<(i64, FieldValue)>,
    /// First point.
    pub first: (i64, FieldValue),
    /// Last point.
    pub last: (i64, FieldValue),
}

/// Times and values of one field of one series, sorted by time, each time once.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnBatch {
    /// ns since the epoch, strictly rising.
    pub times: Vec<i64>,
    /// As many values as times.
    pub values: Values,
}

impl Default for ColumnBatch {
    /// No points.
    fn default() -> Self {
        Self { times: Vec::new(), values: Values::Float(Vec::new()) }
    }
}

/// In which direction a column is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Oldest chunk first.
    Ascending,
    /// Newest chunk first. Points within a chunk rise in time all the same.
    Descending,
}

/// The times of a chunk's first and last point, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Time of the first point, ns.
    pub first: i64,
    /// Time of the last point, ns.
    pub last: i64,
}

/// What reading a chunk costs, for EXPLAIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChunkCost {
    /// Encoded blocks.
    pub blocks: u64,
    /// Their bytes.
    pub block_bytes: u64,
    /// Points in memory.
    pub cached: u64,
}

impl ChunkCost {
    /// Adds another chunk.
    pub fn add(&mut self, other: Self) {
        self.blocks += other.blocks;
        self.block_bytes += other.block_bytes;
        self.cached += other.cached;
    }
}

/// Windows of the same length from the beginning to the end of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvenWindows {
    /// ns; 0 is one window over all of time.
    pub length: u64,
    /// Where one of them begins, ns.
    pub offset: i64,
}

impl EvenWindows {
    /// Whether both times lie in the same window.
    pub fn hold(self, bounds: Bounds) -> bool {
        let place =
            |time: i64| (i128::from(time) - i128::from(self.offset)).div_euclid(i128::from(self.length));
        self.length == 0 || place(bounds.first) == place(bounds.last)
    }
}

/// One field of one series after the other, chunk by chunk. Holds one chunk at a time, whatever the range is.
///
/// Chunks come in the order asked for and do not overlap each other; the last write has won already. A chunk may reach
/// beyond the range: there it may lack what was written last, so the reader looks at the times in the range only.
pub trait ColumnReader {
    /// Starts with another series; what was left of the one before is forgotten.
    ///
    /// # Errors
    ///
    /// [`ScanError::Replaced`]: nothing more is read from this reader.
    fn seek(&mut self, series: SeriesId, range: TimeRange, order: Order) -> Result<(), ScanError>;

    /// Moves to the next chunk that overlaps the range. `None` at the end.
    ///
    /// # Errors
    ///
    /// [`ScanError`] when the bytes on disk are damaged or cannot be read.
    fn next_chunk(&mut self) -> Result<Option<Bounds>, ScanError>;

    /// Tells that the points of a chunk will not be decoded if it lies in one of these windows and has a summary, so that
    /// they need not be brought from another node. They can be decoded all the same.
    fn expect_windows(&mut self, _windows: EvenWindows) {}

    /// What reading the chunk costs.
    fn cost(&self) -> ChunkCost {
        ChunkCost::default()
    }

    /// The summary of the chunk, if it lies in the range as a whole and its summary is known without decoding.
    fn stats(&self) -> Option<ChunkStats>;

    /// Puts all points of the chunk into `batch`, in place of what was there; its buffers are used again.
    ///
    /// # Errors
    ///
    /// As [`ColumnReader::next_chunk`].
    fn decode(&mut self, batch: &mut ColumnBatch) -> Result<(), ScanError>;
}

/// One retention policy of a group, open for reading. Columns see every point that was there when they were sought.
pub trait PolicyReader {
    /// A reader of one field. What it opens on disk serves all the series that it is moved to.
    fn column(&self, field: FieldId) -> Box<dyn ColumnReader + '_>;

    /// Tells which series columns will be moved to, and in which order, so that a replica on another node is not asked for
    /// each by itself. Some of them may be left out.
    fn announce(&self, _series: &[SeriesRef]) {}
}

/// A chunk read whole; see [`GroupReader::scan`].
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// First and last time.
    pub bounds: Bounds,
    /// As [`ColumnReader::stats`].
    pub stats: Option<ChunkStats>,
    /// All points of the chunk.
    pub batch: ColumnBatch,
}

/// Why a scan could not be answered. Nothing was changed; the caller reports it and may ask another replica.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ScanError {
    /// Bytes on disk do not have their checksum or their format.
    #[error("damaged chunk of series {series} field {field}: {reason}")]
    Damaged {
        /// The series it belongs to.
        series: SeriesId,
        /// The field it belongs to.
        field: FieldId,
        /// What did not fit.
        reason: String,
    },
    /// The disk could not be read.
    #[error("read failed: {0}")]
    Io(String),
    /// A snapshot took the place of the state while it was read: open the policy again and start over.
    #[error("the state was replaced while it was read")]
    Replaced,
}

/// A consistent view of one group's replica. All methods are synchronous and may read the disk.
pub trait GroupReader: Send + Sync + Debug {
    /// Names of the measurements of a database that have a series here.
    fn measurements(&self, database: DatabaseId) -> Vec<Arc<str>>;

    /// The series of a measurement that satisfy the predicate, ordered by tag set.
    fn series(&self, database: DatabaseId, measurement: &str, predicate: &TagPredicate) -> Vec<SeriesRef>;

    /// Tag keys of the series that satisfy the predicate.
    fn tag_keys(
        &self,
        database: DatabaseId,
        measurement: &str,
        predicate: &TagPredicate,
    ) -> BTreeSet<Arc<str>>;

    /// Values of one tag key over the series that satisfy the predicate.
    fn tag_values(
        &self,
        database: DatabaseId,
        measurement: &str,
        key: &str,
        predicate: &TagPredicate,
    ) -> BTreeSet<Arc<str>>;

    /// Fields of the measurement that have at least one point in this retention policy, in a shard group that overlaps the
    /// range.
    fn fields(
        &self,
        database: DatabaseId,
        policy: RetentionPolicyId,
        measurement: &str,
        range: TimeRange,
    ) -> BTreeMap<FieldId, FieldType>;

    /// Opens a retention policy for reading columns.
    fn open(&self, policy: RetentionPolicyId) -> Box<dyn PolicyReader>;

    /// All chunks of one field of one series that overlap the range, oldest first, each read whole. Takes the memory of all
    /// of them: queries use [`GroupReader::open`].
    ///
    /// # Errors
    ///
    /// Those of [`ColumnReader`].
    fn scan(
        &self,
        policy: RetentionPolicyId,
        series: SeriesId,
        field: FieldId,
        range: TimeRange,
    ) -> Result<Vec<Run>, ScanError> {
        let policy = self.open(policy);
        let mut column = policy.column(field);
        column.seek(series, range, Order::Ascending)?;
        let mut runs = Vec::new();
        while let Some(bounds) = column.next_chunk()? {
            let mut batch = ColumnBatch::default();
            column.decode(&mut batch)?;
            runs.push(Run { bounds, stats: column.stats(), batch });
        }
        Ok(runs)
    }

    /// The slices of time of a policy that have series here, in order; for statements that tell about the storage.
    fn slices(&self, _policy: RetentionPolicyId) -> Vec<TimeRange> {
        Vec::new()
    }

    /// Whether the series has a point of any field in the range, in this policy or, without one, in any; for time-bounded
    /// SHOW statements. May say yes for a series with points in the same shard group only.
    fn is_active(&self, series: SeriesId, policy: Option<RetentionPolicyId>, range: TimeRange) -> bool;
}
