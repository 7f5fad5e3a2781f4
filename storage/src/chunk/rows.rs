//! Points of one field of one series on their way between head and chunk, uniform over the types.

use super::blocks::Erasure;
use model::FieldType;
use model::scan::ColumnBatch;
use model::value::Values;
use std::sync::Arc;

/// Strings that rows refer to by place.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Strings(Vec<Arc<[u8]>>);

impl Strings {
    pub(crate) fn from_distinct(distinct: &[&[u8]]) -> Self {
        Self(distinct.iter().map(|s| Arc::from(*s)).collect())
    }

    /// The string in this place; empty if there is none, which no row refers to.
    pub(crate) fn get(&self, place: u64) -> &[u8] {
        usize::try_from(place).ok().and_then(|i| self.0.get(i)).map_or(&[], |s| s)
    }

    /// Adds a string and answers its place. Repeating the last one costs nothing.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> u64 {
        if self.0.last().is_none_or(|last| **last != *bytes) {
            self.0.push(Arc::from(bytes));
        }
        self.0.len() as u64 - 1
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Points: time and the bits of the value (a float's bits, an integer, 0 or 1, or a string's place).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rows {
    pub(crate) field_type: FieldType,
    /// Sorted by time, each time once, unless said otherwise.
    pub(crate) rows: Vec<(i64, u64)>,
    pub(crate) strings: Strings,
}

impl Rows {
    pub(crate) fn new(field_type: FieldType) -> Self {
        Self { field_type, rows: Vec::new(), strings: Strings::default() }
    }

    /// Adds points that were written later; call [`Self::settle`] afterwards. Points of another type are left out:
    /// a field's type is fixed, so there are none.
    pub(crate) fn append(&mut self, later: &Rows) {
        if later.field_type != self.field_type {
            return;
        }
        let shift = match self.field_type {
            FieldType::String => self.strings.0.len() as u64,
            FieldType::Float | FieldType::Integer | FieldType::Boolean | FieldType::Unsigned => 0,
        };
        self.strings.0.extend(later.strings.0.iter().map(Arc::clone));
        self.rows.extend(later.rows.iter().map(|(time, bits)| (*time, bits + shift)));
    }

    /// Takes away the points of these times.
    pub(crate) fn erase(&mut self, erasure: Erasure) {
        self.rows.retain(|(time, _)| !erasure.covers(*time));
    }

    /// Sorts by time; of several points with the same time, the last one stays.
    pub(crate) fn settle(&mut self) {
        settle(&mut self.rows);
    }

    /// As a column for reading.
    pub(crate) fn into_batch(self) -> ColumnBatch {
        let times = self.rows.iter().map(|r| r.0).collect();
        let bits = self.rows.iter().map(|r| r.1);
        let values = match self.field_type {
            FieldType::Float => Values::Float(bits.map(f64::from_bits).collect()),
            FieldType::Integer => Values::Integer(bits.map(|b| b as i64).collect()),
            FieldType::Unsigned => Values::Unsigned(bits.collect()),
            FieldType::Boolean => Values::Boolean(bits.map(|b| b != 0).collect()),
            FieldType::String => {
                let mut texts: Vec<Option<Arc<str>>> = vec![None; self.strings.len()];
                let text = |place: u64| {
                    let slot = usize::try_from(place).ok().and_then(|i| texts.get_mut(i));
                    let make = || model::series::text(self.strings.get(place));
                    slot.map_or_else(make, |slot| Arc::clone(slot.get_or_insert_with(make)))
                };
                Values::String(bits.map(text).collect())
            }
        };
        ColumnBatch { times, values }
    }
}

/// Sorts rows by time, keeping of equal times the one that came last.
pub(crate) fn settle(rows: &mut Vec<(i64, u64)>) {
    if rows.is_sorted_by(|a, b| a.0 < b.0) {
        return;
    }
    rows.sort_by_key(|r| r.0);
    rows.dedup_by(|later, earlier| {
        let same = later.0 == earlier.0;
        if same {
            *earlier = *later;
        }
        same
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_write_of_a_time_stays() {
        let mut rows = vec![(5, 1), (3, 2), (5, 3), (4, 4), (3, 5)];
        settle(&mut rows);
        assert_eq!(rows, [(3, 5), (4, 4), (5, 3)]);
    }

    #[test]
    fn strings_keep_their_meaning_when_appended() {
        let mut a = Rows::new(FieldType::String);
        let place = a.strings.push(b"x");
        a.rows.push((1, place));
        let mut b = Rows::new(FieldType::String);
        let place = b.strings.push(b"y");
        b.rows.push((0, place));
        a.append(&b);
        a.settle();
        assert_eq!(a.into_batch().values, Values::String(vec!["y".into(), "x".into()]));
    }
}
