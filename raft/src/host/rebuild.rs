//! Rebuilds a damaged replica from another node's, while the node and its other groups go on.
//!
//! The group's log and vote stay: nothing that this node has promised is forgotten, so it can neither vote twice nor
//! lose what it acknowledged. Only the state is replaced, by one that reaches at least to where the log begins. The
//! damaged one is touched when its successor is here and was checked.

use super::open::{OpenError, Opener, describe};
use crate::blocking;
use crate::codec;
use crate::group::Group;
use crate::log_store::LogStore;
use crate::network::rpc::Peer;
use crate::snapshot::receive;
use crate::snapshot::staging::Staging;
use crate::type_config::{LogId, SnapshotMeta};
use model::NodeId;
use proto::peer::snapshot_part::Part;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// One rebuild of one group.
pub(super) struct Rebuild<'a> {
    pub(super) opener: &'a Arc<Opener>,
    pub(super) group: &'a Group,
    /// Who may have a replica.
    pub(super) members: BTreeMap<NodeId, String>,
}

impl Rebuild<'_> {
    /// Fetches a snapshot and puts it in place of the state, which must be closed.
    ///
    /// # Errors
    ///
    /// Why nobody helped; the damaged state is still there, or the new one already.
    pub(super) async fn run(&self) -> Result<(), String> {
        let id = self.group.id();
        let mut log = self.opener.log(id).ok_or("the raft log is closed")?;
        let (meta, files) = self.fetch_from_any(&log).await?;
        let Some(at) = meta.last_log_id else { return Err("an empty snapshot".to_owned()) };
        log.fit(at).await.map_err(|error| error.to_string())?;
        let opener = Arc::clone(self.opener);
        let replacing = blocking::run(move || opener.replace_state(id, &files, at.index)).await;
        replacing.map_err(|panic| panic.to_string())?.map_err(|error| describe(&error))
    }

    async fn fetch_from_any(&self, log: &LogStore) -> Result<(SnapshotMeta, PathBuf), String> {
        let own = log.clone();
        let purged = blocking::run(move || own.purged()).await;
        let purged = purged.map_err(|panic| panic.to_string())?.map_err(|error| error.to_string())?;
        let mut reasons = Vec::new();
        for (node, address) in self.members.iter().filter(|(node, _)| **node != self.opener.pool.node) {
            match self.fetch(*node, address, purged).await {
                Ok(fetched) => {
                    tracing::info!(group = %self.group.id(), from = %node, at = %fetched.0, "fetched a snapshot");
                    return Ok(fetched);
                }
                Err(reason) => reasons.push(format!("node {node}: {reason}")),
            }
        }
        if reasons.is_empty() {
            return Err(
                "no other node has a replica of it: restore the data directory from a backup".to_owned()
            );
        }
        Err(reasons.join("; "))
    }

    async fn fetch(
        &self,
        node: NodeId,
        address: &str,
        purged: Option<LogId>,
    ) -> Result<(SnapshotMeta, PathBuf), String> {
        let busy = || "this node receives as many snapshots as it may".to_owned();
        let _own = self.group.begin_receiving().ok_or_else(busy)?;
        let _room = self.opener.pool.transfers.begin_receiving().ok_or_else(busy)?;
        let group = self.group.id();
        let dir = self.opener.state_dir(group).with_file_name("snapshots").join("received");
        let staging = Arc::new(Staging::open(dir).map_err(|error| error.to_string())?);
        let reading = Arc::clone(&staging);
        let have = blocking::run(move || reading.have()).await;
        let have = have.map_err(|panic| panic.to_string())?.map_err(|error| error.to_string())?;
        let peer = Peer { pool: &self.opener.pool, group, node, address };
        let min_index = purged.map_or(0, |purged| purged.index);
        let mut parts =
            peer.fetch_snapshot(min_index, have.clone()).await.map_err(|error| error.to_string())?;
        let first = parts.message().await.map_err(|status| status.message().to_owned())?;
        let Some(Part::Start(start)) = first.and_then(|first| first.part) else {
            return Err("it sent no start".to_owned());
        };
        let meta: SnapshotMeta = codec::decode(start.meta).map_err(|error| error.to_string())?;
        if meta.last_log_id.map(|at| at.index) < purged.map(|at| at.index) {
            return Err(format!("its state ends at {meta}, before entry {min_index}"));
        }
        let shared = self.opener.shared.clone();
        let received = receive::receive(staging, shared, &meta, (start.files, have), parts).await;
        received.map(|dir| (meta, dir)).map_err(|status| status.message().to_owned())
    }
}

/// Whether an error of opening means that the replica must be rebuilt.
pub(super) fn damage_of(error: &OpenError) -> Option<&str> {
    match error {
        OpenError::Damaged(what) => Some(what),
        OpenError::Failed(_) => None,
    }
}
