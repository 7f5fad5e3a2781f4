//! Who asks, and what they may do. Asked by the router before an endpoint answers; knows no password itself: the
//! coordinator verifies one against the catalog's hash.
//!
//! The rules are InfluxDB 1.x's (`services/httpd/handler.go`): while no admin exists nobody is asked who they are, and
//! nothing but the creation of the first admin is allowed. A change of users is known to this node's catalog before
//! its statement is answered; if a request fails all the same, the catalog is brought up to date and asked again.

mod credentials;
pub(crate) mod guard;
mod jwt;

use crate::audit::{self, Actor};
use crate::coordinator::{Currency, VerifyError};
use crate::error::Failure;
use crate::params::Params;
use crate::router::{Api, Endpoint};
use axum::http::{HeaderMap, StatusCode};
use credentials::Credentials;
use model::Clock;
use model::catalog::{Access, Catalog, User};
use model::clock::FixedClock;
use query::influxql::ast::Statement;
use query::privileges;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// What an operator may set about authentication.
#[derive(Clone)]
pub struct AuthConfig {
    /// Whether anybody is asked for credentials at all. Default false, as in 1.x.
    pub enabled: bool,
    /// Whether `/ping`, `/status`, `/health` and `/metrics` ask, too.
    pub ping: bool,
    /// Whether `/debug/…` asks, too.
    pub debug: bool,
    /// What JSON web tokens are signed with; empty: none is accepted.
    pub shared_secret: String,
    /// What the time of tokens is compared with.
    pub clock: Arc<dyn Clock>,
    /// Logins that may fail a minute, for each address and name; more of them are answered 429. 0: any number.
    pub failed_logins_max: u32,
}

impl Default for AuthConfig {
    fn default() -> Self {
        // Without a clock every token is too old.
        let clock = Arc::new(FixedClock(i64::MAX));
        Self {
            enabled: false,
            ping: false,
            debug: false,
            shared_secret: String::new(),
            clock,
            failed_logins_max: 0,
        }
    }
}

impl fmt::Debug for AuthConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthConfig").field("enabled", &self.enabled).finish_non_exhaustive()
    }
}

impl AuthConfig {
    fn asks_at(&self, endpoint: Endpoint) -> bool {
        self.enabled
            && match endpoint {
                Endpoint::Query
                | Endpoint::Write
                | Endpoint::WriteV2
                | Endpoint::Flux
                | Endpoint::PromWrite
                | Endpoint::PromRead => true,
                Endpoint::Ping | Endpoint::Health | Endpoint::Metrics => self.ping,
                Endpoint::DebugVars | Endpoint::DebugRequests => self.debug,
                Endpoint::Admin | Endpoint::Unknown => false,
            }
    }
}

/// On whose behalf a request is answered.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// Nobody is asked; everything is allowed.
    Anybody,
    /// Nobody can be asked: no admin exists yet.
    Nobody,
    /// Somebody who showed that they are this user.
    User(Arc<User>),
}

/// Who sent a request.
///
/// # Errors
///
/// 401 with 1.x's text; 429 after too many of these; 503 when it cannot be known now.
pub(crate) async fn caller(
    api: &Api,
    endpoint: Endpoint,
    (headers, address): (&HeaderMap, Option<IpAddr>),
    url: &Params,
) -> Result<Caller, Failure> {
    if !api.config.auth.asks_at(endpoint) {
        return Ok(Caller::Anybody);
    }
    let mut catalog = api.coordinator.catalog(Currency::Local).await?;
    if !catalog.has_admin() {
        // Whoever is the first to ask a node that lags behind must not become its second first admin.
        catalog = api.coordinator.catalog(Currency::Current).await?;
        if !catalog.has_admin() {
            return Ok(Caller::Nobody);
        }
    }
    let identified = match Credentials::of(headers, url) {
        None => Err(unauthorized("unable to parse authentication credentials")),
        Some(credentials) => guarded(api, &catalog, &credentials, address).await,
    };
    if identified.is_err() {
        api.config.metrics.auth_failed();
    }
    identified.map(Caller::User)
}

/// The user whose credentials these are, unless too many were wrong before.
async fn guarded(
    api: &Api,
    catalog: &Catalog,
    credentials: &Credentials,
    address: Option<IpAddr>,
) -> Result<Arc<User>, Failure> {
    let (name, secret) = credentials.name_and_secret();
    let attempt = api.guard.admit(address, name, secret.as_bytes())?;
    let identified = match identify(api, catalog, credentials).await {
        Err(failure) if failure.status == StatusCode::UNAUTHORIZED => match newer_users(api, catalog).await {
            Some(current) => identify(api, &current, credentials).await,
            None => Err(failure),
        },
        identified => identified,
    };
    match &identified {
        Ok(_) => api.guard.succeeded(attempt),
        Err(failure) if failure.status == StatusCode::UNAUTHORIZED => {
            api.guard.failed(attempt);
            audit::login_failed(&Actor::new(Some(name), address), "http");
        }
        Err(_) => {}
    }
    identified
}

