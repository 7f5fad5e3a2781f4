//! `/query` with `chunked=true`.

use crate::stub::{Client, request};
use expect_test::{Expect, expect};
use std::io::Read;

async fn check(parameters: &str, expected: Expect) {
    let answer = Client::new().query(&format!("chunked=true&{parameters}")).await;
    assert_eq!(answer.status, 200);
    expected.assert_eq(&answer.text());
}

#[tokio::test]
async fn series_are_cut_by_rows() {
    check(
        "chunk_size=2&epoch=s&q=SELECT v FROM two GROUP BY host; SELECT v FROM one",
        expect![[r#"
            {"results":[{"statement_id":0,"series":[{"name":"two","tags":{"host":"a"},"columns":["time","v"],"values":[[1,0.5],[2,1]],"partial":true}],"partial":true}]}
            {"results":[{"statement_id":0,"series":[{"name":"two","tags":{"host":"a"},"columns":["time","v"],"values":[[3,1.5]]}],"partial":true}]}
            {"results":[{"statement_id":0,"series":[{"name":"two","tags":{"host":"b"},"columns":["time","v"],"values":[[1,0.5]]}]}]}
            {"results":[{"statement_id":1,"series":[{"name":"one","columns":["time","v"],"values":[[1,0.5],[2,1]]}]}]}
        "#]],
    )
    .await;
}

#[tokio::test]
async fn show_statements_are_cut_by_series_or_not_at_all() {
    check(
        "chunk_size=1&q=SHOW TAG VALUES WITH KEY = host; SHOW DATABASES",
        expect![[r#"
            {"results":[{"statement_id":0,"series":[{"name":"a","columns":["key","value"],"values":[["host","x"],["host","y"]]}]}]}
            {"results":[{"statement_id":0,"series":[{"name":"b","columns":["key","value"],"values":[["host","x"]]}]}]}
            {"results":[{"statement_id":1,"series":[{"name":"databases","columns":["name"],"values":[["k8s"],["a\u003cb"]]}]}]}
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_failed_statement_is_followed_by_one_error_for_each_left() {
    check(
        "q=SHOW USERS; SELECT v FROM nope; SHOW USERS; SHOW USERS",
        expect![[r#"
            {"results":[{"statement_id":0}]}
            {"results":[{"statement_id":1,"error":"database not found: nope"}]}
            {"results":[{"statement_id":1,"error":"not executed"}]}
            {"results":[{"statement_id":1,"error":"not executed"}]}
        "#]],
    )
    .await;
}

#[tokio::test]
async fn only_the_first_statement_can_fail_with_a_status() {
    assert_eq!(Client::new().query("chunked=true&q=SELECT v FROM lost").await.status, 503);
    check(
        "q=SHOW USERS; SELECT v FROM lost",
        expect![[r#"
            {"results":[{"statement_id":0}]}
            {"results":[{"statement_id":1,"error":"group 3 has no quorum"}]}
        "#]],
    )
    .await;
}

#[tokio::test]
async fn empty_and_odd_requests() {
    check("q=%3B", expect![[""]]).await;
    let client = Client::new();
    for (parameters, chunk) in [
        ("chunked=true&chunk_size=x", Some(10_000)),
        ("chunked=true&chunk_size=-1", Some(10_000)),
        ("chunked=true&chunk_size=7", Some(7)),
        ("chunked=1", None),
    ] {
        client.query(&format!("{parameters}&q=SHOW USERS")).await;
        let seen = client.stub.requests.lock().unwrap().remove(0);
        assert_eq!(seen.chunk_rows, chunk, "{parameters}");
    }
}

#[tokio::test]
async fn csv_goes_on_under_one_header() {
    let path = "/query?chunked=true&chunk_size=1&q=SELECT+v+FROM+two+GROUP+BY+host";
    let answer = Client::new().send(request("GET", path, &[("accept", "text/csv")], "")).await;
    expect![[r"
        name,tags,time,v
        two,host=a,1000000000,0.5
        two,host=a,2000000000,1
        two,host=a,3000000000,1.5
        two,host=b,1000000000,0.5
    "]]
    .assert_eq(&answer.text());
}

#[tokio::test]
async fn chunks_are_compressed_in_one_stream() {
    let path = "/query?chunked=true&chunk_size=999&q=SELECT+v+FROM+big";
    let answer = Client::new().send(request("GET", path, &[("accept-encoding", "gzip")], "")).await;
    let mut inflated = String::new();
    flate2::read::GzDecoder::new(&answer.body[..]).read_to_string(&mut inflated).expect("gzip");
    assert_eq!(inflated.lines().count(), 101);
    assert!(inflated.lines().take(100).all(|line| line.ends_with("\"partial\":true}],\"partial\":true}]}")));
}
