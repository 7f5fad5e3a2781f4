//! The strings of a group's index, each kept once and named by a number.
//!
//! A tag of a series costs 4 bytes instead of two shared strings. A symbol lives as long as somebody holds it: the
//! index holds measurement names, tag keys and tag values as long as a series has them. Numbers are used again; only
//! in memory.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;
use std::sync::Arc;

/// The number of a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::shard) struct Symbol(pub(in crate::shard) u32);

#[derive(Debug)]
struct Entry {
    /// `None` while the number is free.
    text: Option<Arc<str>>,
    holds: u32,
}

/// The strings in use.
#[derive(Debug, Default)]
pub(in crate::shard) struct Symbols {
    entries: Vec<Entry>,
    places: HashTable<u32>,
    free: Vec<u32>,
    hasher: DefaultHashBuilder,
}

impl Symbols {
    /// The symbol of a string, made if there is none. A new one must be held, or it stays for ever.
    pub(super) fn intern(&mut self, text: &str) -> Symbol {
        let hash = self.hasher.hash_one(text);
        let Self { entries, places, free, hasher } = self;
        let is = |place: &u32| entries[*place as usize].text.as_deref() == Some(text);
        if let Some(place) = places.find(hash, is) {
            return Symbol(*place);
        }
        let entry = Entry { text: Some(Arc::from(text)), holds: 0 };
        let place = free.pop().unwrap_or(entries.len() as u32);
        match entries.get_mut(place as usize) {
            Some(unused) => *unused = entry,
            None => entries.push(entry),
        }
        places.insert_unique(hash, place, |place| {
            hasher.hash_one(entries[*place as usize].text.as_deref().unwrap_or_default())
        });
        Symbol(place)
    }

    /// The symbol of a string, if it is in use.
    pub(super) fn find(&self, text: &str) -> Option<Symbol> {
        let hash = self.hasher.hash_one(text);
        let is = |place: &u32| self.entries[*place as usize].text.as_deref() == Some(text);
        self.places.find(hash, is).map(|place| Symbol(*place))
    }

    /// The string of a symbol; empty if it is not in use.
    pub(super) fn text(&self, symbol: Symbol) -> &str {
        self.entries.get(symbol.0 as usize).and_then(|entry| entry.text.as_deref()).unwrap_or_default()
    }

    /// The string of a symbol, shared: equal strings are the same allocation.
    pub(super) fn shared(&self, symbol: Symbol) -> Arc<str> {
        let text = self.entries.get(symbol.0 as usize).and_then(|entry| entry.text.as_ref());
        text.map_or_else(|| Arc::from(""), Arc::clone)
    }

    /// Keeps a symbol until it is released as often as it is held.
    pub(super) fn hold(&mut self, symbol: Symbol) {
        if let Some(entry) = self.entries.get_mut(symbol.0 as usize) {
            entry.holds += 1;
        }
    }

    /// Gives back one hold; the string is freed with the last one.
    pub(super) fn release(&mut self, symbol: Symbol) {
        let Some(entry) = self.entries.get_mut(symbol.0 as usize) else { return };
        entry.holds = entry.holds.saturating_sub(1);
        if entry.holds > 0 {
            return;
        }
        let Some(text) = entry.text.take() else { return };
        let hash = self.hasher.hash_one(&*text);
        if let Ok(place) = self.places.find_entry(hash, |place| *place == symbol.0) {
            place.remove();
            self.free.push(symbol.0);
        }
    }

    /// Number of strings in use.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Bytes in memory, within a few per cent. Cost: all strings.
    pub(super) fn bytes(&self) -> usize {
        // A shared string has two counters before it, and allocations are rounded up.
        let text =
            |entry: &Entry| entry.text.as_ref().map_or(0, |text| (text.len() + 16).next_multiple_of(16));
        self.entries.iter().map(text).sum::<usize>()
            + self.entries.capacity() * size_of::<Entry>()
            + self.places.allocation_size()
            + self.free.capacity() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// Against a map from strings to the number of their holds.
        #[test]
        fn symbols_are_a_counting_set(ops in prop::collection::vec(("[a-f]{0,2}", any::<bool>()), 0..300)) {
            let mut symbols = Symbols::default();
            let mut model: BTreeMap<String, u32> = BTreeMap::new();
            for (text, hold) in ops {
                if hold {
                    let symbol = symbols.intern(&text);
                    symbols.hold(symbol);
                    *model.entry(text).or_default() += 1;
                } else if let Some(holds) = model.get_mut(&text) {
                    symbols.release(symbols.find(&text).unwrap());
                    *holds -= 1;
                    if *holds == 0 {
                        model.remove(&text);
                    }
                } else {
                    prop_assert_eq!(symbols.find(&text), None);
                }
                prop_assert_eq!(symbols.len(), model.len());
                for text in model.keys() {
                    let symbol = symbols.find(text).unwrap();
                    prop_assert_eq!(symbols.text(symbol), text);
                    prop_assert_eq!(&*symbols.shared(symbol), text);
                }
            }
            prop_assert!(symbols.entries.len() <= 43, "numbers are used again");
        }
    }
}
