//! Keys of sealed chunks: `kind | policy | partition start | series | field | window`.
//!
//! Time comes first (by partition), so that retention drops one contiguous range; within a partition the windows of
//! one field of one series lie side by side, so that a query reads them in one run.

use super::{KeyKind, PartitionKey, body};
use model::time::HOUR_NS;
use model::{FieldId, SeriesId};

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

/// Where the points of one field of one series in one window are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ChunkKey {
    pub(crate) partition: PartitionKey,
    pub(crate) series: SeriesId,
    pub(crate) field: FieldId,
    pub(crate) window: i32,
}

impl ChunkKey {
    pub(crate) const LEN: usize = 25;

    pub(crate) fn encode(self) -> [u8; Self::LEN] {
        let mut key = [0; Self::LEN];
        key[..13].copy_from_slice(&self.partition.encode(KeyKind::Chunk));
        key[13..17].copy_from_slice(&self.series.0.to_be_bytes());
        key[17..21].copy_from_slice(&self.field.0.to_be_bytes());
        key[21..].copy_from_slice(&((self.window as u32) ^ (1 << 31)).to_be_bytes());
        key
    }

    pub(crate) fn parse(key: &[u8]) -> Option<Self> {
        let mut bytes = body(KeyKind::Chunk, key)?;
        let parts = Self {
            partition: PartitionKey::read(&mut bytes)?,
            series: SeriesId(bytes.u32_be()?),
            field: FieldId(bytes.u32_be()?),
            window: (bytes.u32_be()? ^ (1 << 31)) as i32,
        };
        bytes.is_empty().then_some(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::RetentionPolicyId;
    use proptest::prelude::*;

    fn key(parts: (u32, i64, u32, u32, i32)) -> ChunkKey {
        let (policy, start, series, field, window) = parts;
        let partition = PartitionKey { policy: RetentionPolicyId(policy), start };
        ChunkKey { partition, series: SeriesId(series), field: FieldId(field), window }
    }

    #[test]
    fn bytes_are_those_of_the_format_page() {
        let bytes = key((1, 0, 2, 3, -1)).encode();
        assert_eq!(bytes, *b"k\0\0\0\x01\x80\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\x03\x7f\xff\xff\xff");
    }

    #[test]
    fn windows_cover_all_of_time() {
        for time in [i64::MIN, -1, 0, WINDOW_NS - 1, WINDOW_NS, i64::MAX] {
            let window = window_of(time);
            assert!(window_start(window) <= time);
            assert!(i128::from(time) < i128::from(window) * i128::from(WINDOW_NS) + i128::from(WINDOW_NS));
        }
    }

    proptest! {
        #[test]
        fn keys_round_trip_and_sort(a: (u32, i64, u32, u32, i32), b: (u32, i64, u32, u32, i32)) {
            prop_assert_eq!(ChunkKey::parse(&key(a).encode()), Some(key(a)));
            prop_assert_eq!(key(a).encode().cmp(&key(b).encode()), a.cmp(&b));
        }

        #[test]
        fn a_partition_is_one_range(a: (u32, i64, u32, u32, i32), policy: u32, start: i64) {
            let partition = PartitionKey { policy: RetentionPolicyId(policy), start };
            let (from, to) = partition.chunk_range();
            let bytes = key(a).encode();
            prop_assert_eq!(from[..] <= bytes[..] && bytes[..] < to[..], (a.0, a.1) == (policy, start));
            let own = ChunkKey { partition, ..key(a) }.encode();
            prop_assert!(from[..] <= own[..] && own[..] < to[..]);
        }
    }
}
