//! A coordinator with prepared answers that remembers what it was asked, and a client of its routers.

use api::coordinator::{
    AdminError, Coordinator, Currency, ExecuteError, ExecuteRequest, Readiness, StaleCause, Staleness,
    StatementResponse, VerifyError, WriteError, WriteRequest,
};
use api::operator::{Order, OrderError};
use api::{AdminAccess, ApiConfig, HttpMetrics, admin_router, influx_router};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use futures::future::BoxFuture;
use http_body_util::BodyExt;
use model::catalog::{Catalog, User};
use query::result::{Cell, Series, StatementResult};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tower::ServiceExt;

/// Prepared answers; the database `k8s` exists.
#[derive(Debug, Default)]
pub(crate) struct Stub {
    pub(crate) writes: Mutex<Vec<WriteRequest>>,
    pub(crate) write_error: Mutex<Option<WriteError>>,
    pub(crate) write_takes: Duration,
    /// Whether a write lets go of the body while it takes its time.
    pub(crate) lets_go: bool,
    pub(crate) executed: Mutex<Vec<String>>,
    pub(crate) requests: Mutex<Vec<ExecuteRequest>>,
    pub(crate) readiness: Mutex<Readiness>,
    pub(crate) admin_error: Option<AdminError>,
    /// What this node knows.
    pub(crate) catalog: Mutex<Arc<Catalog>>,
    /// What the cluster knows.
    pub(crate) cluster: Mutex<Knowledge>,
    /// Statements that were dropped before they were answered.
    pub(crate) cancelled: AtomicUsize,
}

/// What the cluster knows beside what this node knows.
#[derive(Debug, Clone, Default)]
pub(crate) enum Knowledge {
    #[default]
    Same,
    More(Arc<Catalog>),
    /// It does not answer.
    Silent,
}

