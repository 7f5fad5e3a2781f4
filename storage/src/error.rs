//! Why storage could not do what it was asked, split by what the caller can do about it.

use crate::rocks::EngineError;
use std::io;
use std::path::{Path, PathBuf};

/// Why an operation on a group's state failed.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The file system refused. The store is poisoned if it was being written.
    #[error("i/o failed on {path}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// RocksDB refused. The store is poisoned if it was being written.
    #[error("state database failed")]
    Engine(#[from] EngineError),
    /// Bytes on disk or in a log entry do not have their format. This replica must be built again from another one.
    #[error("damaged {what}")]
    Damaged {
        /// Which bytes.
        what: &'static str,
    },
    /// An entry is not a write batch that this node can read: damage, or a newer version.
    #[error("write batch cannot be applied")]
    Batch(#[from] model::batch::BatchError),
    /// A received snapshot is not the one that was announced. Nothing was changed.
    #[error("snapshot holds applied index {found}, expected {expected}")]
    WrongSnapshot {
        /// The index that the sender announced.
        expected: u64,
        /// The index in its files.
        found: u64,
    },
    /// An earlier write failed, so memory and disk may disagree. Nothing was changed; only a restart helps.
    #[error("store is closed to writes after an earlier failure")]
    Poisoned,
}

impl StorageError {
    /// Whether bytes on disk are not what was written: the replica must be built again from another one. Any other
    /// error may be over after the store was opened again.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } => true,
            Self::Engine(error) => error.is_corruption(),
            Self::Io { .. } | Self::Batch(_) | Self::WrongSnapshot { .. } | Self::Poisoned => false,
        }
    }

    /// Wraps an error of the file system with the path it is about.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    /// Names the kind of bytes that are damaged.
    pub(crate) fn damaged(what: &'static str) -> Self {
        Self::Damaged { what }
    }
}
