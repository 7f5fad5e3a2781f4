//! Brings the groups that this node leads to the members that the catalog names, and gives a blank volume the place of a
//! lost one.

use super::RaftHost;
use crate::command::{self, Outcome};
use crate::group::Group;
use crate::group::members::{Step, next_step};
use model::catalog::{CatalogCommand, NodeInfo};
use model::{GroupId, NodeId};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(500);
/// How long one change of the members may take.
const STEP_MAX: Duration = Duration::from_secs(10);
/// How long a member may take to show that it is alive.
const ALIVE_MAX: Duration = Duration::from_secs(2);

/// Runs as long as the host does.
pub(crate) async fn run(host: Weak<RaftHost>) {
    loop {
        sleep(LOOK).await;
        let Some(host) = host.upgrade().filter(|host| !host.is_stopping()) else { return };
        let catalog = host.catalog();
        if catalog.cluster.is_empty() {
            continue;
        }
        for group in host.groups().into_iter().filter(|group| group.is_leader()) {
            if let Some(step) = next_step(&group.status(), &catalog.nodes) {
                take(&group, step).await;
            }
        }
    }
}

async fn take(group: &Arc<Group>, step: Step) {
    let id = group.id();
    match group.take_step(step.clone(), STEP_MAX).await {
        Ok(()) => tracing::info!(group = %id, ?step, "members changed"),
        Err(error) => tracing::info!(group = %id, ?step, %error, "members not changed yet"),
    }
}

impl RaftHost {
    /// Gives a blank volume the place of the member that has its peer address, under a new id, which is answered. The
    /// same id again for the same volume.
    ///
    /// # Errors
    ///
    /// Why not, for the operator. Except after a timeout nothing was changed.
    pub(crate) async fn replace(&self, info: NodeInfo, limit: Duration) -> Result<NodeId, String> {
        let deadline = Instant::now() + limit;
        let meta = self.group(GroupId::META).ok_or("no replica of the meta group here")?;
        meta.read_barrier(deadline).await.map_err(|error| error.to_string())?;
        if let Some(alive) = self.alive_at(&info).await {
            let address = &info.peer_addr;
            return Err(format!("node {alive} is alive at {address}, and not with volume {}", info.volume));
        }
        let volume = info.volume.clone();
        let command = command::catalog(&CatalogCommand::Replace { info });
        let reply = meta.submit(command, deadline).await.map_err(|error| error.to_string())?;
        if let Outcome::Refused(reason) = reply.outcome() {
            return Err(reason);
        }
        meta.read_barrier(deadline).await.map_err(|error| error.to_string())?;
        self.catalog().node_of_volume(&volume).ok_or_else(|| "replaced by another volume".to_owned())
    }

    /// The member whose place the volume asks for, if that member answers there.
    async fn alive_at(&self, info: &NodeInfo) -> Option<NodeId> {
        let catalog = self.catalog();
        let mut others = catalog.nodes.iter().filter(|(_, known)| known.volume != info.volume);
        let (id, _) = others.find(|(_, known)| known.peer_addr == info.peer_addr)?;
        let answer = timeout(ALIVE_MAX, self.peer_node_state(*id, ALIVE_MAX)).await;
        matches!(answer, Ok(Ok(_))).then_some(*id)
    }
}
