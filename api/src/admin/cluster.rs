//! The state of the cluster, as the coordinator tells it.

use super::json;
use crate::coordinator::Coordinator;
use crate::error::Failure;
use axum::response::Response;

/// `GET /admin/v1/cluster`.
pub(super) async fn cluster(coordinator: &dyn Coordinator) -> Result<Response, Failure> {
    Ok(json(&coordinator.cluster().await?))
}

/// `POST /admin/v1/checksum`.
pub(super) async fn checksum(coordinator: &dyn Coordinator) -> Result<Response, Failure> {
    Ok(json(&coordinator.checksum().await?))
}
