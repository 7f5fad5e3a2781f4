//! `/health` of InfluxDB 1.8: whether this node can serve.

use crate::config::INFLUXDB_VERSION;
use crate::coordinator::Coordinator;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

pub(crate) fn answer(coordinator: &dyn Coordinator) -> Response {
    let readiness = coordinator.readiness();
    let (status, word, message) = if readiness.ready {
        (StatusCode::OK, "pass", "ready for queries and writes".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "fail", readiness.reasons.join("; "))
    };
    let body = json!({
        "checks": [],
        "message": message,
        "name": "influxdb",
        "status": word,
        "version": INFLUXDB_VERSION,
    });
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response
}
