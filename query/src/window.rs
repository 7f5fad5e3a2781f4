//! GROUP BY time(interval, offset): which bucket a time falls into, in UTC or in the local time of a zone.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use model::time::{TIME_MAX, TIME_MIN};
use std::sync::Arc;

/// The buckets of a statement; without an interval the whole time range is one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Window {
    /// ns; 0 when there is no GROUP BY time.
    pub(crate) interval: i64,
    /// ns, less than an interval.
    pub(crate) offset: i64,
    /// Buckets begin at local times of this zone; `None` is UTC.
    pub(crate) zone: Option<Arc<TimeZone>>,
}

impl Window {
    /// Whether there is no GROUP BY time.
    pub(crate) fn is_none(&self) -> bool {
        self.interval == 0
    }

    /// First time of the bucket of `t`, and the first time after it. `range` (inclusive) is the bucket if there is no
    /// interval.
    pub(crate) fn bounds(&self, t: i64, range: (i64, i64)) -> (i64, i64) {
        if self.interval == 0 {
            return (range.0, range.1.saturating_add(1));
        }
        let shifted = t.saturating_sub(self.offset);
        let zone = self.zone_offset(shifted);
        let into = shifted.saturating_add(zone).rem_euclid(self.interval);
        let start = if TIME_MIN.saturating_add(into) >= shifted { TIME_MIN } else { shifted - into };
        let left = self.interval - into;
        let end = if TIME_MAX - left <= shifted { TIME_MAX } else { shifted + left };
        if self.zone.is_none() {
            return (start.saturating_add(self.offset), end.saturating_add(self.offset));
        }
        self.across_zone_change(zone, start, end)
    }

    /// The bucket of `t`, which lies after the bucket `before`. Most often it is the next one, which costs no division.
    pub(crate) fn bounds_after(&self, before: (i64, i64), t: i64, range: (i64, i64)) -> (i64, i64) {
        if self.zone.is_none()
            && before.1 < TIME_MAX - self.interval
            && before.1 - before.0 == self.interval
            && t < before.1 + self.interval
        {
            return (before.1, before.1 + self.interval);
        }
        self.bounds(t, range)
    }

    /// First time of the bucket of `t`.
    pub(crate) fn start(&self, t: i64, range: (i64, i64)) -> i64 {
        self.bounds(t, range).0
    }

    /// The bucket after the one that begins at `start` (before it, when `forward` is false), as fill() walks: a change
    /// of the zone's offset in between moves the border if the bucket is longer than the change.
    pub(crate) fn step(&self, start: i64, zone_offset: &mut i64, forward: bool) -> i64 {
        let step = if forward { self.interval } else { -self.interval };
        let mut next = start.saturating_add(step);
        if self.zone.is_some() {
            let offset = self.zone_offset(next.saturating_sub(1));
            if offset != *zone_offset {
                let difference = *zone_offset - offset;
                if difference.abs() < self.interval {
                    next += difference;
                }
                *zone_offset = offset;
            }
        }
        next
    }

    /// ns that the zone is ahead of UTC at `t`.
    pub(crate) fn zone_offset(&self, t: i64) -> i64 {
        let Some(zone) = &self.zone else { return 0 };
        let timestamp = Timestamp::from_nanosecond(i128::from(t)).unwrap_or(Timestamp::UNIX_EPOCH);
        i64::from(zone.to_offset(timestamp).seconds()) * 1_000_000_000
    }

    /// How many buckets the inclusive range has; `None` without an interval.
    pub(crate) fn count(&self, range: (i64, i64)) -> Option<u64> {
        if self.interval == 0 || range.1 < range.0 {
            return None;
        }
        let first = i128::from(self.start(range.0, range));
        let last = i128::from(self.start(range.1, range));
        u64::try_from((last - first) / i128::from(self.interval) + 1).ok()
    }

    /// Corrects a bucket whose start or end has another offset than the time that was asked for (InfluxDB 1.x
    /// `IteratorOptions.Window`): added time belongs to the bucket before the change, skipped time to the one after.
    fn across_zone_change(&self, zone: i64, start: i64, end: i64) -> (i64, i64) {
        let mut start = start.saturating_add(self.offset);
        let change = zone - self.zone_offset(start);
        if change != 0 && change.abs() < self.interval {
            start += change;
        }
        let mut end = end;
        let at_end = self.zone_offset(end);
        let change = zone - at_end;
        if change != 0
            && change.abs() < self.interval
            && (change > 0 || self.zone_offset(end + change) == at_end)
        {
            end += change;
        }
        (start, end.saturating_add(self.offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: (i64, i64) = (TIME_MIN, TIME_MAX);

    #[test]
    fn buckets_are_aligned_to_the_epoch_and_shifted_by_the_offset() {
        let window = Window { interval: 60, offset: 0, zone: None };
        assert_eq!(window.bounds(61, ALL), (60, 120));
        assert_eq!(window.bounds(-1, ALL), (-60, 0));
        let window = Window { interval: 60, offset: 10, zone: None };
        assert_eq!(window.bounds(9, ALL), (-50, 10));
        assert_eq!(window.bounds(10, ALL), (10, 70));
        assert_eq!(window.count((0, 59)), Some(2));
    }

    #[test]
    fn the_next_bucket_is_the_one_that_is_found() {
        for offset in [0, 7] {
            let window = Window { interval: 60, offset, zone: None };
            for (from, to) in [(0, 1), (0, 59), (0, 61), (-100, 0), (5, 1_000), (TIME_MIN, TIME_MIN + 90)] {
                let before = window.bounds(from, ALL);
                if before.1 <= to {
                    assert_eq!(window.bounds_after(before, to, ALL), window.bounds(to, ALL), "{from} {to}");
                }
            }
            let end = window.bounds(TIME_MAX - 130, ALL);
            assert_eq!(window.bounds_after(end, TIME_MAX, ALL), window.bounds(TIME_MAX, ALL));
        }
    }

    #[test]
    fn days_of_a_zone_have_23_to_25_hours() {
        let zone = crate::condition::zone("America/New_York").unwrap();
        let hour = 3_600_000_000_000;
        let window = Window { interval: 24 * hour, offset: 0, zone: Some(Arc::new(zone)) };
        // 2020-03-08 is the day that daylight saving time began.
        let noon = 1_583_683_200_000_000_000;
        let (start, end) = window.bounds(noon, ALL);
        assert_eq!((end - start) / hour, 23);
        assert_eq!(window.bounds(end, ALL).0, end);
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        let window = Window { interval: 1 << 60, offset: -5, zone: None };
        for t in [i64::MIN, TIME_MIN, 0, TIME_MAX, i64::MAX] {
            let (start, end) = window.bounds(t, ALL);
            assert!(start <= end, "{t}");
        }
    }
}