/// Counts itself as cancelled unless it is disarmed.
struct Unanswered<'a>(Option<&'a AtomicUsize>);

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(cancelled) = self.0 {
            cancelled.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// A series from rows.
pub(crate) fn series(name: &str, tags: &[(&str, &str)], columns: &[&str], rows: Vec<Vec<Cell>>) -> Series {
    let tags: Vec<(Arc<str>, Arc<str>)> = tags.iter().map(|(t, v)| (Arc::from(*t), Arc::from(*v))).collect();
    Series {
        name: Arc::from(name),
        tags: (!tags.is_empty()).then_some(tags),
        columns: columns.iter().map(|column| Arc::from(*column)).collect(),
        cells: rows.into_iter().flatten().collect(),
        time_zone: None,
    }
}

fn rows(count: i64) -> Vec<Vec<Cell>> {
    (1..=count).map(|i| vec![Cell::Time(i * 1_000_000_000), Cell::Float(i as f64 / 2.0)]).collect()
}

impl Stub {
    /// The answer by measurement or statement.
    fn answer(text: &str) -> Result<StatementResponse, ExecuteError> {
        let mut response = StatementResponse::default();
        let columns = ["time", "v"];
        let series = match text {
            "SELECT v FROM one" => vec![series("one", &[], &columns, rows(2))],
            "SELECT v FROM two GROUP BY host" => {
                vec![
                    series("two", &[("host", "a")], &columns, rows(3)),
                    series("two", &[("host", "b")], &columns, rows(1)),
                ]
            }
            "SELECT v FROM big" => vec![series("big", &[], &columns, rows(100_000))],
            "SELECT v FROM nope" => {
                return Err(ExecuteError::Statement("database not found: nope".to_owned()));
            }
            "SELECT v FROM lost" => {
                return Err(ExecuteError::Unavailable("group 3 has no quorum".to_owned()));
            }
            "SELECT v FROM huge" => return Err(ExecuteError::LimitExceeded("too many buckets".to_owned())),
            "SELECT v FROM broken" => return Err(ExecuteError::Internal("disk failed".to_owned())),
            "SELECT v FROM old" => {
                let age = Duration::from_millis(1234);
                response.stale = Some(Staleness { age, at_least: false, cause: StaleCause::NoQuorum });
                response.missing_groups = vec![3, 5];
                vec![]
            }
            "SHOW DATABASES" => {
                let names = ["k8s", "a<b"].map(|name| vec![Cell::String(Arc::from(name))]);
                vec![series("databases", &[], &["name"], names.to_vec())]
            }
            "SHOW MEASUREMENTS" => {
                let names = ["go_gc", "lost", "up"].map(|name| vec![Cell::String(Arc::from(name))]);
                vec![series("measurements", &[], &["name"], names.to_vec())]
            }
            _ if text.contains("FROM go_gc, up WHERE ") => {
                let columns = ["time", "value"];
                let text = vec![vec![Cell::Time(1), Cell::String(Arc::from("no sample"))]];
                let go = [("__name__", "go_gc"), ("empty", ""), ("job", "p")];
                vec![
                    series("up", &[("__name__", "up"), ("a", "1"), ("job", "q")], &columns, rows(2)),
                    series("up", &[("__name__", "up"), ("a", ""), ("job", "q")], &columns, rows(1)),
                    series("go_gc", &go, &columns, rows(1)),
                    series("go_gc", &[("_field", "x"), ("job", "text")], &columns, text),
                ]
            }
            _ if text.starts_with("SELECT value::field FROM lost ") => {
                return Err(ExecuteError::Unavailable("group 3 has no quorum".to_owned()));
            }
            _ if text.starts_with("SELECT value::field FROM huge ") => {
                return Err(ExecuteError::LimitExceeded("too many series".to_owned()));
            }
            _ if text.starts_with("SELECT value::field FROM wrong ") => {
                return Err(ExecuteError::Statement("retention policy not found: rp".to_owned()));
            }
            "SHOW TAG VALUES WITH KEY = host" => {
                let row = |tag: &str| vec![Cell::String(Arc::from("host")), Cell::String(Arc::from(tag))];
                let columns = ["key", "value"];
                vec![
                    series("a", &[], &columns, vec![row("x"), row("y")]),
                    series("b", &[], &columns, vec![row("x")]),
                ]
            }
            _ => vec![],
        };
        response.result = StatementResult { series, messages: vec![] };
        Ok(response)
    }
}

impl Coordinator for Stub {
    fn database_exists<'a>(&'a self, database: &'a str) -> BoxFuture<'a, bool> {
        Box::pin(async move { database == "k8s" })
    }

    fn catalog(&self, currency: Currency) -> BoxFuture<'_, Result<Arc<Catalog>, ExecuteError>> {
        let local = Arc::clone(&self.catalog.lock().expect("no test panics with it"));
        let cluster = self.cluster.lock().expect("no test panics with it").clone();
        let answer = match (currency, cluster) {
            (Currency::Local, _) | (Currency::Current, Knowledge::Same) => Ok(local),
            (Currency::Current, Knowledge::More(current)) => Ok(current),
            (Currency::Current, Knowledge::Silent) => Err(ExecuteError::Unavailable("no quorum".to_owned())),
        };
        Box::pin(async move { answer })
    }

    /// A hash is the password itself here.
    fn verify_password<'a>(
        &'a self,
        user: &'a User,
        password: &'a str,
    ) -> BoxFuture<'a, Result<bool, VerifyError>> {
        Box::pin(async move { Ok(user.hash.text() == password) })
    }

    fn write(&self, request: WriteRequest) -> BoxFuture<'_, Result<(), WriteError>> {
        Box::pin(async move {
            let mut request = request;
            let body = std::mem::take(&mut request.body);
            request.body = body.to_vec().into();
            let held = (!self.lets_go).then_some(body);
            tokio::time::sleep(self.write_takes).await;
            drop(held);
            self.writes.lock().expect("no test panics with it").push(request);
            match self.write_error.lock().expect("no test panics with it").clone() {
                None => Ok(()),
                Some(error) => Err(error),
            }
        })
    }

    fn execute(&self, request: ExecuteRequest) -> BoxFuture<'_, Result<StatementResponse, ExecuteError>> {
        let text = request.statement.to_string();
        self.executed.lock().expect("no test panics with it").push(text.clone());
        self.requests.lock().expect("no test panics with it").push(request);
        Box::pin(async move {
            let mut unanswered = Unanswered(Some(&self.cancelled));
            if text.contains("slow") {
                tokio::time::sleep(Duration::from_millis(400)).await;
            }
            unanswered.0 = None;
            Self::answer(&text)
        })
    }

    fn readiness(&self) -> Readiness {
        self.readiness.lock().expect("no test panics with it").clone()
    }

    fn cluster(&self) -> BoxFuture<'_, Result<serde_json::Value, AdminError>> {
        let answer = self.admin_error.clone().map_or(Ok(serde_json::json!({"nodes": []})), Err);
        Box::pin(async move { answer })
    }

    fn checksum(&self) -> BoxFuture<'_, Result<serde_json::Value, AdminError>> {
        Box::pin(async { Ok(serde_json::json!({"groups": [{"group": 1, "equal": true}]})) })
    }

    fn operate(&self, order: Order) -> BoxFuture<'_, Result<serde_json::Value, OrderError>> {
        let answer = match &order {
            Order::Node(9) => Err(OrderError::Unknown("no node 9".to_owned())),
            Order::Remove { force: false, .. } => Err(OrderError::Refused("drain it first".to_owned())),
            Order::SetReplicationFactor(2) => Err(OrderError::Invalid("1, 3 or 5".to_owned())),
            Order::Rebalance => Err(OrderError::Unavailable("no leader".to_owned())),
            other => Ok(serde_json::json!({"order": format!("{other:?}")})),
        };
        Box::pin(async move { answer })
    }

    fn metrics(&self) -> String {
        "steadfast_up 1".to_owned()
    }
}

