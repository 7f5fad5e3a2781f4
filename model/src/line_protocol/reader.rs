//! Takes single lines apart, with buffers that are used again: nothing is allocated for a line whose key is canonical
//! and whose strings hold no escapes.

use super::key::{self, LineKey, TagSpan};
use super::{Field, Reason, fields, scan, timestamp};

/// Reads lines one after the other.
#[derive(Debug)]
pub struct LineReader<'a> {
    precision_ns: i64,
    tags: Vec<TagSpan>,
    fields: Vec<Field<'a>>,
}

impl<'a> LineReader<'a> {
    /// `precision_ns` is the unit of the timestamps: 1, 1_000, … 3_600_000_000_000.
    pub fn new(precision_ns: i64) -> Self {
        Self { precision_ns, tags: Vec::new(), fields: Vec::new() }
    }

    /// Reads the series key at the start of a line, which must not be empty.
    ///
    /// # Errors
    ///
    /// What is wrong with the key. 1.x tells it before anything that is wrong with the values.
    pub fn key(&mut self, line: &'a [u8]) -> Result<LineKey<'a>, Reason> {
        key::scan(line, &mut self.tags)
    }

    /// Reads what follows a key of `key_len` bytes, at least one, as sent: the fields, which stay in
    /// [`Self::fields`] until the next call, and the time in ns, if the line has one.
    ///
    /// # Errors
    ///
    /// What is wrong with the values; the fields mean nothing then.
    pub fn values(&mut self, line: &'a [u8], key_len: usize) -> Result<Option<i64>, Reason> {
        self.fields.clear();
        let start = scan::skip_blanks(line, key_len);
        let end = fields::read(line, start, key_len, &mut self.fields)?;
        timestamp::parse(line, end, self.precision_ns)
    }

    /// The fields of the line read last: at least one, no name twice with values of one type.
    pub fn fields(&self) -> &[Field<'a>] {
        &self.fields
    }
}
