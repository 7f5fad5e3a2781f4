//! The replicated write: points of one database and policy, for one group, in few bytes.
//!
//! A series that the group already has is named by its id; a new one brings its key once and is then named by its
//! place among the new ones. Series, time and field are left out where they repeat the row before, so a row of
//! Heapster's costs 5 to 12 bytes where the line had 330. Rows keep the order of the lines: of two rows with the same
//! series, field and time the later one wins.
//!
//! ```text
//! batch   := version u8 | database varint | policy varint | shard_duration_ns varint
//!          | new_count varint | new_count × (len varint | series key bytes)
//!          | rows until the end
//! version := 1 shard groups are counted from 1970 | 2 from the year 1 (feature level 2); all else is the same
//! row     := head u8 | [series varint] | [time zigzag varint] | [field varint] | value
//! head    := bits 0-2 type code | bit 3 same series | bit 4 same time | bit 5 same field | bit 6 compact value
//! series  := id << 1 for a known one, place << 1 | 1 for a new one
//! time    := difference to the row before (first row: to 0), wrapping
//! value   := Integer zigzag varint | Unsigned varint | String len varint + bytes
//!          | Float 8 bytes LE, or with bit 6 a zigzag varint of the whole number it is
//!          | Boolean nothing: bit 6 is the value
//! ```

use crate::id::{DatabaseId, FieldId, RetentionPolicyId, SeriesId};
use crate::time::ShardOrigin;
use crate::value::{FieldType, ValueRef};
use std::borrow::Cow;

const VERSION_OF_EPOCH: u8 = 1;
const VERSION_OF_YEAR_ONE: u8 = 2;
const SAME_SERIES: u8 = 1 << 3;
const SAME_TIME: u8 = 1 << 4;
const SAME_FIELD: u8 = 1 << 5;
const COMPACT: u8 = 1 << 6;

/// A series as a row names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowSeries {
    /// The group has it under this id.
    Known(SeriesId),
    /// The n-th of the batch's new series. The group may have learnt it in the meantime.
    New(u32),
}

/// One value at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Row<'a> {
    /// Which series.
    pub series: RowSeries,
    /// ns since the epoch.
    pub time: i64,
    /// Which field.
    pub field: FieldId,
    /// What.
    pub value: ValueRef<'a>,
}

/// What all rows of a batch share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// The database.
    pub database: DatabaseId,
    /// The retention policy.
    pub policy: RetentionPolicyId,
    /// The policy's shard duration when the batch was made, > 0.
    pub shard_duration_ns: i64,
    /// From when the policy's shard groups are counted, where there is none yet.
    pub shard_origin: ShardOrigin,
}

/// Why bytes are not a batch. They came through the log, so this is damage or a newer version, never bad input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The first byte is not a version known here.
    #[error("write batch has version {0}, this node knows {VERSION_OF_EPOCH} and {VERSION_OF_YEAR_ONE}")]
    Version(u8),
    /// A length or number reaches beyond the end, or has a value that cannot be.
    #[error("write batch is cut off or damaged at byte {0}")]
    Damaged(usize),
}

/// Collects rows and encodes them.
#[derive(Debug)]
pub struct BatchWriter {
    header: BatchHeader,
    new_count: u32,
    new_series: Vec<u8>,
    rows: Vec<u8>,
    row_count: usize,
    last: (u64, i64, u32),
}

impl BatchWriter {
    /// An empty batch.
    pub fn new(header: BatchHeader) -> Self {
        Self::with_capacity(header, 0)
    }

    /// An empty batch with room for so many bytes of rows.
    pub fn with_capacity(header: BatchHeader, row_bytes: usize) -> Self {
        let nothing_before = (u64::MAX, 0, u32::MAX);
        Self {
            header,
            new_count: 0,
            new_series: Vec::new(),
            rows: Vec::with_capacity(row_bytes),
            row_count: 0,
            last: nothing_before,
        }
    }

    /// Names a series that the group does not have yet; rows refer to it by the answer.
    pub fn add_series(&mut self, key: &[u8]) -> RowSeries {
        put_varint(&mut self.new_series, key.len() as u64);
        self.new_series.extend_from_slice(key);
        self.new_count += 1;
        RowSeries::New(self.new_count - 1)
    }

