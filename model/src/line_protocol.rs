//! Line protocol: bytes → lines with canonical series keys, as InfluxDB 1.x reads them (`models/points.go`).
//!
//! ```text
//! measurement[,tag=value…] field=value[,field=value…] [timestamp]\n
//! ```
//!
//! The `/write` path walks a body with [`RawLines`], which finds lines and where their keys end, and takes them apart
//! with a [`LineReader`]: the values of every line, the tags only of those whose key nobody knows as it stands. [`parse`]
//! does both for a whole body. A line that is wrong becomes a [`LineError`] with the text a 1.x client knows, and the
//! others are kept. Nothing here knows of catalogs: reserved names (`time`) and field types are checked by the caller.
//!
//! Cost: linear in the bytes, whatever they are. A series key whose tags are already sorted is borrowed from the body.

mod error;
mod escape;
mod fields;
mod key;
mod number;
mod print;
mod raw;
mod reader;
mod scan;
mod timestamp;
mod writer;

pub use error::{Complaints, LineError, Reason};
pub use key::LineKey;
pub use print::print;
pub use raw::{RawKey, RawLine, RawLines};
pub use reader::LineReader;
pub use writer::{FieldName, LineHead, LineWriter, UnwritableName};

use crate::series::{self, unescape};
use crate::value::ValueRef;
use std::borrow::Cow;
use std::ops::Range;

/// What a body holds, in its order.
#[derive(Debug, Default)]
pub struct Lines<'a> {
    /// The good lines.
    pub lines: Vec<Line<'a>>,
    /// The fields of all the lines, line after line: see [`Line::fields`].
    pub fields: Vec<Field<'a>>,
    /// The bad lines.
    pub errors: Vec<LineError>,
}

impl<'a> Lines<'a> {
    /// The fields of a line: at least one, no name twice with values of one type.
    pub fn fields_of(&self, line: &Line<'a>) -> &[Field<'a>] {
        &self.fields[line.fields.start as usize..line.fields.end as usize]
    }
}

/// One point.
#[derive(Debug, Clone, PartialEq)]
pub struct Line<'a> {
    /// Canonical series key, see [`crate::series`].
    pub key: Cow<'a, [u8]>,
    /// Bytes of the escaped measurement at the start of `key`.
    pub measurement_len: u32,
    /// Which of [`Lines::fields`] belong to this line.
    pub fields: Range<u32>,
    /// ns since the epoch; `None` when the line has none: the caller stamps it.
    pub time: Option<i64>,
}

impl Line<'_> {
    /// The measurement, unescaped.
    pub fn measurement(&self) -> Cow<'_, [u8]> {
        unescape(&self.key[..self.measurement_len as usize], b", ")
    }

    /// The tags, sorted by key, both parts unescaped.
    pub fn tags(&self) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
        series::tags(&self.key[self.measurement_len as usize..])
    }
}

/// One field of a point.
#[derive(Debug, Clone, PartialEq)]
pub struct Field<'a> {
    /// Unescaped name.
    pub name: Cow<'a, [u8]>,
    /// Its value.
    pub value: ValueRef<'a>,
}

/// Parses a whole body. `precision_ns` is the unit of its timestamps: 1, 1_000, … 3_600_000_000_000.
pub fn parse(body: &[u8], precision_ns: i64) -> Lines<'_> {
    let mut parsed = Lines::default();
    let mut complaints = Complaints::default();
    let mut reader = LineReader::new(precision_ns);
    for raw in RawLines::new(body) {
        match read(&mut reader, raw.text, &mut parsed.fields) {
            Ok(line) => parsed.lines.push(line),
            Err(reason) => complaints.add(raw.text, &reason),
        }
    }
    parsed.errors = complaints.into_errors();
    parsed
}

/// The order of the checks decides which error is reported, and is that of 1.x.
fn read<'a>(
    reader: &mut LineReader<'a>,
    line: &'a [u8],
    fields: &mut Vec<Field<'a>>,
) -> Result<Line<'a>, Reason> {
    let key = reader.key(line)?;
    let time = reader.values(line, key.raw_len)?;
    let first_field = fields.len();
    fields.extend_from_slice(reader.fields());
    Ok(Line {
        key: key.canonical,
        measurement_len: key.measurement_len,
        fields: first_field as u32..fields.len() as u32,
        time,
    })
}

#[cfg(test)]
mod tests;
