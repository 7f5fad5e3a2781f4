//! Series ids of a group: given out in log order, never reassigned.
//!
//! A series is **known** from its first mention on, and **indexed** while it has a point in some partition. One whose
//! points are all gone (a dead pod) keeps its id and 60 bytes; its tags leave memory.

use hashbrown::HashMap;
use model::{DatabaseId, SeriesId};
use std::sync::Arc;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

/// The identity of a series in memory: 128 bits of its database and canonical key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct KeyHash([u64; 2]);

impl KeyHash {
    pub(super) fn of(database: DatabaseId, key: &[u8]) -> Self {
        let hash = xxh3_128_with_seed(key, u64::from(database.0));
        Self([hash as u64, (hash >> 64) as u64])
    }

    pub(super) fn bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.0[0].to_le_bytes());
        bytes[8..].copy_from_slice(&self.0[1].to_le_bytes());
        bytes
    }
}

/// The tags of a series, shared with whoever reads them.
pub(super) type Tags = Arc<[(Arc<str>, Arc<str>)]>;

/// What the index knows of a series.
#[derive(Debug, Clone)]
pub(super) struct Indexed {
    pub(super) measurement: Arc<str>,
    pub(super) tags: Tags,
}

#[derive(Debug, Clone, Default)]
struct Slot {
    hash: KeyHash,
    /// `None` when the database was dropped, and with it the series.
    database: Option<DatabaseId>,
    indexed: Option<Indexed>,
}

/// All series that a group ever had.
#[derive(Debug, Default)]
pub(super) struct SeriesTable {
    ids: HashMap<KeyHash, SeriesId>,
    slots: Vec<Slot>,
    /// Sum of the hashes of all known series.
    sum: u64,
}

impl SeriesTable {
    /// The id of a series, if it is known.
    pub(super) fn lookup(&self, hash: KeyHash) -> Option<SeriesId> {
        self.ids.get(&hash).copied()
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
        self.slots[id.0 as usize] = Slot { hash, database: Some(database), indexed: None };
        self.ids.insert(hash, id);
        self.sum = self.sum.wrapping_add(share(id, hash));
    }

    /// Makes `next` the least id that the next series may get.
    pub(super) fn reserve(&mut self, next: u32) {
        if self.slots.len() < next as usize {
            self.slots.resize_with(next as usize, Slot::default);
        }
    }

    /// The id that the next new series gets.
    pub(super) fn next(&self) -> u32 {
        self.slots.len() as u32
    }

    /// The database of a series; `None` if the id was never given out or the database was dropped.
    pub(super) fn database(&self, id: SeriesId) -> Option<DatabaseId> {
        self.slots.get(id.0 as usize)?.database
    }

    pub(super) fn hash(&self, id: SeriesId) -> KeyHash {
        self.slots.get(id.0 as usize).map_or_else(KeyHash::default, |slot| slot.hash)
    }

    pub(super) fn indexed(&self, id: SeriesId) -> Option<&Indexed> {
        self.slots.get(id.0 as usize)?.indexed.as_ref()
    }

    pub(super) fn set_indexed(&mut self, id: SeriesId, indexed: Indexed) {
        if let Some(slot) = self.slots.get_mut(id.0 as usize) {
            slot.indexed = Some(indexed);
        }
    }

    /// Takes a series out of the index; it stays known.
    pub(super) fn take_indexed(&mut self, id: SeriesId) -> Option<Indexed> {
        self.slots.get_mut(id.0 as usize)?.indexed.take()
    }

    /// Forgets all series of a database and answers their ids, which stay used.
    pub(super) fn forget(&mut self, database: DatabaseId) -> Vec<SeriesId> {
        let mut gone = Vec::new();
        for (place, slot) in self.slots.iter_mut().enumerate() {
            if slot.database == Some(database) {
                let id = SeriesId(place as u32);
                self.ids.remove(&slot.hash);
                self.sum = self.sum.wrapping_sub(share(id, slot.hash));
                // The hash stays: a running checksum may still need it.
                slot.database = None;
                slot.indexed = None;
                gone.push(id);
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
}

fn share(id: SeriesId, hash: KeyHash) -> u64 {
    xxh3_64_with_seed(&hash.bytes(), u64::from(id.0))
}
