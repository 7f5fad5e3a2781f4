//! Bodies, numbers and times as the encoders must write them, byte for byte.

use super::pieces::Cut;
use super::*;
use expect_test::{Expect, expect};
use query::result::Cell;
use std::sync::Arc;

fn series(name: &str, tags: &[(&str, &str)], columns: &[&str], cells: Vec<Cell>) -> Series {
    let tags: Vec<(Arc<str>, Arc<str>)> =
        tags.iter().map(|(tag, value)| (Arc::from(*tag), Arc::from(*value))).collect();
    Series {
        name: Arc::from(name),
        tags: (!tags.is_empty()).then_some(tags),
        columns: columns.iter().map(|column| Arc::from(*column)).collect(),
        cells,
        time_zone: None,
    }
}

fn text(value: &str) -> Cell {
    Cell::String(Arc::from(value))
}

/// All kinds of cells.
fn sample() -> Vec<Series> {
    vec![
        series(
            "cpu",
            &[("a b", "x,y"), ("host", "")],
            &["time", "f", "i", "s", "b", "n"],
            vec![
                Cell::Time(1_000_000_001),
                Cell::Float(1.5),
                Cell::Integer(i64::MAX),
                text("<a>&\"\\\u{2028}\u{8}\né\u{fffd}"),
                Cell::Boolean(true),
                Cell::Null,
                Cell::Time(-1),
                Cell::Float(f64::NAN),
                Cell::Integer(-33),
                text(" lead,comma"),
                Cell::Boolean(false),
                Cell::Unsigned(u64::MAX),
            ],
        ),
        series(
            "",
            &[],
            &["destinations"],
            vec![Cell::Strings(Arc::from([Arc::from("http://a:1"), Arc::from("b")]))],
        ),
        series("", &[], &["user", "admin"], vec![]),
    ]
}

