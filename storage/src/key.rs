//! The bytes of every key in a state database; `docs/format/keys.md` draws them.
//!
//! Keys are big endian so that they sort as their parts do; signed numbers have their sign bit flipped. The first
//! byte of each says its kind. Used by the shard and the state database; nobody else builds keys.

mod chunk;

pub(crate) use chunk::{ChunkKey, ChunkKeyBytes, Extent, day_of, first_window, window_of, window_start};

use crate::bytes::Cursor;
use model::{DatabaseId, FieldId, RetentionPolicyId, SeriesId};

/// The first byte of a key. Codes are on disk: never change or reuse one. (The raft log uses `c f l p v` in a
/// database of its own.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum KeyKind {
    /// Which series have points of a field in a partition.
    Activity = b'a',
    /// A value that the raft crate names, for the meta group.
    Blob = b'b',
    /// How far the days of a partition were compacted.
    Compacted = b'c',
    /// A field's type and measurement.
    Field = b'd',
    /// Points of one field of one series in one window.
    Chunk = b'k',
    /// The applied marker.
    Marker = b'm',
    /// The id that the next new series gets.
    NextSeries = b'n',
    /// A partition of a retention policy.
    Partition = b'r',
    /// A series.
    Series = b's',
    /// A database that was dropped.
    DroppedDatabase = b'x',
    /// A retention policy that was dropped.
    DroppedPolicy = b'y',
}

impl KeyKind {
    /// The first key of this kind and the first key after all of them.
    pub(crate) fn range(self) -> ([u8; 1], [u8; 1]) {
        ([self as u8], [self as u8 + 1])
    }
}

/// Key of the applied marker.
pub(crate) const MARKER: [u8; 1] = [KeyKind::Marker as u8];
/// Key of the next series id.
pub(crate) const NEXT_SERIES: [u8; 1] = [KeyKind::NextSeries as u8];

/// Key of a blob: kind, then the name.
pub(crate) fn blob(name: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + name.len());
    key.push(KeyKind::Blob as u8);
    key.extend_from_slice(name.as_bytes());
    key
}

/// Key of a series: kind, id.
pub(crate) fn series(id: SeriesId) -> [u8; 5] {
    with_u32(KeyKind::Series, id.0)
}

/// Takes a series key apart.
pub(crate) fn parse_series(key: &[u8]) -> Option<SeriesId> {
    parse_u32(KeyKind::Series, key).map(SeriesId)
}

/// Key of a dropped database: kind, id.
pub(crate) fn dropped_database(id: DatabaseId) -> [u8; 5] {
    with_u32(KeyKind::DroppedDatabase, id.0)
}

/// Takes the key of a dropped database apart.
pub(crate) fn parse_dropped_database(key: &[u8]) -> Option<DatabaseId> {
    parse_u32(KeyKind::DroppedDatabase, key).map(DatabaseId)
}

/// Key of a dropped retention policy: kind, id.
pub(crate) fn dropped_policy(id: RetentionPolicyId) -> [u8; 5] {
    with_u32(KeyKind::DroppedPolicy, id.0)
}

/// Takes the key of a dropped retention policy apart.
pub(crate) fn parse_dropped_policy(key: &[u8]) -> Option<RetentionPolicyId> {
    parse_u32(KeyKind::DroppedPolicy, key).map(RetentionPolicyId)
}

/// Key of a field: kind, database, field.
pub(crate) fn field(database: DatabaseId, field: FieldId) -> [u8; 9] {
    let mut key = [KeyKind::Field as u8; 9];
    key[1..5].copy_from_slice(&database.0.to_be_bytes());
    key[5..].copy_from_slice(&field.0.to_be_bytes());
    key
}

/// Takes a field key apart.
pub(crate) fn parse_field(key: &[u8]) -> Option<(DatabaseId, FieldId)> {
    let mut bytes = body(KeyKind::Field, key)?;
    let parts = (DatabaseId(bytes.u32_be()?), FieldId(bytes.u32_be()?));
    bytes.is_empty().then_some(parts)
}

/// A partition's identity: its policy and its first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PartitionKey {
    pub(crate) policy: RetentionPolicyId,
    pub(crate) start: i64,
}

impl PartitionKey {
    const LEN: usize = 13;

    fn encode(self, kind: KeyKind) -> [u8; Self::LEN] {
        let mut key = [kind as u8; Self::LEN];
        key[1..5].copy_from_slice(&self.policy.0.to_be_bytes());
        key[5..].copy_from_slice(&order_i64(self.start));
        key
    }

    /// Key of the partition's record: kind, policy, start.
    pub(crate) fn record(self) -> [u8; Self::LEN] {
        self.encode(KeyKind::Partition)
    }

