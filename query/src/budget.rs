//! What one query may use: memory, buckets, series, time. Shared by all threads that work for it.
//!
//! Loops call [`Budget::check`] now and then, and [`Budget::charge`] before they keep something. What is let go early and
//! would add up is given back with [`Budget::release`]; everything else counts until the query ends, which errs on the
//! safe side. The budgets of a node draw on one [`MemoryPool`].

use crate::error::QueryError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// Bytes that a query takes from the pool at once: few queries are larger, and the pool is one counter for all threads.
const POOL_STEP: u64 = 64 << 10;

/// Limits of one query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryLimits {
    /// Bytes that partials, intermediate results and the answer may take together.
    pub memory_bytes: u64,
    /// GROUP BY time buckets a series may have.
    pub buckets_max: u64,
    /// Series a SELECT may read; 0 is no limit.
    pub series_max: u64,
    /// Points a SELECT may read; 0 is no limit.
    pub points_max: u64,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self { memory_bytes: 256 << 20, buckets_max: 1_000_000, series_max: 0, points_max: 0 }
    }
}

/// Memory that all queries of a node share.
#[derive(Debug)]
pub struct MemoryPool {
    limit: u64,
    used: AtomicU64,
}

impl MemoryPool {
    /// A pool of so many bytes.
    pub fn new(limit: u64) -> Self {
        Self { limit, used: AtomicU64::new(0) }
    }

    /// Bytes that queries hold now, rounded up a little for each.
    pub fn used_bytes(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: u64) -> Result<(), QueryError> {
        let used = self.used.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if used <= self.limit {
            return Ok(());
        }
        self.give(bytes);
        let limit = self.limit;
        Err(QueryError::Overloaded(format!(
            "memory of all queries exceeded: ({used}/{limit} bytes); try again later, ask for less, or raise query.memory_total"
        )))
    }

