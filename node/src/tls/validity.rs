//! When a certificate ends: the one field of X.509 (RFC 5280 §4.1) that TLS itself has no use for telling.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// `[0]`, the version; not there in certificates of version 1.
const VERSION: u8 = 0xa0;

/// The last second in which a certificate is valid, in seconds since the epoch; `None` if these bytes are no certificate.
pub(super) fn not_after(certificate: &[u8]) -> Option<i64> {
    let (mut certificate, _) = value(certificate, SEQUENCE)?;
    let (mut signed, _) = value(std::mem::take(&mut certificate), SEQUENCE)?;
    if let Some((_, rest)) = value(signed, VERSION) {
        signed = rest;
    }
    // Serial number, algorithm of the signature, issuer.
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        signed = value(signed, tag)?.1;
    }
    let (validity, _) = value(signed, SEQUENCE)?;
    let (_, _, not_after) = element(validity)?;
    let (tag, text, _) = element(not_after)?;
    seconds(tag, std::str::from_utf8(text).ok()?)
}

/// The value of the first element if it has this tag, and what follows it.
fn value(bytes: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, value, rest) = element(bytes)?;
    (tag == wanted).then_some((value, rest))
}

/// Tag and value of the first element, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        // The long form; four bytes of length are more than any certificate has.
        let count = usize::from(first & 0x7f);
        if count == 0 || count > 4 {
            return None;
        }
        let (digits, rest) = rest.split_at_checked(count)?;
        (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
    };
    let (value, rest) = rest.split_at_checked(length)?;
    Some((tag, value, rest))
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ` as seconds since the epoch.
fn seconds(tag: u8, text: &str) -> Option<i64> {
    let digits = text.strip_suffix('Z').filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
    let (year, rest) = match (tag, digits.len()) {
        (UTC_TIME, 12) => {
            let year: i16 = digits[..2].parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, &digits[2..])
        }
        (GENERALIZED_TIME, 14) => (digits[..4].parse().ok()?, &digits[4..]),
        _ => return None,
    };
    let part = |from: usize| rest[from..from + 2].parse::<i8>().ok();
    let time = DateTime::new(year, part(0)?, part(2)?, part(4)?, part(6)?, part(8)?, 0).ok()?;
    Some(TimeZone::UTC.to_timestamp(time).ok()?.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    #[test]
    fn the_end_of_a_certificate_is_read() {
        // Until 2049 in two digits of the year, later in four.
        for (year, seconds) in [(2030, 1_893_456_000), (1999, 915_148_800), (2123, 4_828_204_800)] {
            let mut params = CertificateParams::new(["a.b".to_owned()]).unwrap();
            params.not_before = date_time_ymd(1975, 1, 1);
            params.not_after = date_time_ymd(year, 1, 1);
            let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            assert_eq!(not_after(certificate.der()), Some(seconds), "{year}");
        }
    }

    #[test]
    fn times_that_are_none_are_refused() {
        for (tag, text) in [
            (UTC_TIME, "250101000000"),
            (UTC_TIME, "20250101000000Z"),
            (UTC_TIME, "251301000000Z"),
            (GENERALIZED_TIME, "20250230000000Z"),
            (GENERALIZED_TIME, "2025é1000000Z"),
            (SEQUENCE, "250101000000Z"),
        ] {
            assert_eq!(seconds(tag, text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, at in 0_usize..200, byte: u8) {
            not_after(&bytes);
            let key = KeyPair::generate().unwrap();
            let mut certificate = CertificateParams::default().self_signed(&key).unwrap().der().to_vec();
            let place = at % certificate.len();
            certificate[place] = byte;
            not_after(&certificate);
            not_after(&certificate[..place]);
        }
    }
}
