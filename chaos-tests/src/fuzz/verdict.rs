//! Two answers, compared to the byte but for what must differ.

mod names;

pub use names::{AFTER_DELETION, DELETED_BY_TWO_TAGS, DELETED_IN_PART};

use super::{explained, msgpack};
use crate::client::{ClientError, Response};

/// What two answers to one request say about each other.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Equal.
    Same,
    /// Different for a known reason.
    Explained(&'static str),
    /// Different: where.
    Differs(String),
}

/// Float sums are added in another order on a cluster.
const RELATIVE_TOLERANCE: f64 = 1e-12;
/// What is left of a difference of rounded numbers: the numbers of the fuzzer's points are below a hundred.
const ABSOLUTE_TOLERANCE: f64 = 1e-9;
/// Functions whose result depends on the order of adding, and may be the difference of two such results.
const ROUNDING: &[&str] = &[
    "mean",
    "stddev",
    "integral",
    "moving_average",
    "derivative",
    "holt_winters",
    "exp(",
    "pow(",
    "tan(",
    "sin(",
    "cos(",
];
/// Shown on either side of the first difference.
const CONTEXT: usize = 160;

/// Compares the answers to `q`.
pub fn compare(
    q: &str,
    want: &Result<Response, ClientError>,
    got: &Result<Response, ClientError>,
) -> Verdict {
    let (want, got) = match (want, got) {
        (Ok(want), Ok(got)) => (want, got),
        (Err(want), _) => return Verdict::Differs(format!("the oracle gives no answer: {want}")),
        (_, Err(got)) => return Verdict::Differs(format!("no answer: {got}")),
    };
    let (want_text, got_text) = (without_shard(&want.text()), got.text());
    if want_text.contains("json: unsupported value") {
        return Verdict::Explained("NaN or Inf, which is null here");
    }
    if want_text.contains("[panic:") {
        return Verdict::Explained("the oracle panics");
    }
    if want_text.contains(",replicaN,true") || want_text.contains(",replicaN,false") {
        return Verdict::Explained("1.x writes the column's name for a number of replicas as CSV");
    }
    if want.status != got.status {
        return Verdict::Differs(format!(
            "want {} {} got {} {}",
            want.status,
            clip(&want_text),
            got.status,
            clip(&got_text)
        ));
    }
    for header in ["Content-Type", "X-Influxdb-Error"] {
        if want.header(header).map(printable) != got.header(header).map(printable) {
            return Verdict::Differs(format!(
                "{header}: want {:?} got {:?}",
                want.header(header),
                got.header(header)
            ));
        }
    }
    let packed = want.header("Content-Type") == Some("application/x-msgpack");
    let unpacked = packed.then(|| Some((msgpack::as_text(&want.body)?, msgpack::as_text(&got.body)?)));
    let unpacked = unpacked.flatten().map(|(want, got)| (without_shard(&want), got));
    let (want_text, got_text) = unpacked.unwrap_or((want_text, got_text));
    if names::is_deleted_in_part(&want_text, &got_text) {
        return Verdict::Explained(DELETED_IN_PART);
    }
    if want_text == got_text {
        return Verdict::Same;
    }
    if let Some(why) = names::explanation(q, &want_text, &got_text) {
        return Verdict::Explained(why);
    }
    let lower = q.to_lowercase();
    let rounds = ROUNDING.iter().any(|function| lower.contains(function));
    match first_difference(want_text.as_bytes(), got_text.as_bytes(), rounds) {
        None => Verdict::Same,
        Some((a, b)) => explained::reason(q, &want_text, &got_text).map_or_else(
            || {
                Verdict::Differs(format!(
                    "want {}\n      got  {}",
                    around(&want_text, a),
                    around(&got_text, b)
                ))
            },
            Verdict::Explained,
        ),
    }
}

/// Whether two texts differ in the last digits of numbers only.
pub(super) fn equal_but_for_rounding(want: &str, got: &str) -> bool {
    first_difference(want.as_bytes(), got.as_bytes(), true).is_none()
}

/// The ASCII of a header, without control characters and spaces at its end: a Go server sends any byte, most others cannot.
fn printable(header: &str) -> String {
    let visible = |c: char| if c.is_control() && c != '\t' { ' ' } else { c };
    let ascii: String = header.chars().filter(char::is_ascii).map(visible).collect();
    ascii.trim_end().to_owned()
}

/// Errors of deletes name the shard they were met in, by a number of the server's own.
fn without_shard(text: &str) -> String {
    let Some((before, rest)) = text.split_once("\"shard ") else { return text.to_owned() };
    match rest.split_once(": ") {
        Some((number, after)) if number.parse::<u64>().is_ok() => format!("{before}\"{after}"),
        _ => text.to_owned(),
    }
}

/// Where two texts part; numbers outside of strings may differ by rounding.
fn first_difference(want: &[u8], got: &[u8], rounds: bool) -> Option<(usize, usize)> {
    let (mut at, mut other) = (0, 0);
    while at < want.len() || other < got.len() {
        let (Some(left), Some(right)) = (want.get(at), got.get(other)) else { return Some((at, other)) };
        if is_number(*left) && is_number(*right) {
            let ends = (number_end(want, at), number_end(got, other));
            let (left, right) = (&want[at..ends.0], &got[other..ends.1]);
            if left != right && !close(left, right, rounds) {
                return Some((at, other));
            }
            (at, other) = ends;
        } else if left == right {
            (at, other) = (at + 1, other + 1);
        } else {
            return Some((at, other));
        }
    }
    None
}

fn is_number(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'-'
}

fn number_end(text: &[u8], from: usize) -> usize {
    let part = |byte: &u8| byte.is_ascii_digit() || b"-+.e".contains(byte);
    from + text[from..].iter().take_while(|byte| part(byte)).count()
}

fn close(want: &[u8], got: &[u8], rounds: bool) -> bool {
    let parse = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<f64>().ok();
    let (Some(a), Some(b)) = (parse(want), parse(got)) else { return false };
    let whole = |text: &[u8]| !text.iter().any(|byte| b".e".contains(byte));
    // Two integers; a float without a fraction is far below 2^53 unless it is one of the extreme ones.
    if whole(want) && whole(got) && !(rounds && a.abs() > 1e15) {
        return false;
    }
    let apart = (a - b).abs();
    apart <= RELATIVE_TOLERANCE * a.abs().max(b.abs()) || (rounds && apart <= ABSOLUTE_TOLERANCE)
}

fn clip(text: &str) -> String {
    crate::report::shorten(text)
}

fn around(text: &str, at: usize) -> String {
    let start = (0..=at.saturating_sub(CONTEXT).min(text.len()))
        .rev()
        .find(|i| text.is_char_boundary(*i))
        .unwrap_or(0);
    clip(&text[start..]).replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rounding_is_forgiven() {
        let same = |a: &str, b: &str| first_difference(a.as_bytes(), b.as_bytes(), false).is_none();
        assert!(same("[1.5,null]", "[1.5000000000000002,null]"));
        assert!(!same("[1.5]", "[1.50001]"));
        assert!(!same("[9007199254740993]", "[9007199254740992]"));
        assert!(!same("[1]", "[1,2]"));
        assert!(!same("[1]", "[null]"));
        let rounded = |a: &str, b: &str| first_difference(a.as_bytes(), b.as_bytes(), true).is_none();
        assert!(rounded("[0]", "[1.1e-16]"));
    }
}
