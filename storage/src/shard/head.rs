//! Points that are not sealed yet, column by column: one column is one field of one series in one partition.
//!
//! The applier appends, scans copy, a flush freezes the whole head and seals it. 16 bytes a point and about a hundred
//! per column.

use crate::chunk::Rows;
use crate::chunk::blocks::Erasure;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use model::value::ValueRef;
use model::{FieldId, SeriesId};

/// A point this close to the end of a sorted column is inserted in place; one further back is appended and the column
/// sorted when it is read, so that points coming in backwards do not cost the square of their number.
const INSERT_DISTANCE_MAX: usize = 256;
/// What a column costs besides its points: itself, its place in the map, slack.
const COLUMN_BYTES: usize = 128;
const ROW_BYTES: usize = size_of::<(i64, u64)>();
/// Length and reference counts of a string beside its bytes.
const STRING_BYTES: usize = 32;

/// Orders columns as chunk keys do: by series, then field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ColumnKey(u64);

impl ColumnKey {
    pub(super) fn new(series: SeriesId, field: FieldId) -> Self {
        Self(u64::from(series.0) << 32 | u64::from(field.0))
    }

    pub(super) fn series(self) -> SeriesId {
        SeriesId((self.0 >> 32) as u32)
    }

    pub(super) fn field(self) -> FieldId {
        FieldId(self.0 as u32)
    }
}

/// One field of one series.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) key: ColumnKey,
    /// Nothing of this column was sealed in this partition before.
    pub(super) fresh: bool,
    rows: Rows,
    sorted: bool,
}

impl Column {
    /// Adds a point; answers by how many bytes the column grew.
    fn push(&mut self, time: i64, value: &ValueRef<'_>) -> usize {
        let strings = self.rows.strings.len();
        let (bits, string_bytes) = match value {
            ValueRef::Float(v) => (v.to_bits(), 0),
            ValueRef::Integer(v) => (*v as u64, 0),
            ValueRef::Unsigned(v) => (*v, 0),
            ValueRef::Boolean(v) => (u64::from(*v), 0),
            ValueRef::String(v) => (self.rows.strings.push(v), v.len() + STRING_BYTES),
        };
        let string_bytes = if self.rows.strings.len() > strings { string_bytes } else { 0 };
        let before = self.rows.rows.capacity();
        self.place(time, bits);
        (self.rows.rows.capacity() - before) * ROW_BYTES + string_bytes
    }

    fn place(&mut self, time: i64, bits: u64) {
        let rows = &mut self.rows.rows;
        if rows.len() == rows.capacity() {
            // Half more instead of double: millions of columns hold little slack.
            rows.reserve_exact((rows.len() / 2).max(4));
        }
        let Some(last) = rows.last_mut() else { return rows.push((time, bits)) };
        if last.0 < time || !self.sorted {
            return rows.push((time, bits));
        }
        if last.0 == time {
            last.1 = bits;
            return;
        }
        match rows.binary_search_by_key(&time, |r| r.0) {
            Ok(place) => rows[place].1 = bits,
            Err(place) if rows.len() - place <= INSERT_DISTANCE_MAX => rows.insert(place, (time, bits)),
            Err(_) => {
                rows.push((time, bits));
                self.sorted = false;
            }
        }
    }

    /// A copy of the points of `[from, to]`, sorted, each time once.
    pub(super) fn copy(&self, from: i64, to: i64) -> Rows {
        let rows = &self.rows.rows;
        let mut copy = Rows { strings: self.rows.strings.clone(), ..Rows::new(self.rows.field_type) };
        if self.sorted {
            let start = rows.partition_point(|r| r.0 < from);
            let end = rows.partition_point(|r| r.0 <= to);
            copy.rows.extend_from_slice(&rows[start..end.max(start)]);
        } else {
            copy.rows.extend(rows.iter().filter(|r| from <= r.0 && r.0 <= to));
            copy.settle();
        }
        copy
    }

    /// The points, if they are sorted already.
    pub(super) fn sorted(&self) -> Option<&Rows> {
        self.sorted.then_some(&self.rows)
    }
}

/// The unsealed points of one partition.
#[derive(Debug, Default)]
pub(super) struct Head {
    places: HashMap<ColumnKey, u32>,
    columns: Vec<Column>,
    points: usize,
    bytes: usize,
}

