//! Points that are not sealed yet, column by column: one column is one field of one series in one partition.
//!
//! The applier appends, scans copy, a flush freezes the whole head and seals it. About 50 bytes a column and 2 to 6 a
//! point: points that come in the order of their times are encoded one after the other ([`points`]) into a pool that
//! all columns share ([`blocks`]). Late ones and overwrites are kept beside, as they came.

mod blocks;
mod places;
mod points;

use crate::chunk::blocks::Erasure;
use crate::chunk::{Rows, Strings};
use blocks::{Blocks, Chain};
use hashbrown::HashMap;
use model::value::ValueRef;
use model::{FieldId, FieldType, SeriesId};
use places::{NONE, Places};
use points::{Last, Nth, POINT_BYTES_MAX};

/// Columns of one series that are chained; further ones are found by a hash.
const CHAIN_MAX: usize = 8;
const LATE_BYTES: usize = size_of::<(i64, u64)>();
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

/// One field of one series, as the head keeps it.
#[derive(Debug)]
struct Stored {
    key: ColumnKey,
    last: Last,
    points: Chain,
    /// Bytes of the last block of `points`; 0 when a delete took all points away.
    last_block_bytes: u8,
    /// Place of the next column of the same series.
    next: u32,
    field_type: FieldType,
    fresh: bool,
    /// Some of its points are in [`Head::late`].
    late: bool,
}

/// One field of one series, for reading.
#[derive(Debug)]
pub(super) struct Column<'a> {
    pub(super) key: ColumnKey,
    /// Nothing of this column was sealed in this partition before.
    pub(super) fresh: bool,
    head: &'a Head,
    place: u32,
}

impl Column<'_> {
    /// A copy of the points of `[from, to]`, sorted, each time once.
    pub(super) fn copy(&self, from: i64, to: i64) -> Rows {
        let stored = &self.head.columns[self.place as usize];
        let mut copy = Rows::new(stored.field_type);
        if let Some(strings) = self.head.strings.get(&self.place) {
            copy.strings = strings.clone();
        }
        let in_range = |time: i64| from <= time && time <= to;
        let mut bytes = self.head.blocks.read(stored.points, stored.last_block_bytes);
        let mut last = Last::none(self.head.origin);
        let mut nth = Nth::First;
        let step = self.head.step.unwrap_or_default();
        while let Some((time, bits)) = points::decode(&mut bytes, &mut last, (stored.field_type, nth, step)) {
            if in_range(time) {
                copy.rows.push((time, bits));
            } else if time > to {
                break;
            }
            nth = Nth::Later;
        }
        if stored.late {
            // A late point is younger than any of the same time before it: it comes last and wins.
            let late = self.head.late.get(&self.place).into_iter().flatten();
            copy.rows.extend(late.filter(|(time, _)| in_range(*time)));
            copy.settle();
        }
        copy
    }
}

/// The unsealed points of one partition.
#[derive(Debug, Default)]
pub(super) struct Head {
    columns: Vec<Stored>,
    /// Columns that have points.
    live: usize,
    places: Places,
    blocks: Blocks,
    /// Points that were not younger than all of their column, by place, as they came.
    late: HashMap<u32, Vec<(i64, u64)>>,
    /// Strings of string columns, by place.
    strings: HashMap<u32, Strings>,
    /// Time of the first point: the first ones of all columns are mostly of the same scrape.
    origin: i64,
    /// Step of the first column that had a second point; the others mostly have the same.
    step: Option<i64>,
    /// The place that the last point went to: rows come in the same order each time.
    cursor: u32,
    points: usize,
    /// Bytes of late points and strings.
    beside_bytes: usize,
}

impl Head {
    /// Adds a point; answers whether this made its column. A point of another type than its column is left out.
    pub(super) fn push(&mut self, key: ColumnKey, time: i64, value: &ValueRef<'_>) -> Pushed {
        let place = self.find(key);
        if place == NONE {
            self.add_column(key, time, value);
            return Pushed::Column;
        }
        self.cursor = place;
        if self.is_dead(place) {
            self.begin(place, time, value);
            return Pushed::Column;
        }
        if self.columns[place as usize].field_type == value.field_type() {
            let bits = self.bits(place, value);
            self.add_point(place, time, bits);
            self.points += 1;
        }
        Pushed::Point
    }

