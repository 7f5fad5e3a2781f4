//! Where a series lives: series key → slot → group → nodes.

mod replicas;

pub use replicas::{META_VOTERS_MAX, Placement, REPLICATION_FACTORS, level, mend, meta_voters};

use crate::id::GroupId;
use xxhash_rust::xxh3::xxh3_64;

/// Number of hash slots. Fixed for ever: the slot of a series is on disk.
pub const SLOTS: usize = 1_024;

/// The slot of a series: the top ten bits of the xxh3 hash of database name, a zero byte, and the canonical series
/// key (see [`crate::series`]).
pub fn slot(database: &str, series_key: &[u8]) -> u16 {
    Slotter::new(database).slot(series_key)
}

/// Finds the slots of many series of one database: [`slot`] without an allocation a key. The hash is of one piece of
/// memory, because that takes a third of the time of feeding xxh3 piece by piece.
#[derive(Debug, Clone)]
pub struct Slotter {
    /// Database name and zero byte, then the key hashed last.
    hashed: Vec<u8>,
    prefix: usize,
}

impl Slotter {
    /// For series of this database.
    pub fn new(database: &str) -> Self {
        let mut hashed = Vec::with_capacity(database.len() + 1 + 512);
        hashed.extend_from_slice(database.as_bytes());
        hashed.push(0);
        Self { prefix: hashed.len(), hashed }
    }

    /// The slot of a series.
    pub fn slot(&mut self, series_key: &[u8]) -> u16 {
        self.hashed.truncate(self.prefix);
        self.hashed.extend_from_slice(series_key);
        (xxh3_64(&self.hashed) >> 54) as u16
    }
}

/// The first slot table of a cluster: `groups` data groups (ids from 1) share the slots evenly.
pub fn even_slot_table(groups: u32) -> Vec<GroupId> {
    (0..SLOTS as u32).map(|slot| GroupId(1 + slot % groups.max(1))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use xxhash_rust::xxh3::Xxh3;

    proptest! {
        #[test]
        fn a_slot_is_that_of_the_pieces_hashed_one_after_the_other(database: String, keys: Vec<Vec<u8>>) {
            let mut slotter = Slotter::new(&database);
            for key in keys {
                let mut hash = Xxh3::new();
                hash.update(database.as_bytes());
                hash.update(&[0]);
                hash.update(&key);
                prop_assert_eq!(slotter.slot(&key), (hash.digest() >> 54) as u16);
            }
        }
    }

    #[test]
    fn slots_never_move() {
        // Pinned: these hashes place series on disk.
        let keys: [(&str, &[u8]); 3] = [("k8s", b"cpu/usage,type=node"), ("", b""), ("k8s", &[b'x'; 1000])];
        assert_eq!(keys.map(|(database, key)| slot(database, key)), [648, 785, 575]);
        let table = even_slot_table(8);
        assert_eq!(table.len(), SLOTS);
        for group in 1..=8 {
            assert_eq!(table.iter().filter(|g| g.0 == group).count(), SLOTS / 8);
        }
    }
}
