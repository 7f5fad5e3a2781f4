//! Line protocol against what InfluxDB 1.x makes of it: points, errors and their order.

use super::*;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use std::fmt::Write as _;
use std::time::Instant;

/// One line of text a point, `key|name=value …|time`, then the errors.
fn render(body: &[u8], precision_ns: i64) -> String {
    let parsed = parse(body, precision_ns);
    let mut out = String::new();
    for line in &parsed.lines {
        let fields: Vec<String> = parsed
            .fields_of(line)
            .iter()
            .map(|field| {
                let value = match &field.value {
                    ValueRef::Float(v) => format!("{v:?}"),
                    ValueRef::Integer(v) => format!("{v}i"),
                    ValueRef::String(v) => format!("{:?}", String::from_utf8_lossy(v)),
                    ValueRef::Boolean(v) => v.to_string(),
                    ValueRef::Unsigned(v) => format!("{v}u"),
                };
                format!("{}={value}", String::from_utf8_lossy(&field.name))
            })
            .collect();
        let time = line.time.map_or("now".to_owned(), |time| time.to_string());
        let borrowed = if matches!(line.key, Cow::Borrowed(_)) { "" } else { "*" };
        let key = String::from_utf8_lossy(&line.key);
        writeln!(out, "{borrowed}{key}|{}|{time}", fields.join(" ")).expect("writing to a string");
    }
    for error in &parsed.errors {
        writeln!(out, "{}", error.text).expect("writing to a string");
    }
    out
}

#[track_caller]
fn check(body: &str, expected: Expect) {
    expected.assert_eq(&render(body.as_bytes(), 1));
}

/// Asserts the reason a single line is refused for.
#[track_caller]
fn refused(line: &str, reason: &str) {
    assert_eq!(render(line.as_bytes(), 1), format!("unable to parse '{line}': {reason}\n"), "{line:?}");
}