    /// Marks the column that the last push made: nothing of it was sealed before.
    pub(super) fn mark_fresh(&mut self) {
        if let Some(column) = self.columns.get_mut(self.cursor as usize) {
            column.fresh = true;
        }
    }

    /// The place of a column, or `NONE`.
    fn find(&self, key: ColumnKey) -> u32 {
        // Where it is if rows come as they did before; else by series.
        for guess in [self.cursor.wrapping_add(1), self.cursor] {
            if self.columns.get(guess as usize).is_some_and(|column| column.key == key) {
                return guess;
            }
        }
        let mut place = self.places.first(key.series());
        for _ in 0..CHAIN_MAX {
            let Some(column) = self.columns.get(place as usize) else { return NONE };
            if column.key == key {
                return place;
            }
            place = column.next;
        }
        self.places.far(key)
    }

    fn add_column(&mut self, key: ColumnKey, time: i64, value: &ValueRef<'_>) {
        let place = self.columns.len() as u32;
        if place == 0 {
            self.origin = time;
        }
        self.columns.push(Stored {
            key,
            last: Last::none(self.origin),
            points: self.blocks.chain(),
            last_block_bytes: 0,
            next: NONE,
            field_type: value.field_type(),
            fresh: false,
            late: false,
        });
        self.link(key, place);
        self.cursor = place;
        self.begin(place, time, value);
    }

    /// Adds the first point of a column.
    fn begin(&mut self, place: u32, time: i64, value: &ValueRef<'_>) {
        let bits = self.bits(place, value);
        self.columns[place as usize].field_type = value.field_type();
        self.append(place, Nth::First, (time, bits));
        self.live += 1;
        self.points += 1;
    }

    /// Whether a column has lost all its points.
    fn is_dead(&self, place: u32) -> bool {
        self.columns[place as usize].last_block_bytes == 0
    }

    /// Makes a new column findable.
    fn link(&mut self, key: ColumnKey, place: u32) {
        let mut end = self.places.first(key.series());
        if end == NONE {
            return self.places.set_first(key.series(), place);
        }
        for _ in 1..CHAIN_MAX {
            let Some(column) = self.columns.get_mut(end as usize) else { return };
            if column.next == NONE {
                column.next = place;
                return;
            }
            end = column.next;
        }
        self.places.set_far(key, place);
    }

    /// The bits of a value; strings are kept beside.
    fn bits(&mut self, place: u32, value: &ValueRef<'_>) -> u64 {
        match value {
            ValueRef::Float(v) => v.to_bits(),
            ValueRef::Integer(v) => *v as u64,
            ValueRef::Unsigned(v) => *v,
            ValueRef::Boolean(v) => u64::from(*v),
            ValueRef::String(v) => {
                let strings = self.strings.entry(place).or_default();
                let before = strings.len();
                let bits = strings.push(v);
                self.beside_bytes += (strings.len() - before) * (v.len() + STRING_BYTES);
                bits
            }
        }
    }

    fn add_point(&mut self, place: u32, time: i64, bits: u64) {
        let column = &mut self.columns[place as usize];
        if time > column.last.time {
            return self.append(place, Nth::Later, (time, bits));
        }
        // The same again, as a retried write sends it. After a late point it could be an overwrite.
        if time == column.last.time && bits == column.last.bits && !column.late {
            return;
        }
        column.late = true;
        let late = self.late.entry(place).or_default();
        let before = late.capacity();
        late.push((time, bits));
        self.beside_bytes += (late.capacity() - before) * LATE_BYTES;
    }

    /// Encodes a point that is younger than all of its column.
    fn append(&mut self, place: u32, nth: Nth, point: (i64, u64)) {
        let column = &mut self.columns[place as usize];
        if nth == Nth::Later && self.step.is_none() {
            self.step = column.last.first_step(point.0);
        }
        let mut bytes = [0; POINT_BYTES_MAX];
        let kind = (column.field_type, nth, self.step.unwrap_or_default());
        let len = points::encode(&mut bytes, &mut column.last, kind, point);
        self.blocks.append(&mut column.points, &mut column.last_block_bytes, &bytes[..len]);
    }

