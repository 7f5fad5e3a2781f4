//! `/query` in one document.

use crate::stub::{Client, Stub, request};
use api::ApiConfig;
use expect_test::{Expect, expect};
use std::io::Read;

async fn check(parameters: &str, expected: Expect) {
    expected.assert_eq(&Client::new().query(parameters).await.render());
}

#[tokio::test]
async fn a_select() {
    check(
        "q=SELECT v FROM one&db=k8s",
        expect![[r#"
            200
            content-type: application/json

            {"results":[{"statement_id":0,"series":[{"name":"one","columns":["time","v"],"values":[["1970-01-01T00:00:01Z",0.5],["1970-01-01T00:00:02Z",1]]}]}]}
        "#]],
    )
    .await;
}

#[tokio::test]
async fn epochs() {
    let client = Client::new();
    for (epoch, times) in
        [("ns", "1000000000"), ("u", "1000000"), ("ms", "1000"), ("s", "1"), ("m", "0"), ("us", "1000000000")]
    {
        let answer = client.query(&format!("q=SELECT v FROM one&epoch={epoch}")).await;
        assert!(answer.text().contains(&format!("[[{times},0.5]")), "{epoch}: {}", answer.text());
    }
}

#[tokio::test]
async fn several_statements_stop_at_the_first_failure() {
    check(
        "q=SHOW DATABASES; SELECT v FROM nope; SHOW DATABASES; SHOW DATABASES",
        expect![[r#"
            200
            content-type: application/json

            {"results":[{"statement_id":0,"series":[{"name":"databases","columns":["name"],"values":[["k8s"],["a\u003cb"]]}]},{"statement_id":1,"error":"not executed"}]}
        "#]],
    )
    .await;
    check(
        "q=SHOW DATABASES; SELECT v FROM nope",
        expect![[r#"
            200
            content-type: application/json

            {"results":[{"statement_id":0,"series":[{"name":"databases","columns":["name"],"values":[["k8s"],["a\u003cb"]]}]},{"statement_id":1,"error":"database not found: nope"}]}
        "#]],
    )
    .await;
    let client = Client::new();
    client.query("q=SELECT v FROM nope; SHOW DATABASES").await;
    assert_eq!(*client.stub.executed.lock().unwrap(), ["SELECT v FROM nope"]);
}

#[tokio::test]
async fn nothing_to_run() {
    for q in ["%3B", "--+comment"] {
        assert_eq!(Client::new().query(&format!("q={q}")).await.text(), "{}\n");
    }
    check(
        "q=SHOW USERS",
        expect![[r#"
            200
            content-type: application/json

            {"results":[{"statement_id":0}]}
        "#]],
    )
    .await;
}

#[tokio::test]
async fn missing_query() {
    for parameters in ["", "q=", "q=+++", "db=k8s", "q=&q=SHOW DATABASES"] {
        check(
            parameters,
            expect![[r#"
                400
                content-type: application/json
                x-influxdb-error: missing required parameter "q"

                {"error":"missing required parameter \"q\""}
            "#]],
        )
        .await;
    }
}

#[tokio::test]
async fn syntax_error() {
    check(
        "q=SELECT v FRO cpu&pretty=true",
        expect![[r#"
            400
            content-type: application/json
            x-influxdb-error: error parsing query: found FRO, expected FROM at line 1, char 10

            {
                "error": "error parsing query: found FRO, expected FROM at line 1, char 10"
            }
        "#]],
    )
    .await;
}

#[tokio::test]
async fn bind_parameters() {
    let client = Client::new();
    client
        .query("q=SELECT $f FROM one WHERE host = $h&params={%22f%22:{%22ident%22:%22v%22},%22h%22:%22a%22}")
        .await;
    assert_eq!(*client.stub.executed.lock().unwrap(), ["SELECT v FROM one WHERE host = 'a'"]);
    check(
        "q=SELECT v FROM one&params={h}",
        expect![[r#"
            400
            content-type: application/json
            x-influxdb-error: error parsing query parameters: invalid character 'h' looking for beginning of object key string

            {"error":"error parsing query parameters: invalid character 'h' looking for beginning of object key string"}
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_get_that_writes_is_run_with_a_warning() {
    check(
        "db=&q=CREATE DATABASE k8s WITH NAME \"default\"",
        expect![[r#"
            200
            content-type: application/json

            {"results":[{"statement_id":0,"messages":[{"level":"warning","text":"deprecated use of 'CREATE DATABASE k8s WITH NAME \"default\"' in a read only context, please use a POST request instead"}]}]}
        "#]],
    )
    .await;
    let client = Client::new();
    for (method, q) in [("POST", "CREATE+DATABASE+x"), ("GET", "DELETE+FROM+m"), ("GET", "SHOW+USERS")] {
        let answer = client.send(request(method, &format!("/query?q={q}"), &[], "")).await;
        assert_eq!(answer.text(), "{\"results\":[{\"statement_id\":0}]}\n", "{q}");
    }
}

#[tokio::test]
async fn parameters_come_from_url_and_body() {
    let client = Client::new();
    let form = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
    let post =
        |headers: &[(&str, &str)], path: &str, body: &'static str| request("POST", path, headers, body);
    client.send(post(&[form], "/query?q=SHOW+USERS&db=url&rp=r", "q=%20SHOW%20DATABASES&db=k8s")).await;
    let seen = client.stub.requests.lock().unwrap().remove(0);
    assert_eq!(
        (seen.statement.to_string().as_str(), seen.database.as_str(), seen.policy.as_str()),
        ("SHOW DATABASES", "k8s", "r")
    );
    assert!(!seen.read_only);

    let multipart = ("content-type", "multipart/form-data; boundary=b");
    let body = "--b\r\nContent-Disposition: form-data; name=\"q\"; filename=\"x.txt\"\r\n\r\n\nSHOW DATABASES\n\r\n--b--\r\n";
    let answer = client.send(post(&[multipart], "/query?db=k8s", body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer =
        client.send(post(&[("content-type", "application/json")], "/query", "q=SHOW DATABASES")).await;
    assert_eq!(answer.status, 400, "other bodies are not looked at");
    let answer = client.send(request("GET", "/query", &[form], "q=SHOW DATABASES")).await;
    assert_eq!(answer.status, 400, "nor is that of a GET");
}

#[tokio::test]
async fn a_form_has_a_limit() {
    let client = Client::new();
    let form = ("content-type", "application/x-www-form-urlencoded");
    let body = "x".repeat(api::config::FORM_BYTES_MAX + 1);
    let answer = client.send(request("POST", "/query?q=SHOW+DATABASES", &[form], body)).await;
    assert_eq!((answer.status, answer.text().as_str()), (413, "{\"error\":\"Request Entity Too Large\"}\n"));
}

#[tokio::test]
async fn an_answer_that_cannot_be_given_is_an_http_error() {
    for (measurement, status, text) in [
        ("lost", 503, "group 3 has no quorum"),
        ("huge", 422, "too many buckets"),
        ("broken", 500, "disk failed"),
    ] {
        let answer = Client::new().query(&format!("q=SHOW DATABASES; SELECT v FROM {measurement}")).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.text(), format!("{{\"error\":\"{text}\"}}\n"));
        assert_eq!(answer.header("retry-after").is_some(), status == 503);
    }
}

#[tokio::test]
async fn a_stale_and_partial_answer_says_so() {
    check(
        "q=SELECT v FROM old",
        expect![[r#"
            200
            content-type: application/json
            x-steadfast-partial: 3,5
            x-steadfast-stale-ms: 1234

            {"results":[{"statement_id":0,"messages":[{"level":"warning","text":"stale answer: a group without quorum answered as of 1234 ms ago"},{"level":"warning","text":"partial answer: groups that could not answer: 3,5"}]}]}
        "#]],
    )
    .await;
}

#[tokio::test]
async fn async_queries_answer_at_once() {
    let client = Client::new();
    check(
        "q=SHOW DATABASES&async=true",
        expect![[r"
            204
            content-type: application/json

        "]],
    )
    .await;
    client.query("q=SHOW DATABASES&async=true").await;
    tokio::task::yield_now().await;
    assert_eq!(client.stub.executed.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn async_queries_have_a_limit() {
    let client = Client::new();
    for _ in 0..api::config::UNHEARD_QUERIES_MAX {
        assert_eq!(client.query("q=SELECT v FROM slow&async=true").await.status, 204);
    }
    assert_eq!(client.query("q=SELECT v FROM slow&async=true").await.status, 503);
}

#[tokio::test]
async fn a_series_of_more_than_a_chunk_is_flagged_as_1x_does() {
    let answer = Client::new().query("q=SELECT v FROM big&epoch=s").await.text();
    assert!(answer.ends_with("[100000,50000]],\"partial\":true}]}]}\n"), "{}", &answer[answer.len() - 60..]);
}

#[tokio::test]
async fn formats_by_accept() {
    let client = Client::new();
    let ask = |accept: &str, q: &str| request("GET", &format!("/query?q={q}"), &[("accept", accept)], "");
    let answer = client.send(ask("application/csv", "SELECT+v+FROM+one;SHOW+DATABASES")).await;
    expect![[r"
        200
        content-type: text/csv

        name,tags,time,v
        one,,1000000000,0.5
        one,,2000000000,1

        name,tags,name
        databases,,k8s
        databases,,a<b
    "]]
    .assert_eq(&answer.render());
    let answer = client.send(ask("application/csv", "SELECT+v+FROM+nope")).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, ""));
    let answer = client.send(ask("text/csv", "SELECT+v+FRO+m")).await;
    expect![[r#"
        400
        content-type: text/csv
        x-influxdb-error: error parsing query: found FRO, expected FROM at line 1, char 10

        error
        "error parsing query: found FRO, expected FROM at line 1, char 10"
    "#]]
    .assert_eq(&answer.render());
    let answer = client.send(ask("application/x-msgpack", "SELECT+v+FROM+nope")).await;
    assert_eq!(answer.header("content-type"), Some("application/x-msgpack"));
    assert_eq!(answer.body, b"\x81\xa7results\x91\x81\xa5error\xb8database not found: nope");
}

#[tokio::test]
async fn good_answers_are_compressed_and_errors_are_not() {
    let client = Client::new();
    let ask =
        |q: &str| request("GET", &format!("/query?q={q}"), &[("accept-encoding", "deflate, gzip;q=0.5")], "");
    let answer = client.send(ask("SELECT+v+FROM+big")).await;
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    let mut inflated = String::new();
    flate2::read::GzDecoder::new(&answer.body[..]).read_to_string(&mut inflated).expect("gzip");
    assert!(
        inflated.ends_with("[\"1970-01-02T03:46:40Z\",50000]],\"partial\":true}]}]}\n"),
        "{}",
        &inflated[inflated.len() - 60..]
    );
    let answer = client.send(ask("SELECT+v+FRO+m")).await;
    assert_eq!((answer.status, answer.header("content-encoding")), (400, None));
}

#[tokio::test]
async fn an_answer_has_a_limit() {
    let config = ApiConfig { answer_bytes_max: 1 << 20, ..ApiConfig::default() };
    let client = Client::with(Stub::default(), config);
    assert_eq!(client.query("q=SELECT v FROM big").await.status, 422);
    assert_eq!(client.query("q=SELECT v FROM one").await.status, 200);
}

#[tokio::test]
async fn rows_beyond_the_limit_are_cut_off() {
    let rows = |series: &serde_json::Value| series["values"].as_array().map_or(0, Vec::len);
    for (rows_max, q, expected) in [
        (2, "SELECT v FROM two GROUP BY host", vec![vec![(2, true)]]),
        (3, "SELECT v FROM two GROUP BY host", vec![vec![(3, false)]]),
        (4, "SELECT v FROM two GROUP BY host", vec![vec![(3, false), (1, false)]]),
        (
            3,
            "SELECT v FROM one; SELECT v FROM one; SELECT v FROM one",
            vec![vec![(2, false)], vec![(1, true)]],
        ),
        (2, "SELECT v FROM one; SELECT v FROM nope", vec![vec![(2, false)]]),
    ] {
        let client = Client::with(Stub::default(), ApiConfig { rows_max, ..ApiConfig::default() });
        let answer = client.query(&format!("q={q}")).await;
        let json: serde_json::Value = serde_json::from_str(answer.text().trim()).expect("JSON");
        let results = json["results"].as_array().expect("results").iter();
        let found: Vec<Vec<(usize, bool)>> = results
            .map(|result| {
                let series = result["series"].as_array().expect("series").iter();
                series.map(|series| (rows(series), series["partial"] == true)).collect()
            })
            .collect();
        assert_eq!(found, expected, "{rows_max} {q}");
    }
}
