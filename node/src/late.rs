//! A coordinator for the time before there is one: the admin port answers from the first moment and says what the node
//! waits for.

use crate::coordinator::NodeCoordinator;
use api::Coordinator;
use api::coordinator::{
    AdminError, Currency, ExecuteError, ExecuteRequest, Readiness, StatementResponse, VerifyError,
    WriteError, WriteRequest,
};
use api::operator::{Order, OrderError};
use futures::future::{BoxFuture, ready};
use model::catalog::{Catalog, User};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Delegates to the node's coordinator as soon as there is one.
#[derive(Debug, Default)]
pub(crate) struct LateCoordinator {
    node: OnceLock<Arc<NodeCoordinator>>,
    waiting_for: Mutex<String>,
}

impl LateCoordinator {
    /// Says what the start is waiting for, once for each new text in the log.
    pub(crate) fn wait_for(&self, what: String) {
        let mut waiting_for = self.waiting_for.lock().unwrap_or_else(PoisonError::into_inner);
        if *waiting_for != what {
            tracing::info!(what, "waiting");
            *waiting_for = what;
        }
    }

    /// From now on the node answers.
    pub(crate) fn set(&self, node: Arc<NodeCoordinator>) {
        // Set once, by the one start.
        let _already = self.node.set(node);
    }

    fn text(&self) -> String {
        let waiting_for = self.waiting_for.lock().unwrap_or_else(PoisonError::into_inner);
        format!("starting: {waiting_for}")
    }
}

impl Coordinator for LateCoordinator {
    fn database_exists<'a>(&'a self, database: &'a str) -> BoxFuture<'a, bool> {
        match self.node.get() {
            Some(node) => node.database_exists(database),
            None => Box::pin(ready(false)),
        }
    }

    fn catalog(&self, currency: Currency) -> BoxFuture<'_, Result<Arc<Catalog>, ExecuteError>> {
        match self.node.get() {
            Some(node) => node.catalog(currency),
            None => Box::pin(ready(Err(ExecuteError::Unavailable(self.text())))),
        }
    }

    fn verify_password<'a>(
        &'a self,
        user: &'a User,
        password: &'a str,
    ) -> BoxFuture<'a, Result<bool, VerifyError>> {
        match self.node.get() {
            Some(node) => node.verify_password(user, password),
            None => Box::pin(ready(Err(VerifyError))),
        }
    }

    fn write(&self, request: WriteRequest) -> BoxFuture<'_, Result<(), WriteError>> {
        match self.node.get() {
            Some(node) => node.write(request),
            None => Box::pin(ready(Err(WriteError::Internal(self.text())))),
        }
    }

    fn execute(&self, request: ExecuteRequest) -> BoxFuture<'_, Result<StatementResponse, ExecuteError>> {
        match self.node.get() {
            Some(node) => node.execute(request),
            None => Box::pin(ready(Err(ExecuteError::Unavailable(self.text())))),
        }
    }

    fn readiness(&self) -> Readiness {
        match self.node.get() {
            Some(node) => node.readiness(),
            None => Readiness { started: false, ready: false, reasons: vec![self.text()] },
        }
    }

    fn cluster(&self) -> BoxFuture<'_, Result<serde_json::Value, AdminError>> {
        match self.node.get() {
            Some(node) => node.cluster(),
            None => Box::pin(ready(Err(AdminError(self.text())))),
        }
    }

    fn operate(&self, order: Order) -> BoxFuture<'_, Result<serde_json::Value, OrderError>> {
        match self.node.get() {
            Some(node) => node.operate(order),
            None => Box::pin(ready(Err(OrderError::Unavailable(self.text())))),
        }
    }

    fn checksum(&self) -> BoxFuture<'_, Result<serde_json::Value, AdminError>> {
        match self.node.get() {
            Some(node) => node.checksum(),
            None => Box::pin(ready(Err(AdminError(self.text())))),
        }
    }

    fn metrics(&self) -> String {
        self.node.get().map_or_else(String::new, |node| node.metrics())
    }
}
