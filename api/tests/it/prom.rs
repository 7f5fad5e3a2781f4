//! Prometheus remote write and read.

use crate::stub::{Answer, Client, Stub, request};
use api::ApiConfig;
use api::coordinator::WriteError;
use prost::Message;
use snap::raw::{Decoder, Encoder};

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

/// A write request, and with the same numbers the result of a query.
#[derive(Clone, PartialEq, Message)]
struct ManySeries {
    #[prost(message, repeated, tag = "1")]
    series: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct ReadResponse {
    #[prost(message, repeated, tag = "1")]
    results: Vec<ManySeries>,
}

#[derive(Clone, PartialEq, Message)]
struct Matcher {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Query {
    #[prost(int64, tag = "1")]
    start: i64,
    #[prost(int64, tag = "2")]
    end: i64,
    #[prost(message, repeated, tag = "3")]
    matchers: Vec<Matcher>,
}

#[derive(Clone, PartialEq, Message)]
struct ReadRequest {
    #[prost(message, repeated, tag = "1")]
    queries: Vec<Query>,
}

fn block(message: &impl Message) -> Vec<u8> {
    Encoder::new().compress_vec(&message.encode_to_vec()).expect("short")
}

fn samples(labels: &[(&str, &str)]) -> ManySeries {
    let label = |(name, value): &(&str, &str)| Label { name: (*name).into(), value: (*value).into() };
    let labels = labels.iter().map(label).collect();
    ManySeries { series: vec![TimeSeries { labels, samples: vec![Sample { value: 0.5, timestamp: 7 }] }] }
}

fn query(matchers: &[(i32, &str, &str)]) -> Query {
    let matcher =
        |&(kind, name, value): &(i32, &str, &str)| Matcher { kind, name: name.into(), value: value.into() };
    Query { start: 1_000, end: 2_000, matchers: matchers.iter().map(matcher).collect() }
}

async fn post(client: &Client, path: &str, body: Vec<u8>) -> Answer {
    let headers = [("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];
    client.send(request("POST", path, &headers, body)).await
}

#[tokio::test]
async fn samples_are_written_as_lines() {
    let client = Client::new();
    let body = block(&samples(&[("__name__", "up"), ("job", "a b")]));
    let answer = post(&client, "/api/v1/prom/write?db=k8s&rp=rp&consistency=ONE&precision=s", body).await;
    assert_eq!((answer.status, answer.text().as_str()), (204, ""));
    let write = client.stub.writes.lock().unwrap().remove(0);
    assert_eq!((write.database.as_str(), write.policy.as_str()), ("k8s", "rp"));
    assert_eq!((write.precision_ns, write.consistency.as_str()), (1_000_000, "one"));
    assert_eq!(&write.body[..], b"up,__name__=up,job=a\\ b value=0.5 7\n");
}

#[tokio::test]
async fn write_errors() {
    let client = Client::with(Stub::default(), ApiConfig { body_bytes_max: 1_000, ..ApiConfig::default() });
    let good = || block(&samples(&[("__name__", "up")]));
    let unfit = block(&samples(&[("__name__", "up"), ("path", "C:\\")]));
    for (parameters, body, status, text) in [
        ("", good(), 400, "database is required"),
        ("?db=nope", good(), 404, r#"database not found: \"nope\""#),
        ("?db=k8s", b"garbage".to_vec(), 400, "snappy: corrupt input"),
        ("?db=k8s", Encoder::new().compress_vec(b"\x0a\x7f").expect("short"), 400, "unexpected EOF"),
        ("?db=k8s", vec![0; 1_001], 413, "Request Entity Too Large"),
        (
            "?db=k8s",
            unfit,
            400,
            r#"partial write: the label \"path\" with the value \"C:\\\\\" cannot be a tag dropped=1"#,
        ),
    ] {
        let answer = post(&client, &format!("/api/v1/prom/write{parameters}"), body).await;
        assert_eq!((answer.status, answer.text()), (status, format!("{{\"error\":\"{text}\"}}\n")));
    }
    *client.stub.write_error.lock().unwrap() = Some(WriteError::Timeout);
    assert_eq!(post(&client, "/api/v1/prom/write?db=k8s", good()).await.status, 500);
}

#[tokio::test]
async fn remote_write_2_0_is_refused() {
    let client = Client::new();
    for (content_type, status) in [
        ("application/x-protobuf;proto=io.prometheus.write.v2.Request", 415),
        ("application/x-protobuf; proto=prometheus.WriteRequest", 204),
        ("", 204),
    ] {
        let body = block(&samples(&[("__name__", "up")]));
        let sent = request("POST", "/api/v1/prom/write?db=k8s", &[("content-type", content_type)], body);
        assert_eq!(client.send(sent).await.status, status, "{content_type}");
    }
}

#[tokio::test]
async fn samples_are_read_in_the_order_of_their_labels() {
    let client = Client::new();
    let asked = query(&[(2, "__name__", "go_.*|up"), (1, "job", "x")]);
    let answer =
        post(&client, "/api/v1/prom/read?db=k8s&rp=r", block(&ReadRequest { queries: vec![asked] })).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/x-protobuf")));
    assert_eq!(answer.header("content-encoding"), Some("snappy"));
    let message = Decoder::new().decompress_vec(&answer.body).expect("a snappy block");
    let read = ReadResponse::decode(&*message).expect("a read response");
    let shown: Vec<String> = read.results[0]
        .series
        .iter()
        .map(|series| {
            let labels: Vec<String> =
                series.labels.iter().map(|l| format!("{}={}", l.name, l.value)).collect();
            let samples: Vec<String> =
                series.samples.iter().map(|s| format!("{}@{}", s.value, s.timestamp)).collect();
            format!("{} {}", labels.join(","), samples.join(" "))
        })
        .collect();
    assert_eq!(
        shown,
        [
            "__name__=go_gc,job=p 0.5@1000",
            "__name__=up,a=1,job=q 0.5@1000 1@2000",
            "__name__=up,job=q 0.5@1000"
        ]
    );
    let executed = client.stub.executed.lock().unwrap().clone();
    assert_eq!(
        executed,
        [
            "SHOW MEASUREMENTS",
            "SELECT value::field FROM go_gc, up WHERE job::tag != 'x' AND time >= 1000000000 AND time <= 2000000000 GROUP BY *"
        ]
    );
    assert!(client.stub.requests.lock().unwrap().iter().all(|r| r.database == "k8s" && r.policy == "r"));
}

#[tokio::test]
async fn a_read_that_fits_no_measurement_is_empty() {
    let client = Client::new();
    for matchers in [vec![(0, "__name__", "up"), (0, "__name__", "down")], vec![(2, "__name__", "u")]] {
        let body = block(&ReadRequest { queries: vec![query(&matchers)] });
        let answer = post(&client, "/api/v1/prom/read?db=k8s", body).await;
        let message = Decoder::new().decompress_vec(&answer.body).expect("a snappy block");
        assert_eq!(
            ReadResponse::decode(&*message),
            Ok(ReadResponse { results: vec![ManySeries::default()] })
        );
    }
    assert_eq!(*client.stub.executed.lock().unwrap(), ["SHOW MEASUREMENTS"]);
}

#[tokio::test]
async fn read_errors() {
    let client = Client::with(Stub::default(), ApiConfig { answer_bytes_max: 10, ..ApiConfig::default() });
    let one = |kind, name: &str| block(&ReadRequest { queries: vec![query(&[(kind, "__name__", name)])] });
    let many = "Prometheus read endpoint currently only supports one query at a time";
    let two = ReadRequest { queries: vec![query(&[(0, "__name__", "up")]), query(&[(0, "__name__", "up")])] };
    for (parameters, body, status, text) in [
        ("", one(0, "up"), 400, "no database"),
        ("?db=nope", one(0, "up"), 400, "no database"),
        ("?db=k8s", b"garbage".to_vec(), 400, "snappy: corrupt input"),
        ("?db=k8s", Encoder::new().compress_vec(b"\x0a\x7f").expect("short"), 400, "unexpected EOF"),
        ("?db=k8s", block(&ReadRequest::default()), 400, many),
        ("?db=k8s", block(&two), 400, many),
        ("?db=k8s", block(&ReadRequest { queries: vec![query(&[])] }), 400, "expected matcher"),
        ("?db=k8s", one(9, "up"), 400, "unknown match type 9"),
        ("?db=k8s", one(0, "wrong"), 400, "invalid retention policy"),
        ("?db=k8s", one(0, "huge"), 422, "too many series"),
        ("?db=k8s", one(0, "lost"), 503, "group 3 has no quorum"),
        (
            "?db=k8s",
            one(2, "go_gc|up"),
            422,
            "answer exceeds 10 bytes; ask for a shorter time or fewer series",
        ),
    ] {
        let answer = post(&client, &format!("/api/v1/prom/read{parameters}"), body).await;
        assert_eq!((answer.status, answer.text()), (status, format!("{{\"error\":\"{text}\"}}\n")));
    }
}
