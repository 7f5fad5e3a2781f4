//! Which endpoint answers, and what all answers have in common: headers, request ids, CORS, counting.

use crate::admin::{self, AdminAccess};
use crate::auth::guard::Guard;
use crate::auth::{self, Caller};
use crate::body::{self, Budget};
use crate::config::{ApiConfig, UNHEARD_QUERIES_MAX};
use crate::coordinator::Coordinator;
use crate::encode::Format;
use crate::encode::room::AnswerRoom;
use crate::error::Failure;
use crate::influx::write::Target;
use crate::profiles::Profiles;
use crate::serve::ClientAddress;
use crate::{HttpMetrics, headers, influx, params::Params};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{Extensions, HeaderValue, Method, StatusCode};
use axum::response::Response;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// What the handlers of the InfluxDB API share.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) coordinator: Arc<dyn Coordinator>,
    pub(crate) config: ApiConfig,
    pub(crate) budget: Budget,
    /// Memory of answers that are not chunked.
    pub(crate) answers: Arc<AnswerRoom>,
    /// Logins that failed.
    pub(crate) guard: Guard,
    /// Who counts requests by their clients now.
    pub(crate) profiles: Profiles,
    /// Places for queries that nobody waits for.
    pub(crate) unheard_queries: Arc<Semaphore>,
}

/// The InfluxDB 1.x API.
pub fn influx_router(coordinator: Arc<dyn Coordinator>, config: ApiConfig) -> Router {
    let budget =
        Budget::new(config.bodies_in_flight_bytes_max, config.overload_wait, Arc::clone(&config.metrics));
    let unheard_queries = Arc::new(Semaphore::new(UNHEARD_QUERIES_MAX));
    let answers = Arc::new(AnswerRoom::new(config.answer_bytes_max, config.answers_bytes_max));
    let guard = Guard::new(config.auth.failed_logins_max);
    let api = Arc::new(Api {
        coordinator,
        config,
        guard,
        budget,
        answers,
        profiles: Profiles::default(),
        unheard_queries,
    });
    Router::new().fallback(influx_answer).with_state(api)
}

/// The admin API: probes, metrics, cluster. `metrics` are those of the InfluxDB API, see [`ApiConfig::metrics`]; `access` is
/// what is asked for below `/admin`.
pub fn admin_router(
    coordinator: Arc<dyn Coordinator>,
    metrics: Arc<HttpMetrics>,
    access: AdminAccess,
) -> Router {
    let guard = Guard::new(access.failed_logins_max);
    let admin = Arc::new(admin::Admin { coordinator, metrics, access, guard });
    Router::new().fallback(admin::answer).with_state(admin)
}

/// What requests are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Query,
    Write,
    WriteV2,
    Flux,
    PromWrite,
    PromRead,
    Ping,
    Health,
    Metrics,
    DebugVars,
    DebugRequests,
    Admin,
    Unknown,
}

impl Endpoint {
    /// All, in the order of their discriminants.
    pub(crate) const ALL: [Self; 13] = [
        Self::Query,
        Self::Write,
        Self::WriteV2,
        Self::Flux,
        Self::PromWrite,
        Self::PromRead,
        Self::Ping,
        Self::Health,
        Self::Metrics,
        Self::DebugVars,
        Self::DebugRequests,
        Self::Admin,
        Self::Unknown,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Write => "write",
            Self::WriteV2 => "api_v2_write",
            Self::Flux => "api_v2_query",
            Self::PromWrite => "prom_write",
            Self::PromRead => "prom_read",
            Self::Ping => "ping",
            Self::Health => "health",
            Self::Metrics => "metrics",
            Self::DebugVars => "debug_vars",
            Self::DebugRequests => "debug_requests",
            Self::Admin => "admin",
            Self::Unknown => "unknown",
        }
    }

    fn of_influx_path(path: &str) -> Self {
        match path {
            "/query" => Self::Query,
            "/write" => Self::Write,
            "/api/v2/write" => Self::WriteV2,
            "/api/v2/query" => Self::Flux,
            "/api/v1/prom/write" => Self::PromWrite,
            "/api/v1/prom/read" => Self::PromRead,
            "/ping" | "/status" => Self::Ping,
            "/health" => Self::Health,
            "/metrics" => Self::Metrics,
            "/debug/vars" => Self::DebugVars,
            "/debug/requests" => Self::DebugRequests,
            _ => Self::Unknown,
        }
    }

    /// The methods of an endpoint of the InfluxDB API, as in `Allow`.
    fn methods(self) -> &'static str {
        match self {
            Self::Query => "OPTIONS, GET, POST",
            Self::Write => "OPTIONS, POST",
            Self::WriteV2 | Self::Flux | Self::PromWrite | Self::PromRead => "POST",
            Self::Ping => "GET, HEAD",
            Self::Health | Self::Metrics | Self::DebugVars | Self::DebugRequests => "GET",
            Self::Admin | Self::Unknown => "",
        }
    }
}