    /// Appends a row.
    pub fn push(&mut self, row: &Row<'_>) {
        self.push_value(row.series, row.time, row.field, &row.value);
    }

    /// Appends a row, given in parts.
    pub fn push_value(&mut self, series: RowSeries, time: i64, field: FieldId, value: &ValueRef<'_>) {
        let series = match series {
            RowSeries::Known(id) => u64::from(id.0) << 1,
            RowSeries::New(place) => u64::from(place) << 1 | 1,
        };
        let (last_series, last_time, last_field) = self.last;
        let compact = is_compact(value);
        let mut head = value.field_type().code();
        head |= if series == last_series { SAME_SERIES } else { 0 };
        head |= if time == last_time && self.row_count > 0 { SAME_TIME } else { 0 };
        head |= if field.0 == last_field { SAME_FIELD } else { 0 };
        head |= if compact { COMPACT } else { 0 };
        self.rows.push(head);
        if head & SAME_SERIES == 0 {
            put_varint(&mut self.rows, series);
        }
        if head & SAME_TIME == 0 {
            put_varint(&mut self.rows, zigzag(time.wrapping_sub(last_time)));
        }
        if head & SAME_FIELD == 0 {
            put_varint(&mut self.rows, u64::from(field.0));
        }
        put_value(&mut self.rows, value, compact);
        self.last = (series, time, field.0);
        self.row_count += 1;
    }

    /// Number of rows so far.
    pub fn len(&self) -> usize {
        self.row_count
    }

    /// Whether no row was pushed.
    pub fn is_empty(&self) -> bool {
        self.row_count == 0
    }

    /// Bytes that [`Self::finish`] would return, within a few.
    pub fn encoded_len(&self) -> usize {
        self.rows.len() + self.new_series.len() + 32
    }

    /// The batch's bytes, appended to `out`.
    pub fn finish(self, out: &mut Vec<u8>) {
        out.reserve(self.encoded_len());
        out.push(match self.header.shard_origin {
            ShardOrigin::Epoch => VERSION_OF_EPOCH,
            ShardOrigin::YearOne => VERSION_OF_YEAR_ONE,
        });
        put_varint(out, u64::from(self.header.database.0));
        put_varint(out, u64::from(self.header.policy.0));
        put_varint(out, self.header.shard_duration_ns as u64);
        put_varint(out, u64::from(self.new_count));
        out.extend_from_slice(&self.new_series);
        out.extend_from_slice(&self.rows);
    }
}

/// Reads a batch back. Rows are decoded one by one, strings borrowed.
#[derive(Debug)]
pub struct BatchReader<'a> {
    bytes: Cursor<'a>,
    header: BatchHeader,
    new_series: Vec<&'a [u8]>,
    last: (u64, i64, u32),
}

impl<'a> BatchReader<'a> {
    /// Reads header and new series.
    ///
    /// # Errors
    ///
    /// [`BatchError`] when the bytes are not a batch.
    pub fn new(bytes: &'a [u8]) -> Result<Self, BatchError> {
        let mut bytes = Cursor { bytes, at: 0 };
        let shard_origin = match bytes.byte()? {
            VERSION_OF_EPOCH => ShardOrigin::Epoch,
            VERSION_OF_YEAR_ONE => ShardOrigin::YearOne,
            version => return Err(BatchError::Version(version)),
        };
        let database = DatabaseId(bytes.varint_u32()?);
        let policy = RetentionPolicyId(bytes.varint_u32()?);
        let shard_duration_ns = bytes.varint()? as i64;
        if shard_duration_ns <= 0 {
            return Err(BatchError::Damaged(bytes.at));
        }
        let new_count = bytes.varint()?;
        let mut new_series = Vec::new();
        for _ in 0..new_count {
            new_series.push(bytes.slice()?);
        }
        let header = BatchHeader { database, policy, shard_duration_ns, shard_origin };
        Ok(Self { bytes, header, new_series, last: (0, 0, 0) })
    }

    /// What all rows share.
    pub fn header(&self) -> BatchHeader {
        self.header
    }

