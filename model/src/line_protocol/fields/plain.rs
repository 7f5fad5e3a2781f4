//! The fields of nearly every line: names without escapes, numbers without exponents. One pass, and `None` as soon as
//! anything else shows up, so that the exact rules need not be repeated here.

use super::{FIELD_SEPARATOR_BYTES, Field};
use crate::limits::KEY_BYTES_MAX;
use crate::value::ValueRef;
use std::borrow::Cow;

/// Digits that fit an `i64` whatever they are.
const INTEGER_DIGITS: usize = 18;
/// Digits that an `f64` holds exactly.
const FLOAT_DIGITS: usize = 15;
/// Powers of ten that an `f64` holds exactly. A quotient of two exact numbers is rounded once, as a parser must.
const TENS: [f64; FLOAT_DIGITS + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// Appends the fields from `start` on and returns where they end; `None`, with anything in `fields`, if they are not
/// plain.
pub(super) fn read<'a>(
    line: &'a [u8],
    start: usize,
    key_len: usize,
    fields: &mut Vec<Field<'a>>,
) -> Option<usize> {
    let mut at = start;
    loop {
        let equals =
            at + line.get(at..)?.iter().position(|byte| matches!(byte, b'=' | b',' | b' ' | b'\\' | b'"'))?;
        let name = &line[at..equals];
        let too_long = key_len + FIELD_SEPARATOR_BYTES + name.len() > KEY_BYTES_MAX;
        if line[equals] != b'=' || name.is_empty() || too_long {
            return None;
        }
        let (value, end) = number(line, equals + 1)?;
        fields.push(Field { name: Cow::Borrowed(name), value });
        match line.get(end) {
            None | Some(b' ') => return Some(end),
            _ => at = end + 1,
        }
    }
}

/// `[-]digits[.digits]` or `[-]digits i`, up to a comma, a space or the end of the line.
fn number(line: &[u8], start: usize) -> Option<(ValueRef<'static>, usize)> {
    let negative = line.get(start) == Some(&b'-');
    let whole_start = start + usize::from(negative);
    let (whole, whole_end) = digits(line, whole_start, 0);
    let whole_digits = whole_end - whole_start;
    if whole_digits == 0 || whole_digits > INTEGER_DIGITS {
        return None;
    }
    let (value, end) = match line.get(whole_end) {
        Some(b'i') => {
            let value = if negative { -(whole as i64) } else { whole as i64 };
            (ValueRef::Integer(value), whole_end + 1)
        }
        Some(b'.') => {
            let (mantissa, end) = digits(line, whole_end + 1, whole);
            let places = end - whole_end - 1;
            if places == 0 || whole_digits + places > FLOAT_DIGITS {
                return None;
            }
            let value = mantissa as f64 / TENS[places];
            (ValueRef::Float(if negative { -value } else { value }), end)
        }
        _ if whole_digits > FLOAT_DIGITS => return None,
        _ => {
            let value = whole as f64;
            (ValueRef::Float(if negative { -value } else { value }), whole_end)
        }
    };
    matches!(line.get(end), None | Some(b',' | b' ')).then_some((value, end))
}

/// Reads digits behind those of `before`; wraps when they are too many for the caller anyway.
fn digits(line: &[u8], start: usize, before: u64) -> (u64, usize) {
    let mut value = before;
    let mut at = start;
    while let Some(digit) = line.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    (value, at)
}