#[test]
fn a_heapster_line() {
    check(
        "memory/usage,labels=app:cart\\,tier:backend,pod_name=cart-1,type=pod value=123i 1795235260000000000\n",
        expect![[r"
            memory/usage,labels=app:cart\,tier:backend,pod_name=cart-1,type=pod|value=123i|1795235260000000000
        "]],
    );
}

#[test]
fn tags_are_sorted_and_the_sorted_key_is_borrowed() {
    check(
        "m,b=2,a=1,c=3 v=1\nm,a=1,b=2,c=3 v=1\n",
        expect![[r"
            *m,a=1,b=2,c=3|v=1.0|now
            m,a=1,b=2,c=3|v=1.0|now
        "]],
    );
}

#[test]
fn spellings_of_one_series_have_one_key() {
    check(
        "a=b v=1\na\\=b v=1\na\\\"b v=1\na\"b v=1\nm,t==x v=1\nm,t=\\=x v=1\n",
        expect![[r#"
            a=b|v=1.0|now
            *a=b|v=1.0|now
            *a"b|v=1.0|now
            a"b|v=1.0|now
            *m,t=\=x|v=1.0|now
            m,t=\=x|v=1.0|now
        "#]],
    );
}

#[test]
fn tags_sort_by_what_they_are_called_not_by_how_they_are_escaped() {
    check(
        "m,a!=1,a\\ =2 v=1\n",
        expect![[r"
            *m,a\ =2,a!=1|v=1.0|now
        "]],
    );
}

#[test]
fn values_of_every_type() {
    check(
        "m a=1,b=-2.5,c=3i,d=-4i,e=\"x\",f=t,g=F,h=1e3,i=.5,j=5.,k=-.5,l=True,m=FALSE,n=1E+2,o=1e-400,p=007i",
        expect![[r#"
            m|a=1.0 b=-2.5 c=3i d=-4i e="x" f=true g=false h=1000.0 i=0.5 j=5.0 k=-0.5 l=true m=false n=100.0 o=0.0 p=7i|now
        "#]],
    );
}

#[test]
fn strings_keep_all_but_escaped_quotes_and_backslashes() {
    check(
        "m a=\"x\\\"y\\\\z\\,\\n\",b=\"a, b=c\",c=\"\"\n",
        expect![[r#"
            m|a="x\"y\\z\\,\\n" b="a, b=c" c=""|now
        "#]],
    );
}

#[test]
fn a_string_may_hold_newlines() {
    check(
        "log,pod=a value=\"{\n  \\\"kind\\\": \\\"Event\\\"\n}\" 5\nm v=1 6\n",
        expect![[r#"
            log,pod=a|value="{\n  \"kind\": \"Event\"\n}"|5
            m|v=1.0|6
        "#]],
    );
}

#[test]
fn a_newline_behind_a_backslash_belongs_to_the_name() {
    check(
        "m\\\nx v=1\n",
        expect![[r"
            m\
            x|v=1.0|now
        "]],
    );
}

#[test]
fn a_comment_may_hide_lines_in_quotes() {
    check(
        "# a=\"b\nm v=1\n\"\n  # c\n\n \t \nm v=2\n",
        expect![[r"
            m|v=2.0|now
        "]],
    );
}

#[test]
fn of_two_fields_with_one_name_the_last_stays_unless_their_types_differ() {
    check(
        "m v=1,w=2,v=3\nm v=1,w=2,v=3i,v=4,v=\"x\"\n",
        expect![[r#"
            m|w=2.0 v=3.0|now
            m|w=2.0 v=3i v=4.0 v="x"|now
        "#]],
    );
    let many: Vec<String> = (0..50).map(|i| format!("f{}={i}", i % 40)).collect();
    let line = format!("m {}", many.join(","));
    let parsed = parse(line.as_bytes(), 1);
    assert_eq!(parsed.fields.len(), 40);
    assert!(parsed.fields.contains(&Field { name: Cow::Borrowed(b"f3"), value: ValueRef::Float(43.0) }));
}

#[test]
fn blanks_of_all_kinds_between_the_blocks() {
    check(
        "  \t m  \t v=1 \0 5   \n m v=1 \0\n",
        expect![[r"
            m|v=1.0|5
            m|v=1.0|now
        "]],
    );
}

#[test]
fn odd_lines_that_1x_accepts() {
    check(
        "m \t=1\nm v=\"a\"b\nm,a=1 f\\\"g=3\nm ,a=\"x\"=1\nm a\"b=1\n\"m\",\"t\"=\"x v=1\na\\b,c\\d=e\\f g\\h=1\n",
        expect![[r#"
            m|=1.0|now
            m|v="a\""|now
            m,a=1|f"g=3.0|now
            m|,a="x\"="|now
            m|a"b=1.0|now
            "m","t"="x|v=1.0|now
            a\b,c\d=e\f|g\h=1.0|now
        "#]],
    );
}

#[test]
fn refusals_of_the_series_key() {
    refused("m", "missing fields");
    refused("m\\ v=1", "missing fields");
    refused(",a=b v=1", "missing measurement");
    refused("m,", "missing tag key");
    refused("m, v=1", "missing tag key");
    refused("m,=x v=1", "missing tag key");
    refused("m,,a=b v=1", "missing tag key");
    refused("m,a", "missing tag value");
    refused("m,a v=1", "missing tag value");
    refused("m,a,b=c v=1", "missing tag value");
    refused("m,a=", "missing tag value");
    refused("m,a= v=1", "missing tag value");
    refused("m,a=,b=c v=1", "missing tag value");
    refused("m,a=b", "missing fields");
    refused("m,a=b\\ v=1", "invalid tag format");
    refused("m,a=b=c v=1", "invalid tag format");
    refused("m,a=1,a=2 v=1", "duplicate tags");
    refused("m,b=1,a=2,b=3 v=1", "duplicate tags");
}

#[test]
fn refusals_of_the_fields() {
    refused("m ", "invalid field format");
    refused("m v", "invalid field format");
    refused("m a=1,b", "invalid field format");
    refused("m a=1,,b=2", "invalid field format");
    refused("m a=1,", "invalid field format");
    refused("m =1", "missing field key");
    refused("m a=1,=2", "missing field key");
    refused("m v=", "missing field value");
    refused("m v=,w=1", "missing field value");
    refused("m v= 1", "missing field value");
    refused("m v=\"a", "unbalanced quotes");
    refused("m v=\"\\", "unbalanced quotes");
    refused("m a\\\\=1", "invalid value: field-key=a\\\\=1");
    for text in [
        "NaN", "nan", "0x10", "1_0", "1.1.1", "1i1", "1.5i", "1e3i", "-", ".", "-i", "1u", "1ii", "1\r",
        "--1",
    ] {
        refused(&format!("m v={text}"), "invalid number");
    }
    for text in ["1e", "1e400", "-1e400", "1e5e5", "-e5"] {
        refused(&format!("m v={text}"), "invalid float");
    }
    for text in ["+1", "inf", "'a'", "word", "tr", "tRUE", "falsy", "e5", "t\""] {
        refused(&format!("m v={text}"), "invalid boolean");
    }
    let digits = "9".repeat(400);
    refused(&format!("m v={digits}"), "invalid float");
    refused(
        "m v=9223372036854775808i",
        "unable to parse integer 9223372036854775808: strconv.ParseInt: parsing \"9223372036854775808\": value out of range",
    );
    check(
        "m v=-9223372036854775808i,w=9223372036854775807i,x=00000000000000000000001i",
        expect![[r"
            m|v=-9223372036854775808i w=9223372036854775807i x=1i|now
        "]],
    );
}

#[test]
fn refusals_of_the_timestamp() {
    refused("m v=1 x", "bad timestamp");
    refused("m v=1 1.5", "bad timestamp");
    refused("m v=1 1\r", "bad timestamp");
    refused("m v=1 --1", "bad timestamp");
    refused("m v=1 1 2", "point is invalid");
    refused("m v=1 1 \t", "point is invalid");
    refused("m v=1 -", "strconv.ParseInt: parsing \"-\": invalid syntax");
    let range = "time outside range -9223372036854775806 - 9223372036854775806";
    refused("m v=1 9223372036854775807 x", range);
    refused("m v=1 -9223372036854775807", range);
    refused(
        "m v=1 99999999999999999999 x",
        "strconv.ParseInt: parsing \"99999999999999999999\": value out of range",
    );
    check(
        "m v=1 9223372036854775806\nm v=1 -9223372036854775806\nm v=1 -0\n",
        expect![[r"
            m|v=1.0|9223372036854775806
            m|v=1.0|-9223372036854775806
            m|v=1.0|0
        "]],
    );
}

#[test]
fn timestamps_are_multiplied_by_the_precision() {
    let second = 1_000_000_000;
    assert_eq!(
        render(b"m v=1 15\nm v=1 -2\nm v=1", second),
        "m|v=1.0|15000000000\nm|v=1.0|-2000000000\nm|v=1.0|now\n"
    );
    assert!(render(b"m v=1 9223372037", second).contains("time outside range"));
    assert!(render(b"m v=1 9223372036", second).contains("9223372036000000000"));
}

#[test]
fn good_lines_survive_bad_ones() {
    check(
        "bad\nm v=1\nbad2 x\nm v=2,w=\nm v=3",
        expect![[r"
            m|v=1.0|now
            m|v=3.0|now
            unable to parse 'bad': missing fields
            unable to parse 'bad2 x': invalid field format
            unable to parse 'm v=2,w=': missing field value
        "]],
    );
}

#[test]
fn the_greatest_key_is_65535_bytes_with_separator_and_field() {
    let tag = |bytes: usize| format!("m,t={} v=1", "x".repeat(bytes));
    assert_eq!(parse(tag(65_535 - 4 - 4 - 1).as_bytes(), 1).lines.len(), 1);
    let parsed_line = tag(65_535 - 4 - 4);
    let parsed = parse(parsed_line.as_bytes(), 1);
    assert!(parsed.errors[0].text.ends_with("max key length exceeded: 65536 > 65535"), "field counts");
    let parsed_line = tag(65_535);
    let parsed = parse(parsed_line.as_bytes(), 1);
    assert!(parsed.errors[0].text.ends_with("max key length exceeded: 65539 > 65535"), "key alone");
}

#[test]
fn a_line_gives_its_parts_back() {
    let parsed = parse(b"disk\\ io,ho\\=st=a\\,b,z=\\ c v=1", 1);
    let line = &parsed.lines[0];
    assert_eq!(&*line.measurement(), b"disk io");
    let tags: Vec<_> = line.tags().map(|(tag, value)| (tag.into_owned(), value.into_owned())).collect();
    assert_eq!(tags, [(b"ho=st".to_vec(), b"a,b".to_vec()), (b"z".to_vec(), b" c".to_vec())]);
}

#[test]
fn error_texts_have_a_limit() {
    let line = vec![b'x'; 1 << 20];
    let body = [line.as_slice(); 20].join(&b'\n');
    let parsed = parse(&body, 1);
    assert_eq!(parsed.errors.len(), 17);
    assert_eq!(parsed.errors[16].text, "unable to parse 4 more lines");
}

/// A quadratic scan of these would take hours.
#[test]
fn hostile_bodies_take_linear_time() {
    let started = Instant::now();
    let tags: Vec<String> = (0..10_000).rev().map(|i| format!("t{i}=v")).collect();
    let fields: Vec<String> = (0..100_000).map(|i| format!("f{i}=1,f{i}=2")).collect();
    let million = 1_000_000;
    for body in [
        format!("m,{} v=1", tags.join(",")),
        format!("m {}", fields.join(",")),
        format!("m v=\"{}\"", "\n".repeat(20 * million)),
        format!("m v=\"{}", "\n".repeat(20 * million)),
        format!("m {} v=1", "\\".repeat(20 * million)),
        "m v=1,v=2\n".repeat(million),
        "\\\n".repeat(10 * million),
        "m v=\"\n".repeat(2 * million),
        "m,t=".repeat(5 * million),
    ] {
        let parsed = parse(body.as_bytes(), 1);
        assert!(!parsed.lines.is_empty() || !parsed.errors.is_empty());
    }
    assert!(started.elapsed().as_secs() < 20, "took {:?}", started.elapsed());
}

/// Bytes that line protocol gives a meaning, and some that it does not.
fn odd_bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        8 => proptest::sample::select(b"\\\\,,==  \"\"\n\nmvt109.-eitf#\t\0\r".to_vec()),
        1 => any::<u8>(),
    ];
    proptest::collection::vec(byte, 0..60)
}

fn name() -> impl Strategy<Value = String> {
    // A name cannot end with a backslash, hold one before what needs an escape, or hold a newline.
    "[a-zA-Z0-9_/.:é -]{0,6}[, =]{0,2}[a-z]{1,3}"
}

fn value() -> impl Strategy<Value = ValueRef<'static>> {
    prop_oneof![
        any::<f64>().prop_filter("finite", |v| v.is_finite()).prop_map(ValueRef::Float),
        any::<i64>().prop_map(ValueRef::Integer),
        any::<bool>().prop_map(ValueRef::Boolean),
        "(?s).{0,12}".prop_map(|text| ValueRef::String(Cow::Owned(text.into_bytes()))),
    ]
}

/// Writes a point as a client library does.
fn write_point(
    measurement: &str,
    tags: &[(String, String)],
    fields: &[(String, ValueRef<'_>)],
    time: i64,
) -> Vec<u8> {
    let mut line = Vec::new();
    series::escape_into(&mut line, measurement.as_bytes(), b", ");
    for (tag, value) in tags {
        line.push(b',');
        series::escape_into(&mut line, tag.as_bytes(), b",= ");
        line.push(b'=');
        series::escape_into(&mut line, value.as_bytes(), b",= ");
    }
    for (i, (name, value)) in fields.iter().enumerate() {
        line.push(if i == 0 { b' ' } else { b',' });
        series::escape_into(&mut line, name.as_bytes(), b",= ");
        line.push(b'=');
        match value {
            ValueRef::Float(v) => line.extend(format!("{v:?}").bytes()),
            ValueRef::Integer(v) => line.extend(format!("{v}i").bytes()),
            ValueRef::Boolean(v) => line.extend(v.to_string().bytes()),
            ValueRef::Unsigned(v) => line.extend(format!("{v}u").bytes()),
            ValueRef::String(v) => {
                line.push(b'"');
                series::escape_into(&mut line, v, b"\"\\");
                line.push(b'"');
            }
        }
    }
    line.extend(format!(" {time}\n").bytes());
    line
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_without_panic(body in odd_bytes(), precision in proptest::sample::select(vec![1_i64, 1_000, 3_600_000_000_000])) {
        let parsed = parse(&body, precision);
        for line in &parsed.lines {
            prop_assert!(!parsed.fields_of(line).is_empty());
        }
    }

    #[test]
    fn a_canonical_key_is_its_own_canonical_key(body in odd_bytes()) {
        let parsed = parse(&body, 1);
        for line in &parsed.lines {
            let tags: Vec<_> = line.tags().collect();
            let parts: Vec<(&[u8], &[u8])> = tags.iter().map(|(tag, value)| (&**tag, &**value)).collect();
            prop_assert!(parts.is_sorted_by(|a, b| a.0 < b.0));
            let key = crate::SeriesKey::from_parts(&line.measurement(), &parts);
            prop_assert_eq!(&*key.0, &*line.key);
        }
    }

    #[test]
    fn a_written_point_is_read_back(
        measurement in name().prop_filter("not a comment", |name| !name.starts_with([' ', '#', ','])),
        tags in proptest::collection::btree_map(name(), name(), 0..5),
        fields in proptest::collection::btree_map(name(), value(), 1..20),
        time in crate::time::TIME_MIN..=crate::time::TIME_MAX,
        reversed: bool,
    ) {
        let mut tags: Vec<_> = tags.into_iter().collect();
        let sorted: Vec<(&[u8], &[u8])> = tags.iter().map(|(tag, value)| (tag.as_bytes(), value.as_bytes())).collect();
        let key = crate::SeriesKey::from_parts(measurement.as_bytes(), &sorted);
        if reversed {
            tags.reverse();
        }
        let fields: Vec<_> = fields.into_iter().collect();
        let body = write_point(&measurement, &tags, &fields, time);
        let parsed = parse(&body, 1);
        prop_assert_eq!(&parsed.errors, &[]);
        prop_assert_eq!(parsed.lines.len(), 1);
        let line = &parsed.lines[0];
        prop_assert_eq!(&*line.key, &*key.0);
        prop_assert_eq!(line.time, Some(time));
        let read: Vec<_> = parsed.fields_of(line).iter().map(|field| (String::from_utf8_lossy(&field.name).into_owned(), field.value.clone())).collect();
        prop_assert_eq!(read, fields);
    }
}

/// Lines as the exact rule cuts them.
fn lines_by_the_rule(body: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut start = 0;
    while start < body.len() {
        let end = scan::line_end(body, start);
        lines.extend(scan::content(&body[start..end]));
        start = end + 1;
    }
    lines
}

/// Every key that some line of the body makes canonical.
fn canonical_keys(body: &[u8]) -> Vec<Vec<u8>> {
    parse(body, 1).lines.iter().map(|line| line.key.to_vec()).collect()
}

/// What the `/write` path relies on: a raw key that is a known canonical key is the key of its line.
fn check_shortcut(body: &[u8], known: &[Vec<u8>]) {
    let texts: Vec<&[u8]> = RawLines::new(body).map(|raw| raw.text).collect();
    assert_eq!(texts, lines_by_the_rule(body));
    let mut reader = LineReader::new(1);
    for raw in RawLines::new(body) {
        let Some(key) = raw.key else { continue };
        let sent = &raw.text[..key.len as usize];
        if known.iter().any(|known| known == sent) {
            let expected = LineKey {
                canonical: Cow::Borrowed(sent),
                measurement_len: key.measurement_len,
                raw_len: key.len as usize,
            };
            assert_eq!(reader.key(raw.text), Ok(expected), "{:?}", String::from_utf8_lossy(raw.text));
        }
    }
}

#[test]
fn a_measurement_with_a_backslash_is_never_looked_up_as_sent() {
    // The canonical key of the first line is the second line's text, which means another series.
    let body = b"a\\\\=b v=1\na\\=b v=1\n";
    assert_eq!(canonical_keys(body), [b"a\\=b".to_vec(), b"a=b".to_vec()]);
    check_shortcut(body, &canonical_keys(body));
    assert!(RawLines::new(body).all(|raw| raw.key.is_none()));
}

#[test]
fn a_quote_in_a_key_may_move_the_end_of_the_line() {
    let known = canonical_keys(br#"m,t=a\\\ b\\\="c v=1"#);
    check_shortcut(b"m,t=a\\\\ b\\\\=\"c v=1\n x\" 5\nm v=1", &known);
}

#[test]
fn what_follows_a_key_does_not_change_where_it_ends() {
    let known: Vec<Vec<u8>> =
        ["m", "m,t=a\\ b", "m,t=a\\,b,u=\\=", "m,t=a\\\\"].map(|key| key.as_bytes().to_vec()).into();
    let rests = [" v=1", "  v=1", " v=\"a b\nc\" 1", " v=1\\\n", "\tv=1", "", ",t=1 v=1", "\\ v=1", " v"];
    for key in &known {
        for rest in rests {
            check_shortcut(&[key, rest.as_bytes(), b"\nm v=2"].concat(), &known);
        }
    }
}

/// Values as [`fields`] reads them without its shortcut.
fn fields_by_the_rule(line: &[u8]) -> Option<Vec<String>> {
    // A string in front of the others keeps the shortcut away.
    let spoilt = [b"m zz=\"\",", line].concat();
    let parsed = parse(&spoilt, 1);
    let line = parsed.lines.first()?;
    Some(parsed.fields_of(line)[1..].iter().map(|field| format!("{field:?}")).collect())
}

proptest! {
    #[test]
    fn a_raw_key_that_is_known_is_the_key(
        bodies in proptest::collection::vec(odd_bytes(), 1..6),
        appended in odd_bytes(),
    ) {
        let mut known: Vec<Vec<u8>> = bodies.iter().flat_map(|body| canonical_keys(body)).collect();
        known.extend(bodies.iter().flat_map(|body| canonical_keys(&[body, b"=x v=1".as_slice()].concat())));
        for body in &bodies {
            check_shortcut(body, &known);
        }
        for key in &known {
            check_shortcut(&[key, b" ".as_slice(), &appended].concat(), &known);
            check_shortcut(&[key.as_slice(), &appended].concat(), &known);
        }
    }

    #[test]
    fn plain_fields_are_read_as_the_rule_reads_them(
        line in "([a-z]{1,2}=-?[0-9]{0,20}([.][0-9]{0,18})?[ie]?,?){1,4}( [0-9]{0,3})?",
    ) {
        let body = [b"m ", line.as_bytes()].concat();
        let parsed = parse(&body, 1);
        let read = parsed.lines.first().map(|line| {
            parsed.fields_of(line).iter().map(|field| format!("{field:?}")).collect::<Vec<_>>()
        });
        prop_assert_eq!(read, fields_by_the_rule(line.as_bytes()));
    }
}
