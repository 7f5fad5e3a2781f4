//! Line protocol: bytes → lines with canonical series keys, as InfluxDB 1.x reads them (`models/points.go`).
//!
//! ```text
//! measurement[,tag=value…] field=value[,field=value…] [timestamp]\n
//! ```
//!
//! The `/write` path calls [`parse`], or [`parse_some`] to bound the memory of a large body. A line that is wrong becomes
//! a [`LineError`] with the text a 1.x client knows, and the others are kept. Nothing here knows of catalogs: reserved
//! names (`time`) and field types are checked by the caller.
//!
//! Cost: linear in the bytes, whatever they are. A series key whose tags are already sorted is borrowed from the body.

mod error;
mod escape;
mod fields;
mod key;
mod number;
mod scan;
mod timestamp;

pub use error::Reason;

use crate::series::{self, unescape};
use crate::value::ValueRef;
use std::borrow::Cow;
use std::ops::Range;

/// Bytes of error text kept for one body. InfluxDB 1.x has no limit; a body of ordinary size never comes near this one.
pub const ERROR_TEXT_BYTES_MAX: usize = 16 << 20;

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
    /// The fields of a line: at least one, no name twice.
    pub fn fields_of(&self, line: &Line<'a>) -> &[Field<'a>] {
        &self.fields[line.fields.start as usize..line.fields.end as usize]
    }

    /// The texts of the bad lines, joined with newlines as 1.x does; `None` if every line is good.
    pub fn error_text(&self) -> Option<String> {
        if self.errors.is_empty() {
            return None;
        }
        let texts: Vec<&str> = self.errors.iter().map(|error| error.text.as_str()).collect();
        Some(texts.join("\n"))
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

/// A line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineError {
    /// `unable to parse '<line>': <reason>`; bytes of the line that are not UTF-8 show as U+FFFD.
    pub text: String,
}

/// Parses a whole body. `precision_ns` is the unit of its timestamps: 1, 1_000, … 3_600_000_000_000.
pub fn parse(body: &[u8], precision_ns: i64) -> Lines<'_> {
    parse_some(body, precision_ns, usize::MAX).0
}

/// Parses up to `lines_max` lines (good and bad ones; at least one) and returns them with the number of bytes read; the
/// rest of the body, if any, is for the next call.
///
/// The parsed form of tiny lines takes about 25 times their bytes, so a large body is better parsed in pieces.
pub fn parse_some(body: &[u8], precision_ns: i64, lines_max: usize) -> (Lines<'_>, usize) {
    let mut parser =
        Parser { lines: Lines::default(), tags: Vec::new(), errors: ErrorBudget::default(), precision_ns };
    let mut position = 0;
    let mut seen = 0;
    while position < body.len() && seen < lines_max.max(1) {
        let end = scan::line_end(body, position);
        if let Some(line) = scan::content(&body[position..end]) {
            seen += 1;
            parser.line(line);
        }
        position = end + 1;
    }
    parser.errors.finish(&mut parser.lines.errors);
    (parser.lines, position.min(body.len()))
}

struct Parser<'a> {
    lines: Lines<'a>,
    /// Scratch space for the tags of a line, kept to save an allocation a line.
    tags: Vec<key::TagSpan>,
    errors: ErrorBudget,
    precision_ns: i64,
}

impl<'a> Parser<'a> {
    fn line(&mut self, line: &'a [u8]) {
        let first_field = self.lines.fields.len();
        match self.point(line) {
            Ok(line) => self.lines.lines.push(line),
            Err(reason) => {
                self.lines.fields.truncate(first_field);
                self.errors.push(&mut self.lines.errors, line, &reason);
            }
        }
    }

    /// The order of the checks decides which error is reported, and is that of 1.x.
    fn point(&mut self, line: &'a [u8]) -> Result<Line<'a>, Reason> {
        let key = key::scan(line, &mut self.tags)?;
        let first_field = self.lines.fields.len();
        let fields_start = scan::skip_blanks(line, key.raw_len);
        let fields_end = fields::scan(line, fields_start)?;
        fields::push(&line[fields_start..fields_end], key.raw_len, &mut self.lines.fields)?;
        let time = timestamp::parse(line, fields_end, self.precision_ns)?;
        Ok(Line {
            key: key.canonical,
            measurement_len: key.measurement_len,
            fields: first_field as u32..self.lines.fields.len() as u32,
            time,
        })
    }
}

/// Keeps the error texts of one call within [`ERROR_TEXT_BYTES_MAX`] and counts those left out.
#[derive(Debug, Default)]
struct ErrorBudget {
    bytes: usize,
    left_out: usize,
}

impl ErrorBudget {
    fn push(&mut self, errors: &mut Vec<LineError>, line: &[u8], reason: &Reason) {
        if self.bytes >= ERROR_TEXT_BYTES_MAX {
            self.left_out += 1;
            return;
        }
        let text = format!("unable to parse '{}': {reason}", series::text(line));
        self.bytes += text.len();
        errors.push(LineError { text });
    }

    fn finish(&self, errors: &mut Vec<LineError>) {
        if self.left_out > 0 {
            errors.push(LineError { text: format!("unable to parse {} more lines", self.left_out) });
        }
    }
}

#[cfg(test)]
mod tests;