impl Head {
    /// Adds a point and answers the column if this made it. A point of another type than its column is left out.
    pub(super) fn push(&mut self, key: ColumnKey, time: i64, value: &ValueRef<'_>) -> Option<&mut Column> {
        let next = self.columns.len() as u32;
        match self.places.entry(key) {
            Entry::Occupied(place) => {
                let column = &mut self.columns[*place.get() as usize];
                if column.rows.field_type == value.field_type() {
                    self.bytes += column.push(time, value);
                    self.points += 1;
                }
                None
            }
            Entry::Vacant(place) => {
                place.insert(next);
                let rows = Rows::new(value.field_type());
                let mut column = Column { key, fresh: false, rows, sorted: true };
                self.bytes += COLUMN_BYTES + column.push(time, value);
                self.points += 1;
                self.columns.push(column);
                self.columns.last_mut()
            }
        }
    }

    /// Takes away the points of these times; a column that has none left goes.
    pub(super) fn erase(&mut self, key: ColumnKey, erasure: Erasure) {
        let Some(place) = self.places.get(&key).map(|place| *place as usize) else { return };
        let rows = &mut self.columns[place].rows;
        rows.erase(erasure);
        if !rows.rows.is_empty() {
            return;
        }
        self.bytes = self.bytes.saturating_sub(COLUMN_BYTES + rows.rows.capacity() * ROW_BYTES);
        self.places.remove(&key);
        self.columns.swap_remove(place);
        if let Some(moved) = self.columns.get(place) {
            self.places.insert(moved.key, place as u32);
        }
    }

    pub(super) fn get(&self, key: ColumnKey) -> Option<&Column> {
        self.places.get(&key).map(|place| &self.columns[*place as usize])
    }

    /// All columns in the order of their keys.
    pub(super) fn in_order(&self) -> Vec<&Column> {
        let mut columns: Vec<&Column> = self.columns.iter().collect();
        columns.sort_unstable_by_key(|c| c.key);
        columns
    }

    pub(super) fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// Points taken in; an overwritten one counts twice.
    pub(super) fn points(&self) -> usize {
        self.points
    }

    /// Memory in use, within a few per cent.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn key() -> ColumnKey {
        ColumnKey::new(SeriesId(1), FieldId(2))
    }

    fn pushed(points: &[(i64, i64)]) -> Head {
        let mut head = Head::default();
        for (time, value) in points {
            head.push(key(), *time, &ValueRef::Integer(*value));
        }
        head
    }

    #[test]
    fn a_column_costs_little() {
        let mut head = Head::default();
        for series in 0..1000 {
            for minute in 0..10 {
                head.push(ColumnKey::new(SeriesId(series), FieldId(0)), minute, &ValueRef::Float(1.5));
            }
        }
        assert_eq!(head.points(), 10_000);
        assert!(head.bytes() / 1000 <= 128 + 12 * 16, "{} bytes a column", head.bytes() / 1000);
    }

    #[test]
    fn points_coming_in_backwards_are_all_there() {
        let points: Vec<_> = (0..5000).rev().map(|t| (t, t * 2)).collect();
        let head = pushed(&points);
        let column = head.get(key()).unwrap();
        assert!(column.sorted().is_none());
        let copy = column.copy(10, 12);
        assert_eq!(copy.rows, [(10, 20), (11, 22), (12, 24)]);
    }

    #[test]
    fn erased_columns_leave_the_others_in_place() {
        let mut head = Head::default();
        let key = |series| ColumnKey::new(SeriesId(series), FieldId(0));
        for series in 0..4 {
            for time in 0..10 {
                head.push(key(series), time, &ValueRef::Integer(i64::from(series)));
            }
        }
        head.erase(key(1), Erasure { first: 0, last: 20 });
        head.erase(key(3), Erasure { first: 2, last: 8 });
        head.erase(key(9), Erasure { first: 2, last: 8 });
        let times = |series| head.get(key(series)).map(|c| c.copy(i64::MIN, i64::MAX).rows);
        assert_eq!(times(1), None);
        assert_eq!(times(3), Some(vec![(0, 3), (1, 3), (9, 3)]));
        assert_eq!(times(2).unwrap().len(), 10);
        assert_eq!(head.in_order().len(), 3);
    }

    proptest! {
        #[test]
        fn a_column_is_a_sorted_map(points in prop::collection::vec((0i64..600, any::<i64>()), 1..900)) {
            let head = pushed(&points);
            let model: BTreeMap<i64, i64> = points.iter().copied().collect();
            let rows = head.get(key()).unwrap().copy(i64::MIN, i64::MAX).rows;
            let expected: Vec<_> = model.into_iter().map(|(t, v)| (t, v as u64)).collect();
            prop_assert_eq!(rows, expected);
        }
    }
}
