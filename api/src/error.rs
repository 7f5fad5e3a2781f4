//! The whole failure → status table. Nothing else in this crate turns a failure of the cluster into a status.

use crate::coordinator::{AdminError, ExecuteError, WriteError};
use crate::operator::OrderError;
use axum::http::StatusCode;

/// Seconds after which an overloaded server may be asked again.
const RETRY_AFTER_SECONDS: u32 = 1;

/// Seconds after which a server without room may be asked again: somebody has to make some.
const FULL_RETRY_SECONDS: u32 = 10;

/// An answer that is an error: a status and the text of `{"error": …}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
    /// Seconds for `Retry-After`.
    pub(crate) retry_after: Option<u32>,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), retry_after: None }
    }

    pub(crate) fn bad_request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// 413 in the words of Go's `http.StatusText`.
    pub(crate) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large")
    }

    /// 503: nothing was done, the same request may be sent again.
    pub(crate) fn unavailable(text: impl Into<String>) -> Self {
        Self { retry_after: Some(RETRY_AFTER_SECONDS), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, text) }
    }

    /// 500: a task of ours ended without an answer.
    pub(crate) fn internal(text: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, text)
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        let text = error.to_string();
        match error {
            WriteError::DatabaseNotFound(_) => Self::new(StatusCode::NOT_FOUND, text),
            WriteError::PolicyNotFound(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, text),
            WriteError::Rejected(_) => Self::new(StatusCode::BAD_REQUEST, text),
            WriteError::Partial(_) => Self::new(StatusCode::BAD_REQUEST, text),
            WriteError::Timeout => Self::new(StatusCode::INTERNAL_SERVER_ERROR, text),
            WriteError::Overloaded(_) => Self::unavailable(text),
            WriteError::Full(_) => Self { retry_after: Some(FULL_RETRY_SECONDS), ..Self::unavailable(text) },
            WriteError::Internal(_) => Self::internal(text),
        }
    }
}

/// What becomes of a statement's error: 1.x puts it into the result, with status 200.
pub(crate) enum StatementFailure {
    InResult(String),
    Whole(Failure),
}

impl From<ExecuteError> for StatementFailure {
    fn from(error: ExecuteError) -> Self {
        let text = error.to_string();
        match error {
            ExecuteError::Statement(_) => Self::InResult(text),
            ExecuteError::Unavailable(_) => Self::Whole(Failure::unavailable(text)),
            ExecuteError::LimitExceeded(_) => {
                Self::Whole(Failure::new(StatusCode::UNPROCESSABLE_ENTITY, text))
            }
            ExecuteError::Internal(_) => Self::Whole(Failure::internal(text)),
        }
    }
}

/// Where there is no result to put a text into.
impl From<ExecuteError> for Failure {
    fn from(error: ExecuteError) -> Self {
        match StatementFailure::from(error) {
            StatementFailure::Whole(failure) => failure,
            StatementFailure::InResult(text) => Self::internal(text),
        }
    }
}

impl From<OrderError> for Failure {
    fn from(error: OrderError) -> Self {
        let text = error.to_string();
        match error {
            OrderError::Unknown(_) => Self::new(StatusCode::NOT_FOUND, text),
            OrderError::Invalid(_) => Self::bad_request(text),
            OrderError::Refused(_) => Self::new(StatusCode::CONFLICT, text),
            OrderError::Unavailable(_) => Self::unavailable(text),
        }
    }
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        Self::unavailable(error.to_string())
    }
}
