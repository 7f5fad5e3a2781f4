//! `/write`.

use crate::stub::{Answer, Client, Stub, request};
use api::ApiConfig;
use api::coordinator::WriteError;
use axum::body::Body;
use expect_test::{Expect, expect};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::time::Duration;

async fn check(path: &str, headers: &[(&str, &str)], body: impl Into<Body>, expected: Expect) {
    let answer = Client::new().send(request("POST", path, headers, body)).await;
    expected.assert_eq(&answer.render());
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

#[tokio::test]
async fn a_heapster_write() {
    let client = Client::new();
    let headers =
        [("authorization", "Basic cm9vdDpyb290"), ("content-type", ""), ("accept-encoding", "gzip")];
    let path = "/write?consistency=&db=k8s&precision=&rp=default";
    let answer = client.send(request("POST", path, &headers, "m v=1\n")).await;
    expect![[r"
        204
        content-type: application/json

    "]]
    .assert_eq(&answer.render());
    let write = client.stub.writes.lock().unwrap().remove(0);
    assert_eq!((write.database.as_str(), write.policy.as_str(), write.precision_ns), ("k8s", "default", 1));
    assert_eq!((write.consistency.as_str(), &write.body[..]), ("", &b"m v=1\n"[..]));
}

#[tokio::test]
async fn parameters() {
    let client = Client::new();
    for (precision, ns) in [
        ("n", 1),
        ("ns", 1),
        ("u", 1_000),
        ("us", 1),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ] {
        client
            .send(request(
                "POST",
                &format!("/write?db=k8s&precision={precision}&consistency=QUORUM"),
                &[],
                "",
            ))
            .await;
        let write = client.stub.writes.lock().unwrap().remove(0);
        assert_eq!((write.precision_ns, write.consistency.as_str()), (ns, "quorum"), "{precision}");
    }
}

#[tokio::test]
async fn v2_writes_name_a_bucket() {
    let client = Client::new();
    for (parameters, policy, precision_ns) in [
        ("bucket=k8s", "", 1),
        ("bucket=k8s/", "", 1),
        ("bucket=k8s/rp&org=any&precision=ns", "rp", 1),
        ("bucket=k8s%2Fr%2Fp&precision=us", "r/p", 1_000),
        ("bucket=k8s&precision=ms&db=other&rp=other", "", 1_000_000),
        ("bucket=k8s&precision=s&consistency=ALL", "", 1_000_000_000),
    ] {
        let answer = client.send(request("POST", &format!("/api/v2/write?{parameters}"), &[], "m v=1")).await;
        assert_eq!((answer.status, answer.text().as_str()), (204, ""), "{parameters}");
        let write = client.stub.writes.lock().unwrap().remove(0);
        assert_eq!((write.database.as_str(), write.policy.as_str()), ("k8s", policy), "{parameters}");
        assert_eq!((write.precision_ns, &write.body[..]), (precision_ns, &b"m v=1"[..]), "{parameters}");
    }
    let no_slash = r#"bucket name \"\" is missing a slash; not in \"database/retention-policy\" format"#;
    for (parameters, status, text) in [
        ("", 404, no_slash),
        ("org=x", 404, no_slash),
        ("bucket=/rp", 404, r#"bucket name \"/rp\" is in db/rp form but has an empty database"#),
        ("bucket=nope", 404, r#"database not found: \"nope\""#),
        ("bucket=k8s&precision=m", 400, r#"invalid precision \"m\" (use ns, us, ms or s)"#),
        ("bucket=k8s&precision=n", 400, r#"invalid precision \"n\" (use ns, us, ms or s)"#),
    ] {
        let answer = client.send(request("POST", &format!("/api/v2/write?{parameters}"), &[], "m v=1")).await;
        assert_eq!((answer.status, answer.text()), (status, format!("{{\"error\":\"{text}\"}}\n")));
        assert!(client.stub.writes.lock().unwrap().is_empty(), "{parameters}");
    }
}

#[tokio::test]
async fn database_is_checked_first() {
    check(
        "/write",
        &[("content-type", "application/x-www-form-urlencoded")],
        "db=k8s",
        expect![[r#"
            400
            content-type: application/json
            x-influxdb-error: database is required

            {"error":"database is required"}
        "#]],
    )
    .await;
    check(
        "/write?db=no%22%C3%A9%3C",
        &[("content-encoding", "gzip")],
        "x",
        expect![[r#"
            404
            content-type: application/json
            x-influxdb-error: database not found: "no\"é<"

            {"error":"database not found: \"no\\\"é\u003c\""}
        "#]],
    )
    .await;
}

#[tokio::test]
async fn failures_of_the_cluster() {
    for (error, status, text) in [
        (WriteError::DatabaseNotFound("k8s".to_owned()), 404, "database not found: \\\"k8s\\\""),
        (WriteError::PolicyNotFound("nope".to_owned()), 500, "retention policy not found: nope"),
        (
            WriteError::Rejected("unable to parse 'bad': missing fields".to_owned()),
            400,
            "unable to parse 'bad': missing fields",
        ),
        (WriteError::Partial("partial write: x dropped=0".to_owned()), 400, "partial write: x dropped=0"),
        (WriteError::Timeout, 500, "timeout"),
        (WriteError::Overloaded("busy".to_owned()), 503, "busy"),
        (WriteError::Internal("stopping".to_owned()), 500, "stopping"),
    ] {
        let client = Client::new();
        *client.stub.write_error.lock().unwrap() = Some(error);
        let answer = client.send(request("POST", "/write?db=k8s", &[], "m v=1")).await;
        assert_eq!((answer.status, answer.text()), (status, format!("{{\"error\":\"{text}\"}}\n")));
        assert_eq!(
            answer.header("x-influxdb-error").map(|text| text.replace('"', "\\\"")).as_deref(),
            Some(text)
        );
        assert_eq!(answer.header("retry-after"), (status == 503).then_some("1"));
    }
}

#[tokio::test]
async fn errors_come_in_the_format_asked_for() {
    let client = Client::new();
    *client.stub.write_error.lock().unwrap() =
        Some(WriteError::Rejected("unable to parse 'bad': missing fields".to_owned()));
    let answer = client.send(request("POST", "/write?db=k8s", &[("accept", "text/csv")], "bad")).await;
    assert_eq!(answer.text(), "error\nunable to parse 'bad': missing fields\n");
}

#[tokio::test]
async fn a_long_error_is_cut_in_the_header_only() {
    let client = Client::new();
    let text = "unable to parse 'a\nb'".repeat(200);
    *client.stub.write_error.lock().unwrap() = Some(WriteError::Rejected(text.clone()));
    let answer = client.send(request("POST", "/write?db=k8s", &[], "bad")).await;
    assert_eq!(answer.header("x-influxdb-error").map(str::len), Some(1024));
    assert!(answer.text().len() > text.len());
}

#[tokio::test]
async fn gzip_bodies() {
    let client = Client::new();
    let encoding = [("content-encoding", "gzip")];
    let lines = "m v=1 1\n".repeat(100_000);
    let answer = client.send(request("POST", "/write?db=k8s", &encoding, gzip(lines.as_bytes()))).await;
    assert_eq!(answer.status, 204);
    assert_eq!(client.stub.writes.lock().unwrap().remove(0).body.len(), lines.len());
    for (body, text) in
        [(&b""[..], "EOF"), (b"abc", "unexpected EOF"), (b"abcdefghijklmnop", "gzip: invalid header")]
    {
        let answer = client.send(request("POST", "/write?db=k8s", &encoding, body.to_vec())).await;
        assert_eq!((answer.status, answer.text()), (400, format!("{{\"error\":\"{text}\"}}\n")));
    }
    let answer =
        client.send(request("POST", "/write?db=k8s", &[("content-encoding", "GZIP")], "m v=1")).await;
    assert_eq!(answer.status, 204, "other encodings are ignored");
}

#[tokio::test]
async fn bodies_have_limits() {
    let config = ApiConfig { body_bytes_max: 1000, inflated_bytes_max: 5000, ..ApiConfig::default() };
    let client = Client::with(Stub::default(), config);
    let unsized_body = |bytes: usize| {
        let pieces = (0..bytes / 100).map(|_| Ok::<_, std::io::Error>(vec![b'#'; 100]));
        Body::from_stream(futures::stream::iter(pieces))
    };
    for (headers, body, status) in [
        (vec![], Body::from(vec![b'#'; 1000]), 204),
        (vec![], Body::from(vec![b'#'; 1001]), 413),
        (vec![], unsized_body(1000), 204),
        (vec![], unsized_body(1100), 413),
        (vec![("content-length", "1001")], Body::empty(), 413),
        (vec![("content-encoding", "gzip")], Body::from(gzip(&[b'#'; 5000])), 204),
        (vec![("content-encoding", "gzip")], Body::from(gzip(&[b'#'; 5001])), 413),
    ] {
        let answer = client.send(request("POST", "/write?db=k8s", &headers, body)).await;
        assert_eq!(answer.status, status);
        assert_eq!(status == 413, answer.text() == "{\"error\":\"Request Entity Too Large\"}\n");
    }
}

#[tokio::test]
async fn an_upload_that_breaks_off_stores_nothing() {
    let client = Client::new();
    let pieces = [Ok("m v=1\n"), Err(std::io::Error::other("reset"))];
    let body = Body::from_stream(futures::stream::iter(pieces));
    let answer = client.send(request("POST", "/write?db=k8s", &[], body)).await;
    assert_eq!(answer.status, 400);
    assert!(client.stub.writes.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_slow_upload_ends_in_time() {
    let config = ApiConfig { body_timeout: Duration::from_millis(50), ..ApiConfig::default() };
    let client = Client::with(Stub::default(), config);
    let body = Body::from_stream(futures::stream::pending::<Result<&str, std::io::Error>>());
    let answer = client.send(request("POST", "/write?db=k8s", &[], body)).await;
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("request body not received within 50ms"));
}

/// A client with room for a MiB of bodies, whose writes take a while.
fn small_room(lets_go: bool) -> Client {
    let stub = Stub { write_takes: Duration::from_millis(400), lets_go, ..Stub::default() };
    let config = ApiConfig {
        bodies_in_flight_bytes_max: 1 << 20,
        overload_wait: Duration::from_millis(20),
        ..ApiConfig::default()
    };
    Client::with(stub, config)
}

async fn write_bytes(client: &Client, bytes: usize) -> Answer {
    let length = bytes.to_string();
    client.send(request("POST", "/write?db=k8s", &[("content-length", &length)], vec![b'#'; bytes])).await
}

#[tokio::test]
async fn bodies_in_flight_have_a_limit() {
    let client = small_room(false);
    let (first, second) = tokio::join!(write_bytes(&client, 700_000), write_bytes(&client, 700_000));
    assert_eq!((first.status, second.status), (204, 503));
    assert_eq!(second.header("retry-after"), Some("1"));
    assert_eq!(
        second.text(),
        "{\"error\":\"request throttled, too many bytes of request bodies in flight\"}\n"
    );
    assert_eq!(write_bytes(&client, 700_000).await.status, 204, "the room is given back");
}

#[tokio::test]
async fn bodies_in_flight_may_fill_the_room_to_the_last_byte() {
    let client = small_room(false);
    let (first, second) = tokio::join!(write_bytes(&client, 1 << 19), write_bytes(&client, 1 << 19));
    assert_eq!((first.status, second.status), (204, 204));
    let (first, second) = tokio::join!(write_bytes(&client, 1 << 19), write_bytes(&client, (1 << 19) + 1));
    assert_eq!((first.status, second.status), (204, 503));
    assert_eq!(write_bytes(&client, (1 << 20) + 1).await.status, 413, "it never fits");
}

#[tokio::test]
async fn a_body_that_was_let_go_takes_no_room() {
    let client = small_room(true);
    let writes = [700_000; 3].map(|bytes| write_bytes(&client, bytes));
    let answers = futures::future::join_all(writes).await;
    assert!(answers.iter().all(|answer| answer.status == 204));
}