/// The catalog as the cluster has it, if its users are others than those of `seen`.
async fn newer_users(api: &Api, seen: &Catalog) -> Option<Arc<Catalog>> {
    let current = api.coordinator.catalog(Currency::Current).await.ok()?;
    (current.users != seen.users).then_some(current)
}

async fn identify(api: &Api, catalog: &Catalog, credentials: &Credentials) -> Result<Arc<User>, Failure> {
    let auth = &api.config.auth;
    match credentials {
        Credentials::Password { name, .. } if name.is_empty() => Err(unauthorized("username required")),
        Credentials::Password { name, password } => {
            let user = catalog.user(name).ok_or_else(|| unauthorized("authorization failed"))?;
            match api.coordinator.verify_password(user, password).await {
                Ok(true) => Ok(Arc::clone(user)),
                Ok(false) => Err(unauthorized("authorization failed")),
                Err(error @ VerifyError) => Err(Failure::unavailable(error.to_string())),
            }
        }
        Credentials::Token(_) if auth.shared_secret.is_empty() => Err(unauthorized("bearer auth disabled")),
        Credentials::Token(token) => {
            let now_s = auth.clock.now_ns() / 1_000_000_000;
            let name = jwt::username(token, auth.shared_secret.as_bytes(), now_s).map_err(unauthorized)?;
            catalog.user(&name).map(Arc::clone).ok_or_else(|| unauthorized("user not found"))
        }
    }
}

fn unauthorized(text: impl Into<String>) -> Failure {
    Failure::new(StatusCode::UNAUTHORIZED, text)
}

fn forbidden(text: impl Into<String>) -> Failure {
    Failure::new(StatusCode::FORBIDDEN, text)
}

impl Caller {
    /// Whether the caller may run all of these statements.
    ///
    /// # Errors
    ///
    /// 403 with 1.x's text; nothing of the request may run.
    pub(crate) async fn may_run(
        &self,
        api: &Api,
        statements: &[Statement],
        database: &str,
    ) -> Result<(), Failure> {
        let refused = |text: &str| forbidden(format!("error authorizing query: {text}"));
        match self {
            Self::Anybody => Ok(()),
            Self::Nobody => {
                let catalog = api.coordinator.catalog(Currency::Current).await?;
                if !catalog.users.is_empty() {
                    return Err(refused("no user provided"));
                }
                if privileges::creates_admin(statements) {
                    return Ok(());
                }
                Err(refused("create admin user first or disable authentication"))
            }
            Self::User(user) => {
                let allowed = |user: &User| privileges::authorize(user, statements, database);
                let Err(text) = allowed(user) else { return Ok(()) };
                match newer(api, user).await {
                    Some(user) => allowed(&user).map_err(|text| refused(&text)),
                    None => Err(refused(&text)),
                }
            }
        }
    }

    /// Whether the caller may write to a database.
    ///
    /// # Errors
    ///
    /// 403 with 1.x's text.
    pub(crate) async fn may_write(&self, api: &Api, database: &str) -> Result<(), Failure> {
        let user = match self {
            Self::Anybody => return Ok(()),
            Self::Nobody => {
                return Err(forbidden(format!("user is required to write to database {database:?}")));
            }
            Self::User(user) => user,
        };
        let allowed = |user: &User| user.may(Access::Write, database);
        if allowed(user) || newer(api, user).await.is_some_and(|user| allowed(&user)) {
            return Ok(());
        }
        Err(forbidden(format!("{:?} user is not authorized to write to database {database:?}", &*user.name)))
    }

    /// Whether the caller may read a database, where no statement says what is read.
    ///
    /// # Errors
    ///
    /// 403 with 1.x's text.
    pub(crate) async fn may_read(&self, api: &Api, database: &str) -> Result<(), Failure> {
        let user = match self {
            Self::Anybody => return Ok(()),
            Self::Nobody => {
                return Err(forbidden(format!("user is required to read from database {database:?}")));
            }
            Self::User(user) => user,
        };
        let allowed = |user: &User| user.may(Access::Read, database);
        if allowed(user) || newer(api, user).await.is_some_and(|user| allowed(&user)) {
            return Ok(());
        }
        Err(forbidden(format!("user {:?} is not authorized to read from database {database:?}", &*user.name)))
    }

    /// The user whose privileges decide what is shown; `None` shows everything.
    pub(crate) fn user(&self) -> Option<&Arc<User>> {
        match self {
            Self::User(user) => Some(user),
            Self::Anybody | Self::Nobody => None,
        }
    }
}

/// The user as the cluster knows it now, if that is not `user`.
async fn newer(api: &Api, user: &User) -> Option<Arc<User>> {
    let current = api.coordinator.catalog(Currency::Current).await.ok()?;
    // Another password is another credential: what was shown proves nothing about it.
    let now = current.user(&user.name).filter(|now| now.hash == user.hash)?;
    (**now != *user).then(|| Arc::clone(now))
}