    fn give(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The account of one query.
#[derive(Debug)]
pub struct Budget {
    limits: QueryLimits,
    deadline: Instant,
    used_bytes: AtomicU64,
    /// Bytes taken from the pool; given back at the end.
    taken_bytes: AtomicU64,
    pool: Option<Arc<MemoryPool>>,
    series: AtomicU64,
    points: AtomicU64,
    cancelled: AtomicBool,
}

impl Drop for Budget {
    fn drop(&mut self) {
        if let Some(pool) = &self.pool {
            pool.give(*self.taken_bytes.get_mut());
        }
    }
}

impl Budget {
    /// An unused budget that ends at `deadline` and shares memory with nobody.
    pub fn new(limits: &QueryLimits, deadline: Instant) -> Self {
        Self::drawing_on(None, limits, deadline)
    }

    /// An unused budget that ends at `deadline` and draws on a pool.
    pub fn with_pool(limits: &QueryLimits, deadline: Instant, pool: Arc<MemoryPool>) -> Self {
        Self::drawing_on(Some(pool), limits, deadline)
    }

    fn drawing_on(pool: Option<Arc<MemoryPool>>, limits: &QueryLimits, deadline: Instant) -> Self {
        Self {
            limits: *limits,
            deadline,
            used_bytes: AtomicU64::new(0),
            taken_bytes: AtomicU64::new(0),
            pool,
            series: AtomicU64::new(0),
            points: AtomicU64::new(0),
            cancelled: AtomicBool::new(false),
        }
    }

    /// Forgets what was used: the query begins again, and none of its threads is left.
    pub fn begin_again(&self) {
        for used in [&self.used_bytes, &self.series, &self.points] {
            used.store(0, Ordering::Relaxed);
        }
    }

    /// Makes every thread of the query stop at its next check.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Bytes charged now.
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes.load(Ordering::Relaxed)
    }

    /// Whether the query may go on.
    ///
    /// # Errors
    ///
    /// [`QueryError::Cancelled`], or [`QueryError::LimitExceeded`] after the deadline.
    pub fn check(&self) -> Result<(), QueryError> {
        if self.is_cancelled() {
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
    /// [`QueryError::MemoryExceeded`] when the query would hold more than it may, [`QueryError::Overloaded`] when all
    /// queries together would.
    pub fn charge(&self, bytes: usize) -> Result<(), QueryError> {
        let bytes = bytes as u64;
        let used = self.used_bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if used > self.limits.memory_bytes {
            return Err(self.memory_exceeded(used));
        }
        let Some(pool) = &self.pool else { return Ok(()) };
        loop {
            let taken = self.taken_bytes.load(Ordering::Relaxed);
            if used <= taken {
                return Ok(());
            }
            let step = (used - taken).next_multiple_of(POOL_STEP);
            pool.take(step)?;
            self.taken_bytes.fetch_add(step, Ordering::Relaxed);
        }
    }

    /// Gives memory back that was charged. It stays with the query, for what comes next.
    pub fn release(&self, bytes: usize) {
        self.used_bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
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
            // 1.x stops at the first one too many; how many more there are depends on who counts first.
            let text = format!("max-select-series limit exceeded: ({}/{limit})", limit + 1);
            return Err(QueryError::LimitExceeded(text));
        }
        Ok(())
    }

    /// Counts points that are read, also those that a summary of a chunk stands for.
    ///
    /// # Errors
    ///
    /// [`QueryError::LimitExceeded`] with InfluxDB 1.x's text.
    pub fn charge_points(&self, count: u64) -> Result<(), QueryError> {
        let limit = self.limits.points_max;
        let used = self.points.fetch_add(count, Ordering::Relaxed).saturating_add(count);
        if limit > 0 && used > limit {
            let text = format!("max-select-point limit exceeed: ({used}/{limit})");
            return Err(QueryError::LimitExceeded(text));
        }
        Ok(())
    }

    /// Whether so many bytes more could be charged, without charging them: asked before work that is in vain if not.
    ///
    /// # Errors
    ///
    /// [`QueryError::MemoryExceeded`].
    pub fn expect(&self, bytes: u64) -> Result<(), QueryError> {
        let expected = self.used_bytes().saturating_add(bytes);
        if expected > self.limits.memory_bytes { Err(self.memory_exceeded(expected)) } else { Ok(()) }
    }

    /// Bytes the query may hold.
    pub fn memory_max(&self) -> u64 {
        self.limits.memory_bytes
    }

    fn memory_exceeded(&self, used: u64) -> QueryError {
        let limit = self.limits.memory_bytes;
        QueryError::MemoryExceeded(format!(
            "max-query-memory limit exceeded: ({used}/{limit} bytes); ask for fewer series, a shorter time range or larger windows, or raise query.memory_per_query"
        ))
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

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    fn budget(limits: QueryLimits) -> Budget {
        Budget::new(&limits, later())
    }

    #[test]
    fn limits_hold_at_n_and_break_at_n_plus_one() {
        let limits = QueryLimits { memory_bytes: 10, buckets_max: 10, series_max: 3, points_max: 20 };
        let budget = budget(limits);
        budget.charge(10).unwrap();
        assert!(matches!(budget.charge(1), Err(QueryError::MemoryExceeded(_))));
        budget.check_buckets(10).unwrap();
        let error = budget.check_buckets(11).unwrap_err();
        assert_eq!(error.to_string(), "max-select-buckets limit exceeded: (11/10)");
        budget.charge_series(3).unwrap();
        assert_eq!(
            budget.charge_series(1).unwrap_err().to_string(),
            "max-select-series limit exceeded: (4/3)"
        );
        budget.charge_points(20).unwrap();
        let error = budget.charge_points(2).unwrap_err();
        assert_eq!(error.to_string(), "max-select-point limit exceeed: (22/20)");
        budget.expect(0).unwrap_err();
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let budget = budget(QueryLimits { memory_bytes: 10, ..QueryLimits::default() });
        for _ in 0..5 {
            budget.charge(10).unwrap();
            budget.release(10);
        }
        assert_eq!(budget.used_bytes(), 0);
    }

    #[test]
    fn queries_share_a_pool_and_give_back_what_they_took() {
        let pool = Arc::new(MemoryPool::new(3 * POOL_STEP));
        let limits = QueryLimits::default();
        let first = Budget::with_pool(&limits, later(), Arc::clone(&pool));
        let second = Budget::with_pool(&limits, later(), Arc::clone(&pool));
        first.charge(1).unwrap();
        first.charge(2 * POOL_STEP as usize - 1).unwrap();
        second.charge(POOL_STEP as usize).unwrap();
        assert_eq!(pool.used_bytes(), 3 * POOL_STEP);
        let error = second.charge(1).unwrap_err();
        assert!(
            matches!(&error, QueryError::Overloaded(text) if text.contains("query.memory_total")),
            "{error}"
        );
        assert_eq!(pool.used_bytes(), 3 * POOL_STEP, "what was refused is not held");
        drop(first);
        second.charge(1).unwrap();
        drop(second);
        assert_eq!(pool.used_bytes(), 0);
    }

    #[test]
    fn a_query_that_begins_again_may_use_everything() {
        let limits = QueryLimits { memory_bytes: 10, buckets_max: 10, series_max: 3, points_max: 20 };
        let budget = budget(limits);
        for _ in 0..2 {
            budget.charge(10).unwrap();
            budget.charge_series(3).unwrap();
            budget.charge_points(20).unwrap();
            budget.begin_again();
        }
        assert_eq!(budget.used_bytes(), 0);
    }

    #[test]
    fn a_cancelled_query_stops() {
        let budget = budget(QueryLimits::default());
        budget.check().unwrap();
        budget.cancel();
        assert!(matches!(budget.check(), Err(QueryError::Cancelled)));
    }
}
