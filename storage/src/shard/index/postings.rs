//! The values of one tag key in one measurement, and which series have each of them.
//!
//! Most values belong to one to three series of a group (a pod's name, a disk), so these ids lie in the table itself:
//! 16 bytes a value. More ids are a sorted list, many a Roaring bitmap, kept beside.

use super::symbols::Symbol;
use hashbrown::HashTable;
use roaring::RoaringBitmap;
use std::borrow::Cow;

/// Ids of a list; more of them make a bitmap.
const LIST_MAX: usize = 128;
/// Place without an id. Ids are given out in order, and memory ends long before this one.
const EMPTY: u32 = u32::MAX;

/// One value with its series.
#[derive(Debug, Clone, Copy)]
struct Posting {
    value: Symbol,
    /// Rising, then `EMPTY`. `EMPTY` first: the second is a place in `sets`.
    ids: [u32; 3],
}

/// More than three ids.
#[derive(Debug)]
enum Set {
    /// Rising.
    List(Vec<u32>),
    Bitmap(RoaringBitmap),
}

/// Which series have which value of one tag key.
#[derive(Debug, Default)]
pub(super) struct Postings {
    table: HashTable<Posting>,
    sets: Vec<Set>,
    free: Vec<u32>,
}

/// What an insert or a remove changed besides the pair itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Changed {
    /// Nothing.
    Pair,
    /// The value had no series before, or has none now.
    Value,
}

/// Symbols are dense numbers: one multiplication spreads them.
fn hash(value: Symbol) -> u64 {
    u64::from(value.0).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32)
}

impl Postings {
    /// Notes that a series has a value.
    pub(super) fn insert(&mut self, value: Symbol, id: u32) -> Changed {
        let Some(posting) = self.table.find_mut(hash(value), |p| p.value == value) else {
            let posting = Posting { value, ids: [id, EMPTY, EMPTY] };
            self.table.insert_unique(hash(value), posting, |p| hash(p.value));
            return Changed::Value;
        };
        if posting.ids[0] == EMPTY {
            self.sets[posting.ids[1] as usize].insert(id);
            return Changed::Pair;
        }
        if posting.ids.contains(&id) {
            return Changed::Pair;
        }
        if let Some(last) = posting.ids.last_mut().filter(|last| **last == EMPTY) {
            // `EMPTY` is the greatest number, so sorting keeps it at the end.
            *last = id;
            posting.ids.sort_unstable();
            return Changed::Pair;
        }
        let mut list = Vec::with_capacity(6);
        list.extend_from_slice(&posting.ids);
        let mut set = Set::List(list);
        set.insert(id);
        let place = self.free.pop().unwrap_or(self.sets.len() as u32);
        match self.sets.get_mut(place as usize) {
            Some(unused) => *unused = set,
            None => self.sets.push(set),
        }
        posting.ids = [EMPTY, place, EMPTY];
        Changed::Pair
    }

    /// Notes that a series has a value no more.
    pub(super) fn remove(&mut self, value: Symbol, id: u32) -> Changed {
        let Ok(mut entry) = self.table.find_entry(hash(value), |p| p.value == value) else {
            return Changed::Pair;
        };
        let posting = entry.get_mut();
        if posting.ids[0] == EMPTY {
            let place = posting.ids[1];
            let set = &mut self.sets[place as usize];
            set.remove(id);
            if set.len() <= posting.ids.len() as u64 {
                let mut ids = [EMPTY; 3];
                ids.iter_mut().zip(set.ids()).for_each(|(to, id)| *to = id);
                posting.ids = ids;
                *set = Set::List(Vec::new());
                self.free.push(place);
            }
            return Changed::Pair;
        }
        if let Some(found) = posting.ids.iter_mut().find(|known| **known == id) {
            *found = EMPTY;
            posting.ids.sort_unstable();
        }
        if posting.ids[0] != EMPTY {
            return Changed::Pair;
        }
        entry.remove();
        if self.table.len() * 4 < self.table.capacity() {
            self.table.shrink_to(self.table.len() * 2, |p| hash(p.value));
        }
        Changed::Value
    }

    /// Number of values.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    pub(super) fn contains(&self, value: Symbol) -> bool {
        self.table.find(hash(value), |p| p.value == value).is_some()
    }

    /// All values, in no order.
    pub(super) fn values(&self) -> impl Iterator<Item = Symbol> {
        self.table.iter().map(|posting| posting.value)
    }

    /// The values that one of the series has.
    pub(super) fn values_of(&self, series: &RoaringBitmap) -> impl Iterator<Item = Symbol> {
        let has = |posting: &&Posting| match self.set(posting) {
            None => posting.inline().any(|id| series.contains(id)),
            Some(Set::List(list)) => list.iter().any(|id| series.contains(*id)),
            Some(Set::Bitmap(bitmap)) => !bitmap.is_disjoint(series),
        };
        self.table.iter().filter(has).map(|posting| posting.value)
    }

    /// The series that have a value.
    pub(super) fn series(&self, value: Symbol) -> Cow<'_, RoaringBitmap> {
        let Some(posting) = self.table.find(hash(value), |p| p.value == value) else {
            return Cow::Owned(RoaringBitmap::new());
        };
        match self.set(posting) {
            None => Cow::Owned(posting.inline().collect()),
            Some(Set::List(list)) => Cow::Owned(list.iter().copied().collect()),
            Some(Set::Bitmap(bitmap)) => Cow::Borrowed(bitmap),
        }
    }

    /// The series that have one of the values. Cost: the series found.
    pub(super) fn union(&self, values: impl IntoIterator<Item = Symbol>) -> RoaringBitmap {
        let mut union = RoaringBitmap::new();
        let mut few = Vec::new();
        for value in values {
            let Some(posting) = self.table.find(hash(value), |p| p.value == value) else { continue };
            match self.set(posting) {
                None => few.extend(posting.inline()),
                Some(Set::List(list)) => few.extend_from_slice(list),
                Some(Set::Bitmap(bitmap)) => union |= bitmap,
            }
        }
        few.sort_unstable();
        union.extend(few);
        union
    }

    fn set(&self, posting: &Posting) -> Option<&Set> {
        if posting.ids[0] == EMPTY { self.sets.get(posting.ids[1] as usize) } else { None }
    }

    /// Bytes in memory, within some per cent.
    pub(super) fn bytes(&self) -> usize {
        let sets = self.sets.iter().map(Set::bytes).sum::<usize>();
        self.table.allocation_size()
            + self.sets.capacity() * size_of::<Set>()
            + self.free.capacity() * 4
            + sets
    }
}

