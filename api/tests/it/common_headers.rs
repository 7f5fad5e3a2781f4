//! Paths, methods and the headers of every answer.

use crate::stub::{Client, code, request};
use axum::http::StatusCode;
use expect_test::expect;

#[tokio::test]
async fn every_routed_answer_has_the_usual_headers() {
    let client = Client::new();
    let given = [("x-request-id", "abc"), ("request-id", "def")];
    for (method, path) in [
        ("GET", "/ping"),
        ("HEAD", "/ping"),
        ("GET", "/status"),
        ("OPTIONS", "/query"),
        ("GET", "/query"),
        ("POST", "/write"),
        ("POST", "/api/v2/write"),
        ("POST", "/api/v2/query"),
        ("POST", "/api/v1/prom/write"),
        ("POST", "/api/v1/prom/read"),
    ] {
        let answer = client.send(request(method, path, &given, "")).await;
        assert_eq!(answer.header("x-influxdb-version"), Some("1.6.7"));
        assert_eq!(answer.header("x-influxdb-build"), Some("OSS"));
        assert_eq!((answer.header("x-request-id"), answer.header("request-id")), (Some("abc"), Some("abc")));
        let answer = client.send(request(method, path, &given[1..], "")).await;
        assert_eq!(answer.header("x-request-id"), Some("def"));
        let answer = client.send(request(method, path, &[], "")).await;
        assert_eq!(answer.header("x-request-id").map(str::len), Some(36));
        assert_eq!(answer.header("x-request-id"), answer.header("request-id"));
    }
}

#[tokio::test]
async fn ping() {
    let client = Client::new();
    for path in [
        "/ping",
        "/status",
        "/ping?verbose=false",
        "/ping?verbose=0",
        "/ping?verbose",
        "/ping?wait_for_leader=5s",
    ] {
        expect![[r"
            204
            content-type: application/json

        "]]
        .assert_eq(&client.get(path).await.render());
    }
    for path in ["/ping?verbose=true", "/status?verbose=1"] {
        let answer = client.get(path).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "{\"version\":\"1.6.7\"}"), "{path}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
}

#[tokio::test]
async fn wrong_paths_and_methods() {
    let client = Client::new();
    for path in ["/", "/nope", "/query/", "/ping/", "/api/v2", "/api/v1/prom"] {
        let answer = client.get(path).await;
        expect![[r"
            404
            content-type: text/plain; charset=utf-8
            x-content-type-options: nosniff

            404 page not found
        "]]
        .assert_eq(&answer.render());
        assert!(answer.header("x-influxdb-version").is_some() && answer.header("request-id").is_none());
    }
    for (method, path, allow) in [
        ("POST", "/ping", "GET, HEAD"),
        ("OPTIONS", "/ping", "GET, HEAD"),
        ("PUT", "/query", "OPTIONS, GET, POST"),
        ("HEAD", "/query", "OPTIONS, GET, POST"),
        ("GET", "/write?db=k8s", "OPTIONS, POST"),
        ("GET", "/api/v2/write", "POST"),
        ("OPTIONS", "/api/v2/write", "POST"),
        ("GET", "/api/v2/query", "POST"),
        ("GET", "/api/v1/prom/write?db=k8s", "POST"),
        ("HEAD", "/api/v1/prom/read?db=k8s", "POST"),
        ("POST", "/health", "GET"),
        ("DELETE", "/metrics", "GET"),
    ] {
        let answer = client.send(request(method, path, &[], "")).await;
        assert_eq!(answer.status, code(StatusCode::METHOD_NOT_ALLOWED));
        assert_eq!((answer.header("allow"), answer.text().is_empty()), (Some(allow), method == "HEAD"));
    }
}

#[tokio::test]
async fn flux_is_off() {
    let client = Client::new();
    expect![[r"
        403
        content-type: text/plain; charset=utf-8
        x-content-type-options: nosniff

        Flux query service disabled. Verify flux-enabled=true in the [http] section of the InfluxDB config.
    "]]
    .assert_eq(&client.send(request("POST", "/api/v2/query?org=x", &[], "buckets()")).await.render());
}

#[tokio::test]
async fn browsers_are_told_that_they_may_ask() {
    let client = Client::new();
    let answer = client
        .send(request(
            "OPTIONS",
            "/query",
            &[("origin", "http://grafana"), ("access-control-request-method", "GET")],
            "",
        ))
        .await;
    expect![[r"
        200
        access-control-allow-credentials: true
        access-control-allow-headers: Accept, Accept-Encoding, Authorization, Content-Length, Content-Type, X-CSRF-Token, X-HTTP-Method-Override
        access-control-allow-methods: DELETE, GET, OPTIONS, POST, PUT
        access-control-allow-origin: http://grafana
        access-control-expose-headers: Date, X-InfluxDB-Version, X-InfluxDB-Build

    "]]
    .assert_eq(&answer.render());
    let answer = client.send(request("GET", "/query", &[("origin", "http://grafana")], "")).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (400, Some("http://grafana")));
    let answer = client.send(request("OPTIONS", "/write", &[], "")).await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin"), answer.text().as_str()),
        (200, None, "")
    );
}
