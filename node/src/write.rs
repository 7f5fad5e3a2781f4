//! `/write`: lines → commands per group → submitted to every group at once → one answer.
//!
//! [`prepare`] is pure: it parses, checks and encodes. Fields nobody wrote before are registered through the meta group
//! first, then the body is prepared again: that costs a second parse, once in the life of a field.
//!
//! Commands carry the ids that the local catalog gives to the database and policy. It may be an old one: a group refuses what
//! was dropped, and then the body is prepared again by a current catalog. Bodies are kept for that as long as there is room
//! ([`KEPT_BODIES_BYTES`]); beyond, until their commands have their places among the bytes in flight of their groups: what is
//! parked through an election is a twentieth of what was sent.

mod batches;
mod cardinality;
mod check;
mod directory;
mod fields;
mod locate;
mod prepare;

pub use cardinality::SeriesLimits;
pub use directory::{Replicas, SeriesDirectory};
pub use prepare::{Outcome, Prepared, Surroundings, prepare};

use crate::catalog::ChangeError;
use crate::coordinator::{NodeCoordinator, submit_error};
use crate::subscribers::Copies;
use api::coordinator::{WriteError, WriteRequest};
use bytes::Bytes;
use futures::future::try_join_all;
use model::GroupId;
use model::catalog::{Catalog, CatalogCommand, Database, NewField};
use raft::blocking;
use raft::command::Outcome as Refusal;
use std::sync::Arc;
use storage::bugs::{self, Bug};
use tokio::time::{Instant, timeout_at};

/// How often one body may be prepared: once normally, twice when it has new fields, and again for each drop and re-creation
/// of its database that this node had not heard of.
const ATTEMPTS_MAX: usize = 8;
/// Bytes of bodies that are kept until they are stored, so that they can be prepared again. What comes beyond is let go of
/// when it waits in its groups, and has to be sent again in the rare case.
pub(crate) const KEPT_BODIES_BYTES: usize = 64 << 20;
/// For [`Bug::StampedAgain`].
const ATTEMPT: std::time::Duration = std::time::Duration::from_secs(2);

/// Why what was prepared is not stored.
enum NotStored {
    /// A group knows that the database or policy was dropped, whatever the local catalog says.
    Dropped,
    Failed(WriteError),
}

/// What became of the fields of a body.
enum Registered {
    Now,
    /// Their database was dropped; the local catalog knows it by now.
    Gone,
}

impl From<WriteError> for NotStored {
    fn from(error: WriteError) -> Self {
        Self::Failed(error)
    }
}

impl NodeCoordinator {
    /// Stores a body; see [`api::Coordinator::write`].
    pub(crate) async fn write_lines(&self, request: WriteRequest) -> Result<(), WriteError> {
        if let Some(reason) = self.host.refusal() {
            self.metrics.write_refused();
            return Err(WriteError::Full(reason));
        }
        let deadline = Instant::now() + self.limits.write_timeout;
        self.until_founded(deadline).await?;
        let mut again = Arc::new(request);
        for _ in 0..ATTEMPTS_MAX {
            match self.attempt(again, deadline).await? {
                None => return Ok(()),
                Some(request) => again = request,
            }
        }
        Err(WriteError::Timeout)
    }

    /// Prepares a body by the local catalog and stores it. Answers the body if it has to be prepared again.
    async fn attempt(
        &self,
        request: Arc<WriteRequest>,
        deadline: Instant,
    ) -> Result<Option<Arc<WriteRequest>>, WriteError> {
        let known = |database: &Database| database.policy_for_write(&request.policy).is_some();
        let wanted = |catalog: &Catalog| catalog.database(&request.database).is_some_and(|d| known(d));
        let catalog = self.catalog_where(wanted, deadline).await;
        let Some(database) = catalog.database(&request.database).cloned() else {
            return Err(WriteError::DatabaseNotFound(request.database.clone()));
        };
        match self.prepare(&request, &catalog, &database).await? {
            Outcome::Refused(error) => Err(error),
            Outcome::UnknownFields(fields) => {
                self.register(&database, fields, deadline).await?;
                Ok(Some(request))
            }
            Outcome::Disagreement(fields) => match self.register(&database, fields, deadline).await? {
                Registered::Now => Err(WriteError::Rejected("field type conflict".to_owned())),
                Registered::Gone => Ok(Some(request)),
            },
            Outcome::Ready(prepared) => {
                let bytes = u32::try_from(request.body.len()).unwrap_or(u32::MAX);
                let room = self.kept_bodies.try_acquire_many(bytes).ok();
                let kept = room.as_ref().map(|_| Arc::clone(&request));
                let until = if bugs::is(Bug::StampedAgain) { Instant::now() + ATTEMPT } else { deadline };
                match self.store(&database, prepared, request, until).await {
                    Ok(()) => return Ok(None),
                    Err(NotStored::Dropped) => self.catch_up(deadline).await?,
                    Err(NotStored::Failed(WriteError::Timeout)) if until < deadline => {}
                    Err(NotStored::Failed(error)) => return Err(error),
                }
                // What was not kept has to be sent again.
                kept.map(Some).ok_or(WriteError::Timeout)
            }
        }
    }

