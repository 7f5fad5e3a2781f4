//! Times (ns since the epoch, may be negative) and half-open ranges of them.

/// Least time a point may have: `i64::MIN + 2`, as in InfluxDB 1.x `models/time.go`.
pub const TIME_MIN: i64 = i64::MIN + 2;
/// Greatest time a point may have: `i64::MAX - 1`.
pub const TIME_MAX: i64 = i64::MAX - 1;

/// Nanoseconds in a second.
pub const SECOND_NS: i64 = 1_000_000_000;
/// Nanoseconds in an hour.
pub const HOUR_NS: i64 = 3_600 * SECOND_NS;
/// Nanoseconds in a day.
pub const DAY_NS: i64 = 24 * HOUR_NS;

/// A half-open range of times: `start <= t < end`, in ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// First time inside.
    pub start: i64,
    /// First time after; `TIME_MAX + 1` is beyond every point.
    pub end: i64,
}

impl TimeRange {
    /// All times that a point can have.
    pub const ALL: Self = Self { start: TIME_MIN, end: TIME_MAX + 1 };

    /// The range `[start, end)`; empty when `end <= start`.
    pub fn new(start: i64, end: i64) -> Self {
        Self { start, end }
    }

    /// Whether `t` lies inside.
    pub fn contains(&self, t: i64) -> bool {
        self.start <= t && t < self.end
    }

    /// Whether no time lies inside.
    pub fn is_empty(&self) -> bool {
        self.end <= self.start
    }

    /// What both ranges have in common; may be empty.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        Self { start: self.start.max(other.start), end: self.end.min(other.end) }
    }

    /// Whether the ranges share a time.
    pub fn overlaps(&self, other: &Self) -> bool {
        !self.intersect(other).is_empty()
    }
}

/// The greatest multiple of `step` that is `<= t` (floor, also for negative `t`). `step` must be positive.
/// Saturates at `i64::MIN`.
pub fn floor_to(t: i64, step: i64) -> i64 {
    t.saturating_sub(t.rem_euclid(step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floor_goes_down_for_negative_times() {
        assert_eq!(floor_to(-1, 10), -10);
        assert_eq!(floor_to(0, 10), 0);
        assert_eq!(floor_to(19, 10), 10);
        assert_eq!(floor_to(i64::MIN, 7), i64::MIN);
    }

    #[test]
    fn ranges_that_only_touch_do_not_overlap() {
        assert!(!TimeRange::new(0, 5).overlaps(&TimeRange::new(5, 9)));
        assert!(TimeRange::new(0, 6).overlaps(&TimeRange::new(5, 9)));
    }
}
