//! The bytes of the Raft log's keys and of the values that the log itself owns; `docs/format/raft_log.md` draws them.
//!
//! Used by the writer, the loader and the reader of the log. Knows nothing of what an entry, a vote or a marker says.

use model::GroupId;

/// The version written by this release, in the format record and before every value the log owns.
pub(super) const VERSION: u8 = 1;

/// The first byte of every key. Codes are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum KeyKind {
    /// The last index and opaque id known to be committed.
    Committed = b'c',
    /// The one record that names the format of the whole log.
    Format = b'f',
    /// One log entry.
    Entry = b'l',
    /// The last purged index and its opaque id.
    Purged = b'p',
    /// The vote.
    Vote = b'v',
}

/// Key of the format record.
pub(super) const FORMAT: [u8; 1] = [KeyKind::Format as u8];

/// Length of the key of a group's single record of one kind.
const GROUP_KEY: usize = 5;

/// Length of the key of an entry.
const ENTRY_KEY: usize = 13;

/// Key of a group's single record of `kind`.
pub(super) fn group(kind: KeyKind, group: GroupId) -> [u8; GROUP_KEY] {
    let mut key = [kind as u8; GROUP_KEY];
    key[1..].copy_from_slice(&group.0.to_be_bytes());
    key
}

/// Key of an entry. Entries of one group sort by index.
pub(super) fn entry(group: GroupId, index: u64) -> [u8; ENTRY_KEY] {
    let mut key = [KeyKind::Entry as u8; ENTRY_KEY];
    key[1..5].copy_from_slice(&group.0.to_be_bytes());
    key[5..].copy_from_slice(&index.to_be_bytes());
    key
}

/// Takes the key of a group's single record apart; `None` if it is none of `kind`.
pub(super) fn parse_group(kind: KeyKind, key: &[u8]) -> Option<GroupId> {
    let (first, group) = key.split_first()?;
    let group = u32::from_be_bytes(group.try_into().ok()?);
    (*first == kind as u8).then_some(GroupId(group))
}

/// Takes the key of an entry apart; `None` if it is none.
pub(super) fn parse_entry(key: &[u8]) -> Option<(GroupId, u64)> {
    let (group, index) = key.split_at_checked(GROUP_KEY)?;
    Some((parse_group(KeyKind::Entry, group)?, u64::from_be_bytes(index.try_into().ok()?)))
}

/// Value of a vote or committed record: version, then the caller's bytes.
pub(super) fn value(body: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(1 + body.len());
    value.push(VERSION);
    value.extend_from_slice(body);
    value
}

/// The caller's bytes of a vote or committed record; `None` if the version is unknown.
pub(super) fn parse_value(value: &[u8]) -> Option<&[u8]> {
    value.split_first().filter(|(version, _)| **version == VERSION).map(|(_, body)| body)
}

/// Value of a purged record: version, last purged index, then the caller's marker.
pub(super) fn purged(index: u64, marker: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(9 + marker.len());
    value.push(VERSION);
    value.extend_from_slice(&index.to_be_bytes());
    value.extend_from_slice(marker);
    value
}

/// Last purged index and marker; `None` if the value is too short or its version is unknown.
pub(super) fn parse_purged(value: &[u8]) -> Option<(u64, &[u8])> {
    let (index, marker) = parse_value(value)?.split_at_checked(8)?;
    Some((u64::from_be_bytes(index.try_into().ok()?), marker))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_are_those_of_the_format_page() {
        assert_eq!(entry(GroupId(7), 258), *b"l\0\0\0\x07\0\0\0\0\0\0\x01\x02");
        assert_eq!(group(KeyKind::Vote, GroupId(7)), *b"v\0\0\0\x07");
        assert_eq!(purged(3, b"id"), b"\x01\0\0\0\0\0\0\0\x03id");
        assert_eq!(value(b"x"), b"\x01x");
    }

    #[test]
    fn foreign_bytes_are_refused() {
        assert_eq!(parse_entry(b"l\0\0\0\x07"), None);
        assert_eq!(parse_entry(b"v\0\0\0\x07\0\0\0\0\0\0\x01\x02"), None);
        assert_eq!(parse_group(KeyKind::Vote, b"c\0\0\0\x07"), None);
        assert_eq!(parse_value(b"\x02x"), None);
        assert_eq!(parse_value(b""), None);
        assert_eq!(parse_purged(b"\x01\0\0\0"), None);
    }

    proptest! {
        #[test]
        fn keys_round_trip_and_sort(a: (u32, u64), b: (u32, u64)) {
            let [left, right] = [a, b].map(|(group, index)| entry(GroupId(group), index));
            prop_assert_eq!(parse_entry(&left), Some((GroupId(a.0), a.1)));
            prop_assert_eq!(left.cmp(&right), a.cmp(&b));
        }

        #[test]
        fn values_round_trip(index: u64, body: Vec<u8>) {
            let (plain, with_index) = (value(&body), purged(index, &body));
            prop_assert_eq!(parse_value(&plain), Some(&body[..]));
            prop_assert_eq!(parse_purged(&with_index), Some((index, &body[..])));
        }
    }
}