    /// Brings the local catalog up to date: it is from before a drop.
    async fn catch_up(&self, deadline: Instant) -> Result<(), WriteError> {
        tracing::info!("a write by an old catalog was refused; it is prepared again");
        let meta = self.host.group(GroupId::META).ok_or(WriteError::Timeout)?;
        meta.read_barrier(deadline).await.map_err(|error| {
            tracing::debug!(%error, "the catalog is an old one");
            WriteError::Timeout
        })
    }

    /// Waits until the catalog tells which group each series belongs to. In a cluster that is being founded a database can
    /// be there before that, and what was written then would be looked for in another group later.
    async fn until_founded(&self, deadline: Instant) -> Result<(), WriteError> {
        let mut versions = self.host.watch_catalog();
        while self.host.catalog().slots.is_empty() {
            match timeout_at(deadline, versions.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Err(WriteError::Timeout),
            }
        }
        Ok(())
    }

    /// The local catalog, brought up to date first if it does not know the database: another node may just have
    /// created it.
    pub(crate) async fn catalog_with(&self, database: &str, deadline: Instant) -> Arc<Catalog> {
        self.catalog_where(|catalog| catalog.database(database).is_some(), deadline).await
    }

    /// The local catalog, brought up to date first if it has not what is wanted.
    async fn catalog_where(&self, wanted: impl Fn(&Catalog) -> bool, deadline: Instant) -> Arc<Catalog> {
        let catalog = self.host.catalog();
        if wanted(&catalog) {
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
        let series = Replicas { database: database.id, stores: self.stores() };
        let (now_ns, limits) = (self.clock.now_ns(), self.limits.series);
        let work = move || {
            let surroundings = Surroundings {
                database: &database,
                slots: &catalog.slots,
                now_ns,
                shard_origin: catalog.shard_origin(),
                series: &series,
                limits,
            };
            prepare(&request, &surroundings)
        };
        blocking::run(work).await.map_err(|e| WriteError::Internal(e.to_string()))
    }

    async fn register(
        &self,
        database: &Database,
        fields: Vec<NewField>,
        deadline: Instant,
    ) -> Result<Registered, WriteError> {
        let command = CatalogCommand::RegisterFields { database: database.id, fields };
        match self.change_catalog(&command, deadline).await {
            Ok(()) => Ok(Registered::Now),
            // The only reason: there is no database of that id any more.
            Err(ChangeError::Refused(_)) => {
                self.catch_up(deadline).await?;
                Ok(Registered::Gone)
            }
            Err(ChangeError::Submit(error)) => Err(submit_error(error)),
            Err(error @ ChangeError::NoGroup(_)) => Err(WriteError::Internal(error.to_string())),
        }
    }

    /// Submits what was prepared, and then sends it on to those who have subscribed to it.
    async fn store(
        &self,
        database: &Database,
        mut prepared: Prepared,
        request: Arc<WriteRequest>,
        deadline: Instant,
    ) -> Result<(), NotStored> {
        let Some(lines) = prepared.copies.take() else {
            return self.submit(prepared, request, deadline).await;
        };
        let copies = Copies { lines: lines.into(), points: prepared.points as u64 };
        let policy = database.policy_for_write(&request.policy);
        // The copies are as large as the body, and held as long: they count as in flight as long as it does.
        let _held = request.body.clone();
        let stored = self.submit(prepared, request, deadline).await;
        if let (Some(policy), Ok(()) | Err(NotStored::Failed(WriteError::Partial(_)))) = (policy, &stored) {
            self.subscribers.offer(database, policy, &copies);
        }
        stored
    }

    async fn submit(
        &self,
        prepared: Prepared,
        request: Arc<WriteRequest>,
        deadline: Instant,
    ) -> Result<(), NotStored> {
        let groups = prepared.commands.into_iter();
        // Each group holds on to the body until its commands are counted as in flight.
        let groups = groups.map(|(group, commands)| (group, commands, Arc::clone(&request)));
        let groups: Vec<_> = groups.collect();
        drop(request);
        try_join_all(
            groups
                .into_iter()
                .map(|(group, commands, request)| self.submit_to(group, commands, request, deadline)),
        )
        .await?;
        self.metrics.points_written(prepared.points as u64, prepared.dropped as u64);
        prepared.complaint.map_or(Ok(()), |text| Err(WriteError::Partial(text).into()))
    }

    /// One after the other: of two points with the same series and time the later one must win.
    async fn submit_to(
        &self,
        group: GroupId,
        commands: Vec<Bytes>,
        request: Arc<WriteRequest>,
        deadline: Instant,
    ) -> Result<(), NotStored> {
        let group =
            self.host.group(group).ok_or_else(|| WriteError::Internal(format!("no group {group} here")))?;
        let mut request = Some(request);
        let last = commands.len().saturating_sub(1);
        for (place, command) in commands.into_iter().enumerate() {
            let counted = || drop(request.take_if(|_| place == last));
            let reply = group.submit_counted(command, deadline, counted).await.map_err(submit_error)?;
            if let Refusal::Refused(reason) = reply.outcome() {
                tracing::debug!(group = %group.id(), reason, "a write is refused");
                return Err(NotStored::Dropped);
            }
        }
        Ok(())
    }
}
