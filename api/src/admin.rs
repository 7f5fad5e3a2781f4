//! The admin API: probes, metrics, cluster. JSON errors name what would have been accepted.

mod cluster;
mod probe;

use crate::HttpMetrics;
use crate::coordinator::Coordinator;
use crate::encode::Format;
use crate::error::Failure;
use crate::router::{Endpoint, error, metrics_text};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use std::sync::Arc;
use tokio::time::Instant;

const ENDPOINTS: &str =
    "GET /livez, GET /readyz, GET /startupz, GET /metrics, GET /admin/v1/cluster, POST /admin/v1/checksum";

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct Admin {
    pub(crate) coordinator: Arc<dyn Coordinator>,
    pub(crate) metrics: Arc<HttpMetrics>,
}

pub(crate) async fn answer(State(admin): State<Arc<Admin>>, request: Request) -> Response {
    let started = Instant::now();
    let path = request.uri().path();
    let endpoint = if path == "/metrics" { Endpoint::Metrics } else { Endpoint::Admin };
    let answer = match allowed(path) {
        None => Err(Failure::new(StatusCode::NOT_FOUND, format!("no such path; there are {ENDPOINTS}"))),
        Some(methods) if !methods.split(", ").any(|method| method == request.method().as_str()) => {
            let text = format!("{path} takes {methods}, not {}", request.method());
            Err(Failure::new(StatusCode::METHOD_NOT_ALLOWED, text))
        }
        Some(_) => routed(&admin, path).await,
    };
    let mut response = answer.unwrap_or_else(|failure| error(&failure, Format::Json { pretty: false }));
    if response.status() == StatusCode::METHOD_NOT_ALLOWED
        && let Some(methods) = allowed(path)
    {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    }
    if request.method() == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    admin.metrics.observe(endpoint, response.status().as_u16(), started.elapsed());
    response
}

/// The methods of a path; `None` if there is no such path.
fn allowed(path: &str) -> Option<&'static str> {
    match path {
        "/livez" | "/readyz" | "/startupz" | "/metrics" | "/admin/v1/cluster" => Some("GET, HEAD"),
        "/admin/v1/checksum" => Some("POST"),
        _ => None,
    }
}

async fn routed(admin: &Admin, path: &str) -> Result<Response, Failure> {
    let coordinator = &*admin.coordinator;
    match path {
        "/livez" => Ok(probe::live()),
        "/readyz" => Ok(probe::ready(coordinator)),
        "/startupz" => Ok(probe::started(coordinator)),
        "/metrics" => Ok(metrics_text(coordinator, &admin.metrics)),
        "/admin/v1/cluster" => cluster::cluster(coordinator).await,
        _ => cluster::checksum(coordinator).await,
    }
}

/// An answer that is a JSON document.
fn json(value: &serde_json::Value) -> Response {
    let mut response = Response::new(Body::from(format!("{value}\n")));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
