//! Brings the groups that this node leads to the members that the catalog names, and gives a blank volume the place of a
//! lost one, or one of its own.

use super::RaftHost;
use crate::command::{self, Outcome};
use crate::group::members::{Step, Wished, next_step};
use crate::group::{Group, GroupStatus, Role};
use futures::future::join_all;
use model::catalog::{CatalogCommand, MembershipCommand, NodeInfo};
use model::feature_level::too_old;
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
            let wished = Wished::of(&catalog, group.id());
            if let Some(step) = next_step(host.node(), &group.status(), &wished) {
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
    /// Gives a blank volume the place of the member that has its peer address, or one of its own if there is none and it
    /// was announced, under a new id, which is answered. The same id again for the same volume. Its node has to know the
    /// feature level that the cluster writes.
    ///
    /// # Errors
    ///
    /// Why not, for the operator. Except after a timeout nothing was changed.
    pub(crate) async fn replace(
        &self,
        info: NodeInfo,
        feature_level: u32,
        limit: Duration,
    ) -> Result<NodeId, String> {
        let deadline = Instant::now() + limit;
        let meta = self.group(GroupId::META).ok_or("no replica of the meta group here")?;
        meta.read_barrier(deadline).await.map_err(|error| error.to_string())?;
        if let Some(reason) = too_old(feature_level, self.catalog().feature_level) {
            return Err(format!("the node at {} is too old: {reason}", info.peer_addr));
        }
        if let Some(id) = self.catalog().node_of_volume(&info.volume) {
            return Ok(id);
        }
        if !self.catalog().nodes.values().any(|known| known.peer_addr == info.peer_addr) {
            return self.add(info, feature_level, deadline).await;
        }
        if let Some(alive) = self.alive_at(&info).await {
            let address = &info.peer_addr;
            return Err(format!("node {alive} is alive at {address}, and not with volume {}", info.volume));
        }
        if let Some(reason) = self.unfinished(&info).await {
            return Err(reason);
        }
        let volume = info.volume.clone();
        let command = command::catalog(&CatalogCommand::Replace { info, feature_level });
        let reply = meta.submit(command, deadline).await.map_err(|error| error.to_string())?;
        if let Outcome::Refused(reason) = reply.outcome() {
            return Err(reason);
        }
        meta.read_barrier(deadline).await.map_err(|error| error.to_string())?;
        self.catalog().node_of_volume(&volume).ok_or_else(|| "replaced by another volume".to_owned())
    }

    /// Gives a blank volume a place of its own.
    async fn add(&self, info: NodeInfo, feature_level: u32, deadline: Instant) -> Result<NodeId, String> {
        let volume = info.volume.clone();
        let invited_only = !self.tuning().auto_join;
        let command = MembershipCommand::AddNode { info, invited_only, feature_level };
        self.change_members(command, deadline).await?;
        self.catalog().node_of_volume(&volume).ok_or_else(|| "another volume was faster".to_owned())
    }

    /// Why nobody may be replaced now, if so: a member that does not vote everywhere yet stands for one that did. To give
    /// up the vote of another one beside it could leave a group without a majority that has its points.
    async fn unfinished(&self, info: &NodeInfo) -> Option<String> {
        let catalog = self.catalog();
        let asked = catalog.nodes.keys().map(|id| self.peer_status(*id, ALIVE_MAX));
        let told: Vec<GroupStatus> = join_all(asked).await.into_iter().flatten().flatten().collect();
        let staying = |id: &NodeId| catalog.nodes.get(id).is_some_and(|n| n.peer_addr != info.peer_addr);
        self.groups().iter().find_map(|group| {
            let voters: Vec<NodeId> = catalog.voters(group.id()).into_iter().filter(staying).collect();
            not_settled(group.id(), &told, &voters)
        })
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

/// Why a group is not ready to lose a voter: it has no leader, or somebody who stays does not vote in it yet.
fn not_settled(group: GroupId, told: &[GroupStatus], staying: &[NodeId]) -> Option<String> {
    let leaders = told.iter().filter(|status| status.group == group && status.role == Role::Leader);
    let Some(leader) = leaders.max_by_key(|status| status.term) else {
        return Some(format!("group {group} has no leader"));
    };
    let missing = staying.iter().find(|id| !leader.voters.contains(id))?;
    Some(format!("node {missing} is still taking its place in group {group}; one after the other"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_member_is_replaced_when_the_first_one_votes_everywhere() {
        let leader = |term: u64, voters: &[u64]| GroupStatus {
            group: GroupId(1),
            role: Role::Leader,
            term,
            voters: voters.iter().copied().map(NodeId).collect(),
            ..GroupStatus::default()
        };
        let settled = |told: &[GroupStatus]| not_settled(GroupId(1), told, &[NodeId(1), NodeId(4)]);
        assert_eq!(settled(&[]), Some("group 1 has no leader".to_owned()));
        let waiting = "node 4 is still taking its place in group 1; one after the other".to_owned();
        assert_eq!(settled(&[leader(3, &[1, 2, 3])]), Some(waiting.clone()));
        assert_eq!(settled(&[leader(3, &[1, 2, 4])]), None);
        // One that was replaced and does not know it yet.
        assert_eq!(settled(&[leader(3, &[1, 2, 4]), leader(4, &[1, 2, 3])]), Some(waiting));
    }
}
