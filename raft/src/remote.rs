//! Replicas on other nodes, read as if they were here.
//!
//! A statement on a node that has no replica of a group first asks a node that has one to make it current
//! ([`RaftHost::freshen_at`]), and then reads it through a [`RemoteReader`]. Every question is one request and one answer of
//! limited size; what is more is asked for again from where it ended. The node that answers keeps nothing between two
//! questions, so there is nothing to end when a statement is killed, and nothing that hangs when a node dies. Each
//! question names the log index that the replica must have applied.
//!
//! Series ids, chunks and fields are the same on all replicas at one index, so an answer may come from any of them.

mod chunk;
mod column;
mod lists;
mod reader;
pub(crate) mod serve;

pub use reader::{ReadFailure, RemoteReader};

use crate::error::PeerError;
use crate::group::Staleness;
use crate::host::RaftHost;
use crate::network::pool::Lane;
use crate::network::rpc::within;
use model::{GroupId, NodeId};
use proto::peer as wire;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// Reads of other nodes that are answered at once. Each takes a thread and up to two pages of chunks, or a list.
pub(crate) const READS_AT_ONCE: usize = 16;

/// What a read may use, as the statement says that it is for. Asked by threads that read; must not block.
pub trait ReadAccount: Send + Sync + Debug + 'static {
    /// Whether somebody still wants the answer.
    fn is_wanted(&self) -> bool;

    /// Takes memory.
    ///
    /// # Errors
    ///
    /// [`NoMemory`]; nothing was taken.
    fn charge(&self, bytes: usize) -> Result<(), NoMemory>;

    /// Gives memory back that was taken.
    fn release(&self, bytes: usize);
}

/// A read may not take more memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the memory of queries is used up")]
pub struct NoMemory;

/// Opens accounts for what other nodes read here.
pub trait ReadAccounts: Send + Sync + Debug + 'static {
    /// One for a read that may take so long.
    fn open(&self, timeout: Duration) -> Arc<dyn ReadAccount>;
}

/// The account of reads on a node that counts nothing: one without queries of its own.
#[derive(Debug)]
struct Uncounted;

impl ReadAccount for Uncounted {
    fn is_wanted(&self) -> bool {
        true
    }

    fn charge(&self, _bytes: usize) -> Result<(), NoMemory> {
        Ok(())
    }

    fn release(&self, _bytes: usize) {}
}

/// How the replica of a group is on the node that was asked to make it current.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freshened {
    /// The group.
    pub group: GroupId,
    /// Why it cannot be read there.
    pub refusal: Option<String>,
    /// What it has applied.
    pub applied: Option<u64>,
    /// Why it is not known to have everything that was acknowledged before.
    pub behind: Option<String>,
    /// How old it may be.
    pub staleness: Staleness,
}

impl Freshened {
    fn from_wire(wire: wire::Freshened) -> Self {
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        Self {
            group: GroupId(wire.group),
            refusal: some(wire.refusal),
            applied: wire.applied,
            behind: some(wire.behind),
            staleness: Staleness { age: Duration::from_millis(wire.age_ms), at_least: wire.at_least },
        }
    }
}

impl RaftHost {
    /// From now on reads of other nodes draw on these accounts.
    pub fn set_read_accounts(&self, accounts: Arc<dyn ReadAccounts>) {
        // Set once, by the one start.
        let _already = self.read_accounts.set(accounts);
    }

    fn read_account(&self, timeout: Duration) -> Arc<dyn ReadAccount> {
        self.read_accounts.get().map_or_else(|| Arc::new(Uncounted) as _, |accounts| accounts.open(timeout))
    }

    /// Asks another node to make its replicas of these groups current, or only how old they are.
    ///
    /// # Errors
    ///
    /// [`PeerError`] when the node is unknown or did not answer.
    pub async fn freshen_at(
        &self,
        node: NodeId,
        groups: &[GroupId],
        as_they_are: bool,
        timeout: Duration,
    ) -> Result<Vec<Freshened>, PeerError> {
        let address = self.address_of(node)?;
        let request = wire::FreshenRequest {
            header: Some(self.pool.header(GroupId::META, node)),
            groups: groups.iter().map(|group| group.0).collect(),
            as_they_are,
            timeout_ms: millis(timeout),
        };
        let client = self.pool.client(node, &address, Lane::Read);
        let mut client =
            client.map_err(|error| PeerError::Unreachable { node, reason: error.to_string() })?;
        // It answers when its time is over, too; the answer takes a moment.
        let reply = within(node, timeout + timeout / 4, client.freshen(request)).await?;
        Ok(reply.groups.into_iter().map(Freshened::from_wire).collect())
    }
}

impl RaftHost {
    /// Where a node is reached that the catalog knows, or a group.
    fn address_of(&self, node: NodeId) -> Result<String, PeerError> {
        let member = || self.groups().iter().find_map(|group| group.address(node));
        self.peer_address(node).or_else(|error| member().ok_or(error))
    }
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An account without an end.
    #[derive(Debug)]
    pub(super) struct Unlimited;

    impl ReadAccount for Unlimited {
        fn is_wanted(&self) -> bool {
            true
        }

        fn charge(&self, _bytes: usize) -> Result<(), NoMemory> {
            Ok(())
        }

        fn release(&self, _bytes: usize) {}
    }
}
