//! What a query reads from one replica of one group: series by tag predicate, then column chunks by time range.
//!
//! Storage implements [`GroupReader`], `query` folds over it; neither knows the other. Chunks are handed out lazily:
//! a window that covers a whole chunk folds its [`ChunkStats`] and never decodes it.

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

/// A run of points of one field of one series, decoded only when asked.
pub trait Chunk: Send {
    /// The times of the first and of the last point, both inclusive.
    fn bounds(&self) -> (i64, i64);

    /// The summary of *all* points of the chunk, if it is known without decoding.
    fn stats(&self) -> Option<ChunkStats>;

    /// All points of the chunk, including those outside the scanned range.
    ///
    /// # Errors
    ///
    /// [`ScanError`] when the bytes on disk are damaged or cannot be read.
    fn decode(&self) -> Result<ColumnBatch, ScanError>;
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

    /// Fields that have at least one point in this retention policy, of this measurement.
    fn fields(
        &self,
        database: DatabaseId,
        policy: RetentionPolicyId,
        measurement: &str,
    ) -> BTreeMap<FieldId, FieldType>;

    /// Chunks of one field of one series that overlap the range: in order of time, not overlapping each other, last
    /// write already won. Chunks may reach beyond the range. Empty if there is none.
    ///
    /// # Errors
    ///
    /// [`ScanError::Io`] when the disk cannot be read.
    fn scan(
        &self,
        policy: RetentionPolicyId,
        series: SeriesId,
        field: FieldId,
        range: TimeRange,
    ) -> Result<Vec<Box<dyn Chunk>>, ScanError>;

    /// Whether the series has a point of any field in the policies and the range, for time-bounded SHOW statements;
    /// may say yes for a series with points in the same shard group only.
    fn is_active(&self, series: SeriesId, range: TimeRange) -> bool;
}
