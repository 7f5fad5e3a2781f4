//! Keys of sealed chunks: `kind | policy | partition start | series | field | window`, and one byte more for a day.
//!
//! Time comes first (by partition), so that retention drops one contiguous range; within a partition the windows of
//! one field of one series lie side by side, so that a query reads them in one run.
//!
//! Compaction moves the windows of a day under one key, the day's last window with a byte behind it. So a day sorts
//! after its windows and before those of the next day, and a reader that starts at any window comes upon the day
//! that has it.

use super::{KeyKind, PartitionKey, body, prefix_range};
use model::time::HOUR_NS;
use model::{FieldId, SeriesId};
use std::ops::Deref;

/// Length of the window that one key holds. On disk: never change it.
pub(crate) const WINDOW_NS: i64 = 2 * HOUR_NS;

/// Number of the window that a time lies in; negative before 1970.
pub(crate) fn window_of(time: i64) -> i32 {
    // i64::MIN / WINDOW_NS is about -1.3 million.
    time.div_euclid(WINDOW_NS) as i32
}

/// The first time of a window, saturating at the ends of time.
pub(crate) fn window_start(window: i32) -> i64 {
    i64::from(window).saturating_mul(WINDOW_NS)
}

/// Windows of a day.
const DAY_WINDOWS: i32 = 12;

/// Number of the day that a window lies in; negative before 1970.
pub(crate) fn day_of(window: i32) -> i32 {
    window.div_euclid(DAY_WINDOWS)
}

/// The first window of a day, saturating at the ends of time.
pub(crate) fn first_window(day: i32) -> i32 {
    day.saturating_mul(DAY_WINDOWS)
}

/// How much time one key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Extent {
    /// One window, as a flush writes it.
    Window,
    /// All windows of a day, as compaction writes them; older than what is under the keys of the windows themselves.
    Day,
}

/// Where points of one field of one series are: those of one window, or of the day whose last window it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ChunkKey {
    pub(crate) partition: PartitionKey,
    pub(crate) series: SeriesId,
    pub(crate) field: FieldId,
    pub(crate) window: i32,
    pub(crate) extent: Extent,
}

impl ChunkKey {
    const WINDOW_LEN: usize = 25;
    const DAY_LEN: usize = Self::WINDOW_LEN + 1;
    /// The byte behind a day's last window.
    const DAY: u8 = 1;

    /// The key of a column's window.
    pub(crate) fn window(partition: PartitionKey, column: (SeriesId, FieldId), window: i32) -> Self {
        let (series, field) = column;
        Self { partition, series, field, window, extent: Extent::Window }
    }

    /// The key of a column's day.
    pub(crate) fn day(partition: PartitionKey, column: (SeriesId, FieldId), day: i32) -> Self {
        let window = first_window(day).saturating_add(DAY_WINDOWS - 1);
        Self { extent: Extent::Day, ..Self::window(partition, column, window) }
    }

    /// The first and the last time of a point that the key can hold.
    pub(crate) fn times(self) -> (i64, i64) {
        let first = match self.extent {
            Extent::Window => self.window,
            Extent::Day => first_window(day_of(self.window)),
        };
        (window_start(first), window_start(self.window.saturating_add(1)).saturating_sub(1))
    }

    /// First chunk key of a series in a partition and first key after its chunks.
    pub(crate) fn series_range(partition: PartitionKey, series: SeriesId) -> (Vec<u8>, Vec<u8>) {
        let key = Self::window(partition, (series, FieldId(0)), 0).encode();
        prefix_range(&key[..17])
    }

    pub(crate) fn encode(self) -> ChunkKeyBytes {
        let mut bytes = [Self::DAY; Self::DAY_LEN];
        bytes[..13].copy_from_slice(&self.partition.encode(KeyKind::Chunk));
        bytes[13..17].copy_from_slice(&self.series.0.to_be_bytes());
        bytes[17..21].copy_from_slice(&self.field.0.to_be_bytes());
        bytes[21..25].copy_from_slice(&((self.window as u32) ^ (1 << 31)).to_be_bytes());
        ChunkKeyBytes { bytes, extent: self.extent }
    }

    pub(crate) fn parse(key: &[u8]) -> Option<Self> {
        let mut bytes = body(KeyKind::Chunk, key)?;
        let parts = Self {
            partition: PartitionKey::read(&mut bytes)?,
            series: SeriesId(bytes.u32_be()?),
            field: FieldId(bytes.u32_be()?),
            window: (bytes.u32_be()? ^ (1 << 31)) as i32,
            extent: if bytes.is_empty() { Extent::Window } else { Extent::Day },
        };
        let is_whole = match parts.extent {
            Extent::Window => true,
            Extent::Day => bytes.rest() == [Self::DAY] && parts.ends_a_day(),
        };
        is_whole.then_some(parts)
    }

