//! The types openraft is instantiated with, and short names for them: the only generic signatures of this crate.
//!
//! Everything that stores or sends Raft state names its types from here. The command inside an entry is opaque
//! bytes at this level; `command` gives it a meaning.

use bytes::Bytes;
use std::fmt;

openraft::declare_raft_types!(
    /// The Raft types of every group, meta and data alike.
    pub TypeConfig:
        D = Command,
        R = Reply,
        NodeId = u64,
        Node = PeerAddr,
        LeaderId = openraft::impls::leader_id_adv::LeaderId<u64, u64>,
);

/// What an entry asks the state machine to do: encoded, cheap to clone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Command(pub Bytes);

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "command of {} bytes", self.0.len())
    }
}

/// What the state machine answers: encoded, empty for entries that are not commands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply(pub Bytes);

/// Where a member of a group is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerAddr {
    /// `host:port` of its peer service; a DNS name where there is one.
    pub address: String,
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

/// (term, node) of a leader.
pub(crate) type LeaderId = openraft::alias::LeaderIdOf<TypeConfig>;
/// (term, node, index) of an entry.
pub(crate) type LogId = openraft::alias::LogIdOf<TypeConfig>;
/// A vote, or a leader's claim.
pub(crate) type Vote = openraft::alias::VoteOf<TypeConfig>;
/// One entry of the log.
pub(crate) type Entry = openraft::alias::EntryOf<TypeConfig>;
/// What an entry carries.
pub(crate) type Payload = openraft::alias::PayloadOf<TypeConfig>;
/// Voters and learners.
pub(crate) type Membership = openraft::Membership<u64, PeerAddr>;
/// A membership and the log id that set it.
pub(crate) type StoredMembership = openraft::alias::StoredMembershipOf<TypeConfig>;
/// What a snapshot covers.
pub(crate) type SnapshotMeta = openraft::alias::SnapshotMetaOf<TypeConfig>;