/// A client of both routers over one stub.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) stub: Arc<Stub>,
    influx: Router,
    admin: Router,
}

/// An answer as text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Status, the headers that are not the same on every answer, body.
    pub(crate) fn render(&self) -> String {
        let usual =
            ["x-influxdb-version", "x-influxdb-build", "request-id", "x-request-id", "content-length"];
        let mut out = format!("{}\n", self.status);
        for (name, value) in self.headers.iter().filter(|(name, _)| !usual.contains(&name.as_str())) {
            writeln!(out, "{name}: {value}").expect("writing to a string");
        }
        out + "\n" + &self.text()
    }
}

impl Client {
    pub(crate) fn new() -> Self {
        Self::with(Stub::default(), ApiConfig::default())
    }

    pub(crate) fn with(stub: Stub, config: ApiConfig) -> Self {
        let stub = Arc::new(stub);
        let coordinator: Arc<dyn Coordinator> = Arc::<Stub>::clone(&stub);
        let metrics: Arc<HttpMetrics> = Arc::clone(&config.metrics);
        Self {
            influx: influx_router(Arc::clone(&coordinator), config),
            admin: admin_router(coordinator, metrics, AdminAccess::default()),
            stub,
        }
    }

    pub(crate) fn influx_router(&self) -> Router {
        self.influx.clone()
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        answer(self.influx.clone(), request).await
    }

    pub(crate) async fn send_admin(&self, method: &str, path: &str) -> Answer {
        answer(self.admin.clone(), request(method, path, &[], "")).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(request("GET", path, &[], "")).await
    }

    /// `GET /query` with these parameters, blanks and all.
    pub(crate) async fn query(&self, parameters: &str) -> Answer {
        self.get(&format!("/query?{}", parameters.replace(' ', "+").replace('"', "%22").replace('<', "%3C")))
            .await
    }
}

async fn answer(router: Router, request: Request<Body>) -> Answer {
    let response = router.oneshot(request).await.expect("routers answer");
    let (parts, body) = response.into_parts();
    let mut headers: Vec<(String, String)> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    headers.sort();
    let body = body.collect().await.expect("bodies do not fail").to_bytes().to_vec();
    Answer { status: parts.status.as_u16(), headers, body }
}

/// Builds a request.
pub(crate) fn request(
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.into()).expect("a request")
}

/// The number of a status, to compare.
pub(crate) fn code(status: StatusCode) -> u16 {
    status.as_u16()
}
