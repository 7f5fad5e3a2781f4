//! No client in particular: every path, method, parameter and header of the API, also as nobody should send them. The
//! answers must be equal to the byte.

use super::Step;

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

fn with(method: &'static str, target: &str) -> Step {
    Step { method, target: target.to_owned(), exact: true, ..Step::default() }
}

fn ask(parameters: &[(&str, &str)]) -> Step {
    Step { method: "GET", exact: true, ..Step::post("/query", parameters) }
}

fn write(parameters: &str, lines: &str) -> Step {
    Step { exact: true, ..Step::post(&format!("/write?{parameters}"), &[]) }.body(lines)
}

pub(super) fn steps() -> Vec<Step> {
    let mut steps = paths();
    steps.push(ask(&[(
        "q",
        "CREATE DATABASE surface; CREATE RETENTION POLICY other ON surface DURATION 0s REPLICATION 1",
    )]));
    steps.extend(writes());
    steps.extend(queries());
    steps.extend(statements());
    steps.push(ask(&[("q", "DROP DATABASE surface")]));
    steps
}

fn paths() -> Vec<Step> {
    let mut steps = Vec::new();
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/nope"),
        ("POST", "/query/"),
        ("GET", "/write/x"),
        ("PUT", "/query"),
        ("HEAD", "/query"),
        ("DELETE", "/write"),
        ("GET", "/write?db=surface"),
        ("POST", "/ping"),
        ("OPTIONS", "/ping"),
        ("PATCH", "/status"),
        ("GET", "/ping"),
        ("HEAD", "/ping"),
        ("GET", "/status"),
        ("HEAD", "/status"),
        ("GET", "/ping?wait_for_leader=x"),
        ("OPTIONS", "/query"),
        ("OPTIONS", "/write"),
        ("GET", "/api/v1/prom/write"),
        ("PUT", "/api/v1/prom/read"),
        ("POST", "/metrics"),
    ] {
        steps.push(with(method, path));
        steps.push(with(method, path).header("Origin", "http://grafana:3000"));
    }
    steps
}

fn writes() -> Vec<Step> {
    let mut steps = vec![
        write("", "m v=1"),
        write("db=", "m v=1"),
        write("db=nowhere", "m v=1"),
        write("db=nowhere", "m v=1").header("Accept", "text/csv"),
        write("db=surface&rp=nope", "m v=1"),
        write("db=surface", ""),
        write("db=surface", "# nothing\n\n   \n"),
        write("db=surface", "bad\nbad2 x\n"),
        write("db=surface", "bad\nm,t=good v=1 1\n"),
        write("db=surface", "bad\n").header("Accept", "application/csv"),
        write("db=surface&consistency=most", "m,t=lost v=1 2"),
        write("db=surface&consistency=most", "bad"),
        write("db=surface&consistency=most&rp=nope", "m v=1"),
        write("db=surface&precision=s", "m,t=range v=1 9223372037\n"),
        write("db=surface", "m,time=x v=1 1\n"),
        write("db=surface", "m,t=time time=1 1\n"),
        write("db=surface", "m,t=time time=1,v=2 1\n"),
        write("db=surface", "m,t=good v=\"text\" 1\nm,t=beside v=3 1\n"),
        write("db=surface", "new a=1 1\nnew a=\"x\" 1\n"),
        write("db=surface", "m,t=form v=1 3").header(FORM.0, FORM.1),
        write("db=surface", "m,t=deflate v=1 4").header("Content-Encoding", "deflate"),
        write("db=surface", "no gzip at all").header("Content-Encoding", "gzip"),
        write("db=surface", "short").header("Content-Encoding", "gzip"),
        write("db=surface", "").header("Content-Encoding", "gzip"),
        write("db=surface&db=nowhere&rp=other", "m,t=twice v=1 5"),
        write("db=surface&u=any&p=thing", "m,t=user v=1 6").header("Authorization", "Basic cm9vdDpyb290"),
        write("db=surface&pretty=true", "bad"),
        write("db=surface", "m,t=crlf v=1 7\r\n"),
        Step { exact: true, ..Step::post("/write?db=surface", &[]) }.gzip("m,t=zip v=1 8"),
    ];
    for (place, precision) in
        ["", "n", "ns", "u", "us", "ms", "s", "m", "h", "MS", "x"].into_iter().enumerate()
    {
        steps.push(write(&format!("db=surface&precision={precision}"), &format!("p,t={place} v=1 7")));
    }
    for consistency in ["any", "ONE", "Quorum", "all"] {
        steps.push(write(&format!("db=surface&consistency={consistency}"), "m,t=level v=1 9"));
    }
    steps
}

