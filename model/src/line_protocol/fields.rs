//! The second block of a line, `field=value[,field=value…]`.
//!
//! InfluxDB 1.x reads it twice with slightly different rules: once to find its end and to check the values ([`scan`]),
//! once to take it apart ([`push`]). A line is only good if both agree, and odd lines (`a="x"y`) mean what both passes
//! together make of them, so this does the same.

use super::Field;
use super::error::Reason;
use super::{escape, number};
use crate::limits::KEY_BYTES_MAX;
use crate::series;
use crate::value::ValueRef;
use memchr::{memchr, memchr_iter, memchr2};
use std::borrow::Cow;
use std::collections::HashMap;

/// Bytes between series key and field name in 1.x's storage keys; they count for the greatest key length.
const FIELD_SEPARATOR_BYTES: usize = 4;
/// Above this many fields, duplicates are found by hashing.
const FIELDS_COMPARED: usize = 16;

/// Checks the fields from `start` on; returns where they end. `start` is at least 2: a measurement and a space.
pub(super) fn scan(line: &[u8], start: usize) -> Result<usize, Reason> {
    let mut i = start;
    let mut quoted = false;
    let mut equals = 0_usize;
    let mut commas = 0_usize;
    while i < line.len() {
        match line[i] {
            b'\\' if i + 1 < line.len() => i += 1,
            b'"' if equals > commas => {
                quoted = !quoted;
                if quoted {
                    i += memchr2(b'"', b'\\', &line[i + 1..]).unwrap_or(line.len() - i - 1);
                }
            }
            b'=' if !quoted => {
                equals += 1;
                let after = value_start(line, i)?;
                if after != b'"' {
                    i = number::scan_value(line, i + 1)?;
                    continue;
                }
            }
            b',' if !quoted => commas += 1,
            b' ' if !quoted => break,
            _ => {}
        }
        i += 1;
    }
    if quoted {
        return Err(Reason::UnbalancedQuotes);
    }
    if equals == 0 || commas != equals - 1 {
        return Err(Reason::InvalidFieldFormat);
    }
    Ok(i)
}

/// Checks that the `=` at `i` has a name before it and something behind it, which is returned.
fn value_start(line: &[u8], i: usize) -> Result<u8, Reason> {
    if matches!(line[i - 1], b' ' | b',') && line[i - 2] != b'\\' {
        return Err(Reason::MissingFieldKey);
    }
    match line.get(i + 1) {
        None | Some(b',' | b' ') => Err(Reason::MissingFieldValue),
        Some(&byte) => Ok(byte),
    }
}

/// Takes a checked block apart and appends its fields; of two fields with one name the later stays.
pub(super) fn push<'a>(block: &'a [u8], key_len: usize, fields: &mut Vec<Field<'a>>) -> Result<(), Reason> {
    let first = fields.len();
    let mut rest = block;
    while !rest.is_empty() {
        let equals = memchr_iter(b'=', rest).find(|&i| i == 0 || rest[i - 1] != b'\\').unwrap_or(rest.len());
        let name = &rest[..equals];
        if equals + 2 > rest.len() {
            return Err(Reason::FieldWithoutValue(Box::from(&*series::text(name))));
        }
        let key_bytes = key_len + FIELD_SEPARATOR_BYTES + name.len();
        if key_bytes > KEY_BYTES_MAX {
            return Err(Reason::KeyTooLong(key_bytes));
        }
        rest = &rest[equals + 1..];
        let end = value_end(rest);
        fields.push(Field { name: escape::field_name(name), value: value(&rest[..end])? });
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    keep_last(fields, first);
    Ok(())
}

/// Where a value ends: at a comma that is not in quotes.
fn value_end(rest: &[u8]) -> usize {
    if rest[0] != b'"' {
        let end = memchr(b',', rest).unwrap_or(rest.len());
        if memchr2(b'"', b'\\', &rest[..end]).is_none() {
            return end;
        }
    }
    let mut quoted = false;
    let mut i = 0;
    while i < rest.len() {
        match rest[i] {
            b'\\' if matches!(rest.get(i + 1), Some(b'"' | b'\\')) => i += 1,
            b'"' => {
                quoted = !quoted;
                if quoted {
                    i += memchr2(b'"', b'\\', &rest[i + 1..]).unwrap_or(rest.len() - i - 1);
                }
            }
            b',' if !quoted => return i,
            _ => {}
        }
        i += 1;
    }
    rest.len()
}

fn value(raw: &[u8]) -> Result<ValueRef<'_>, Reason> {
    match raw {
        [] => Err(Reason::MissingFieldValue),
        // 1.x cuts the first and the last byte, whatever the last one is.
        [b'"', string @ .., _] => Ok(ValueRef::String(escape::string(string))),
        [b'"'] => Err(Reason::UnbalancedQuotes),
        _ => number::parse_value(raw),
    }
}

/// Removes those of `fields[first..]` whose name comes again later.
fn keep_last(fields: &mut Vec<Field<'_>>, first: usize) {
    let added = &fields[first..];
    if added.len() < 2 {
        return;
    }
    let repeated: Vec<bool> = if added.len() <= FIELDS_COMPARED {
        added
            .iter()
            .enumerate()
            .map(|(i, field)| added[i + 1..].iter().any(|later| later.name == field.name))
            .collect()
    } else {
        let last: HashMap<&Cow<'_, [u8]>, usize> =
            added.iter().enumerate().map(|(i, field)| (&field.name, i)).collect();
        added.iter().enumerate().map(|(i, field)| last.get(&field.name) != Some(&i)).collect()
    };
    if repeated.contains(&true) {
        let added: Vec<Field<'_>> = fields.drain(first..).collect();
        fields.extend(
            added.into_iter().zip(repeated).filter(|(_, repeated)| !repeated).map(|(field, _)| field),
        );
    }
}