    /// Takes the key of a partition's record apart.
    pub(crate) fn parse_record(key: &[u8]) -> Option<Self> {
        let mut bytes = body(KeyKind::Partition, key)?;
        let parts = Self::read(&mut bytes)?;
        bytes.is_empty().then_some(parts)
    }

    fn read(bytes: &mut Cursor<'_>) -> Option<Self> {
        let policy = RetentionPolicyId(bytes.u32_be()?);
        Some(Self { policy, start: disorder_i64(bytes.array()?) })
    }

    /// Key of how far the partition was compacted: kind, policy, start.
    pub(crate) fn compacted(self) -> [u8; Self::LEN] {
        self.encode(KeyKind::Compacted)
    }

    /// Key of a field's activity: kind, policy, start, field.
    pub(crate) fn activity(self, field: FieldId) -> [u8; 17] {
        let mut key = [0; 17];
        key[..13].copy_from_slice(&self.encode(KeyKind::Activity));
        key[13..].copy_from_slice(&field.0.to_be_bytes());
        key
    }

    /// Takes the key of a field's activity apart.
    pub(crate) fn parse_activity(key: &[u8]) -> Option<(Self, FieldId)> {
        let mut bytes = body(KeyKind::Activity, key)?;
        let parts = (Self::read(&mut bytes)?, FieldId(bytes.u32_be()?));
        bytes.is_empty().then_some(parts)
    }

    /// First key of the partition's activity and first key after it.
    pub(crate) fn activity_range(self) -> (Vec<u8>, Vec<u8>) {
        prefix_range(&self.encode(KeyKind::Activity))
    }

    /// First chunk key of the partition and first key after its chunks.
    pub(crate) fn chunk_range(self) -> (Vec<u8>, Vec<u8>) {
        prefix_range(&self.encode(KeyKind::Chunk))
    }
}

/// `[prefix, first key after every key that has the prefix)`.
fn prefix_range(prefix: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut end = prefix.to_vec();
    // The first byte is a letter, so there is always a byte to count up.
    while end.last() == Some(&u8::MAX) {
        end.pop();
    }
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    (prefix.to_vec(), end)
}

fn with_u32(kind: KeyKind, id: u32) -> [u8; 5] {
    let mut key = [kind as u8; 5];
    key[1..].copy_from_slice(&id.to_be_bytes());
    key
}

fn parse_u32(kind: KeyKind, key: &[u8]) -> Option<u32> {
    let mut bytes = body(kind, key)?;
    let id = bytes.u32_be()?;
    bytes.is_empty().then_some(id)
}

fn body(kind: KeyKind, key: &[u8]) -> Option<Cursor<'_>> {
    let (first, rest) = key.split_first()?;
    (*first == kind as u8).then(|| Cursor::new(rest))
}

fn order_i64(value: i64) -> [u8; 8] {
    ((value as u64) ^ (1 << 63)).to_be_bytes()
}

fn disorder_i64(bytes: [u8; 8]) -> i64 {
    (u64::from_be_bytes(bytes) ^ (1 << 63)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn partition_keys_round_trip_and_sort(a: (u32, i64), b: (u32, i64), f: u32) {
            let [x, y] = [a, b].map(|(p, start)| PartitionKey { policy: RetentionPolicyId(p), start });
            prop_assert_eq!(PartitionKey::parse_record(&x.record()), Some(x));
            prop_assert_eq!(PartitionKey::parse_activity(&x.activity(FieldId(f))), Some((x, FieldId(f))));
            prop_assert_eq!(x.record().cmp(&y.record()), a.cmp(&b));
            let (from, to) = x.activity_range();
            let inside = y.activity(FieldId(f));
            prop_assert_eq!(from[..] <= inside[..] && inside[..] < to[..], x == y);
        }

        #[test]
        fn small_keys_round_trip(a: u32, b: u32) {
            prop_assert_eq!(parse_series(&series(SeriesId(a))), Some(SeriesId(a)));
            prop_assert_eq!(parse_field(&field(DatabaseId(a), FieldId(b))), Some((DatabaseId(a), FieldId(b))));
            prop_assert_eq!(parse_dropped_database(&dropped_database(DatabaseId(a))), Some(DatabaseId(a)));
            let policy = RetentionPolicyId(a);
            prop_assert_eq!(parse_dropped_policy(&dropped_policy(policy)), Some(policy));
        }

        #[test]
        fn foreign_bytes_are_refused(bytes: Vec<u8>) {
            // Only that nothing panics and that lengths are checked.
            if bytes.len() != 5 {
                prop_assert_eq!(parse_series(&bytes), None);
            }
            if bytes.len() != 13 {
                prop_assert_eq!(PartitionKey::parse_record(&bytes), None);
            }
            prop_assert!(PartitionKey::parse_activity(&bytes).is_none() || bytes.len() == 17);
        }
    }
}
