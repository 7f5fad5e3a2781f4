//! The admin API: probes, metrics, the cluster and orders to it. JSON errors name what would have been accepted.

mod access;
mod cluster;
mod orders;
mod probe;
mod routes;

pub use access::{AdminAccess, AdminTokens, Role};

use crate::HttpMetrics;
use crate::audit::{self, Actor};
use crate::auth::guard::Guard;
use crate::coordinator::Coordinator;
use crate::encode::Format;
use crate::error::Failure;
use crate::router::{Endpoint, client_address, error, metrics_text};
use access::Operator;
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
    /// What is asked for below `/admin`.
    pub(crate) access: AdminAccess,
    /// Tokens that were wrong.
    pub(crate) guard: Guard,
}

pub(crate) async fn answer(State(admin): State<Arc<Admin>>, request: Request) -> Response {
    let started = Instant::now();
    let (request, _body) = request.into_parts();
    let path = request.uri.path();
    let endpoint = if path == "/metrics" { Endpoint::Metrics } else { Endpoint::Admin };
    let mut actor = Actor::new(None, client_address(&request.extensions));
    let answer = routed(&admin, &request, &mut actor).await;
    let mut response = answer.unwrap_or_else(|failure| error(&failure, Format::Json { pretty: false }));
    if response.status() == StatusCode::METHOD_NOT_ALLOWED
        && let Some(methods) = methods(path).and_then(|methods| HeaderValue::from_str(&methods).ok())
    {
        response.headers_mut().insert(ALLOW, methods);
    }
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    // Who was not let in is told of by `operator`, and must not fill the log.
    let let_in = !matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS);
    if let_in && is_below_admin(path) && Role::of(&request.method) == Role::Operate {
        let target = request.uri.path_and_query().map_or(path, |target| target.as_str());
        audit::order(&actor, request.method.as_str(), target, response.status());
    }
    if request.method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    admin.metrics.observe(endpoint, response.status().as_u16(), started.elapsed());
    response
}

fn is_below_admin(path: &str) -> bool {
    path.starts_with("/admin")
}

/// Who asks, where somebody is asked who they are.
fn operator(admin: &Admin, request: &Parts, actor: &mut Actor) -> Result<Operator, Failure> {
    let operator = admin.access.operator(&admin.guard, request);
    match &operator {
        Ok(operator) => *actor = Actor::new(operator.name.as_deref(), actor.address),
        Err(failure) if failure.status == StatusCode::UNAUTHORIZED => {
            admin.metrics.auth_failed();
            if request.headers.contains_key(AUTHORIZATION) {
                audit::login_failed(actor, "admin");
            }
        }
        Err(_) => {}
    }
    operator
}

async fn routed(admin: &Admin, request: &Parts, actor: &mut Actor) -> Result<Response, Failure> {
    let path = request.uri.path();
    let operator = if is_below_admin(path) { Some(operator(admin, request, actor)?) } else { None };
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
    if let Some(operator) = operator {
        operator.may(&request.method)?;
    }
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
