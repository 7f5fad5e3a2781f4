//! The second block of a line, `field=value[,field=value…]`.
//!
//! InfluxDB 1.x reads it twice with slightly different rules: once to find its end and to check the values ([`scan`]),
//! once to take it apart ([`push`]). A line is only good if both agree, and odd lines (`a="x"y`) mean what both passes
//! together make of them, so this does the same. Plain names with plain numbers are read in one pass ([`plain`]), which
//! gives up where the rules could matter.

mod plain;

use super::Field;
use super::error::Reason;
use super::{escape, number};
use crate::limits::KEY_BYTES_MAX;
use crate::series;
use crate::value::ValueRef;
use memchr::{memchr, memchr_iter, memchr2};
use std::collections::HashMap;

/// Bytes between series key and field name in 1.x's storage keys; they count for the greatest key length.
const FIELD_SEPARATOR_BYTES: usize = 4;
/// Above this many fields, duplicates are found by hashing.
const FIELDS_COMPARED: usize = 16;

/// Reads the fields from `start` on and appends them to `fields`, which is empty; returns where they end. `start` is at
/// least 2: a measurement and a space.
pub(super) fn read<'a>(
    line: &'a [u8],
    start: usize,
    key_len: usize,
    fields: &mut Vec<Field<'a>>,
) -> Result<usize, Reason> {
    if let Some(end) = plain::read(line, start, key_len, fields) {
        keep_last(fields);
        return Ok(end);
    }
    fields.clear();
    let end = scan(line, start)?;
    push(&line[start..end], key_len, fields)?;
    keep_last(fields);
    Ok(end)
}

/// Checks the fields from `start` on; returns where they end.
fn scan(line: &[u8], start: usize) -> Result<usize, Reason> {
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

/// Takes a checked block apart and appends its fields.
fn push<'a>(block: &'a [u8], key_len: usize, fields: &mut Vec<Field<'a>>) -> Result<(), Reason> {
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

/// Removes the fields whose name comes again later with a value of the same type. With one of another type both stay:
/// 1.x looks at every field when it checks types, and refuses the point for either of them.
fn keep_last(fields: &mut Vec<Field<'_>>) {
    if fields.len() < 2 {
        return;
    }
    let same =
        |a: &Field<'_>, b: &Field<'_>| a.name == b.name && a.value.field_type() == b.value.field_type();
    if fields.len() > FIELDS_COMPARED {
        return keep_last_of_many(fields);
    }
    let repeats = |i: usize, field: &Field<'_>| fields[i + 1..].iter().any(|later| same(field, later));
    if !fields.iter().enumerate().any(|(i, field)| repeats(i, field)) {
        return;
    }
    for i in (0..fields.len()).rev() {
        if fields[i + 1..].iter().any(|later| same(&fields[i], later)) {
            fields.remove(i);
        }
    }
}

fn keep_last_of_many(fields: &mut Vec<Field<'_>>) {
    let mut last = HashMap::with_capacity(fields.len());
    for (i, field) in fields.iter().enumerate() {
        last.insert((field.name.clone(), field.value.field_type()), i);
    }
    if last.len() < fields.len() {
        let mut i = 0;
        fields.retain(|field| {
            i += 1;
            last.get(&(field.name.clone(), field.value.field_type())) == Some(&(i - 1))
        });
    }
}