    /// Takes away the points of these times; a column that has none left is as if it had never been. What is left of
    /// one is encoded anew, its old bytes stay until the next flush.
    pub(super) fn erase(&mut self, key: ColumnKey, erasure: Erasure) {
        let Some(column) = self.get(key) else { return };
        let (place, mut rows) = (column.place, column.copy(i64::MIN, i64::MAX));
        let before = rows.rows.len();
        rows.erase(erasure);
        if rows.rows.len() == before {
            return;
        }
        if let Some(late) = self.late.remove(&place) {
            self.beside_bytes -= late.capacity() * LATE_BYTES;
        }
        let points = self.blocks.chain();
        let column = &mut self.columns[place as usize];
        column.last = Last::none(self.origin);
        column.points = points;
        column.last_block_bytes = 0;
        column.late = false;
        if rows.rows.is_empty() {
            column.fresh = false;
            self.strings.remove(&place);
            self.live -= 1;
        }
        for (n, point) in rows.rows.into_iter().enumerate() {
            self.append(place, if n == 0 { Nth::First } else { Nth::Later }, point);
        }
    }

    pub(super) fn get(&self, key: ColumnKey) -> Option<Column<'_>> {
        let place = self.find(key);
        (place != NONE && !self.is_dead(place)).then(|| self.column(place))
    }

    fn column(&self, place: u32) -> Column<'_> {
        let stored = &self.columns[place as usize];
        Column { key: stored.key, fresh: stored.fresh, head: self, place }
    }

    /// All columns in the order of their keys.
    pub(super) fn in_order(&self) -> Vec<Column<'_>> {
        let live = (0..self.columns.len() as u32).filter(|place| !self.is_dead(*place));
        let mut columns: Vec<Column<'_>> = live.map(|place| self.column(place)).collect();
        columns.sort_unstable_by_key(|c| c.key);
        columns
    }

    pub(super) fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Points taken in; an overwritten one counts twice.
    pub(super) fn points(&self) -> usize {
        self.points
    }

    /// Memory in use, within a few per cent. O(1).
    pub(super) fn bytes(&self) -> usize {
        let beside = self.late.allocation_size() + self.strings.allocation_size() + self.beside_bytes;
        self.columns.len() * size_of::<Stored>() + self.places.bytes() + self.blocks.bytes() + beside
    }
}

