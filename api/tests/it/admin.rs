//! The admin API, and `/health` and `/metrics` of the InfluxDB API.

use crate::stub::{Client, Stub};
use api::ApiConfig;
use api::coordinator::{AdminError, Readiness};
use expect_test::expect;

#[tokio::test]
async fn probes() {
    let client = Client::new();
    let reasons = vec!["group 3: replaying its log".to_owned(), "no leader of group 5".to_owned()];
    *client.stub.readiness.lock().unwrap() = Readiness { started: true, ready: false, reasons };
    for (path, status, text) in [
        ("/livez", 200, "ok\n"),
        ("/startupz", 200, "ok\n"),
        ("/readyz", 503, "group 3: replaying its log\nno leader of group 5\n"),
    ] {
        let answer = client.send_admin("GET", path).await;
        assert_eq!((answer.status, answer.text().as_str()), (status, text), "{path}");
        let answer = client.send_admin("HEAD", path).await;
        assert_eq!((answer.status, answer.text().as_str()), (status, ""), "{path}");
    }
}

#[tokio::test]
async fn health_speaks_like_1_8() {
    let client = Client::new();
    assert_eq!(client.get("/health").await.status, 503);
    *client.stub.readiness.lock().unwrap() = Readiness { started: true, ready: true, reasons: vec![] };
    expect![[r#"
        200
        content-type: application/json

        {"checks":[],"message":"ready for queries and writes","name":"influxdb","status":"pass","version":"1.6.7"}"#]]
    .assert_eq(&client.get("/health").await.render());
}

#[tokio::test]
async fn metrics_are_those_of_the_node_and_of_http() {
    let client = Client::new();
    client.get("/ping").await;
    for answer in [client.send_admin("GET", "/metrics").await, client.get("/metrics").await] {
        assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        let text = answer.text();
        assert!(text.starts_with("steadfast_up 1\n# HELP"));
        assert!(
            text.contains("steadfast_http_requests_total{endpoint=\"ping\",class=\"2xx\"} 1\n"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn cluster_and_checksum() {
    let client = Client::new();
    let answer = client.send_admin("GET", "/admin/v1/cluster").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "{\"nodes\":[]}\n"));
    let answer = client.send_admin("POST", "/admin/v1/checksum").await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (200, "{\"groups\":[{\"group\":1,\"equal\":true}]}\n")
    );
    let stub =
        Stub { admin_error: Some(AdminError("meta group has no leader".to_owned())), ..Stub::default() };
    let answer = Client::with(stub, ApiConfig::default()).send_admin("GET", "/admin/v1/cluster").await;
    assert_eq!((answer.status, answer.text().as_str()), (503, "{\"error\":\"meta group has no leader\"}\n"));
}

#[tokio::test]
async fn wrong_requests_are_told_what_is_right() {
    let client = Client::new();
    let answer = client.send_admin("GET", "/admin/v1/checksum").await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
    assert_eq!(answer.text(), "{\"error\":\"/admin/v1/checksum takes POST, not GET\"}\n");
    let answer = client.send_admin("GET", "/admin").await;
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("POST /admin/v1/checksum"), "{}", answer.text());
}

#[tokio::test]
async fn orders_are_answered_by_the_cluster() {
    let client = Client::new();
    for (method, path, status, text) in [
        ("POST", "/admin/v1/nodes/4/drain", 200, "Drain(4)"),
        ("DELETE", "/admin/v1/nodes/4?force=true", 200, "Remove { node: 4, force: true }"),
        ("DELETE", "/admin/v1/nodes/4", 409, "drain it first"),
        ("GET", "/admin/v1/nodes/9", 404, "no node 9"),
        ("GET", "/admin/v1/nodes/x", 400, "is no node id"),
        ("PUT", "/admin/v1/announced/n4:8088", 200, "Announce"),
        ("PUT", "/admin/v1/replication-factor/2", 400, "1, 3 or 5"),
        ("POST", "/admin/v1/rebalance", 503, "no leader"),
        ("GET", "/admin/v1/nodes/4/drain", 405, "takes POST"),
    ] {
        let answer = client.send_admin(method, path).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        assert!(answer.text().contains(text), "{method} {path}: {}", answer.text());
    }
    let description = client.send_admin("GET", "/admin/v1/openapi.json").await;
    assert_eq!((description.status, description.header("content-type")), (200, Some("application/json")));
}
