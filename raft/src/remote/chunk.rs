//! Chunks on their way from one node to another.
//!
//! ```text
//! records := record*, beginning with the first series
//! record  := 0 the series is done, the next one follows | 1 length varint, chunk | 2 time zigzag
//! chunk   := first zigzag | last - first varint | has u8: 1 summary, 2 points
//!          | blocks varint | bytes of the blocks varint | points in memory varint | [summary] | [points]
//! summary := count varint | has u8: 1 sum, 2 least, 4 greatest | [value] | [at] | [at] | at first | at last
//! at      := time - first of the chunk varint | value
//! points  := type u8 | count varint | values | times: deltas of deltas zigzag, from the chunk's first
//! value   := type u8 | float 8 bytes LE, integer zigzag, unsigned varint, boolean u8, string length varint, bytes
//! values  := each as in value without its type; floats: 1 and deltas zigzag if all are whole and small, else 0 and 8 bytes each
//! ```
//!
//! Record 2 says that the series has more chunks: from that time, or before it if the newest come first. All bytes are
//! looked at before they are believed: they come from another process.

use model::batch::{put_varint, unzigzag, zigzag};
use model::scan::{Bounds, ChunkCost, ChunkStats, ColumnBatch};
use model::value::Values;
use model::{FieldType, FieldValue};
use std::sync::Arc;

const NEXT: u8 = 0;
const CHUNK: u8 = 1;
const CUT: u8 = 2;

const HAS_STATS: u8 = 1;
const HAS_POINTS: u8 = 2;

const RAW: u8 = 0;
const WHOLE: u8 = 1;
/// Floats up to here are whole numbers that keep their bits as integers.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// The bytes are no records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("chunks from another node are damaged")]
pub(crate) struct Damaged;

/// One record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Record<'a> {
    /// The next series follows.
    Next,
    /// A chunk of the series.
    Chunk(&'a [u8]),
    /// There is more of the series, from or before this time.
    Cut(i64),
}

/// A chunk whose summary and points were not decoded yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) bounds: Bounds,
    pub(crate) cost: ChunkCost,
    has: u8,
}

/// What is to be sent of a chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent<'a> {
    pub(crate) bounds: Bounds,
    pub(crate) cost: ChunkCost,
    pub(crate) stats: Option<&'a ChunkStats>,
    pub(crate) points: Option<&'a ColumnBatch>,
}

/// Ends a series.
pub(crate) fn put_next(out: &mut Vec<u8>) {
    out.push(NEXT);
}

/// Says that a series goes on.
pub(crate) fn put_cut(out: &mut Vec<u8>, time: i64) {
    out.push(CUT);
    put_varint(out, zigzag(time));
}

/// Appends a chunk; `body` is room to work in.
pub(crate) fn put_chunk(out: &mut Vec<u8>, chunk: &Sent<'_>, body: &mut Vec<u8>) {
    let Sent { bounds, cost, stats, points } = chunk;
    body.clear();
    put_varint(body, zigzag(bounds.first));
    put_varint(body, bounds.last.wrapping_sub(bounds.first) as u64);
    let has = [(HAS_STATS, stats.is_some()), (HAS_POINTS, points.is_some())];
    body.push(has.iter().filter(|(_, is)| *is).map(|(bit, _)| bit).sum());
    for number in [cost.blocks, cost.block_bytes, cost.cached] {
        put_varint(body, number);
    }
    if let Some(stats) = stats {
        put_stats(body, bounds.first, stats);
    }
    if let Some(points) = points {
        put_points(body, bounds.first, points);
    }
    out.push(CHUNK);
    put_varint(out, body.len() as u64);
    out.extend_from_slice(body);
}