/// What a push changed besides adding a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushed {
    /// Nothing.
    Point,
    /// It made the column.
    Column,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn key() -> ColumnKey {
        ColumnKey::new(SeriesId(1), FieldId(2))
    }

    #[test]
    fn a_column_costs_little() {
        let mut head = Head::default();
        for minute in 0..10 {
            for series in 0..1000 {
                let value = ValueRef::Integer(5_000 + i64::from(series) * minute);
                head.push(ColumnKey::new(SeriesId(series), FieldId(0)), minute * 60_000_000_000, &value);
            }
        }
        assert_eq!(head.points(), 10_000);
        assert_eq!(size_of::<Stored>(), 48);
        assert!(head.bytes() / 1000 <= 48 + 4 + 33 * 2, "{} bytes a column", head.bytes() / 1000);
    }

    #[test]
    fn points_coming_in_backwards_are_all_there() {
        let mut head = Head::default();
        for time in (0..5_000).rev() {
            head.push(key(), time, &ValueRef::Integer(time * 2));
        }
        assert_eq!(head.get(key()).unwrap().copy(10, 12).rows, [(10, 20), (11, 22), (12, 24)]);
    }

    #[test]
    fn the_same_again_costs_nothing() {
        let mut head = Head::default();
        for _ in 0..1_000 {
            head.push(key(), 5, &ValueRef::Float(1.5));
        }
        assert!(head.late.is_empty());
        for value in [2.5, 1.5, 1.5] {
            head.push(key(), 5, &ValueRef::Float(value));
        }
        assert_eq!(head.get(key()).unwrap().copy(0, 9).rows, [(5, 1.5f64.to_bits())]);
    }

    #[test]
    fn another_type_is_left_out() {
        let mut head = Head::default();
        head.push(key(), 1, &ValueRef::Integer(1));
        head.push(key(), 2, &ValueRef::Boolean(true));
        assert_eq!((head.points(), head.get(key()).unwrap().copy(0, 9).rows.len()), (1, 1));
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
        for series in 0..4 {
            head.erase(key(series), Erasure { first: 0, last: 20 });
        }
        assert!(head.is_empty());
        assert_eq!(head.push(key(1), 5, &ValueRef::Integer(7)), Pushed::Column);
        assert_eq!(head.get(key(1)).unwrap().copy(0, 20).rows, [(5, 7)]);
    }

    fn value(kind: u8, seed: u64) -> ValueRef<'static> {
        match kind {
            0 => ValueRef::Float(f64::from_bits(seed)),
            1 => ValueRef::Integer(seed as i64),
            2 => ValueRef::Unsigned(seed),
            3 => ValueRef::Boolean(seed.is_multiple_of(2)),
            _ => ValueRef::String(format!("s{}", seed % 3).into_bytes().into()),
        }
    }

    /// Value bits, strings by content.
    fn shown(rows: &Rows) -> Vec<(i64, u64, Vec<u8>)> {
        let string = |bits| match rows.field_type {
            FieldType::String => (0, rows.strings.get(bits).to_vec()),
            _ => (bits, Vec::new()),
        };
        rows.rows.iter().map(|(time, bits)| (*time, string(*bits))).map(|(t, (b, s))| (t, b, s)).collect()
    }

    fn expected(time: i64, value: &ValueRef<'_>) -> (i64, u64, Vec<u8>) {
        match value {
            ValueRef::Float(v) => (time, v.to_bits(), Vec::new()),
            ValueRef::Integer(v) => (time, *v as u64, Vec::new()),
            ValueRef::Unsigned(v) => (time, *v, Vec::new()),
            ValueRef::Boolean(v) => (time, u64::from(*v), Vec::new()),
            ValueRef::String(v) => (time, 0, v.to_vec()),
        }
    }

    fn times() -> impl Strategy<Value = i64> {
        prop_oneof![
            6 => (0i64..300).prop_map(|t| t * 60_000_000_000),
            2 => 0i64..300,
            1 => any::<i64>(),
            1 => Just(i64::MIN),
            1 => Just(i64::MAX),
        ]
    }

    fn seeds() -> impl Strategy<Value = u64> {
        prop_oneof![
            Just(0u64),
            any::<u64>(),
            (0u64..9).prop_map(|n| n << 40),
            (0u64..99).prop_map(|n| 1_000_000 + n)
        ]
    }

    proptest! {
        /// Several columns (series 3 has more than are chained) against maps.
        #[test]
        fn columns_are_sorted_maps(
            pushes in prop::collection::vec((0u32..4, 0u32..12, times(), seeds(), prop::bool::weighted(0.03)), 1..900),
            sorted: bool,
            from in times(),
            to in times(),
        ) {
            let mut pushes = pushes;
            if sorted {
                pushes.sort_by_key(|push| push.2);
            }
            let mut head = Head::default();
            let mut model: BTreeMap<ColumnKey, BTreeMap<i64, ValueRef<'static>>> = BTreeMap::new();
            for (series, field, time, seed, erase) in pushes {
                let field = if series == 3 { field } else { field % 2 };
                let key = ColumnKey::new(SeriesId(series * 1_000), FieldId(field));
                if erase {
                    let first = if seed.is_multiple_of(3) { i64::MIN } else { time };
                    let last = time.saturating_add(seed as i64 & i64::MAX);
                    head.erase(key, Erasure { first, last });
                    let points = model.remove(&key).unwrap_or_default();
                    let left: BTreeMap<_, _> =
                        points.into_iter().filter(|(t, _)| *t < first || last < *t).collect();
                    if !left.is_empty() {
                        model.insert(key, left);
                    }
                    continue;
                }
                let value = value((field % 5) as u8, seed);
                let new = !model.contains_key(&key);
                prop_assert_eq!(head.push(key, time, &value) == Pushed::Column, new);
                model.entry(key).or_default().insert(time, value);
            }
            let columns = head.in_order();
            prop_assert!(columns.iter().map(|c| c.key).eq(model.keys().copied()));
            for column in columns {
                let points = &model[&column.key];
                let all: Vec<_> = points.iter().map(|(t, v)| expected(*t, v)).collect();
                prop_assert_eq!(shown(&column.copy(i64::MIN, i64::MAX)), all);
                let some = points.iter().filter(|(t, _)| from <= **t && **t <= to);
                let some: Vec<_> = some.map(|(t, v)| expected(*t, v)).collect();
                prop_assert_eq!(shown(&head.get(column.key).unwrap().copy(from, to)), some);
            }
            prop_assert!(head.get(ColumnKey::new(SeriesId(9), FieldId(0))).is_none());
        }
    }
}