    /// Canonical keys of the series the batch brings, in the order that rows refer to.
    pub fn new_series(&self) -> &[&'a [u8]] {
        &self.new_series
    }

    fn row(&mut self) -> Result<Row<'a>, BatchError> {
        let head = self.bytes.byte()?;
        let (mut series, mut time, mut field) = self.last;
        if head & SAME_SERIES == 0 {
            series = self.bytes.varint()?;
        }
        if head & SAME_TIME == 0 {
            time = time.wrapping_add(unzigzag(self.bytes.varint()?));
        }
        if head & SAME_FIELD == 0 {
            field = self.bytes.varint_u32()?;
        }
        let damaged = BatchError::Damaged(self.bytes.at);
        let field_type = FieldType::from_code(head & 7).ok_or_else(|| damaged.clone())?;
        let value = self.bytes.value(field_type, head & COMPACT != 0)?;
        self.last = (series, time, field);
        let place = u32::try_from(series >> 1).map_err(|_| damaged.clone())?;
        let series = if series & 1 == 0 {
            RowSeries::Known(SeriesId(place))
        } else if (place as usize) < self.new_series.len() {
            RowSeries::New(place)
        } else {
            return Err(damaged);
        };
        Ok(Row { series, time, field: FieldId(field), value })
    }
}

impl<'a> Iterator for BatchReader<'a> {
    type Item = Result<Row<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.at >= self.bytes.bytes.len() {
            return None;
        }
        let row = self.row();
        if row.is_err() {
            self.bytes.at = self.bytes.bytes.len();
        }
        Some(row)
    }
}

/// Whole numbers up to 2^53 are cheaper as varints; -0.0 is not a whole number here, it must come back as it was.
fn is_compact(value: &ValueRef<'_>) -> bool {
    match value {
        ValueRef::Float(v) => {
            v.fract() == 0.0 && v.abs() < 9_007_199_254_740_992.0 && !(*v == 0.0 && v.is_sign_negative())
        }
        ValueRef::Boolean(v) => *v,
        ValueRef::Integer(_) | ValueRef::Unsigned(_) | ValueRef::String(_) => false,
    }
}

fn put_value(out: &mut Vec<u8>, value: &ValueRef<'_>, compact: bool) {
    match value {
        ValueRef::Float(v) if compact => put_varint(out, zigzag(*v as i64)),
        ValueRef::Float(v) => out.extend_from_slice(&v.to_le_bytes()),
        ValueRef::Integer(v) => put_varint(out, zigzag(*v)),
        ValueRef::Unsigned(v) => put_varint(out, *v),
        ValueRef::Boolean(_) => {}
        ValueRef::String(v) => {
            put_varint(out, v.len() as u64);
            out.extend_from_slice(v);
        }
    }
}

