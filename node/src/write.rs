//! `/write`: lines → commands per group → submitted to every group at once → one answer.
//!
//! [`prepare`] is pure: it parses, checks and encodes. Fields nobody wrote before are registered through the meta group
//! first, then the body is prepared again: that costs a second parse, once in the life of a field.

mod check;
mod prepare;

use crate::coordinator::NodeCoordinator;
use api::coordinator::{WriteError, WriteRequest};
use futures::future::try_join_all;
use model::GroupId;
use model::catalog::{Catalog, CatalogCommand, Database, NewField};
use prepare::{Outcome, Prepared, Surroundings};
use std::sync::Arc;
use tokio::time::Instant;

/// How often fields may be registered for one body: once normally, once more if a drop and re-creation of the database
/// came between.
const REGISTRATIONS_MAX: usize = 3;

impl NodeCoordinator {
    /// Stores a body; see [`api::Coordinator::write`].
    pub(crate) async fn write_lines(&self, request: WriteRequest) -> Result<(), WriteError> {
        let deadline = Instant::now() + self.limits.write_timeout;
        let request = Arc::new(request);
        for _ in 0..REGISTRATIONS_MAX {
            let catalog = self.catalog_with(&request.database, deadline).await;
            let Some(database) = catalog.database(&request.database).cloned() else {
                return Err(WriteError::DatabaseNotFound(request.database.clone()));
            };
            match self.prepare(&request, &catalog, &database).await? {
                Outcome::Refused(error) => return Err(error),
                Outcome::UnknownFields(fields) => self.register(&database, fields, deadline).await?,
                Outcome::Ready(prepared) => return self.submit(prepared, deadline).await,
            }
        }
        Err(WriteError::Timeout)
    }

    /// The local catalog, brought up to date first if it does not know the database: another node may just have
    /// created it.
    pub(crate) async fn catalog_with(&self, database: &str, deadline: Instant) -> Arc<Catalog> {
        let catalog = self.host.catalog();
        if catalog.database(database).is_some() {
            return catalog;
        }
        if let Some(meta) = self.host.group(GroupId::META)
            && let Err(error) = meta.read_barrier(deadline).await
        {
            tracing::debug!(%error, "catalog may be behind");
        }
        self.host.catalog()
    }

    async fn prepare(
        &self,
        request: &Arc<WriteRequest>,
        catalog: &Arc<Catalog>,
        database: &Arc<Database>,
    ) -> Result<Outcome, WriteError> {
        let (request, catalog, database) = (Arc::clone(request), Arc::clone(catalog), Arc::clone(database));
        let (stores, now_ns) = (self.stores(), self.clock.now_ns());
        let work = move || {
            let lookup = |group: GroupId, key: &[u8]| {
                stores.get(&group).and_then(|store| store.lookup_series(database.id, key))
            };
            let surroundings =
                Surroundings { database: &database, slots: &catalog.slots, now_ns, lookup: &lookup };
            prepare::prepare(&request, &surroundings)
        };
        tokio::task::spawn_blocking(work).await.map_err(|e| WriteError::Internal(e.to_string()))
    }

    async fn register(
        &self,
        database: &Database,
        fields: Vec<NewField>,
        deadline: Instant,
    ) -> Result<(), WriteError> {
        let command = CatalogCommand::RegisterFields { database: database.id, fields };
        match self.change_catalog(&command, deadline).await {
            Ok(()) => Ok(()),
            Err(error) => {
                tracing::debug!(%error, "fields not registered");
                Err(error.into_write_error(&database.name))
            }
        }
    }

    async fn submit(&self, prepared: Prepared, deadline: Instant) -> Result<(), WriteError> {
        let submissions = prepared.commands.into_iter().map(|(group, command)| async move {
            let group = self
                .host
                .group(group)
                .ok_or_else(|| WriteError::Internal(format!("no group {group} here")))?;
            group.submit(command, deadline).await.map_err(crate::coordinator::submit_error)
        });
        try_join_all(submissions).await?;
        self.metrics.points_written(prepared.points as u64, prepared.dropped as u64);
        prepared.complaint.map_or(Ok(()), |text| Err(WriteError::Partial(text)))
    }
}
