//! Why an operation on a group failed, split by what the caller can do about it.

use crate::command::CommandError;
use model::{GroupId, NodeId};
use storage::StorageError;

/// Why a command did not return an applied result.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The deadline passed before the group took the command.
    #[error("no leader of group {group} took the command within {waited_ms} ms")]
    Timeout {
        /// The group.
        group: GroupId,
        /// How long it was tried.
        waited_ms: u64,
        /// Whether some leader may have appended it: it may then still be applied, and only an idempotent command
        /// may be tried again. If not, nothing was done.
        unknown: bool,
    },
    /// More bytes are waiting than may wait, and that did not change until the deadline. Nothing was done.
    #[error("more than {limit_bytes} bytes wait for group {group}")]
    Overloaded {
        /// The group.
        group: GroupId,
        /// The limit.
        limit_bytes: usize,
    },
    /// The leader takes no new data, and no other node took over until the deadline. Nothing was done.
    #[error("group {group} takes no writes: {reason}")]
    Refused {
        /// The group.
        group: GroupId,
        /// Why not.
        reason: String,
    },
    /// The bytes are no command. Nothing was done; trying again is of no use.
    #[error("invalid command")]
    Invalid(#[from] CommandError),
    /// This node is shutting down. The outcome is unknown.
    #[error("group {group} is stopped on this node")]
    Stopped {
        /// The group.
        group: GroupId,
    },
    /// This node's disk failed while it led the group, and no other node took over. The outcome is unknown.
    #[error("storage of group {group} failed on this node")]
    Storage {
        /// The group.
        group: GroupId,
    },
}

/// Why it is not known that the local replica has everything that was acknowledged before.
#[derive(Debug, thiserror::Error)]
pub enum BarrierError {
    /// No leader answered with a quorum, or the local replica did not catch up, before the deadline. A stale read is
    /// possible.
    #[error("group {group} gave no read index within {waited_ms} ms")]
    Timeout {
        /// The group.
        group: GroupId,
        /// How long it was tried.
        waited_ms: u64,
    },
    /// The group does not run here any more.
    #[error("group {group} is stopped on this node")]
    Stopped {
        /// The group.
        group: GroupId,
    },
}

/// Why an order of an operator to a group was not carried out. Nothing was changed, unless it says so.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Only the leader can do it.
    #[error("this node does not lead group {group}")]
    NotLeader {
        /// The group.
        group: GroupId,
        /// Who does.
        leader: Option<NodeId>,
    },
    /// The node is not a voter of the group.
    #[error("node {node} is no voter of group {group}")]
    NotVoter {
        /// The group.
        group: GroupId,
        /// The node.
        node: NodeId,
    },
    /// It was started but not seen to be done in time.
    #[error("group {group} was not done within {waited_ms} ms")]
    Timeout {
        /// The group.
        group: GroupId,
        /// How long it was waited.
        waited_ms: u64,
    },
    /// The group does not run here any more.
    #[error("group {group} is stopped on this node")]
    Stopped {
        /// The group.
        group: GroupId,
    },
    /// The group's rules forbid it now.
    #[error("group {group} refused: {reason}")]
    Refused {
        /// The group.
        group: GroupId,
        /// Why.
        reason: String,
    },
}

/// Why the groups of a node did not start. Nothing runs.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The times of the configuration contradict each other.
    #[error("raft configuration: {reason}")]
    Config {
        /// What does not fit.
        reason: String,
    },
    /// A group's state could not be opened.
    #[error("state of group {group}")]
    Storage {
        /// The group.
        group: GroupId,
        /// Why.
        #[source]
        source: StorageError,
    },
    /// A directory or a thread could not be made.
    #[error("group {group}")]
    Io {
        /// The group.
        group: GroupId,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// What is stored about a group is not ours or damaged.
    #[error("state of group {group} is damaged: {reason}")]
    Damaged {
        /// The group.
        group: GroupId,
        /// What does not fit.
        reason: String,
    },
    /// The group's log and state do not fit together, or could not be read.
    #[error("group {group} did not start: {reason}")]
    Raft {
        /// The group.
        group: GroupId,
        /// What openraft said.
        reason: String,
    },
}

/// Why a peer gave no answer that is of use.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PeerError {
    /// The peer was not reached, or not in time.
    #[error("node {node} unreachable: {reason}")]
    Unreachable {
        /// The peer.
        node: NodeId,
        /// What the transport said.
        reason: String,
    },
    /// The peer is reached but will not do it: another cluster, another node, no such group.
    #[error("node {node} refused: {reason}")]
    Refused {
        /// The peer.
        node: NodeId,
        /// What it said.
        reason: String,
    },
}