    fn ends_a_day(self) -> bool {
        day_of(self.window) != day_of(self.window.saturating_add(1))
    }
}

/// The bytes of a chunk key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChunkKeyBytes {
    bytes: [u8; ChunkKey::DAY_LEN],
    extent: Extent,
}

impl Deref for ChunkKeyBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self.extent {
            Extent::Window => &self.bytes[..ChunkKey::WINDOW_LEN],
            Extent::Day => &self.bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::RetentionPolicyId;
    use model::time::{TIME_MAX, TIME_MIN};
    use proptest::prelude::*;

    type Parts = (u32, i64, u32, u32, i32);

    fn key(parts: Parts) -> ChunkKey {
        let (policy, start, series, field, window) = parts;
        let partition = PartitionKey { policy: RetentionPolicyId(policy), start };
        ChunkKey::window(partition, (SeriesId(series), FieldId(field)), window)
    }

    fn day(parts: Parts) -> ChunkKey {
        let key = key(parts);
        ChunkKey::day(key.partition, (key.series, key.field), day_of(key.window))
    }

    #[test]
    fn bytes_are_those_of_the_format_page() {
        let window = key((1, 0, 2, 3, -1));
        let bytes = b"k\0\0\0\x01\x80\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\x03\x7f\xff\xff\xff\x01";
        assert_eq!(*window.encode(), bytes[..25]);
        assert_eq!(*day((1, 0, 2, 3, -12)).encode(), bytes[..]);
        assert_eq!(ChunkKey::parse(&[&bytes[..], &[1]].concat()), None);
        assert_eq!(ChunkKey::parse(&[&bytes[..25], &[2]].concat()), None);
        assert_eq!(ChunkKey::parse(&[&*key((1, 0, 2, 3, -2)).encode(), &[1]].concat()), None);
    }

    #[test]
    fn windows_cover_all_of_time() {
        for time in [i64::MIN, -1, 0, WINDOW_NS - 1, WINDOW_NS, i64::MAX] {
            let window = window_of(time);
            assert!(window_start(window) <= time);
            assert!(i128::from(time) < i128::from(window) * i128::from(WINDOW_NS) + i128::from(WINDOW_NS));
            for key in [key((1, 0, 0, 0, window)), day((1, 0, 0, 0, window))] {
                let (first, last) = key.times();
                let time = time.clamp(TIME_MIN, TIME_MAX);
                assert!(first <= time && time <= last);
            }
        }
    }

    proptest! {
        #[test]
        fn keys_round_trip_and_sort(a: Parts, b: Parts) {
            prop_assert_eq!(ChunkKey::parse(&key(a).encode()), Some(key(a)));
            prop_assert_eq!(key(a).encode().cmp(&key(b).encode()), a.cmp(&b));
        }

        #[test]
        fn a_day_sorts_between_its_windows_and_the_next_days(a: Parts, window in -1_280_000i32..1_280_000, other in -40i32..40) {
            let a = (a.0, a.1, a.2, a.3, window);
            prop_assert_eq!(ChunkKey::parse(&day(a).encode()), Some(day(a)));
            let b = (a.0, a.1, a.2, a.3, window + other);
            let sorts_after = day(a).encode().cmp(&key(b).encode()).is_gt();
            prop_assert_eq!(sorts_after, day_of(window) >= day_of(window + other));
            prop_assert_eq!(day(a).times().0 <= key(b).times().0 && key(b).times().1 <= day(a).times().1, day_of(window) == day_of(window + other));
        }

        #[test]
        fn a_partition_is_one_range(a: Parts, policy: u32, start: i64) {
            let partition = PartitionKey { policy: RetentionPolicyId(policy), start };
            let (from, to) = partition.chunk_range();
            let bytes = key(a).encode();
            prop_assert_eq!(from[..] <= bytes[..] && bytes[..] < to[..], (a.0, a.1) == (policy, start));
            let own = ChunkKey { partition, ..key(a) }.encode();
            prop_assert!(from[..] <= own[..] && own[..] < to[..]);
        }

        #[test]
        fn a_series_is_one_range(a: Parts, series: u32) {
            let (from, to) = ChunkKey::series_range(key(a).partition, SeriesId(series));
            let bytes = key(a).encode();
            prop_assert_eq!(from[..] <= bytes[..] && bytes[..] < to[..], a.2 == series);
        }
    }
}
