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
        Decimal::of(value).push_scientific(out);
    } else {
        push_plain_float(out, value);
    }
}

/// Appends a finite float without exponent, as Go's `strconv.FormatFloat(v, 'f', -1, 64)`.
pub(crate) fn push_plain_float(out: &mut Vec<u8>, value: f64) {
    let magnitude = value.abs();
    if magnitude < WHOLE_MAX && value.trunc() == value && (value != 0.0 || value.is_sign_positive()) {
        push_integer(out, value as i64);
    } else if !((1e-3..WHOLE_MAX).contains(&magnitude) && push_shortest(out, value)) {
        Decimal::of(value).push_plain(out);
    }
}

/// Appends the shortest digits, in some layout that is plain for moderate numbers that are not whole. Of two that are
/// equally near the even one is taken, as in Go; the standard library takes the greater.
fn push_shortest(out: &mut Vec<u8>, value: f64) -> bool {
    serde_json::to_writer(out, &value).is_ok()
}

/// The shortest digits of a float, apart from their layout: `0.digits × 10^point`.
struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    point: i32,
}

impl Decimal {
    fn of(value: f64) -> Self {
        let mut text = Vec::with_capacity(32);
        push_shortest(&mut text, value.abs());
        let (mantissa, exponent) = match text.iter().position(|byte| matches!(byte, b'e' | b'E')) {
            Some(e) => {
                (&text[..e], std::str::from_utf8(&text[e + 1..]).unwrap_or_default().parse().unwrap_or(0))
            }
            None => (&text[..], 0),
        };
        let whole = mantissa.iter().position(|&byte| byte == b'.').unwrap_or(mantissa.len());
        let digits: Vec<u8> = mantissa.iter().copied().filter(u8::is_ascii_digit).collect();
        let leading = digits.iter().take_while(|&&digit| digit == b'0').count();
        let end = digits.iter().rposition(|&digit| digit != b'0').map_or(leading, |last| last + 1);
        Self {
            negative: value.is_sign_negative(),
            digits: digits[leading..end].to_vec(),
            point: whole as i32 - leading as i32 + exponent,
        }
    }

    fn push_plain(&self, out: &mut Vec<u8>) {
        if self.negative {
            out.push(b'-');
        }
        let before = usize::try_from(self.point).unwrap_or(0).min(self.digits.len());
        let (whole, fraction) = self.digits.split_at(before);
        out.extend_from_slice(whole);
        // Zeros between the digits and the point: to its left, or to its right.
        let zeros_left = usize::try_from(self.point).unwrap_or(0) - before;
        out.resize(out.len() + zeros_left, b'0');
        if self.point <= 0 || self.digits.is_empty() {
            out.push(b'0');
        }
        if !fraction.is_empty() {
            out.push(b'.');
            out.resize(out.len() + usize::try_from(-self.point).unwrap_or(0), b'0');
            out.extend_from_slice(fraction);
        }
    }

    fn push_scientific(&self, out: &mut Vec<u8>) {
        if self.negative {
            out.push(b'-');
        }
        let Some((first, fraction)) = self.digits.split_first() else { return };
        out.push(*first);
        if !fraction.is_empty() {
            out.push(b'.');
            out.extend_from_slice(fraction);
        }
        out.extend_from_slice(if self.point > 0 { b"e+" } else { b"e-" });
        push_unsigned(out, u64::from((self.point - 1).unsigned_abs()));
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

    #[test]
    fn every_layout_reads_back_and_is_as_short_as_can_be() {
        let mut bits = 0x3f50_0000_0000_0000_u64;
        for i in 0..200_000_u64 {
            bits = bits.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(i);
            // All exponents, and more often the usual ones.
            let value = f64::from_bits(if i % 2 == 0 {
                bits
            } else {
                0x3e00_0000_0000_0000 + bits % 0x0800_0000_0000_0000
            });
            if !value.is_finite() {
                continue;
            }
            let mut json = Vec::new();
            push_json_float(&mut json, value);
            let json = String::from_utf8(json).unwrap();
            assert_eq!(json.parse::<f64>().unwrap().to_bits(), value.to_bits(), "{json}");
            let mut plain = Vec::new();
            push_plain_float(&mut plain, value);
            let plain = String::from_utf8(plain).unwrap();
            assert_eq!(plain.parse::<f64>().unwrap().to_bits(), value.to_bits(), "{plain}");
            assert!(!plain.contains('e'), "{plain}");
            assert_eq!(plain.len(), format!("{value}").len(), "{plain}");
        }
    }

    #[test]
    fn of_two_nearest_the_even_one_is_printed() {
        check(223_106_018_797_079.5 + 0.125, "223106018797079.62");
    }
}
