//! What the catalog has dropped is refused by every data group, whoever began to drop it.
//!
//! A write comes with the ids that some node's catalog gave to its database and policy, and that catalog may be an old one.
//! So a group remembers what was dropped, and refuses writes to it. A statement that drops changes the catalog first and
//! tells the groups then; should its node die in between, the leaders notice what they were not told. No fresh catalog is
//! needed for that: what one does not have any more never comes back.

use super::RaftHost;
use crate::command;
use crate::error::SubmitError;
use crate::group::Group;
use bytes::Bytes;
use futures::future::try_join_all;
use model::catalog::{Catalog, Dropped};
use std::sync::{Arc, Weak};
use std::time::Duration;
use storage::ShardStore;
use tokio::time::{Instant, sleep};

/// How often a leader looks whether its group was told of everything. Longer than a statement takes to tell it.
const LOOK: Duration = Duration::from_secs(5);
/// How long it may take then to tell one thing.
const TELL_MAX: Duration = Duration::from_secs(10);
/// How many things are told in one look.
const TOLD_MAX: usize = 64;

/// Runs as long as the host does.
pub(super) async fn run(host: Weak<RaftHost>) {
    loop {
        sleep(LOOK).await;
        let Some(host) = host.upgrade().filter(|host| !host.is_stopping()) else { return };
        let catalog = host.catalog();
        for group in host.groups.values().filter(|group| !group.id().is_meta() && group.is_leader()) {
            tell_the_rest(group, &catalog).await;
        }
    }
}

/// Tells a group of what nobody has told it.
async fn tell_the_rest(group: &Group, catalog: &Catalog) {
    let Some(store) = group.data_store() else { return };
    let untold = untold(catalog, &[store]);
    for command in commands(&untold, None).into_iter().take(TOLD_MAX) {
        if let Err(error) = group.submit(command, Instant::now() + TELL_MAX).await {
            tracing::warn!(group = %group.id(), %error, "what was dropped is not told yet");
            return;
        }
    }
    if untold != Dropped::default() {
        tracing::info!(group = %group.id(), ?untold, "told of what was dropped");
    }
}

/// What was dropped and at least one of the stores does not know of.
fn untold(catalog: &Catalog, stores: &[Arc<ShardStore>]) -> Dropped {
    if stores.iter().all(|store| store.dropped_count() == catalog.dropped_count()) {
        return Dropped::default();
    }
    let mut dropped = catalog.dropped();
    dropped.databases.retain(|id| stores.iter().any(|store| !store.has_dropped_database(*id)));
    dropped.policies.retain(|id| stores.iter().any(|store| !store.has_dropped_policy(*id)));
    dropped
}

/// What was dropped since a catalog, be it newer than that.
fn dropped_since(before: &Catalog, now: &Catalog) -> Dropped {
    let known = before.dropped();
    let mut dropped = now.dropped();
    dropped.databases.retain(|id| known.databases.binary_search(id).is_err());
    dropped.policies.retain(|id| known.policies.binary_search(id).is_err());
    dropped
}

/// The commands that tell it; `before` knows which policies went with which database.
fn commands(dropped: &Dropped, before: Option<&Catalog>) -> Vec<Bytes> {
    let mut policies = dropped.policies.clone();
    let mut commands = Vec::new();
    for id in &dropped.databases {
        let database = before.and_then(|catalog| catalog.database_by_id(*id));
        let own =
            database.map(|database| database.policies.iter().map(|policy| policy.id).collect::<Vec<_>>());
        let own = own.unwrap_or_default();
        policies.retain(|policy| !own.contains(policy));
        commands.push(command::drop_database(*id, own));
    }
    commands.extend(policies.into_iter().map(command::drop_policy));
    commands
}

impl RaftHost {
    /// Makes every data group refuse writes to what the local catalog has not any more: what was dropped since `before`,
    /// and what the replicas here were not told. When it is done, no write under an old id is acknowledged.
    ///
    /// # Errors
    ///
    /// [`SubmitError`] of a group that could not be told; its leader will notice.
    pub async fn refuse_dropped(
        &self,
        before: Option<&Catalog>,
        deadline: Instant,
    ) -> Result<(), SubmitError> {
        let dropped = self.to_be_told(before);
        let commands = commands(&dropped, before);
        let told = self.groups.values().filter(|group| !group.id().is_meta()).map(|group| {
            let commands = &commands;
            async move {
                for command in commands {
                    group.submit(command.clone(), deadline).await?;
                }
                Ok::<_, SubmitError>(())
            }
        });
        try_join_all(told).await?;
        Ok(())
    }

    fn to_be_told(&self, before: Option<&Catalog>) -> Dropped {
        let catalog = self.catalog();
        // One that is out of service may have missed a lot that all others know.
        let fit = self.groups.values().filter(|group| !group.id().is_meta() && group.unfit().is_none());
        let stores: Vec<_> = fit.filter_map(|group| group.data_store()).collect();
        let mut dropped = untold(&catalog, &stores);
        if let Some(before) = before {
            let since = dropped_since(before, &catalog);
            dropped.databases.extend(since.databases);
            dropped.policies.extend(since.policies);
            dropped.databases.sort_unstable();
            dropped.databases.dedup();
            dropped.policies.sort_unstable();
            dropped.policies.dedup();
        }
        dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::DataCommand;
    use model::catalog::{CatalogCommand, PolicySpec};
    use model::{DatabaseId, RetentionPolicyId};

    fn apply(catalog: &mut Catalog, name: &str, drops: bool) {
        let name = name.to_owned();
        let command = if drops {
            CatalogCommand::DropDatabase { name }
        } else {
            CatalogCommand::CreateDatabase { name, policy: PolicySpec::default() }
        };
        catalog.apply(&command).unwrap();
    }

    #[test]
    fn what_was_dropped_is_told_with_what_went_along() {
        let mut before = Catalog::default();
        for name in ["a", "b", "c"] {
            apply(&mut before, name, false);
        }
        apply(&mut before, "b", true);
        let mut now = before.clone();
        apply(&mut now, "a", true);
        // Somebody else was faster: the name has another id by now, and that is gone, too.
        apply(&mut now, "a", false);
        apply(&mut now, "a", true);
        let since = dropped_since(&before, &now);
        assert_eq!(since.databases, [DatabaseId(0), DatabaseId(3)]);
        let commands = commands(&since, Some(&before));
        let told: Vec<_> = commands.iter().map(|command| DataCommand::decode(command).unwrap()).collect();
        let expected = [
            DataCommand::DropDatabase(DatabaseId(0), vec![RetentionPolicyId(0)]),
            DataCommand::DropDatabase(DatabaseId(3), Vec::new()),
            DataCommand::DropPolicy(RetentionPolicyId(3)),
        ];
        assert_eq!(told, expected);
        assert_eq!(dropped_since(&now, &now), Dropped::default());
        assert_eq!(dropped_since(&now, &before), Dropped::default(), "an older one knows of nothing new");
    }
}
