//! The table of bad requests, with some good ones between them.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;

/// Database of the cases.
pub(super) const DATABASE: &str = "bad";

/// One request.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) method: &'static str,
    pub(super) target: String,
    pub(super) headers: Vec<(&'static str, &'static str)>,
    pub(super) body: Option<Vec<u8>>,
}

fn write_to(name: &str, parameters: &str, body: impl Into<Vec<u8>>) -> Case {
    let target = format!("/write?{parameters}");
    Case { name: name.to_owned(), method: "POST", target, headers: Vec::new(), body: Some(body.into()) }
}

fn write(name: &str, body: impl Into<Vec<u8>>) -> Case {
    write_to(name, &format!("db={DATABASE}"), body)
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn zipped(name: &str, body: Vec<u8>) -> Case {
    Case { headers: vec![("Content-Encoding", "gzip")], ..write(name, body) }
}

/// All writes, and requests to the wrong place.
pub(super) fn cases() -> Vec<Case> {
    let mut all = line_cases();
    all.extend(type_cases());
    all.extend(size_cases());
    all.extend(parameter_cases());
    all
}

// Invalid UTF-8 in a measurement's name is not among these: it makes influxd 1.6 forget the types of all fields.
fn line_cases() -> Vec<Case> {
    let mut all = vec![
        write("good", "good,t=a v=1 1\ngood,t=b v=2 2"),
        write(
            "bad among good",
            "mixed v=1 1\nbad\nmixed v=2 2\nbad2 x\nmixed v=3 3\n=\nmixed,=x v=1 4\nmixed v=5 5",
        ),
        write("only bad", "bad\nbad2 x\n,t=a v=1\n"),
        write("empty", ""),
        write("comments and blank lines", "# nothing\n\n   \n#x v=1 1\n"),
        write("carriage returns", "crlf v=1 1\r\ncrlf v=2 2\r\n"),
        write("invalid UTF-8 in a tag", b"utf8,t=\xff\xfe v=1 1\nutf8,t=ok v=1 1".to_vec()),
        write("invalid UTF-8 in a string", b"utf8 s=\"\xc3\x28\" 3".to_vec()),
        write("null bytes", b"nul,t=a\x00b v=1 1".to_vec()),
        write("string with newline", "text s=\"two\nlines\" 1\ntext s=\"q\\\"q\" 2"),
        write("string never closed", "text s=\"open 3\ntext s=\"y\" 4"),
        write("good after the open string", "text s=\"z\" 5"),
        write("tag twice", "twice,t=a,t=b v=1 1"),
        write("field twice", "twice v=1,v=2 2"),
        write("point twice", "twice v=7 9\ntwice v=8 9"),
        write("tag named time", "m,time=a v=1 1\nm,t=a v=1 1"),
        write("field named time", "m time=1 1\nm v=1,time=2 2"),
        write("trailing comma", "m v=1, 1\nm, v=1 1"),
        write("escapes", "e\\ s\\,c,t\\=g=v\\ a f\\ 1=1 1"),
        write("backslash at the end", "m,t=a\\ v=1 1\nm,t=b\\\\ v=1 1"),
    ];
    for number in [
        "nan", "NaN", "inf", "-Inf", "1e400", "-1e-400", "0x10", "1_000", "1.", ".5", "1e", "--1", "+1", "t",
        "F",
    ] {
        all.push(write(&format!("number {number}"), format!("number,n=a v{}=1,x={number} 1", all.len())));
    }
    for integer in
        ["9223372036854775807i", "9223372036854775808i", "-9223372036854775808i", "1.5i", "i", "1u", "00012i"]
    {
        all.push(write(&format!("integer {integer}"), format!("integer x={integer} {}", all.len())));
    }
    for time in [
        "-1",
        "0",
        "9223372036854775806",
        "9223372036854775807",
        "99999999999999999999",
        "1.5",
        "abc",
        "-9223372036854775808",
    ] {
        all.push(write(&format!("time {time}"), format!("times v=1 {time}")));
    }
    all
}

fn type_cases() -> Vec<Case> {
    vec![
        write("float first", "types,t=a f=1 1\ntypes,t=a i=1i 1\ntypes,t=a s=\"x\" 1\ntypes,t=a b=true 1"),
        write("integer into float", "types,t=a f=2i 2\ntypes,t=b f=3 2"),
        write("string into integer", "types,t=a i=\"x\",f=9 3\ntypes,t=b i=4i 3"),
        write("two conflicts", "types f=\"x\" 4\ntypes s=1 4\ntypes b=5 4\ntypes f=6 4"),
        write("conflict inside of one new batch", "fresh v=1 1\nfresh v=\"x\" 2"),
        write("what was left of it", "fresh v=1 3"),
        write("conflict and a bad line", "types f=t 5\nbad\ntypes f=5 5"),
        write("new field beside a conflict", "types f=\"x\",new=1 6\ntypes new=2 6"),
    ]
}

fn size_cases() -> Vec<Case> {
    let many_tags: String = (0..10_000).map(|i| format!(",t{i:05}=v")).collect::<Vec<_>>().concat();
    let tags: String = (0..500).map(|i| format!(",t{i:03}=v{i}")).collect::<Vec<_>>().concat();
    let fields: String = (0..500).map(|i| format!("f{i:03}={i}i")).collect::<Vec<_>>().join(",");
    vec![
        write("10,000 tags", format!("wide{many_tags} v=1 1\nwide v=2 2")),
        write("500 tags", format!("wide{tags} v=1 3")),
        write("500 fields", format!("wide {fields} 4")),
        write("measurement of 70,000 bytes", format!("{} v=1 1", "m".repeat(70_000))),
        write("tag value of 60,000 bytes", format!("long,t={} v=1 1", "v".repeat(60_000))),
        write("string of 1 MB", format!("long s=\"{}\" 2", "s".repeat(1_000_000))),
        write("a body over the limit", "big v=1 1\n".repeat(2_600_000)),
        write("a line of 100 MB", format!("big s=\"{}\" 1", "s".repeat(100_000_000))),
        zipped("gzip", gzip("zip v=1 1\nzip v=2 2")),
        zipped("gzip of nothing", gzip("")),
        zipped("no gzip", b"zip v=3 3".to_vec()),
        zipped("half a gzip", gzip("zip v=4 4\nzip v=5 5")[..20].to_vec()),
        zipped("empty gzip body", Vec::new()),
        Case { headers: vec![("Content-Encoding", "snappy")], ..write("another coding", "zip v=6 6") },
    ]
}

fn parameter_cases() -> Vec<Case> {
    let db = format!("db={DATABASE}");
    let mut all = vec![
        write_to("no database", "", "m v=1 1"),
        write_to("empty database", "db=", "m v=1 1"),
        write_to("unknown database", "db=nowhere", "m v=1 1"),
        write_to("unknown database, bad line", "db=nowhere", "bad"),
        write_to("unknown policy", &format!("{db}&rp=nowhere"), "m v=1 1"),
        write_to("known policy", &format!("{db}&rp=autogen"), "policy v=1 1"),
        write_to("consistency", &format!("{db}&consistency=quorum"), "consistency v=1 1"),
        write_to("bad consistency", &format!("{db}&consistency=most"), "consistency v=2 2"),
        write_to("bad escape in the query string", &format!("{db}&x=%zz"), "m v=1 1"),
    ];
    for precision in ["ns", "n", "u", "ms", "s", "m", "h", "us", "x", ""] {
        let time = if matches!(precision, "m" | "h") { 10 } else { 1_000 + all.len() };
        let parameters = format!("{db}&precision={precision}");
        all.push(write_to(&format!("precision {precision:?}"), &parameters, format!("precision v=1 {time}")));
    }
    for (method, target) in [
        ("GET", "/write?db=bad"),
        ("PUT", "/write?db=bad"),
        ("DELETE", "/query"),
        ("GET", "/nowhere"),
        ("POST", "/"),
    ] {
        let name = format!("{method} {target}");
        all.push(Case {
            name,
            method,
            target: target.to_owned(),
            headers: Vec::new(),
            body: Some(Vec::new()),
        });
    }
    all
}

/// Broken and refused queries. DELETE, DROP SERIES and KILL QUERY are not among them: they are not supported.
pub(super) fn queries() -> Vec<Case> {
    let texts = [
        "",
        " ",
        ";",
        "SELECT",
        "SELEC v FROM m",
        "SELECT v",
        "SELECT v FROM",
        "SELECT v FROM m WHERE",
        "SELECT v FROM m WHERE time >",
        "SELECT v FROM m GROUP BY time(",
        "SELECT v FROM m GROUP BY time(1)",
        "SELECT v FROM m LIMIT x",
        "SELECT v FROM m LIMIT -1",
        "SELECT mean(v) FROM m GROUP BY time(1m) fill(foo)",
        "SELECT mean() FROM m",
        "SELECT mean(v, w) FROM m",
        "SELECT foo(v) FROM m",
        "SELECT mean(v), v FROM m",
        "SELECT v FROM m WHERE host =~ /(/",
        "SELECT v FROM m WHERE time = 'yesterday'",
        "SELECT * FROM m tz('Nope/x')",
        "SELECT top(v, 0) FROM good",
        "SELECT percentile(v) FROM good",
        "SELECT derivative(v, 'x') FROM good",
        "SELECT moving_average(v, 1) FROM good",
        "SELECT v FROM good ORDER BY v",
        "SELECT v FROM good GROUP BY time(1s)",
        "SELECT count(v) FROM good WHERE time < now() GROUP BY foo(1s)",
        "SELECT 'x' FROM good",
        "SELECT v + 'x' FROM good",
        "SELECT \"v FROM good",
        "SELECT v FROM 'good'",
        "CREATE DATABASE",
        "CREATE DATABASE \"\"",
        "CREATE RETENTION POLICY p ON bad DURATION 1m REPLICATION 1",
        "CREATE RETENTION POLICY p ON nowhere DURATION 1h REPLICATION 1",
        "DROP MEASUREMENT nowhere",
        "SHOW TAG VALUES FROM good",
        "SHOW TAG VALUES FROM good WITH KEY",
        "SHOW FIELD KEYS FROM",
        "SHOW NOTHING",
        "ALTER RETENTION POLICY nowhere ON bad DURATION 1h",
        "SELECT v FROM nowhere.autogen.good",
        "SELECT v FROM bad.nowhere.good",
        "SELECT v FROM good; SELECT v FRO good",
        "SELECT v FROM nowhere..good; SELECT v FROM good",
        "SELECT v FROM good WHERE v = $x",
    ];
    let case = |(method, q): (&'static str, &str)| {
        let target = format!("/query?db={DATABASE}&epoch=ns&q={}", chaos_tests::client::percent_encode(q));
        Case { name: format!("{method} {q:?}"), method, target, headers: Vec::new(), body: Some(Vec::new()) }
    };
    let mut all: Vec<Case> =
        texts.iter().map(|q| case(("GET", *q))).chain([case(("POST", "SELECT"))]).collect();
    let bare = |name: &str, target: &str| Case {
        name: name.to_owned(),
        method: "POST",
        target: target.to_owned(),
        headers: vec![("Content-Type", "application/x-www-form-urlencoded")],
        body: Some(b"q=SELECT+v+FROM+good&epoch=ns".to_vec()),
    };
    all.push(bare("query in a form", &format!("/query?db={DATABASE}")));
    all.push(bare("no database", "/query"));
    all.push(bare("unknown database", "/query?db=nowhere"));
    all.push(bare("bad parameters", &format!("/query?db={DATABASE}&params=x")));
    all
}