fn put_stats(out: &mut Vec<u8>, first: i64, stats: &ChunkStats) {
    put_varint(out, stats.count);
    let has = [(1, stats.sum.is_some()), (2, stats.min.is_some()), (4, stats.max.is_some())];
    out.push(has.iter().filter(|(_, is)| *is).map(|(bit, _)| bit).sum());
    if let Some(sum) = &stats.sum {
        put_value(out, sum);
    }
    let ends = [Some(&stats.first), Some(&stats.last)];
    for (time, value) in [stats.min.as_ref(), stats.max.as_ref()].into_iter().chain(ends).flatten() {
        put_varint(out, time.wrapping_sub(first) as u64);
        put_value(out, value);
    }
}

fn put_value(out: &mut Vec<u8>, value: &FieldValue) {
    out.push(value.field_type().code());
    match value {
        FieldValue::Float(float) => out.extend_from_slice(&float.to_le_bytes()),
        FieldValue::Integer(integer) => put_varint(out, zigzag(*integer)),
        FieldValue::Unsigned(unsigned) => put_varint(out, *unsigned),
        FieldValue::Boolean(boolean) => out.push(u8::from(*boolean)),
        FieldValue::String(text) => put_bytes(out, text),
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_points(out: &mut Vec<u8>, first: i64, points: &ColumnBatch) {
    out.push(points.values.field_type().code());
    put_varint(out, points.values.len() as u64);
    match &points.values {
        Values::Float(floats) => put_floats(out, floats),
        Values::Integer(integers) => put_deltas(out, integers.iter().copied()),
        Values::Unsigned(numbers) => put_deltas(out, numbers.iter().map(|number| *number as i64)),
        Values::Boolean(booleans) => out.extend(booleans.iter().map(|yes| u8::from(*yes))),
        Values::String(texts) => texts.iter().for_each(|text| put_bytes(out, text.as_bytes())),
    }
    let (mut before, mut delta) = (first, 0_i64);
    for time in &points.times {
        let next = time.wrapping_sub(before);
        put_varint(out, zigzag(next.wrapping_sub(delta)));
        (before, delta) = (*time, next);
    }
}

fn put_deltas(out: &mut Vec<u8>, numbers: impl Iterator<Item = i64>) {
    let mut before = 0_i64;
    for number in numbers {
        put_varint(out, zigzag(number.wrapping_sub(before)));
        before = number;
    }
}

fn put_floats(out: &mut Vec<u8>, floats: &[f64]) {
    let is_whole =
        |float: &f64| float.abs() <= WHOLE_MAX && (*float as i64 as f64).to_bits() == float.to_bits();
    if floats.iter().all(is_whole) {
        out.push(WHOLE);
        put_deltas(out, floats.iter().map(|float| *float as i64));
    } else {
        out.push(RAW);
        for float in floats {
            out.extend_from_slice(&float.to_le_bytes());
        }
    }
}

/// Bytes that are read from the front.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    /// The next record; `None` at the end.
    pub(crate) fn record(&mut self) -> Result<Option<Record<'a>>, Damaged> {
        let Some((kind, rest)) = self.0.split_first() else { return Ok(None) };
        self.0 = rest;
        Ok(Some(match *kind {
            NEXT => Record::Next,
            CHUNK => Record::Chunk(self.bytes()?),
            CUT => Record::Cut(unzigzag(self.varint()?)),
            _ => return Err(Damaged),
        }))
    }

    fn byte(&mut self) -> Result<u8, Damaged> {
        let (first, rest) = self.0.split_first().ok_or(Damaged)?;
        self.0 = rest;
        Ok(*first)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Damaged> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, Damaged> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Damaged)
    }

    fn bytes(&mut self) -> Result<&'a [u8], Damaged> {
        let count = usize::try_from(self.varint()?).map_err(|_| Damaged)?;
        self.take(count)
    }

    fn float(&mut self) -> Result<f64, Damaged> {
        let bytes = self.take(8)?;
        Ok(f64::from_le_bytes(bytes.try_into().map_err(|_| Damaged)?))
    }

    fn field_type(&mut self) -> Result<FieldType, Damaged> {
        FieldType::from_code(self.byte()?).ok_or(Damaged)
    }

    fn value(&mut self) -> Result<FieldValue, Damaged> {
        Ok(match self.field_type()? {
            FieldType::Float => FieldValue::Float(self.float()?),
            FieldType::Integer => FieldValue::Integer(unzigzag(self.varint()?)),
            FieldType::Unsigned => FieldValue::Unsigned(self.varint()?),
            FieldType::Boolean => FieldValue::Boolean(self.byte()? != 0),
            FieldType::String => FieldValue::String(self.bytes()?.into()),
        })
    }

    /// The head of a chunk; what follows is for [`Self::stats`], then [`Self::points`].
    pub(crate) fn head(&mut self) -> Result<Head, Damaged> {
        let first = unzigzag(self.varint()?);
        let last = first.wrapping_add(self.varint()? as i64);
        let has = self.byte()?;
        let cost = ChunkCost { blocks: self.varint()?, block_bytes: self.varint()?, cached: self.varint()? };
        if last < first { Err(Damaged) } else { Ok(Head { bounds: Bounds { first, last }, cost, has }) }
    }

    /// The summary, if there is one.
    pub(crate) fn stats(&mut self, head: Head) -> Result<Option<ChunkStats>, Damaged> {
        if head.has & HAS_STATS == 0 {
            return Ok(None);
        }
        let count = self.varint()?;
        let has = self.byte()?;
        let sum = if has & 1 != 0 { Some(self.value()?) } else { None };
        let first = head.bounds.first;
        let mut at = || -> Result<(i64, FieldValue), Damaged> {
            Ok((first.wrapping_add(self.varint()? as i64), self.value()?))
        };
        let min = if has & 2 != 0 { Some(at()?) } else { None };
        let max = if has & 4 != 0 { Some(at()?) } else { None };
        Ok(Some(ChunkStats { count, sum, min, max, first: at()?, last: at()? }))
    }

    /// The points into `batch`; false if they were not sent.
    pub(crate) fn points(&mut self, head: Head, batch: &mut ColumnBatch) -> Result<bool, Damaged> {
        if head.has & HAS_POINTS == 0 {
            return Ok(false);
        }
        let field_type = self.field_type()?;
        let count = usize::try_from(self.varint()?).map_err(|_| Damaged)?;
        // Each point takes two bytes at least, so a count that lies does not reserve memory.
        if count > self.0.len() {
            return Err(Damaged);
        }
        batch.values = self.values(field_type, count)?;
        batch.times.clear();
        batch.times.reserve(count);
        let (mut time, mut delta) = (head.bounds.first, 0_i64);
        for _ in 0..count {
            delta = delta.wrapping_add(unzigzag(self.varint()?));
            time = time.wrapping_add(delta);
            batch.times.push(time);
        }
        let rises = batch.times.is_sorted_by(|a, b| a < b);
        if rises && self.0.is_empty() { Ok(true) } else { Err(Damaged) }
    }

    fn values(&mut self, field_type: FieldType, count: usize) -> Result<Values, Damaged> {
        Ok(match field_type {
            FieldType::Float => match self.byte()? {
                RAW => Values::Float((0..count).map(|_| self.float()).collect::<Result<_, _>>()?),
                WHOLE => Values::Float(self.deltas(count)?.into_iter().map(|whole| whole as f64).collect()),
                _ => return Err(Damaged),
            },
            FieldType::Integer => Values::Integer(self.deltas(count)?),
            FieldType::Unsigned => {
                Values::Unsigned(self.deltas(count)?.into_iter().map(|number| number as u64).collect())
            }
            FieldType::Boolean => Values::Boolean(self.take(count)?.iter().map(|byte| *byte != 0).collect()),
            FieldType::String => {
                let text = || Ok(Arc::from(std::str::from_utf8(self.bytes()?).map_err(|_| Damaged)?));
                Values::String(std::iter::repeat_with(text).take(count).collect::<Result<_, _>>()?)
            }
        })
    }

    fn deltas(&mut self, count: usize) -> Result<Vec<i64>, Damaged> {
        let mut number = 0_i64;
        let next = |_| {
            number = number.wrapping_add(unzigzag(self.varint()?));
            Ok(number)
        };
        (0..count).map(next).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_values(count: usize) -> impl Strategy<Value = Values> {
        let whole = prop::collection::vec((-1000_i32..1000).prop_map(f64::from), count);
        let float = prop::collection::vec(prop::num::f64::NORMAL | prop::num::f64::ZERO, count);
        prop_oneof![
            whole.prop_map(Values::Float),
            float.prop_map(Values::Float),
            prop::collection::vec(any::<i64>(), count).prop_map(Values::Integer),
            prop::collection::vec(any::<u64>(), count).prop_map(Values::Unsigned),
            prop::collection::vec(any::<bool>(), count).prop_map(Values::Boolean),
            prop::collection::vec("[a-zä]{0,5}".prop_map(Arc::from), count).prop_map(Values::String),
        ]
    }

    fn any_value() -> impl Strategy<Value = FieldValue> {
        prop_oneof![
            any::<i64>().prop_map(FieldValue::Integer),
            any::<u64>().prop_map(FieldValue::Unsigned),
            any::<bool>().prop_map(FieldValue::Boolean),
            prop::num::f64::NORMAL.prop_map(FieldValue::Float),
            any::<Vec<u8>>().prop_map(|bytes| FieldValue::String(bytes.into())),
        ]
    }

    prop_compose! {
        fn any_batch()(times in prop::collection::btree_set(any::<i64>(), 1..50))(
            values in any_values(times.len()), times in Just(times)
        ) -> ColumnBatch {
            ColumnBatch { times: times.into_iter().collect(), values }
        }
    }

    proptest! {
        #[test]
        fn chunks_come_back_as_they_were(
            batch in any_batch(),
            value in any_value(),
            (with_stats, with_points) in any::<(bool, bool)>(),
            has in prop::array::uniform3(any::<bool>()),
        ) {
            let (first, last) = (batch.times[0], batch.times[batch.times.len() - 1]);
            let at = |is: bool| is.then(|| (last, value.clone()));
            let stats = ChunkStats {
                count: batch.times.len() as u64,
                sum: has[0].then(|| value.clone()),
                min: at(has[1]),
                max: at(has[2]),
                first: (first, value.clone()),
                last: (last, value.clone()),
            };
            let sent = Sent {
                bounds: Bounds { first, last },
                cost: ChunkCost { blocks: 1, block_bytes: 300, cached: 0 },
                stats: with_stats.then_some(&stats),
                points: with_points.then_some(&batch),
            };
            let mut out = Vec::new();
            put_chunk(&mut out, &sent, &mut Vec::new());
            put_cut(&mut out, last);
            put_next(&mut out);
            let mut input = Input(&out);
            let Some(Record::Chunk(body)) = input.record().unwrap() else { panic!("a chunk") };
            let mut body = Input(body);
            let head = body.head().unwrap();
            prop_assert_eq!((head.bounds, head.cost), (sent.bounds, sent.cost));
            prop_assert_eq!(body.stats(head).unwrap(), with_stats.then_some(stats));
            let mut back = ColumnBatch::default();
            prop_assert_eq!(body.points(head, &mut back).unwrap(), with_points);
            if with_points {
                // The sign of zero counts.
                prop_assert_eq!(format!("{back:?}"), format!("{batch:?}"));
            }
            prop_assert_eq!(input.record(), Ok(Some(Record::Cut(last))));
            prop_assert_eq!(input.record(), Ok(Some(Record::Next)));
            prop_assert_eq!(input.record(), Ok(None));
        }

        #[test]
        fn damaged_bytes_never_panic(bytes: Vec<u8>) {
            let mut input = Input(&bytes);
            while let Ok(Some(record)) = input.record() {
                let Record::Chunk(body) = record else { continue };
                let mut body = Input(body);
                if let Ok(head) = body.head() {
                    body.stats(head).ok();
                    body.points(head, &mut ColumnBatch::default()).ok();
                }
            }
        }
    }
}
