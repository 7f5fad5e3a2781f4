//! Lines as they stand, and where their series keys end: all that is needed to look a series up by the bytes sent.
//!
//! Most lines of a collector name a series that is known, spelled the canonical way. For those the tags need not be
//! taken apart: a key that is found among canonical keys has passed every check. [`RawKey`] is given only where that
//! argument holds; the caller sends every other line, and every key it does not know, through
//! [`LineReader::key`](super::LineReader::key).

use super::scan;
use memchr::{memchr, memchr3_iter};

/// A line that is neither blank nor a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawLine<'a> {
    /// From the first byte that is not blank to the end, without the newline.
    pub text: &'a [u8],
    /// Its key, if those bytes may be looked up among canonical keys.
    pub key: Option<RawKey>,
}

/// Where a key stands in [`RawLine::text`]: at its start.
///
/// If these bytes are the canonical key of some series, the line belongs to that series and its values start right
/// behind them. If not, nothing is known about the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawKey {
    /// Bytes of the key.
    pub len: u32,
    /// Bytes of the measurement, in which nothing is escaped.
    pub measurement_len: u32,
}

/// The lines of a body, in order.
#[derive(Debug, Clone)]
pub struct RawLines<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> RawLines<'a> {
    /// From the first line on.
    pub fn new(body: &'a [u8]) -> Self {
        Self { body, at: 0 }
    }
}

impl<'a> Iterator for RawLines<'a> {
    type Item = RawLine<'a>;

    fn next(&mut self) -> Option<RawLine<'a>> {
        while self.at < self.body.len() {
            let start = self.at;
            let key = key_at(&self.body[start..]);
            let end = match key {
                Some(key) => end_behind(self.body, start, key),
                None => scan::line_end(self.body, start),
            };
            self.at = end + 1;
            if let Some(text) = scan::content(&self.body[start..end]) {
                return Some(RawLine { text, key });
            }
        }
        None
    }
}

/// The key at the start of a line, up to the first blank without a backslash before it.
///
/// No key is given to a line with a quote or a newline in front of that blank, because quotes decide where a line ends;
/// nor to one with a backslash in its measurement, which has several spellings there: `a\\=b` is sent for the series
/// whose canonical key is `a\=b`, and `a\=b` is sent for `a=b`.
fn key_at(rest: &[u8]) -> Option<RawKey> {
    if matches!(rest.first(), Some(b' ' | b'\t' | 0 | b'#' | b',')) {
        return None;
    }
    for at in memchr3_iter(b' ', b'\n', b'"', rest) {
        if rest[at] != b' ' {
            return None;
        }
        if rest[at - 1] == b'\\' {
            continue;
        }
        let measurement_len = memchr(b',', &rest[..at]).unwrap_or(at);
        let plain = memchr(b'\\', &rest[..measurement_len]).is_none();
        let key = RawKey { len: u32::try_from(at).ok()?, measurement_len: measurement_len as u32 };
        return plain.then_some(key);
    }
    None
}

/// Where a line with this key ends; the same answer as [`scan::line_end`], which looks at the key as well.
fn end_behind(body: &[u8], start: usize, key: RawKey) -> usize {
    let values_start = start + key.len as usize;
    let rest = &body[values_start..];
    let values = &rest[..memchr(b'\n', rest).unwrap_or(rest.len())];
    let plain = memchr(b'"', values).is_none() && values.last() != Some(&b'\\');
    if plain { values_start + values.len() } else { scan::line_end(body, start) }
}
