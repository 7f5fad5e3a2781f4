//! The first block of a line, `measurement[,tag=value…]`, and its canonical form.
//!
//! The text as sent is canonical unless its tags are out of order, its measurement escapes what needs no escape
//! (`\=`, `\"`), or a tag value starts with a bare `=`, which 1.x lets pass. Only then is a new key built.

use super::error::Reason;
use super::escape;
use crate::limits::KEY_BYTES_MAX;
use crate::series::escape_into;
use memchr::{memchr, memchr3_iter};
use std::borrow::Cow;

/// The series key of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineKey<'a> {
    /// Canonical bytes, see [`crate::series`].
    pub canonical: Cow<'a, [u8]>,
    /// Bytes of the escaped measurement at the start of `canonical`.
    pub measurement_len: u32,
    /// Bytes of the key in the line: what 1.x measures, and where the fields start.
    pub raw_len: usize,
}

/// Where a tag stands in the line: `line[start..equals]` is its key, `line[equals + 1..end]` its value.
#[derive(Debug, Clone, Copy)]
pub(super) struct TagSpan {
    start: usize,
    equals: usize,
    end: usize,
    /// Whether the key holds an escape, which is rare and not worth another look at each key.
    escaped_key: bool,
}

impl TagSpan {
    fn key<'a>(&self, line: &'a [u8]) -> Cow<'a, [u8]> {
        let raw = &line[self.start..self.equals];
        if self.escaped_key { escape::tag(raw) } else { Cow::Borrowed(raw) }
    }

    fn value<'a>(&self, line: &'a [u8]) -> Cow<'a, [u8]> {
        escape::tag(&line[self.equals + 1..self.end])
    }
}

/// Scans the key at the start of `line`, which must not be empty. `tags` is scratch space.
pub(super) fn scan<'a>(line: &'a [u8], tags: &mut Vec<TagSpan>) -> Result<LineKey<'a>, Reason> {
    let (measurement_end, raw_len) = split(line, tags)?;
    let order = order(line, tags);
    if order == Order::Duplicates {
        return Err(Reason::DuplicateTags);
    }
    if raw_len > KEY_BYTES_MAX {
        return Err(Reason::KeyTooLong(raw_len));
    }
    let measurement = &line[..measurement_end];
    let same = order == Order::Sorted
        && !tags.iter().any(|tag| line[tag.equals + 1] == b'=')
        && (memchr(b'\\', measurement).is_none() || canonical_measurement(measurement) == measurement);
    if same {
        let canonical = Cow::Borrowed(&line[..raw_len]);
        return Ok(LineKey { canonical, measurement_len: measurement_end as u32, raw_len });
    }
    let mut key = canonical_measurement(measurement);
    let measurement_len = key.len() as u32;
    for tag in tags.iter() {
        key.push(b',');
        escape_into(&mut key, &tag.key(line), b",= ");
        key.push(b'=');
        escape_into(&mut key, &tag.value(line), b",= ");
    }
    if key.len() > KEY_BYTES_MAX {
        return Err(Reason::KeyTooLong(key.len()));
    }
    Ok(LineKey { canonical: Cow::Owned(key), measurement_len, raw_len })
}

fn canonical_measurement(raw: &[u8]) -> Vec<u8> {
    let mut canonical = Vec::with_capacity(raw.len() + 64);
    escape_into(&mut canonical, &escape::measurement(raw), b", ");
    canonical
}

/// What the scan is inside of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Measurement,
    TagKey,
    TagValue,
}

/// Fills `tags`; returns where the measurement and the whole key end. One pass over the separators.
fn split(line: &[u8], tags: &mut Vec<TagSpan>) -> Result<(usize, usize), Reason> {
    tags.clear();
    let mut part = Part::Measurement;
    let mut measurement_end = 0;
    // Where the part began, and for a value also where its key did.
    let (mut start, mut key_start) = (0, 0);
    let mut escaped_key = false;
    for i in memchr3_iter(b'=', b',', b' ', line) {
        let byte = line[i];
        let first = i == start;
        if !first && line[i - 1] == b'\\' {
            escaped_key |= part == Part::TagKey;
            continue;
        }
        match part {
            Part::Measurement => match byte {
                b'=' => continue,
                _ if first => return Err(Reason::MissingMeasurement),
                b',' => {
                    measurement_end = i;
                    part = Part::TagKey;
                }
                _ => return Ok((i, i)),
            },
            Part::TagKey => match byte {
                _ if first => return Err(Reason::MissingTagKey),
                b'=' => {
                    key_start = start;
                    part = Part::TagValue;
                }
                _ => return Err(Reason::MissingTagValue),
            },
            Part::TagValue => match byte {
                b'=' if first => continue,
                b'=' => return Err(Reason::InvalidTagFormat),
                _ if first => return Err(Reason::MissingTagValue),
                _ => {
                    tags.push(TagSpan { start: key_start, equals: start - 1, end: i, escaped_key });
                    escaped_key = false;
                    if byte == b' ' {
                        return Ok((measurement_end, i));
                    }
                    part = Part::TagKey;
                }
            },
        }
        start = i + 1;
    }
    Err(match part {
        Part::Measurement => Reason::MissingFields,
        Part::TagKey if start >= line.len() => Reason::MissingTagKey,
        Part::TagValue if start < line.len() => Reason::MissingFields,
        Part::TagKey | Part::TagValue => Reason::MissingTagValue,
    })
}

/// How the tags of a line were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Sorted,
    /// Out of order; they are sorted now.
    Sent,
    Duplicates,
}

/// Sorts the tags by unescaped key if need be.
fn order(line: &[u8], tags: &mut [TagSpan]) -> Order {
    let Some((head, rest)) = tags.split_first() else { return Order::Sorted };
    let mut before = head.key(line);
    let ascending = rest.iter().all(|tag| {
        let key = tag.key(line);
        let ascends = before < key;
        before = key;
        ascends
    });
    if ascending {
        return Order::Sorted;
    }
    tags.sort_unstable_by(|a, b| a.key(line).cmp(&b.key(line)));
    let duplicates = tags.windows(2).any(|pair| pair[0].key(line) == pair[1].key(line));
    if duplicates { Order::Duplicates } else { Order::Sent }
}