fn document(format: Format, epoch: &str, results: &[ResultPiece<'_>]) -> Vec<u8> {
    let mut out = Output::new(false);
    let mut encoder = Encoder::new(format, Epoch::from_parameter(epoch));
    for result in results {
        encoder.result(result, &mut out);
    }
    encoder.finish(&mut out);
    out.finish().0.concat()
}

#[track_caller]
fn check(format: Format, epoch: &str, expected: Expect) {
    let series = sample();
    let messages = [Message { level: "warning", text: "deprecated use of 'X'".to_owned() }];
    let pieces = Cut::Whole.whole(&series);
    let good =
        ResultPiece { statement_id: 0, series: &pieces, messages: &messages, partial: false, error: None };
    let bad = ResultPiece {
        statement_id: 1,
        series: &[],
        messages: &[],
        partial: false,
        error: Some("not executed"),
    };
    let body = document(format, epoch, &[good, bad]);
    // What an editor would not show.
    let body = String::from_utf8_lossy(&body).replace('\u{2028}', "<2028>").replace('\u{8}', "<8>");
    expected.assert_eq(&body);
}

#[test]
fn json() {
    check(
        Format::Json { pretty: false },
        "",
        expect![[r#"
            {"results":[{"statement_id":0,"series":[{"name":"cpu","tags":{"a b":"x,y","host":""},"columns":["time","f","i","s","b","n"],"values":[["1970-01-01T00:00:01.000000001Z",1.5,9223372036854775807,"\u003ca\u003e\u0026\"\\\u2028\u0008\né\ufffd",true,null],["1969-12-31T23:59:59.999999999Z",null,-33," lead,comma",false,18446744073709551615]]},{"columns":["destinations"],"values":[[["http://a:1","b"]]]},{"columns":["user","admin"]}],"messages":[{"level":"warning","text":"deprecated use of 'X'"}]},{"statement_id":1,"error":"not executed"}]}
        "#]],
    );
}

#[test]
fn json_with_epoch() {
    let series = sample();
    let pieces = Cut::Whole.whole(&series[..1]);
    let piece = ResultPiece { statement_id: 0, series: &pieces, messages: &[], partial: false, error: None };
    let body = document(Format::Json { pretty: false }, "ms", &[piece]);
    let body = String::from_utf8_lossy(&body);
    assert!(body.contains("[1000,1.5") && body.contains("[0,null,-33"), "{body}");
}

#[test]
fn pretty_json() {
    check(
        Format::Json { pretty: true },
        "s",
        expect![[r#"
            {
                "results": [
                    {
                        "statement_id": 0,
                        "series": [
                            {
                                "name": "cpu",
                                "tags": {
                                    "a b": "x,y",
                                    "host": ""
                                },
                                "columns": [
                                    "time",
                                    "f",
                                    "i",
                                    "s",
                                    "b",
                                    "n"
                                ],
                                "values": [
                                    [
                                        1,
                                        1.5,
                                        9223372036854775807,
                                        "\u003ca\u003e\u0026\"\\\u2028\u0008\né\ufffd",
                                        true,
                                        null
                                    ],
                                    [
                                        0,
                                        null,
                                        -33,
                                        " lead,comma",
                                        false,
                                        18446744073709551615
                                    ]
                                ]
                            },
                            {
                                "columns": [
                                    "destinations"
                                ],
                                "values": [
                                    [
                                        [
                                            "http://a:1",
                                            "b"
                                        ]
                                    ]
                                ]
                            },
                            {
                                "columns": [
                                    "user",
                                    "admin"
                                ]
                            }
                        ],
                        "messages": [
                            {
                                "level": "warning",
                                "text": "deprecated use of 'X'"
                            }
                        ]
                    },
                    {
                        "statement_id": 1,
                        "error": "not executed"
                    }
                ]
            }
        "#]],
    );
}

#[test]
fn csv() {
    check(
        Format::Csv,
        "",
        expect![[r#"
            name,tags,time,f,i,s,b,n
            cpu,"a\ b=x\,y",1000000001,1.5,9223372036854775807,"<a>&""\<2028><8>
            é�",true,
            cpu,"a\ b=x\,y",-1,,-33," lead,comma",false,18446744073709551615

            name,tags,destinations
            ,,

            name,tags,user,admin
        "#]],
    );
}

#[test]
fn msgpack_as_recorded_from_1x() {
    let rows = vec![
        Cell::Time(1_000_000_000),
        Cell::Boolean(true),
        text("a"),
        Cell::Integer(2),
        Cell::Float(1.0),
        Cell::Null,
    ];
    let series = [series("cpu", &[], &["time", "b", "host", "i", "v", "n"], rows)];
    let pieces = Cut::Whole.whole(&series);
    let piece = ResultPiece { statement_id: 0, series: &pieces, messages: &[], partial: false, error: None };
    let failed =
        ResultPiece { statement_id: 1, series: &[], messages: &[], partial: false, error: Some("no") };
    let mut expected = b"\x81\xa7results\x92\x82\xacstatement_id\x00\xa6series\x91\x83\xa4name\xa3cpu\xa7columns\x96\xa4time\xa1b\xa4host\xa1i\xa1v\xa1n".to_vec();
    expected.extend(
        b"\xa6values\x91\x96\xc7\x0c\x05\0\0\0\0\0\0\0\x01\0\0\0\0\xc3\xa1a\x02\xcb\x3f\xf0\0\0\0\0\0\0\xc0",
    );
    expected.extend(b"\x81\xa5error\xa2no");
    assert_eq!(document(Format::Msgpack, "", &[piece, failed]), expected);
}

#[test]
fn msgpack_numbers_and_lengths_take_the_shortest_form() {
    let long = "x".repeat(300);
    let values = [127, 128, -32, -33, 40_000, -3_000_000_000];
    let mut cells: Vec<Cell> = values.iter().map(|&value| Cell::Integer(value)).collect();
    cells.extend((0..14).map(|_| text(&long)));
    let columns: Vec<String> = (0..cells.len()).map(|i| i.to_string()).collect();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let series = [series("m", &[], &columns, cells)];
    let pieces = Cut::Whole.whole(&series);
    let piece = ResultPiece { statement_id: 0, series: &pieces, messages: &[], partial: true, error: None };
    let body = document(Format::Msgpack, "", &[piece]);
    let row: &[u8] = b"\x91\xdc\x00\x14\x7f\xd1\x00\x80\xe0\xd0\xdf\xd2\x00\x00\x9c\x40\xd3\xff\xff\xff\xff\x4d\x2f\xa2\x00\xda\x01\x2cxxx";
    assert!(body.windows(row.len()).any(|window| window == row), "{body:x?}");
}

#[test]
fn errors_in_every_format() {
    assert_eq!(Format::Json { pretty: false }.error("a<b"), b"{\"error\":\"a\\u003cb\"}\n");
    assert_eq!(Format::Json { pretty: true }.error("x"), b"{\n    \"error\": \"x\"\n}\n");
    assert_eq!(Format::Csv.error("a, \"b\""), b"error\n\"a, \"\"b\"\"\"\n");
    assert_eq!(Format::Msgpack.error("x"), b"\x81\xa5error\xa1x");
}

#[test]
fn an_empty_document_is_an_empty_object() {
    assert_eq!(document(Format::Json { pretty: true }, "", &[]), b"{}\n");
    assert_eq!(document(Format::Csv, "", &[]), b"");
    assert_eq!(document(Format::Msgpack, "", &[]), b"\x81\xa7results\x90");
}

#[test]
fn accept_chooses_the_format() {
    let choose = |accept: &str| {
        let value = HeaderValue::from_str(accept).expect("a header value");
        Format::from_accept([&value].into_iter(), false)
    };
    let json = Format::Json { pretty: false };
    for accept in [
        "",
        "text/html",
        "*/*",
        "application/csv;q=0.5, application/json;q=0.9",
        "image/png, */*;q=0.1",
        "application/*",
    ] {
        assert_eq!(choose(accept), json, "{accept}");
    }
    for accept in ["text/csv", "application/csv", "text/html, text/csv;q=0.4", "*/*, text/csv", "text/*"] {
        assert_eq!(choose(accept), Format::Csv, "{accept}");
    }
    assert_eq!(choose("application/x-msgpack"), Format::Msgpack);
    assert_eq!(choose("application/x-msgpack; q=0.1, application/json;q=0.01"), Format::Msgpack);
}

#[test]
fn gzip_output_inflates_to_the_same() {
    let rows: Vec<Cell> = (0..200_000).map(|i| Cell::Integer(i * 7919)).collect();
    let series = [series("m", &[], &["v"], rows)];
    let pieces = Cut::Whole.whole(&series);
    let piece = ResultPiece { statement_id: 0, series: &pieces, messages: &[], partial: false, error: None };
    let plain = document(Format::Json { pretty: false }, "", &[piece]);
    let mut out = Output::new(true);
    let mut encoder = Encoder::new(Format::Json { pretty: false }, Epoch::Text);
    encoder.result(&piece, &mut out);
    let mut segments = out.flush();
    encoder.finish(&mut out);
    segments.extend(out.finish().0);
    assert!(segments.len() > 2);
    let mut inflated = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&segments.concat()[..]), &mut inflated)
        .expect("gzip");
    assert!(inflated == plain);
}

#[test]
fn rows_are_cut_with_flags() {
    let rows = |n: i64| (0..n).map(Cell::Integer).collect::<Vec<_>>();
    let series = [
        series("a", &[], &["v"], rows(3)),
        series("b", &[], &["v"], rows(2)),
        series("c", &[], &["v"], vec![]),
    ];
    let shape = |cut: Cut| -> Vec<(String, bool)> {
        let render = |pieces: &[SeriesPiece<'_>]| {
            let text = |p: &SeriesPiece<'_>| {
                format!("{}{:?}{}", p.series.name, p.rows, if p.partial { "+" } else { "" })
            };
            pieces.iter().map(text).collect::<Vec<_>>().join(" ")
        };
        cut.pieces(&series).iter().map(|(pieces, more)| (render(pieces), *more)).collect()
    };
    let expected = |list: &[(&str, bool)]| {
        list.iter().map(|(text, more)| ((*text).to_owned(), *more)).collect::<Vec<_>>()
    };
    assert_eq!(
        shape(Cut::Rows(2)),
        expected(&[("a0..2+", true), ("a2..3", true), ("b0..2", true), ("c0..0", false)])
    );
    assert_eq!(shape(Cut::Series), expected(&[("a0..3", false), ("b0..2", false), ("c0..0", false)]));
    assert_eq!(shape(Cut::Whole), expected(&[("a0..3 b0..2 c0..0", false)]));
    assert_eq!(Cut::Rows(2).pieces(&[]).len(), 1);
    let flags: Vec<bool> = Cut::Rows(2).whole(&series).iter().map(|piece| piece.partial).collect();
    assert_eq!(flags, [true, false, false]);
}
