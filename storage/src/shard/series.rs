//! Series ids of a group: given out in log order, never reassigned.
//!
//! A series is **known** from its first mention on. One whose points are all gone (a dead pod) keeps its id and about
//! 30 bytes here; its tags leave the index.

use hashbrown::HashTable;
use model::{DatabaseId, SeriesId};
use std::sync::atomic::{AtomicU32, Ordering};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed, xxh3_128_with_seed};

/// The identity of a series in memory: 128 bits of its database and canonical key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct KeyHash([u32; 4]);

impl KeyHash {
    /// The hash of a series.
    pub fn of(database: DatabaseId, key: &[u8]) -> Self {
        // Of a key of a few bytes XXH3 is a function of the key's bits and the seed's, xored: with the small numbers of
        // databases as seeds, "m,a=2" of one was "n,a=1" of another. Seeds that differ in all bits leave no text to do so.
        let seed = xxh3_64(&database.0.to_le_bytes());
        let hash = xxh3_128_with_seed(key, seed);
        Self([hash as u32, (hash >> 32) as u32, (hash >> 64) as u32, (hash >> 96) as u32])
    }

    pub(super) fn bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        for (to, word) in bytes.chunks_exact_mut(4).zip(self.0) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Where it lies in a table.
    fn short(self) -> u64 {
        u64::from(self.0[0]) | u64::from(self.0[1]) << 32
    }
}

/// 20 bytes, so that neighbours, which are written together, share cache lines.
#[derive(Debug, Clone)]
struct Slot {
    hash: KeyHash,
    /// `NO_DATABASE` when the database was dropped, and with it the series.
    database: u32,
}

/// Ids of databases are given out one by one and never reach it.
const NO_DATABASE: u32 = u32::MAX;

/// All series that a group ever had.
#[derive(Debug, Default)]
pub(super) struct SeriesTable {
    /// Places in `slots`, by the hash there.
    ids: HashTable<u32>,
    slots: Vec<Slot>,
    /// Sum of the hashes of all known series.
    sum: u64,
    /// The id after the one that was found last: the lines of a scrape come in the order in which their series first
    /// came, and then no other part of the memory is looked at. Only a guess.
    guess: AtomicU32,
}

impl SeriesTable {
    /// The id of a series, if it is known.
    pub(super) fn lookup(&self, hash: KeyHash) -> Option<SeriesId> {
        let guess = self.guess.load(Ordering::Relaxed);
        let is_guess = |slot: &Slot| slot.hash == hash && slot.database != NO_DATABASE;
        let id = match self.slots.get(guess as usize).filter(|slot| is_guess(slot)) {
            Some(_) => guess,
            None => *self.ids.find(hash.short(), |id| self.slots[*id as usize].hash == hash)?,
        };
        self.guess.store(id.wrapping_add(1), Ordering::Relaxed);
        Some(SeriesId(id))
    }

    /// Gives the next id to a series that is not known.
    pub(super) fn add(&mut self, database: DatabaseId, hash: KeyHash) -> SeriesId {
        let id = SeriesId(self.next());
        self.restore(id, database, hash);
        id
    }

    /// Puts back a series that was given this id before.
    pub(super) fn restore(&mut self, id: SeriesId, database: DatabaseId, hash: KeyHash) {
        self.reserve(id.0.saturating_add(1));
        self.slots[id.0 as usize] = Slot { hash, database: database.0 };
        self.ids.insert_unique(hash.short(), id.0, |id| self.slots[*id as usize].hash.short());
        self.sum = self.sum.wrapping_add(share(id, hash));
    }

    /// Makes `next` the least id that the next series may get.
    pub(super) fn reserve(&mut self, next: u32) {
        if self.slots.len() < next as usize {
            let unused = Slot { hash: KeyHash::default(), database: NO_DATABASE };
            self.slots.resize(next as usize, unused);
        }
    }

    /// The id that the next new series gets.
    pub(super) fn next(&self) -> u32 {
        self.slots.len() as u32
    }

    /// The database of a series; `None` if the id was never given out or the database was dropped.
    pub(super) fn database(&self, id: SeriesId) -> Option<DatabaseId> {
        let database = self.slots.get(id.0 as usize)?.database;
        (database != NO_DATABASE).then_some(DatabaseId(database))
    }

    pub(super) fn hash(&self, id: SeriesId) -> KeyHash {
        self.slots.get(id.0 as usize).map_or_else(KeyHash::default, |slot| slot.hash)
    }

    /// Forgets all series of a database and answers their ids, which stay used.
    pub(super) fn forget(&mut self, database: DatabaseId) -> Vec<SeriesId> {
        let mut gone = Vec::new();
        for (place, slot) in self.slots.iter_mut().enumerate() {
            if slot.database == database.0 {
                let id = place as u32;
                if let Ok(entry) = self.ids.find_entry(slot.hash.short(), |known| *known == id) {
                    entry.remove();
                }
                self.sum = self.sum.wrapping_sub(share(SeriesId(id), slot.hash));
                // The hash stays: a running checksum may still need it.
                slot.database = NO_DATABASE;
                gone.push(SeriesId(id));
            }
        }
        gone
    }

    /// Number of known series.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// What the series add to the checksum.
    pub(super) fn sum(&self) -> u64 {
        self.sum
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.ids.allocation_size() + self.slots.capacity() * size_of::<Slot>()
    }
}

fn share(id: SeriesId, hash: KeyHash) -> u64 {
    xxh3_64_with_seed(&hash.bytes(), u64::from(id.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn ids_are_given_once(ops in prop::collection::vec((0u32..3, 0u8..40, prop::bool::weighted(0.05)), 0..300)) {
            let mut table = SeriesTable::default();
            let mut model: BTreeMap<(u32, u8), SeriesId> = BTreeMap::new();
            let mut given = 0;
            for (database, key, drop) in ops {
                let hash = KeyHash::of(DatabaseId(database), &[key]);
                if drop {
                    let mut gone: Vec<SeriesId> =
                        model.iter().filter(|((db, _), _)| *db == database).map(|(_, id)| *id).collect();
                    gone.sort_unstable();
                    prop_assert_eq!(table.forget(DatabaseId(database)), gone);
                    model.retain(|(db, _), _| *db != database);
                } else if table.lookup(hash).is_none() {
                    let id = table.add(DatabaseId(database), hash);
                    prop_assert_eq!(id, SeriesId(given));
                    given += 1;
                    model.insert((database, key), id);
                }
                prop_assert_eq!(table.lookup(hash), model.get(&(database, key)).copied());
                prop_assert_eq!(table.len(), model.len());
            }
            let mut by_id: Vec<_> = model.iter().collect();
            by_id.sort_by_key(|(_, id)| **id);
            for ((database, key), id) in by_id {
                prop_assert_eq!(table.lookup(KeyHash::of(DatabaseId(*database), &[*key])), Some(*id));
                prop_assert_eq!(table.database(*id), Some(DatabaseId(*database)));
            }
            // Only what is known counts, whatever was dropped before.
            let shares = model.iter().map(|((db, key), id)| share(*id, KeyHash::of(DatabaseId(*db), &[*key])));
            prop_assert_eq!(table.sum(), shares.fold(0u64, u64::wrapping_add));
        }
    }
}
