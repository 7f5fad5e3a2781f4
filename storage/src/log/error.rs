//! What can go wrong in the Raft log, split by what the caller can do about it.

use std::path::PathBuf;
use std::sync::Arc;

use model::GroupId;

/// Why the Raft log refused, or could not finish, an operation.
///
/// Cheap to clone: one failed write is reported to every waiter of its round.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// The directory could not be opened or created. Nothing was changed; the cause says what to repair
    /// (permissions, a full disk, a lock held by another process).
    #[error("cannot open the Raft log in {}: {cause}", dir.display())]
    Open {
        /// The log's directory.
        dir: PathBuf,
        /// What the engine or the operating system said.
        cause: Arc<str>,
    },
    /// Records in the middle of the log are damaged. What is left may lack records that this node has promised to
    /// others, so it must not take part under its old identity.
    #[error(
        "the Raft log in {} is damaged ({cause}); records this node has acknowledged may be missing, so it must not \
         vote with what is left; with an empty data directory the node takes its old place under a new node id",
        dir.display()
    )]
    Damaged {
        /// The log's directory.
        dir: PathBuf,
        /// What the engine found.
        cause: Arc<str>,
    },
    /// The log was written by a newer release. Nothing was changed; start the release that wrote it, or a newer one.
    #[error("the Raft log in {} has format {found}, this release reads up to {known}", dir.display())]
    Format {
        /// The log's directory.
        dir: PathBuf,
        /// The version found.
        found: u8,
        /// The newest version this release reads.
        known: u8,
    },
    /// The fault plan in the environment could not be understood; see [`super::FAULT_VARIABLE`].
    #[error("the fault plan {given:?} is neither fail_after:N nor hang_after:N")]
    FaultPlan {
        /// The text found.
        given: String,
    },
    /// A write failed, now or earlier. What of it reached the disk is unknown, so nothing more is written or read
    /// until the node is restarted and the log has been recovered.
    #[error("the Raft log takes nothing more until the node restarts, because a write failed: {cause}")]
    Poisoned {
        /// The first failure.
        cause: Arc<str>,
    },
    /// The entries do not continue the log. Nothing was written.
    #[error("entry {got} of group {group} does not follow the log, which goes on at {expected}")]
    Hole {
        /// The group appended to.
        group: GroupId,
        /// The index that must come next.
        expected: u64,
        /// The index that was given.
        got: u64,
    },
    /// Stored records could not be read back, or an entry that must be there is missing. The replica has to be
    /// rebuilt if it happens again.
    #[error("cannot read the log of group {group} at entry {index}: {cause}")]
    Read {
        /// The group read.
        group: GroupId,
        /// The index the failure was met at.
        index: u64,
        /// What the engine said.
        cause: Arc<str>,
    },
    /// The log has been closed. Nothing was written.
    #[error("the Raft log is closed")]
    Closed,
}
