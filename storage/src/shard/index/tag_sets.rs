//! The tag values of every indexed series: numbers in one long array.
//!
//! Series with the same measurement and tag keys share a shape, so a tag set is the number of its shape and one symbol
//! a tag.

use super::symbols::Symbol;
use hashbrown::HashMap;

/// A series that is not indexed has this place.
const NOWHERE: u32 = u32::MAX;

/// Tag sets by series id.
#[derive(Debug, Default)]
pub(super) struct TagSets {
    /// By series id: where its words begin.
    places: Vec<u32>,
    /// Tag sets one after the other: number of the shape, then the values.
    words: Vec<u32>,
    /// Places of removed ones, by their number of values.
    free: HashMap<usize, Vec<u32>>,
}

impl TagSets {
    /// Sets the tags of a series that has none.
    pub(super) fn insert(&mut self, id: u32, shape: u32, values: &[Symbol]) {
        let place = match self.free.get_mut(&values.len()).and_then(Vec::pop) {
            Some(place) => place,
            None => {
                let place = self.words.len() as u32;
                self.words.resize(self.words.len() + 1 + values.len(), 0);
                place
            }
        };
        let words = &mut self.words[place as usize..];
        words[0] = shape;
        words[1..].iter_mut().zip(values).for_each(|(word, value)| *word = value.0);
        if self.places.len() <= id as usize {
            self.places.resize(id as usize + 1, NOWHERE);
        }
        self.places[id as usize] = place;
    }

    /// The number of the shape of a series, if it is indexed.
    pub(super) fn shape(&self, id: u32) -> Option<u32> {
        Some(self.words[self.place(id)?])
    }

    /// The first `len` values of a series; nothing if it is not indexed.
    pub(super) fn values(&self, id: u32, len: usize) -> impl ExactSizeIterator<Item = Symbol> {
        let words = self.place(id).and_then(|place| self.words.get(place + 1..place + 1 + len));
        words.unwrap_or_default().iter().map(|word| Symbol(*word))
    }

    /// The value in one place of the shape's keys.
    pub(super) fn value(&self, id: u32, place_of_key: usize) -> Option<Symbol> {
        self.words.get(self.place(id)? + 1 + place_of_key).map(|word| Symbol(*word))
    }

    /// Forgets the tags of a series that has `len` of them.
    pub(super) fn remove(&mut self, id: u32, len: usize) {
        let Some(place) = self.places.get_mut(id as usize).filter(|place| **place != NOWHERE) else { return };
        self.free.entry(len).or_default().push(*place);
        *place = NOWHERE;
    }

    fn place(&self, id: u32) -> Option<usize> {
        self.places.get(id as usize).filter(|place| **place != NOWHERE).map(|place| *place as usize)
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        let free = self.free.values().map(Vec::capacity).sum::<usize>();
        (self.places.capacity() + self.words.capacity() + free) * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn tag_sets_are_a_map(ops in prop::collection::vec((0u32..30, prop::option::of(0usize..5), any::<u32>()), 0..300)) {
            let mut sets = TagSets::default();
            let mut model: BTreeMap<u32, (u32, Vec<Symbol>)> = BTreeMap::new();
            for (id, len, seed) in ops {
                if let Some((_, values)) = model.remove(&id) {
                    sets.remove(id, values.len());
                }
                if let Some(len) = len {
                    let values: Vec<Symbol> = (0..len as u32).map(|i| Symbol(seed.wrapping_add(i))).collect();
                    sets.insert(id, seed, &values);
                    model.insert(id, (seed, values));
                }
                for id in 0..30 {
                    let known = model.get(&id);
                    prop_assert_eq!(sets.shape(id), known.map(|(shape, _)| *shape));
                    let values = known.map(|(_, values)| values.clone()).unwrap_or_default();
                    prop_assert_eq!(sets.values(id, values.len()).collect::<Vec<_>>(), values.clone());
                    for (place, value) in values.into_iter().enumerate() {
                        prop_assert_eq!(sets.value(id, place), Some(value));
                    }
                }
            }
            prop_assert!(sets.words.len() <= 30 * (1 + 2 + 3 + 4 + 5), "places are used again");
        }
    }
}
