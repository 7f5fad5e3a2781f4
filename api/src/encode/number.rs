//! Numbers as Go's `encoding/json` prints them: the shortest digits that read back the same.

/// Whole floats below this are printed as integers.
const WHOLE_MAX: f64 = 1e15;

/// Appends an integer.
pub(crate) fn push_integer(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends an integer that is not negative.
pub(crate) fn push_unsigned(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a float; `null` for NaN and infinities (InfluxDB 1.x breaks its JSON there). Exponents from 1e21 and below
/// 1e-6.
pub(crate) fn push_json_float(out: &mut Vec<u8>, value: f64) {
    let magnitude = value.abs();
    if !value.is_finite() {
        out.extend_from_slice(b"null");
    } else if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let text = format!("{value:e}");
        match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => {
                out.extend_from_slice(digits.as_bytes());
                out.extend_from_slice(b"e+");
                out.extend_from_slice(exponent.as_bytes());
            }
            _ => out.extend_from_slice(text.as_bytes()),
        }
    } else {
        push_plain_float(out, value);
    }
}

/// Appends a finite float without exponent, as Go's `strconv.FormatFloat(v, 'f', -1, 64)`.
pub(crate) fn push_plain_float(out: &mut Vec<u8>, value: f64) {
    let magnitude = value.abs();
    if magnitude < WHOLE_MAX && value.trunc() == value && (value != 0.0 || value.is_sign_positive()) {
        push_integer(out, value as i64);
    } else if (1e-3..WHOLE_MAX).contains(&magnitude) && serde_json::to_writer(&mut *out, &value).is_ok() {
        // serde_json finds the digits much faster than fmt does, and uses no exponent for such a number.
    } else {
        out.extend_from_slice(format!("{value}").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: f64, expected: &str) {
        let mut out = Vec::new();
        push_json_float(&mut out, value);
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn floats_print_as_go_prints_them() {
        check(3.0, "3");
        check(-3.0, "-3");
        check(0.0, "0");
        check(-0.0, "-0");
        check(0.1, "0.1");
        check(502.9, "502.9");
        check(-2.5, "-2.5");
        check(1e15, "1000000000000000");
        check(1e16, "10000000000000000");
        check(123_456_789_012_345_680.0, "123456789012345680");
        check(1e20, "100000000000000000000");
        check(1e21, "1e+21");
        check(1.5e300, "1.5e+300");
        check(-1e21, "-1e+21");
        check(1e-6, "0.000001");
        check(1.25e-6, "0.00000125");
        check(1e-7, "1e-7");
        check(-1.5e-9, "-1.5e-9");
        check(1e-10, "1e-10");
        check(5e-324, "5e-324");
        check(f64::MAX, "1.7976931348623157e+308");
        check(0.001, "0.001");
        check(0.000_999, "0.000999");
        check(1.0 / 3.0, "0.3333333333333333");
        check(999_999_999_999_999.9, "999999999999999.9");
        check(f64::NAN, "null");
        check(f64::INFINITY, "null");
        check(f64::NEG_INFINITY, "null");
    }

    /// The fast path and the standard library must find the same digits.
    #[test]
    fn fast_floats_are_the_same_as_slow_ones() {
        let mut bits = 0x3f50_0000_0000_0000_u64;
        for i in 0..200_000_u64 {
            bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15 ^ i) % 0x4320_0000_0000_0000;
            let value = f64::from_bits(bits);
            let mut out = Vec::new();
            push_plain_float(&mut out, value);
            assert_eq!(String::from_utf8_lossy(&out), format!("{value}"));
        }
    }
}
