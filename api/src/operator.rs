//! What an operator can ask of the cluster and tell it to do, beside looking at it. Each order may be given twice: what is
//! done already is done.

/// An order, or a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// All nodes: addresses, duty, replicas, leaderships, disk; and the addresses of those that are expected.
    Nodes,
    /// One node.
    Node(u64),
    /// A node with this peer address may join.
    Announce(String),
    /// A node with this peer address may join no longer.
    Withdraw(String),
    /// A node is to lead nothing, and to have no replicas where others can take them.
    Drain(u64),
    /// A node does everything again.
    Undrain(u64),
    /// A node is to be forgotten.
    Remove {
        /// Its id.
        node: u64,
        /// Also if it has replicas that nobody can take; only for a node that does not answer.
        force: bool,
    },
    /// All groups: leader, members, replicas.
    Groups,
    /// One group.
    Group(u32),
    /// A voter is to lead a group.
    TransferLeader {
        /// The group.
        group: u32,
        /// The node.
        to: u64,
    },
    /// A replica is to move.
    MoveReplica {
        /// The data group.
        group: u32,
        /// The node that has it.
        from: u64,
        /// The node that gets it.
        to: u64,
    },
    /// How many replicas data groups shall have.
    SetReplicationFactor(u32),
    /// What a rebalancing would move.
    PlanRebalance,
    /// Spread replicas evenly.
    Rebalance,
    /// Move nothing more than what is on its way.
    CancelRebalance,
    /// What moves now, and what is still to move.
    Moves,
    /// What changed lately, oldest first.
    Events,
}

/// Why an order was not carried out. Nothing was changed unless it says so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// HTTP 404: no such node or group.
    #[error("{0}")]
    Unknown(String),
    /// HTTP 400: the order makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// HTTP 409: it would lose data or a quorum, or something else has to be done first; the text says what.
    #[error("{0}")]
    Refused(String),
    /// HTTP 503: the cluster did not answer in time. The outcome is unknown; the order may be given again.
    #[error("{0}")]
    Unavailable(String),
}
