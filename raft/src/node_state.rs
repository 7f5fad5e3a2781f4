//! What a node tells the others of itself, beside its groups: whether it has room for new data, how fast its disk is, and
//! what time it is.

use proto::peer as wire;

/// The disk of a node, and whether it takes new data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeState {
    /// Bytes free on the file system of the data directory; 0 if not known.
    pub disk_free: u64,
    /// Its size in bytes.
    pub disk_total: u64,
    /// `ample`, `low`, `saving` or `full`; empty if not known.
    pub disk_level: String,
    /// Why the node takes no new data because of its own disk; `None` while it does.
    pub refusal: Option<String>,
    /// Its wall clock when it told, ns since the epoch; `None` if it did not.
    pub clock_ns: Option<i64>,
    /// The newest feature level it knows; 0 if it did not tell.
    pub feature_level: u32,
    /// The version of its program; empty if it did not tell.
    pub version: String,
    /// Whether the disk of its Raft log is so slow that it should lead no group.
    pub disk_is_slow: bool,
}

impl NodeState {
    /// Whether the node receives no snapshots because its disk is nearly full.
    pub(crate) fn has_no_room(&self) -> bool {
        matches!(&*self.disk_level, "saving" | "full")
    }

    pub(crate) fn into_wire(self, groups: Vec<wire::GroupStatus>) -> wire::StatusReply {
        wire::StatusReply {
            groups,
            refusal: self.refusal.unwrap_or_default(),
            disk_free: self.disk_free,
            disk_total: self.disk_total,
            disk_level: self.disk_level,
            clock_ns: self.clock_ns,
            disk_is_slow: self.disk_is_slow,
            feature_level: self.feature_level,
            version: self.version,
        }
    }

    pub(crate) fn from_wire(reply: wire::StatusReply) -> Self {
        Self {
            disk_free: reply.disk_free,
            disk_total: reply.disk_total,
            disk_level: reply.disk_level,
            refusal: Some(reply.refusal).filter(|reason| !reason.is_empty()),
            clock_ns: reply.clock_ns,
            disk_is_slow: reply.disk_is_slow,
            feature_level: reply.feature_level,
            version: reply.version,
        }
    }
}
