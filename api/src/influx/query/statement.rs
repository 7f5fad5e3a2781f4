//! Runs the statements of a request, one after the other.

use crate::audit::{self, Actor};
use crate::coordinator::{Coordinator, ExecuteError, ExecuteRequest, Reading, StatementResponse};
use crate::error::{Failure, StatementFailure};
use model::catalog::User;
use query::influxql::ast::Statement;
use query::privileges::hide_databases;
use query::result::Message;
use std::sync::Arc;
use tokio::time::Instant;

/// How 1.x's warning starts. A coordinator that knows the statement's full text (`SELECT … INTO`) may have given it.
const DEPRECATED: &str = "deprecated use of '";
/// The error of statements behind one that failed.
pub(super) const NOT_EXECUTED: &str = "not executed";

/// What the statements of a request have in common.
#[derive(Debug, Clone)]
pub(crate) struct Executor {
    pub(crate) coordinator: Arc<dyn Coordinator>,
    /// Whose privileges decide which databases are shown; `None` shows all.
    pub(crate) user: Option<Arc<User>>,
    /// Who asks, for the audit log.
    pub(crate) actor: Actor,
    pub(crate) database: String,
    pub(crate) policy: String,
    pub(crate) read_only: bool,
    pub(crate) chunk_rows: Option<usize>,
    pub(crate) reading: Reading,
    /// When the request began.
    pub(crate) begun: Instant,
}

impl Executor {
    /// Runs a statement; its own error is inside the result, anything else fails the whole answer.
    pub(crate) async fn execute(
        &self,
        statement: Statement,
    ) -> Result<Result<StatementResponse, String>, Failure> {
        let warning = (self.read_only && statement.warns_when_read_only()).then(|| {
            format!("{DEPRECATED}{statement}' in a read only context, please use a POST request instead")
        });
        let shows_databases = matches!(statement, Statement::ShowDatabases);
        match self.run(statement).await {
            Ok(mut response) => {
                if let Some(user) = self.user.as_deref().filter(|_| shows_databases) {
                    hide_databases(user, &mut response.result.series);
                }
                let messages = &mut response.result.messages;
                if let Some(text) = warning
                    && !messages.iter().any(|message| message.text.starts_with(DEPRECATED))
                {
                    messages.insert(0, Message { level: "warning", text });
                }
                Ok(Ok(response))
            }
            Err(error) => match StatementFailure::from(error) {
                StatementFailure::InResult(text) => Ok(Err(text)),
                StatementFailure::Whole(failure) => Err(failure),
            },
        }
    }

    async fn run(&self, statement: Statement) -> Result<StatementResponse, ExecuteError> {
        let writes = statement.is_write();
        let told = audit::text_of(&statement);
        let request = ExecuteRequest {
            statement,
            database: self.database.clone(),
            policy: self.policy.clone(),
            read_only: self.read_only,
            chunk_rows: self.chunk_rows,
            reading: self.reading,
            begun: self.begun,
        };
        if !writes {
            // Dropped, and so cancelled, when the client leaves.
            return self.coordinator.execute(request).await;
        }
        let coordinator = Arc::clone(&self.coordinator);
        let (actor, database) = (self.actor.clone(), self.database.clone());
        // On a task of its own: a client that leaves must not stop a change half-way.
        let running = tokio::spawn(async move {
            let answer = coordinator.execute(request).await;
            if let Some(text) = told {
                let error = answer.as_ref().err().map(ToString::to_string);
                audit::statement(&actor, &database, &text, error.as_deref());
            }
            answer
        });
        running.await.unwrap_or_else(|_| Err(ExecuteError::Internal("statement failed".to_owned())))
    }
}

/// Runs the statements of an `async=true` request, whose answer nobody waits for.
pub(super) async fn run_unheard(executor: Executor, statements: Vec<Statement>) {
    for statement in statements {
        let error = match executor.execute(statement).await {
            Ok(Ok(_)) => continue,
            Ok(Err(text)) => text,
            Err(failure) => failure.text,
        };
        tracing::info!(error, "asynchronous query failed");
        return;
    }
}