/// Appends a LEB128 varint.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Small absolute values become small numbers.
pub fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The inverse of [`zigzag`].
pub fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[derive(Debug)]
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn byte(&mut self) -> Result<u8, BatchError> {
        let byte = *self.bytes.get(self.at).ok_or(BatchError::Damaged(self.at))?;
        self.at += 1;
        Ok(byte)
    }

    fn varint(&mut self) -> Result<u64, BatchError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(BatchError::Damaged(self.at))
    }

    fn varint_u32(&mut self) -> Result<u32, BatchError> {
        u32::try_from(self.varint()?).map_err(|_| BatchError::Damaged(self.at))
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], BatchError> {
        let rest = &self.bytes[self.at..];
        let slice = rest.get(..len).ok_or(BatchError::Damaged(self.at))?;
        self.at += len;
        Ok(slice)
    }

    fn slice(&mut self) -> Result<&'a [u8], BatchError> {
        let len = usize::try_from(self.varint()?).map_err(|_| BatchError::Damaged(self.at))?;
        self.take(len)
    }

    fn value(&mut self, field_type: FieldType, compact: bool) -> Result<ValueRef<'a>, BatchError> {
        Ok(match field_type {
            FieldType::Float if compact => ValueRef::Float(unzigzag(self.varint()?) as f64),
            FieldType::Float => {
                let mut bytes = [0; 8];
                bytes.copy_from_slice(self.take(8)?);
                ValueRef::Float(f64::from_le_bytes(bytes))
            }
            FieldType::Integer => ValueRef::Integer(unzigzag(self.varint()?)),
            FieldType::Unsigned => ValueRef::Unsigned(self.varint()?),
            FieldType::Boolean => ValueRef::Boolean(compact),
            FieldType::String => ValueRef::String(Cow::Borrowed(self.slice()?)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> BatchHeader {
        BatchHeader {
            database: DatabaseId(3),
            policy: RetentionPolicyId(7),
            shard_duration_ns: 1,
            shard_origin: ShardOrigin::YearOne,
        }
    }

    fn any_value() -> impl Strategy<Value = ValueRef<'static>> {
        prop_oneof![
            any::<f64>().prop_filter("finite", |v| v.is_finite()).prop_map(ValueRef::Float),
            any::<i32>().prop_map(|v| ValueRef::Float(f64::from(v))),
            Just(ValueRef::Float(-0.0)),
            any::<i64>().prop_map(ValueRef::Integer),
            any::<u64>().prop_map(ValueRef::Unsigned),
            any::<bool>().prop_map(ValueRef::Boolean),
            any::<Vec<u8>>().prop_map(|v| ValueRef::String(Cow::Owned(v))),
        ]
    }

    fn any_row() -> impl Strategy<Value = Row<'static>> {
        let series = prop_oneof![
            (0u32..3).prop_map(|i| RowSeries::Known(SeriesId(i))),
            (0u32..2).prop_map(RowSeries::New)
        ];
        (series, prop_oneof![any::<i64>(), 0i64..3], 0u32..3, any_value())
            .prop_map(|(series, time, field, value)| Row { series, time, field: FieldId(field), value })
    }

    proptest! {
        #[test]
        fn rows_round_trip(rows in proptest::collection::vec(any_row(), 0..40)) {
            let mut writer = BatchWriter::new(header());
            writer.add_series(b"a,x=1");
            writer.add_series(b"b");
            for row in &rows {
                writer.push(row);
            }
            let mut bytes = Vec::new();
            writer.finish(&mut bytes);
            let reader = BatchReader::new(&bytes).unwrap();
            prop_assert_eq!(reader.header(), header());
            prop_assert_eq!(reader.new_series(), &[&b"a,x=1"[..], b"b"]);
            let back: Vec<_> = reader.map(Result::unwrap).collect();
            prop_assert_eq!(back.len(), rows.len());
            for (a, b) in back.iter().zip(&rows) {
                prop_assert_eq!(a, b);
                if let (ValueRef::Float(a), ValueRef::Float(b)) = (&a.value, &b.value) {
                    prop_assert_eq!(a.to_bits(), b.to_bits());
                }
            }
        }

        #[test]
        fn damaged_bytes_never_panic(bytes: Vec<u8>) {
            let mut bytes = bytes;
            if let Some(first) = bytes.first_mut() { *first = VERSION_OF_YEAR_ONE; }
            if let Ok(reader) = BatchReader::new(&bytes) {
                let _rows = reader.count();
            }
        }
    }

    #[test]
    fn the_version_tells_from_when_shard_groups_are_counted() {
        for (shard_origin, version) in [(ShardOrigin::Epoch, 1), (ShardOrigin::YearOne, 2)] {
            let header = BatchHeader { shard_origin, ..header() };
            let mut bytes = Vec::new();
            BatchWriter::new(header).finish(&mut bytes);
            assert_eq!((bytes[0], BatchReader::new(&bytes).unwrap().header()), (version, header));
            bytes[0] = 3;
            assert_eq!(BatchReader::new(&bytes).err(), Some(BatchError::Version(3)));
        }
    }

    #[test]
    fn a_heapster_row_is_small() {
        let mut writer = BatchWriter::new(header());
        let before = writer.encoded_len();
        for i in 0..1000u32 {
            writer.push(&Row {
                series: RowSeries::Known(SeriesId(50_000 + i * 7)),
                time: 1_795_235_260_000_000_000,
                field: FieldId(i % 40),
                value: ValueRef::Integer(1_025_836_005_719),
            });
        }
        let per_row = (writer.encoded_len() - before) / 1000;
        assert!(per_row <= 12, "{per_row} bytes");
    }
}
