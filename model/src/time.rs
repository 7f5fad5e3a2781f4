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

/// From when shard groups of one duration are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShardOrigin {
    /// 1970-01-01, as the first versions of this store did.
    Epoch,
    /// The year 1, Go's zero time, as InfluxDB 1.x does: groups of a week start on Mondays.
    YearOne,
}

impl ShardOrigin {
    /// The shard group that a time lies in. It may begin or end beyond the times that there are. `duration` must be positive.
    pub fn group_of(self, time: i64, duration: i64) -> (i128, i128) {
        const EPOCH_SINCE_YEAR_ONE: i128 = 719_162 * DAY_NS as i128;
        let (time, duration) = (i128::from(time), i128::from(duration));
        let since = match self {
            Self::Epoch => 0,
            Self::YearOne => EPOCH_SINCE_YEAR_ONE,
        };
        let start = time - (time + since).rem_euclid(duration);
        (start, start + duration)
    }
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
    fn weeks_start_on_mondays_and_days_at_midnight() {
        const MONDAY: i64 = 1_600_041_600 * SECOND_NS;
        let start = |origin: ShardOrigin, duration| {
            [MONDAY - 1, MONDAY, MONDAY + 3 * DAY_NS].map(|time| origin.group_of(time, duration).0 as i64)
        };
        let week = 7 * DAY_NS;
        assert_eq!(start(ShardOrigin::YearOne, week), [MONDAY - week, MONDAY, MONDAY]);
        let thursday = MONDAY - 4 * DAY_NS;
        assert_eq!(start(ShardOrigin::Epoch, week), [thursday, thursday, thursday + week]);
        for duration in [HOUR_NS, DAY_NS] {
            assert_eq!(start(ShardOrigin::YearOne, duration), start(ShardOrigin::Epoch, duration));
        }
    }

    #[test]
    fn ranges_that_only_touch_do_not_overlap() {
        assert!(!TimeRange::new(0, 5).overlaps(&TimeRange::new(5, 9)));
        assert!(TimeRange::new(0, 6).overlaps(&TimeRange::new(5, 9)));
    }
}