fn queries() -> Vec<Step> {
    let db = ("db", "surface");
    let all = ("q", "SELECT * FROM m, p");
    let mut steps = vec![
        ask(&[db, all]),
        ask(&[("q", "SELECT * FROM m")]),
        ask(&[("q", "SELECT * FROM surface..m")]),
        ask(&[db, ("rp", "other"), all]),
        ask(&[db, ("rp", "nope"), all]),
        ask(&[db, ("rp", "nope"), ("q", "SHOW MEASUREMENTS")]),
        ask(&[]),
        ask(&[db, ("q", "")]),
        ask(&[db, ("q", "   ")]),
        ask(&[db, ("q", ";")]),
        ask(&[db, ("q", "-- nothing")]),
        ask(&[db, ("q", "SELECT * FRO m")]),
        ask(&[db, ("q", "SELECT * FRO m"), ("pretty", "true")]),
        ask(&[db, ("q", "SELECT * FROM m"), ("q", "SHOW DATABASES")]),
        ask(&[db, all, ("pretty", "true"), ("epoch", "s")]),
        ask(&[db, all, ("pretty", "1")]),
        ask(&[db, all, ("node_id", "1")]),
        ask(&[db, all, ("node_id", "x")]),
        ask(&[db, all, ("async", "1")]),
        ask(&[db, all, ("async", "true")]),
        ask(&[db, all, ("u", "any"), ("p", "thing")]),
    ];
    for epoch in ["ns", "n", "u", "us", "µ", "ms", "s", "m", "h", "d", "x", "S"] {
        steps.push(ask(&[db, all, ("epoch", epoch)]));
        steps.push(ask(&[db, all, ("epoch", epoch)]).header("Accept", "text/csv"));
        steps.push(ask(&[db, all, ("epoch", epoch)]).header("Accept", "application/x-msgpack"));
    }
    let groups = ("q", "SELECT v FROM m GROUP BY t; SELECT count(v) FROM m, p; SHOW TAG VALUES WITH KEY = t");
    for chunks in
        [&[("chunked", "1")][..], &[("chunked", "true")], &[("chunked", "true"), ("chunk_size", "1")]]
    {
        steps.push(ask(&[&[db, all][..], chunks].concat()));
        steps.push(ask(&[&[db, groups][..], chunks].concat()));
        steps.push(ask(&[&[db, groups][..], chunks].concat()).header("Accept", "text/csv"));
        steps.push(ask(&[&[db, ("q", "SELECT v FROM m; SELECT x; SHOW DATABASES")][..], chunks].concat()));
    }
    for size in ["0", "-1", "x", "2", "3.5", "99999999999999999999"] {
        steps.push(ask(&[db, all, ("chunked", "true"), ("chunk_size", size)]));
    }
    for params in [
        r#"{"t":"good"}"#,
        r#"{"t":1.5}"#,
        r#"{"t":true}"#,
        r#"{"t":{"string":"good"}}"#,
        r#"{"t":null}"#,
        r#"{"t":[1]}"#,
        r#"{"x":"good"}"#,
        "{t}",
        "[1]",
        r#"{"t":99999999999999999999}"#,
        r#"{"t":1e3}"#,
        "",
    ] {
        steps.push(ask(&[db, ("q", "SELECT v FROM m WHERE t = $t"), ("params", params)]));
    }
    // Where several are named, 1.8 weighs them, and so do we; 1.6 knows only single ones.
    for accept in [
        "*/*",
        "application/json",
        "application/csv",
        "text/csv",
        "application/x-msgpack",
        "text/html, application/xhtml+xml, */*;q=0.8",
        "application/x-msgpack;q=0.5, application/json",
        "nonsense",
    ] {
        for q in [
            "SELECT * FROM m GROUP BY t",
            "SELECT mean(v) FROM m; SHOW DATABASES",
            "SELECT x",
            "SELECT * FRO m",
            "SHOW USERS",
        ] {
            steps.push(ask(&[db, ("q", q)]).header("Accept", accept));
        }
    }
    for encoding in ["gzip", "deflate, gzip;q=1.0", "identity", "GZIP"] {
        steps.push(ask(&[db, all]).header("Accept-Encoding", encoding));
        steps.push(ask(&[db, ("q", "SELECT * FRO m")]).header("Accept-Encoding", encoding));
    }
    steps
}

/// What comes in a body, and what a GET changes.
fn statements() -> Vec<Step> {
    let post = |target: &str| Step { exact: true, ..Step::post(target, &[]) };
    let multipart = "--b\r\nContent-Disposition: form-data; name=\"q\"; filename=\"q.txt\"\r\n\r\nSELECT v FROM m\r\n--b--\r\n";
    let field = "--b\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\nSELECT v FROM m\r\n--b--\r\n";
    let parts = ("Content-Type", "multipart/form-data; boundary=b");
    vec![
        post("/query").header(FORM.0, FORM.1).body("q=SELECT+v+FROM+m&db=surface&epoch=s"),
        post("/query?db=nowhere&q=SHOW+USERS").header(FORM.0, FORM.1).body("q=SELECT+v+FROM+m&db=surface"),
        post("/query?db=surface&pretty=true").header(FORM.0, FORM.1).body("q=SELECT+v+FROM+m&pretty=false"),
        post("/query?db=surface").header(FORM.0, FORM.1).body("q=%zz"),
        post("/query?db=surface").body("q=SELECT+v+FROM+m"),
        post("/query?db=surface&q=SELECT+v+FROM+m").header("Content-Type", "application/json").body("{}"),
        post("/query?db=surface").header(parts.0, parts.1).body(multipart),
        post("/query?db=surface").header(parts.0, parts.1).body(field),
        post("/query?db=surface&q=SHOW+DATABASES").header(parts.0, parts.1).body(multipart),
        with("GET", "/query?db=surface&q=CREATE+RETENTION+POLICY+x+ON+surface+DURATION+1d+REPLICATION+1"),
        with("GET", "/query?db=surface&q=drop+retention+policy+x+on+surface%3BSHOW+RETENTION+POLICIES"),
        with("GET", "/query?db=surface&q=DELETE+FROM+p"),
        post("/query?db=surface&q=DROP+MEASUREMENT+p"),
        post(
            "/query?db=surface&q=SELECT+v+FROM+m%3B+SELECT+y+FROM+m+GROUP+BY+time(1s)%3B+SHOW+DATABASES%3B+SHOW+DATABASES",
        ),
        post("/query?db=surface&q=SELECT+v+FROM+m%3B+SELECT+mean(v)+FROM+m+WHERE+b"),
        post("/query?db=surface&q=SELECT+v+FROM+m+SELECT+x"),
    ]
}