async fn influx_answer(State(api): State<Arc<Api>>, request: Request) -> Response {
    let started = Instant::now();
    let metrics = Arc::clone(&api.config.metrics);
    let _active = metrics.start();
    let endpoint = Endpoint::of_influx_path(request.uri().path());
    let mut response = if endpoint == Endpoint::Unknown {
        text(StatusCode::NOT_FOUND, "404 page not found\n")
    } else if !endpoint.methods().split(", ").any(|method| method == request.method().as_str()) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(endpoint.methods()));
        response
    } else {
        routed(api, endpoint, request).await
    };
    headers::version(response.headers_mut());
    metrics.observe(endpoint, response.status().as_u16(), started.elapsed());
    response
}

/// The answer of a known endpoint to a known method.
async fn routed(api: Arc<Api>, endpoint: Endpoint, request: Request) -> Response {
    let request_headers = request.headers().clone();
    let mut response = if request.method() == Method::OPTIONS {
        Response::new(Body::empty())
    } else {
        let url = Params::parse(request.uri().query().unwrap_or_default().as_bytes());
        let format = Format::from_accept(request_headers.get_all(ACCEPT).iter(), url.get("pretty") == "true");
        let from = (&request_headers, client_address(request.extensions()));
        let answer = match auth::caller(&api, endpoint, from, &url).await {
            Ok(caller) => {
                api.profiles.observe(endpoint, &caller, &request);
                answer_to(api, endpoint, caller, request, (url, format)).await
            }
            Err(failure) => {
                body::drain(&request_headers, &mut request.into_body()).await;
                Err(failure)
            }
        };
        let mut response = answer.unwrap_or_else(|failure| error(&failure, format));
        response.headers_mut().entry(CONTENT_TYPE).or_insert_with(|| format.content_type());
        response
    };
    headers::request_id(&request_headers, response.headers_mut());
    headers::cors(&request_headers, response.headers_mut());
    response
}

/// What an endpoint answers to somebody who may ask it.
async fn answer_to(
    api: Arc<Api>,
    endpoint: Endpoint,
    caller: Caller,
    request: Request,
    (url, format): (Params, Format),
) -> Result<Response, Failure> {
    match endpoint {
        Endpoint::Query => influx::query::answer(api, caller, request, url, format).await,
        Endpoint::Write => influx::write::answer(api, caller, request, Ok(Target::v1(&url))).await,
        Endpoint::WriteV2 => influx::write::answer(api, caller, request, Target::v2(&url)).await,
        Endpoint::Flux => Ok(influx::flux::answer()),
        Endpoint::PromWrite => influx::prom::write(api, caller, request, &url).await,
        Endpoint::PromRead => influx::prom::read(api, caller, request, &url).await,
        Endpoint::Ping => Ok(influx::ping::answer(&url)),
        Endpoint::Health => Ok(influx::health::answer(&*api.coordinator)),
        Endpoint::DebugVars => Ok(influx::debug::vars(&*api.coordinator)),
        Endpoint::DebugRequests => influx::debug::requests(&api, &url).await,
        Endpoint::Metrics => Ok(metrics_text(&*api.coordinator, &api.config.metrics)),
        Endpoint::Admin | Endpoint::Unknown => Ok(text(StatusCode::NOT_FOUND, "404 page not found\n")),
    }
}

/// Where a request came from.
pub(crate) fn client_address(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<ClientAddress>().map(|address| address.0)
}

/// An answer that is an error, in the client's format.
pub(crate) fn error(failure: &Failure, format: Format) -> Response {
    let mut response = Response::new(Body::from(format.error(&failure.text)));
    *response.status_mut() = failure.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, format.content_type());
    if failure.status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"InfluxDB\""));
    } else if let Some(value) = headers::error_value(&failure.text) {
        headers.insert(headers::INFLUXDB_ERROR, value);
    }
    if let Some(seconds) = failure.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Plain text as Go's `http.Error` sends it.
pub(crate) fn text(status: StatusCode, body: &'static str) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    response
}

/// The metrics of the node and of this surface.
pub(crate) fn metrics_text(coordinator: &dyn Coordinator, http: &HttpMetrics) -> Response {
    let mut body = coordinator.metrics();
    if !body.is_empty() && !body.ends_with('\n') {
        body.push('\n');
    }
    body.push_str(&http.render());
    let mut response = Response::new(Body::from(body));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
    response
}
