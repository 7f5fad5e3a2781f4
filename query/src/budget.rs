//! What one query may use: memory, buckets, series, time. Shared by all threads that work for it.
//!
//! Loops call [`Budget::check`] now and then, and [`Budget::charge`] before they keep something. Charges add up over
//! the query's life: an intermediate result that was let go still counts, which errs on the safe side.

use crate::error::QueryError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// Limits of one query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryLimits {
    /// Bytes that partials, intermediate results and the answer may take together.
    pub memory_bytes: u64,
    /// GROUP BY time buckets a series may have.
    pub buckets_max: u64,
    /// Series a SELECT may read; 0 is no limit.
    pub series_max: u64,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self { memory_bytes: 256 << 20, buckets_max: 1_000_000, series_max: 0 }
    }
}

/// The account of one query.
#[derive(Debug)]
pub struct Budget {
    limits: QueryLimits,
    deadline: Instant,
    used_bytes: AtomicU64,
    series: AtomicU64,
    cancelled: AtomicBool,
}

impl Budget {
    /// An unused budget that ends at `deadline`.
    pub fn new(limits: &QueryLimits, deadline: Instant) -> Self {
        Self {
            limits: *limits,
            deadline,
            used_bytes: AtomicU64::new(0),
            series: AtomicU64::new(0),
            cancelled: AtomicBool::new(false),
        }
    }

    /// Makes every thread of the query stop at its next check.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Bytes charged so far.
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes.load(Ordering::Relaxed)
    }

    /// Whether the query may go on.
    ///
    /// # Errors
    ///
    /// [`QueryError::Cancelled`], or [`QueryError::LimitExceeded`] after the deadline.
    pub fn check(&self) -> Result<(), QueryError> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(QueryError::Cancelled);
        }
        if Instant::now() >= self.deadline {
            return Err(QueryError::LimitExceeded("query-timeout limit exceeded".to_owned()));
        }
        Ok(())
    }

    /// Takes memory.
    ///
    /// # Errors
    ///
    /// [`QueryError::LimitExceeded`] when the query would hold more than it may.
    pub fn charge(&self, bytes: usize) -> Result<(), QueryError> {
        let bytes = bytes as u64;
        let used = self.used_bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if used > self.limits.memory_bytes {
            let limit = self.limits.memory_bytes;
            return Err(QueryError::LimitExceeded(format!(
                "max-query-memory limit exceeded: ({used}/{limit} bytes)"
            )));
        }
        Ok(())
    }

    /// Counts series that are read.
    ///
    /// # Errors
    ///
    /// [`QueryError::LimitExceeded`] with InfluxDB 1.x's text.
    pub fn charge_series(&self, count: usize) -> Result<(), QueryError> {
        let count = count as u64;
        let used = self.series.fetch_add(count, Ordering::Relaxed).saturating_add(count);
        let limit = self.limits.series_max;
        if limit > 0 && used > limit {
            let text = format!("max-select-series limit exceeded: ({used}/{limit})");
            return Err(QueryError::LimitExceeded(text));
        }
        Ok(())
    }

    /// Whether a series may have so many buckets.
    ///
    /// # Errors
    ///
    /// [`QueryError::LimitExceeded`] with InfluxDB 1.x's text.
    pub fn check_buckets(&self, buckets: u64) -> Result<(), QueryError> {
        let limit = self.limits.buckets_max;
        if limit > 0 && buckets > limit {
            let text = format!("max-select-buckets limit exceeded: ({buckets}/{limit})");
            return Err(QueryError::LimitExceeded(text));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn budget(limits: QueryLimits) -> Budget {
        Budget::new(&limits, Instant::now() + Duration::from_secs(60))
    }

    #[test]
    fn limits_hold_at_n_and_break_at_n_plus_one() {
        let limits = QueryLimits { memory_bytes: 10, buckets_max: 10, series_max: 3 };
        let budget = budget(limits);
        budget.charge(10).unwrap();
        assert!(matches!(budget.charge(1), Err(QueryError::LimitExceeded(_))));
        budget.check_buckets(10).unwrap();
        let error = budget.check_buckets(11).unwrap_err();
        assert_eq!(error.to_string(), "max-select-buckets limit exceeded: (11/10)");
        budget.charge_series(3).unwrap();
        assert_eq!(
            budget.charge_series(1).unwrap_err().to_string(),
            "max-select-series limit exceeded: (4/3)"
        );
    }

    #[test]
    fn a_cancelled_query_stops() {
        let budget = budget(QueryLimits::default());
        budget.check().unwrap();
        budget.cancel();
        assert!(matches!(budget.check(), Err(QueryError::Cancelled)));
    }
}
