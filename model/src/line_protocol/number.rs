//! Numbers and booleans: checked while the line is scanned ([`scan_value`]), converted afterwards ([`parse_value`]).

use super::error::Reason;
use crate::series;
use crate::value::ValueRef;

/// Integers of fewer bytes than this always fit 64 bits.
const INTEGER_BYTES_SAFE: usize = 19;
/// Floats without exponent of fewer bytes than this are always finite.
const FLOAT_BYTES_SAFE: usize = 25;

/// Checks the number or boolean at `i`, which must be inside the line; returns where it ends.
pub(super) fn scan_value(line: &[u8], i: usize) -> Result<usize, Reason> {
    let end = line[i..].iter().position(|&byte| matches!(byte, b',' | b' ')).map_or(line.len(), |n| i + n);
    let text = &line[i..end];
    match text[0] {
        b'0'..=b'9' | b'.' | b'-' | b'N' | b'n' => check_number(text)?,
        _ => {
            parse_boolean(text)?;
        }
    }
    Ok(end)
}

/// Converts a value that [`scan_value`] let pass. A block that was cut differently can still hold something else.
pub(super) fn parse_value(text: &[u8]) -> Result<ValueRef<'_>, Reason> {
    match text {
        [b'0'..=b'9' | b'.' | b'-', .., b'i'] => {
            parse_integer(&text[..text.len() - 1]).map(ValueRef::Integer)
        }
        [b'0'..=b'9' | b'.' | b'-', ..] => parse_float(text).map(ValueRef::Float),
        _ => parse_boolean(text).map(ValueRef::Boolean),
    }
}

/// The shape of a number: `[-]digits[.digits][e[+-]digits]` or `[-]digits i`, as loosely as 1.x checks it.
fn check_number(text: &[u8]) -> Result<(), Reason> {
    let mut integer = false;
    let mut point = false;
    let mut exponent = false;
    let negative = text[0] == b'-';
    for i in usize::from(negative)..text.len() {
        match text[i] {
            b'0'..=b'9' => {}
            b'.' if !point => point = true,
            b'i' if i > 0 && !integer => integer = true,
            b'e' | b'E' if i > 0 => exponent = true,
            b'+' | b'-' if i > 0 && matches!(text[i - 1], b'e' | b'E') => {}
            _ => return Err(Reason::InvalidNumber),
        }
    }
    let signs = usize::from(integer) + usize::from(point) + usize::from(negative);
    if (integer && (point || exponent)) || text.len() == signs {
        return Err(Reason::InvalidNumber);
    }
    if integer {
        let Some(digits) = text.strip_suffix(b"i") else { return Err(Reason::InvalidNumber) };
        if digits.len() >= INTEGER_BYTES_SAFE {
            parse_integer(digits)?;
        }
    } else if exponent || text.len() >= FLOAT_BYTES_SAFE {
        parse_float(text)?;
    }
    Ok(())
}

/// `[-]digits`.
pub(super) fn parse_integer(text: &[u8]) -> Result<i64, Reason> {
    let (digits, negative) = match text {
        [b'-', digits @ ..] => (digits, true),
        _ => (text, false),
    };
    let mut value = 0_i64;
    for &byte in digits {
        let digit = i64::from(byte.wrapping_sub(b'0'));
        if digit > 9 {
            return Err(Reason::InvalidNumber);
        }
        // Counting down for negative numbers lets `i64::MIN` in.
        let next = value
            .checked_mul(10)
            .and_then(|v| if negative { v.checked_sub(digit) } else { v.checked_add(digit) });
        value = next.ok_or_else(|| Reason::IntegerOutOfRange(Box::from(&*series::text(text))))?;
    }
    Ok(value)
}

fn parse_float(text: &[u8]) -> Result<f64, Reason> {
    let value = std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok());
    value.filter(|value| value.is_finite()).ok_or(Reason::InvalidFloat)
}

fn parse_boolean(text: &[u8]) -> Result<bool, Reason> {
    match text {
        b"t" | b"T" | b"true" | b"True" | b"TRUE" => Ok(true),
        b"f" | b"F" | b"false" | b"False" | b"FALSE" => Ok(false),
        _ => Err(Reason::InvalidBoolean),
    }
}
