//! Points as line protocol again: what is sent on to others. `parse(print(point))` is the point. Here is how values are
//! written, also those of [`super::LineWriter`].

use super::Field;
use crate::series::escape_into;
use crate::value::ValueRef;
use std::io::Write;

/// Appends one line: the canonical series key, these fields, the time in ns.
pub fn print<'f>(
    out: &mut Vec<u8>,
    key: &[u8],
    fields: impl IntoIterator<Item = &'f Field<'f>>,
    time_ns: i64,
) {
    out.extend_from_slice(key);
    let mut before = b' ';
    for field in fields {
        out.push(before);
        before = b',';
        escape_into(out, &field.name, b",= ");
        out.push(b'=');
        push_value(out, &field.value);
    }
    // Writing to a vector cannot fail.
    let written = writeln!(out, " {time_ns}");
    debug_assert!(written.is_ok(), "writing to a vector");
}

/// Appends a value with the mark of its type.
pub(super) fn push_value(out: &mut Vec<u8>, value: &ValueRef<'_>) {
    let written = match value {
        // With a point or an exponent, and as many digits as bring the same bits back.
        ValueRef::Float(number) => write!(out, "{number:?}"),
        ValueRef::Integer(number) => write!(out, "{number}i"),
        ValueRef::Unsigned(number) => write!(out, "{number}u"),
        ValueRef::Boolean(flag) => write!(out, "{flag}"),
        ValueRef::String(text) => {
            out.push(b'"');
            escape_into(out, text, b"\"\\");
            out.push(b'"');
            Ok(())
        }
    };
    debug_assert!(written.is_ok(), "writing to a vector");
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use proptest::prelude::*;

    fn again(body: &[u8]) -> Vec<u8> {
        let parsed = parse(body, 1);
        let mut out = Vec::new();
        for line in &parsed.lines {
            print(&mut out, &line.key, parsed.fields_of(line), line.time.unwrap_or(-5));
        }
        out
    }

    #[test]
    fn points_are_printed_in_canonical_form() {
        let body = b"m\\ x,b=2,a=1 f=1,i=-3i,s=\"a \\\"b\\\\c\",t=TRUE,f\\,\\=\\ n=1e300 7\nm f=-0.0";
        let text = String::from_utf8(again(body)).unwrap();
        let first = r#"m\ x,a=1,b=2 f=1.0,i=-3i,s="a \"b\\c",t=true,f\,\=\ n=1e300 7"#;
        assert_eq!(text, format!("{first}\nm f=-0.0 -5\n"));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_as_the_same_points(
            parts in proptest::collection::vec("[a ,=\\\\\"i0-9.tn\u{e9}]{0,6}", 8),
            float: f64,
            time: i64,
        ) {
            let [m, k, v, f, g, s, h, x] = &parts[..] else { unreachable!("eight parts") };
            let body = format!("{m},{k}={v} {f}={float:?},{g}=\"{s}\",{h}={x} {time}\nm f=1");
            let printed = again(body.as_bytes());
            prop_assert_eq!(again(&printed), printed.clone());
            let (before, after) = (parse(body.as_bytes(), 1), parse(&printed, 1));
            prop_assert_eq!(before.lines.len(), after.lines.len());
            prop_assert_eq!(before.fields, after.fields);
        }
    }
}