impl Posting {
    fn inline(&self) -> impl Iterator<Item = u32> {
        self.ids.into_iter().take_while(|id| *id != EMPTY)
    }
}

impl Set {
    fn insert(&mut self, id: u32) {
        match self {
            Self::List(list) => {
                let Err(place) = list.binary_search(&id) else { return };
                if list.len() < LIST_MAX {
                    if list.len() == list.capacity() {
                        list.reserve_exact(list.len() / 2);
                    }
                    list.insert(place, id);
                } else {
                    let mut bitmap: RoaringBitmap = list.iter().copied().collect();
                    bitmap.insert(id);
                    *self = Self::Bitmap(bitmap);
                }
            }
            Self::Bitmap(bitmap) => {
                bitmap.insert(id);
            }
        }
    }

    fn remove(&mut self, id: u32) {
        match self {
            Self::List(list) => {
                if let Ok(place) = list.binary_search(&id) {
                    list.remove(place);
                }
            }
            Self::Bitmap(bitmap) => {
                bitmap.remove(id);
                // Half of what makes a bitmap, so that it does not change back and forth.
                if bitmap.len() <= LIST_MAX as u64 / 2 {
                    *self = Self::List(bitmap.iter().collect());
                }
            }
        }
    }

    fn len(&self) -> u64 {
        match self {
            Self::List(list) => list.len() as u64,
            Self::Bitmap(bitmap) => bitmap.len(),
        }
    }

    /// Only for few.
    fn ids(&self) -> Vec<u32> {
        match self {
            Self::List(list) => list.clone(),
            Self::Bitmap(bitmap) => bitmap.iter().collect(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::List(list) => list.capacity() * size_of::<u32>(),
            Self::Bitmap(bitmap) => bitmap_bytes(bitmap),
        }
    }
}

/// Bytes of a bitmap in memory, about.
pub(in crate::shard) fn bitmap_bytes(bitmap: &RoaringBitmap) -> usize {
    let statistics = bitmap.statistics();
    let containers = statistics.n_containers as usize * 40;
    let arrays = statistics.n_bytes_array_containers + statistics.n_bytes_run_containers;
    containers + arrays as usize + statistics.n_bytes_bitset_containers as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    type Model = BTreeMap<u32, BTreeSet<u32>>;

    fn check(postings: &Postings, model: &Model) {
        assert_eq!(postings.len(), model.len());
        let values: BTreeSet<u32> = postings.values().map(|v| v.0).collect();
        assert_eq!(values, model.keys().copied().collect());
        for (value, ids) in model {
            assert!(postings.contains(Symbol(*value)));
            assert!(postings.series(Symbol(*value)).iter().eq(ids.iter().copied()));
            let found: BTreeSet<u32> = postings.union([Symbol(*value)]).iter().collect();
            assert_eq!(&found, ids);
        }
        let some: RoaringBitmap = (0..40).collect();
        let found: BTreeSet<u32> = postings.values_of(&some).map(|v| v.0).collect();
        let expected = model.iter().filter(|(_, ids)| ids.iter().any(|id| *id < 40)).map(|(v, _)| *v);
        assert_eq!(found, expected.collect());
        let all: BTreeSet<u32> = postings.union(postings.values()).iter().collect();
        assert_eq!(all, model.values().flatten().copied().collect());
        let used = model.values().filter(|ids| ids.len() > 3).count();
        assert_eq!(postings.sets.len() - postings.free.len(), used);
    }

    proptest! {
        /// Few values and many ids, so that every form is reached from both sides.
        #[test]
        fn postings_are_sets(ops in prop::collection::vec((0u32..4, 0u32..400, 0u8..10), 0..2_000), keep in 2u8..9) {
            let (mut postings, mut model) = (Postings::default(), Model::new());
            for (n, (value, id, dice)) in ops.into_iter().enumerate() {
                if dice < keep {
                    let new = !model.contains_key(&value);
                    model.entry(value).or_default().insert(id);
                    prop_assert_eq!(postings.insert(Symbol(value), id) == Changed::Value, new);
                } else {
                    let gone = model.get_mut(&value).is_some_and(|ids| ids.remove(&id) && ids.is_empty());
                    if gone {
                        model.remove(&value);
                    }
                    prop_assert_eq!(postings.remove(Symbol(value), id) == Changed::Value, gone);
                }
                if n % 97 == 0 {
                    check(&postings, &model);
                }
            }
            check(&postings, &model);
        }
    }

    #[test]
    fn a_value_of_one_series_costs_little() {
        let mut postings = Postings::default();
        for n in 0..100_000 {
            postings.insert(Symbol(n), n);
        }
        assert!(postings.bytes() / 100_000 <= 34, "{} bytes a value", postings.bytes() / 100_000);
    }
}
