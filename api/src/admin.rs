//! The admin API: probes, metrics, the cluster and orders to it. JSON errors name what would have been accepted.

mod cluster;
mod orders;
mod probe;
mod routes;

use crate::HttpMetrics;
use crate::coordinator::Coordinator;
use crate::encode::Format;
use crate::error::Failure;
use crate::router::{Endpoint, error, metrics_text};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use orders::Given;
use routes::{Call, ROUTES, captured, methods};
use std::sync::Arc;
use tokio::time::Instant;

/// What the API is, in the words of OpenAPI 3.
pub(crate) const DESCRIPTION: &str = include_str!("admin/openapi.json");

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct Admin {
    pub(crate) coordinator: Arc<dyn Coordinator>,
    pub(crate) metrics: Arc<HttpMetrics>,
    /// What `Authorization: Bearer` must say below `/admin`; empty: nothing.
    pub(crate) token: AdminToken,
}

/// A secret that operators share; empty when nobody is asked.
#[derive(Clone, Default)]
pub struct AdminToken(String);

impl AdminToken {
    /// As in a file: white space around it does not count.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// Whether a value of `Authorization` is this token's. Takes as long whatever of it is wrong.
    fn admits(&self, authorization: Option<&HeaderValue>) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let given = authorization.map(HeaderValue::as_bytes).unwrap_or_default();
        let given = given.strip_prefix(b"Bearer ").unwrap_or_default();
        let differing = given.iter().zip(self.0.as_bytes()).fold(0, |all, (a, b)| all | (a ^ b));
        given.len() == self.0.len() && differing == 0
    }
}

impl std::fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_empty() { "no token" } else { "a token" })
    }
}

pub(crate) async fn answer(State(admin): State<Arc<Admin>>, request: Request) -> Response {
    let started = Instant::now();
    let (request, _body) = request.into_parts();
    let path = request.uri.path();
    let endpoint = if path == "/metrics" { Endpoint::Metrics } else { Endpoint::Admin };
    let answer = routed(&admin, &request).await;
    let mut response = answer.unwrap_or_else(|failure| error(&failure, Format::Json { pretty: false }));
    if response.status() == StatusCode::METHOD_NOT_ALLOWED
        && let Some(methods) = methods(path).and_then(|methods| HeaderValue::from_str(&methods).ok())
    {
        response.headers_mut().insert(ALLOW, methods);
    }
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if request.method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    admin.metrics.observe(endpoint, response.status().as_u16(), started.elapsed());
    response
}

async fn routed(admin: &Admin, request: &Parts) -> Result<Response, Failure> {
    let path = request.uri.path();
    if path.starts_with("/admin") && !admin.token.admits(request.headers.get(AUTHORIZATION)) {
        let text = "the admin API asks for its token: Authorization: Bearer …";
        return Err(Failure::new(StatusCode::UNAUTHORIZED, text));
    }
    let Some(methods) = methods(path) else {
        let paths: Vec<String> =
            ROUTES.iter().map(|route| format!("{} {}", route.method, route.path)).collect();
        let text = format!("no such path; there are {}", paths.join(", "));
        return Err(Failure::new(StatusCode::NOT_FOUND, text));
    };
    let method = if request.method == Method::HEAD { "GET" } else { request.method.as_str() };
    let found = ROUTES.iter().filter(|route| route.method == method);
    let mut found = found.filter_map(|route| Some((route.call, captured(route.path, path)?)));
    let Some((call, captured)) = found.next() else {
        let text = format!("{path} takes {methods}, not {}", request.method);
        return Err(Failure::new(StatusCode::METHOD_NOT_ALLOWED, text));
    };
    let coordinator = &*admin.coordinator;
    match call {
        Call::Live => Ok(probe::live()),
        Call::Ready => Ok(probe::ready(coordinator)),
        Call::Started => Ok(probe::started(coordinator)),
        Call::Metrics => Ok(metrics_text(coordinator, &admin.metrics)),
        Call::Description => Ok(document(DESCRIPTION.to_owned())),
        Call::Cluster => cluster::cluster(coordinator).await,
        Call::Checksum => cluster::checksum(coordinator).await,
        Call::Order(make) => {
            let order = make(&Given { captured, query: request.uri.query().unwrap_or_default() })?;
            Ok(json(&coordinator.operate(order).await?))
        }
    }
}

/// An answer that is a JSON document.
fn json(value: &serde_json::Value) -> Response {
    document(format!("{value}\n"))
}

fn document(text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_admits_who_has_it() {
        let header = |text: &str| HeaderValue::from_str(text).unwrap();
        let token = AdminToken::new("s3cret\n");
        assert!(token.admits(Some(&header("Bearer s3cret"))));
        for wrong in ["Bearer s3cre", "Bearer s3cret2", "Bearer ", "s3cret", "Basic s3cret"] {
            assert!(!token.admits(Some(&header(wrong))), "{wrong}");
        }
        assert!(!token.admits(None));
        assert!(AdminToken::new(" \n").admits(None));
        assert!(!format!("{token:?}").contains("s3cret"));
    }
}
