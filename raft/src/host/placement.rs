//! Which groups have a replica on this node: opens those that it shall have, lets go of those that it no longer has.
//!
//! The catalog says what shall be, the group's committed membership what is. A replica is let go of only when the group
//! has put that on record, and what the node has promised in it stays: its vote, and up to where its log went. Should
//! the group come back, the node helps nobody to be elected who knows less than it once did.

use super::RaftHost;
use super::open::Opener;
use crate::blocking;
use crate::group::{Condition, Group, GroupStatus, Role};
use crate::state_machine::meta::CatalogCell;
use futures::future::join_all;
use model::{GroupId, NodeId};
use openraft::storage::RaftLogStorage;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};
use tokio::time::Instant;

/// How long another node may take to say how a group is.
const ASK_MAX: Duration = Duration::from_secs(2);
/// How long ago a majority may have answered a leader that is believed.
const ACK_MAX: Duration = Duration::from_secs(2);

/// Where the replicas of the groups shall be, as far as this node knows.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) node: NodeId,
    pub(crate) catalog: Arc<CatalogCell>,
    /// Until there is a catalog; a group that is not in it is everywhere.
    pub(crate) founding: BTreeMap<GroupId, Vec<NodeId>>,
}

impl Places {
    /// Whether this node shall have a replica.
    pub(crate) fn is_wished(&self, group: GroupId) -> bool {
        if group.is_meta() {
            return true;
        }
        let catalog = self.catalog.load();
        match self.founding.get(&group) {
            Some(replicas) if catalog.cluster.is_empty() => replicas.contains(&self.node),
            None if catalog.cluster.is_empty() => true,
            _ => catalog.replicas(group).contains(&self.node),
        }
    }

    /// Whether a group without anything is at its beginning here, and not one that others have.
    pub(crate) fn begins_here(&self, group: GroupId) -> bool {
        let is_founder = self.founding.get(&group).is_none_or(|replicas| replicas.contains(&self.node));
        group.is_meta() || (is_founder && self.catalog.load().cluster.is_empty())
    }

    /// The nodes that shall have one, and where they are reached.
    pub(crate) fn addresses(&self, group: GroupId) -> BTreeMap<NodeId, String> {
        let catalog = self.catalog.load();
        let replicas = catalog.replicas(group).into_iter();
        let known = replicas.filter_map(|id| Some((id, catalog.nodes.get(&id)?.peer_addr.clone())));
        known.filter(|(_, address)| !address.is_empty()).collect()
    }
}

impl RaftHost {
    /// Whether a group has a replica here that it shall not have.
    pub(super) fn is_to_leave(&self, group: &Group) -> bool {
        !self.places.is_wished(group.id()) && group.condition() != Condition::Elsewhere
    }

    /// Lets go of a replica, if its group has done so.
    pub(super) async fn leave(&self, group: &Group) {
        let id = group.id();
        if let Err(reason) = self.has_left(group).await {
            tracing::debug!(group = %id, reason, "replica stays for now");
            return;
        }
        let members = group.members();
        group.close().await;
        // What it answered until now is known to whoever leads; from here on it answers nothing.
        let done = match self.has_left(group).await {
            Ok(()) => self.opener.forget(id).await.map_err(|error| error.to_string()),
            Err(reason) => Err(reason),
        };
        match done {
            Ok(()) => {
                group.forget_members();
                group.set_condition(Condition::Elsewhere);
                tracing::info!(group = %id, to = ?members.keys(), "replica was moved away");
            }
            Err(reason) => group.set_condition(Condition::Failed { reason }),
        }
    }

    /// Whether the group's leader has put on record that this node is no member; if not, why it is not sure.
    async fn has_left(&self, group: &Group) -> Result<(), String> {
        let deadline = Instant::now() + ASK_MAX;
        let meta = self.group(GroupId::META).ok_or("no replica of the meta group here")?;
        meta.read_barrier(deadline).await.map_err(|error| error.to_string())?;
        if self.places.is_wished(group.id()) {
            return Err("it is wished for again".to_owned());
        }
        let mut asked: Vec<NodeId> = self.catalog().replicas(group.id());
        asked.extend(group.members().into_keys());
        asked.sort_unstable();
        asked.dedup();
        let told = join_all(asked.iter().map(|node| self.peer_status(*node, ASK_MAX))).await;
        let told: Vec<GroupStatus> = told.into_iter().flatten().flatten().collect();
        is_no_member(self.node(), group.id(), &told)
    }
}

/// Whether the latest leader of a group has committed a membership without the node.
fn is_no_member(node: NodeId, group: GroupId, told: &[GroupStatus]) -> Result<(), String> {
    let leaders = told.iter().filter(|status| status.group == group && status.role == Role::Leader);
    let Some(leader) = leaders.max_by_key(|status| status.term) else {
        return Err(format!("group {group} has no leader"));
    };
    if leader.voters.contains(&node) || leader.learners.contains(&node) {
        return Err(format!("it is a member of group {group}"));
    }
    let is_committed = leader.membership_at.is_some_and(|at| leader.committed.is_some_and(|upto| upto >= at));
    if !is_committed || leader.since_quorum_ack.is_none_or(|since| since > ACK_MAX) {
        return Err(format!("its leave of group {group} is not committed"));
    }
    Ok(())
}

