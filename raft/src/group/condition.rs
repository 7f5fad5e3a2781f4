//! How a replica is on this node, beside what Raft says of it.

use std::fmt;

/// How a replica is. Only a running one is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It is being opened for the first time.
    Opening,
    /// It follows the log.
    Running,
    /// It stopped by an error that is no damage; it is opened again when the cause is gone.
    Failed {
        /// The error.
        reason: String,
    },
    /// Bytes of it are damaged: it is taken out of service and rebuilt from another node's replica.
    Rebuilding {
        /// What was found.
        reason: String,
        /// What is being done, or waited for.
        step: String,
    },
    /// This node has no replica: the group's are on other nodes. Nothing is wrong.
    Elsewhere,
}

impl Condition {
    /// One lower-case word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Running => "running",
            Self::Failed { .. } => "failed",
            Self::Rebuilding { .. } => "rebuilding",
            Self::Elsewhere => "elsewhere",
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opening => f.write_str("being opened"),
            Self::Running => f.write_str("running"),
            Self::Failed { reason } => write!(f, "stopped, and opened again when that is over: {reason}"),
            Self::Rebuilding { reason, step } => {
                write!(f, "damaged ({reason}), being rebuilt from another node: {step}")
            }
            Self::Elsewhere => f.write_str("on other nodes"),
        }
    }
}
