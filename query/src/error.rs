//! Why a statement has no answer.

use model::scan::ScanError;

/// Why planning or execution ended without an answer. Nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QueryError {
    /// The statement is wrong or asks for what is not offered; the text goes into the result, as InfluxDB 1.x does.
    #[error("{0}")]
    Statement(String),
    /// A limit of InfluxDB 1.x on buckets, series, points or time was exceeded; the text is 1.x's.
    #[error("{0}")]
    LimitExceeded(String),
    /// The query would hold more memory than it may, which 1.x does not limit; the text names limit and value.
    #[error("{0}")]
    MemoryExceeded(String),
    /// The node has no room for the query now; the same query may be answered later.
    #[error("{0}")]
    Overloaded(String),
    /// The client went away or the query was killed.
    #[error("query interrupted")]
    Cancelled,
    /// A replica could not be read.
    #[error("scan failed: {0}")]
    Scan(#[from] ScanError),
}

impl QueryError {
    /// A [`QueryError::Statement`] with this text.
    pub fn statement(text: impl Into<String>) -> Self {
        Self::Statement(text.into())
    }
}