impl Opener {
    /// Whether anything of a group's state is on the disk.
    pub(super) fn has(&self, group: GroupId) -> bool {
        self.group_dir(group).exists()
    }

    /// Removes a closed group's state and the entries of its log, not its vote and the end of its log.
    async fn forget(&self, group: GroupId) -> io::Result<()> {
        let closed = || io::Error::other("the raft log is closed");
        let mut log = self.log(group).ok_or_else(closed)?;
        if let Some(last) = log.get_log_state().await?.last_log_id {
            log.purge(last).await?;
        }
        storage::crash_point("leave-purged");
        let dir = self.group_dir(group);
        blocking::run(move || remove(&dir)).await.map_err(io::Error::other)?
    }

    /// Removes what a crash left of replicas that were moved away.
    pub(super) async fn remove_rest(&self) {
        let dir = self.dir.clone();
        match blocking::run(move || remove_rest(&dir)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the rest of a replica that was moved away stays"),
            Err(panic) => tracing::error!(%panic, "removing the rest of a replica panicked"),
        }
    }
}

/// What is added to the name of a group's directory that is being removed.
const GONE: &str = "gone";

/// Removes a group's directory as a whole: a crash on the way leaves nothing that could be taken for a state.
fn remove(dir: &Path) -> io::Result<()> {
    let gone = dir.with_extension(GONE);
    ignore_missing(fs::remove_dir_all(&gone))?;
    ignore_missing(fs::rename(dir, &gone))?;
    if let Some(parent) = dir.parent() {
        fs::File::open(parent)?.sync_all()?;
    }
    storage::crash_point("leave-renamed");
    ignore_missing(fs::remove_dir_all(&gone))
}

/// Removes what a crash left of that.
fn remove_rest(groups: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(groups) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == GONE) {
            tracing::info!(path = %path.display(), "removing the rest of a replica that was moved away");
            fs::remove_dir_all(&path)?;
        }
    }
    Ok(())
}

fn ignore_missing(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::catalog::Catalog;

    #[test]
    fn what_is_left_of_a_removed_replica_goes_at_the_start() {
        let dir = tempfile::tempdir().unwrap();
        remove_rest(&dir.path().join("not there")).unwrap();
        let make = |name: &str| {
            fs::create_dir_all(dir.path().join(name).join("state")).unwrap();
            fs::write(dir.path().join(name).join("state/LIVE"), "db-000001").unwrap();
        };
        // One removal was cut off, a replica came back, and leaves again.
        for name in ["g1.gone", "g1", "g11"] {
            make(name);
        }
        remove(&dir.path().join("g1")).unwrap();
        remove(&dir.path().join("g1")).unwrap();
        for name in ["g2.gone", "g2"] {
            make(name);
        }
        remove_rest(dir.path()).unwrap();
        let mut left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["g11", "g2"]);
    }

    const GROUP: GroupId = GroupId(2);

    fn leader(term: u64, voters: &[u64]) -> GroupStatus {
        GroupStatus {
            group: GROUP,
            role: Role::Leader,
            term,
            voters: voters.iter().copied().map(NodeId).collect(),
            membership_at: Some(7),
            committed: Some(7),
            since_quorum_ack: Some(Duration::ZERO),
            ..GroupStatus::default()
        }
    }

    #[test]
    fn only_a_committed_membership_of_the_latest_leader_lets_a_node_go() {
        let left = |told: &[GroupStatus]| is_no_member(NodeId(3), GROUP, told).is_ok();
        assert!(!left(&[]));
        assert!(left(&[leader(2, &[1, 2, 4])]));
        assert!(!left(&[leader(2, &[1, 2, 3])]));
        assert!(!left(&[leader(2, &[1, 2, 4]), leader(3, &[1, 2, 3])]));
        assert!(!left(&[GroupStatus { learners: vec![NodeId(3)], ..leader(2, &[1, 2, 4]) }]));
        assert!(!left(&[GroupStatus { committed: Some(6), ..leader(2, &[1, 2, 4]) }]));
        assert!(!left(&[GroupStatus { membership_at: None, ..leader(2, &[1, 2, 4]) }]));
        assert!(!left(&[GroupStatus { since_quorum_ack: None, ..leader(2, &[1, 2, 4]) }]));
        assert!(!left(&[GroupStatus { group: GroupId(1), ..leader(2, &[1, 2, 4]) }]));
        assert!(!left(&[GroupStatus { role: Role::Follower, ..leader(2, &[1, 2, 4]) }]));
    }

    #[test]
    fn before_there_is_a_catalog_the_founding_says_where_groups_are() {
        let catalog = Arc::new(CatalogCell::new(Catalog::default()));
        let founding = [(GroupId(1), vec![NodeId(1)]), (GROUP, vec![NodeId(3)])].into();
        let places = Places { node: NodeId(3), catalog, founding };
        let wished = [0, 1, 2, 3].map(|group| places.is_wished(GroupId(group)));
        assert_eq!(wished, [true, false, true, true]);
    }
}
