//! Opens a group's replica and starts its Raft: at the start of the node, and again after a failure.

use crate::blocking;
use crate::error::StartError;
use crate::group::Core;
use crate::log_store::LogStore;
use crate::network::pool::Pool;
use crate::snapshot::Snapshots;
use crate::state_machine::checksums::Checksums;
use crate::state_machine::data::DataState;
use crate::state_machine::meta::{CatalogCell, MetaState};
use crate::state_machine::{GroupState, Replica, StateError};
use arc_swap::ArcSwapOption;
use model::GroupId;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use storage::log::LogDb;
use storage::{ShardStore, Shared};

/// Why a replica does not run.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// Its bytes are damaged, or it is behind its log: only another node's replica helps.
    Damaged(String),
    /// Anything else; it may be over at the next attempt.
    Failed(StartError),
}

impl OpenError {
    /// As one line.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Damaged(what) => what.clone(),
            Self::Failed(error) => describe(error),
        }
    }
}

/// An error with its causes, as one line.
pub(crate) fn describe(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// What a group's state is opened with; the same for all groups of a node.
#[derive(Debug)]
pub(crate) struct Opener {
    pub(crate) pool: Arc<Pool>,
    pub(crate) config: Arc<openraft::Config>,
    pub(crate) shared: Shared,
    /// Of all groups.
    pub(crate) dir: PathBuf,
    pub(crate) catalog: Arc<CatalogCell>,
    /// The node's log; none while it is being opened again.
    pub(crate) log: ArcSwapOption<LogDb>,
}

/// A group's state and its reader.
struct Opened {
    replica: Arc<Replica>,
    data: Option<Arc<ShardStore>>,
}

impl Opener {
    /// Where a group's state lies.
    pub(crate) fn state_dir(&self, group: GroupId) -> PathBuf {
        self.group_dir(group).join("state")
    }

    pub(super) fn group_dir(&self, group: GroupId) -> PathBuf {
        self.dir.join(format!("g{group}"))
    }

    /// A group's log.
    pub(crate) fn log(&self, group: GroupId) -> Option<LogStore> {
        Some(LogStore::new(self.log.load_full()?, group))
    }

    /// Opens a group's state, applies again what a crash took from it, and joins in.
    pub(crate) async fn open(self: &Arc<Self>, group: GroupId) -> Result<Core, OpenError> {
        let stopped = |reason: String| OpenError::Failed(StartError::Raft { group, reason });
        let Some(log) = self.log(group) else { return Err(stopped("the raft log is closed".to_owned())) };
        let (opener, own_log) = (Arc::clone(self), log.clone());
        let opening = blocking::run(move || {
            let opened = opener.open_state(group)?;
            check_against_log(&opened.replica, &own_log)?;
            Ok(opened)
        });
        let opened = opening.await.map_err(|panic| stopped(panic.to_string()))??;
        let state = Arc::downgrade(&opened.replica.state);
        let config = Arc::clone(&self.config);
        Core::start(&self.pool, config, log, opened.replica, opened.data).await.map_err(|error| {
            // What the replay came upon.
            match state.upgrade().and_then(|state| state.damage()) {
                Some(damage) => OpenError::Damaged(damage),
                None => OpenError::Failed(error),
            }
        })
    }

    fn open_state(&self, group: GroupId) -> Result<Opened, OpenError> {
        let io = |source| OpenError::Failed(StartError::Io { group, source });
        let failed = |error: StateError| match error {
            error if error.is_damage() => OpenError::Damaged(describe(&error)),
            StateError::Storage(source) => OpenError::Failed(StartError::Storage { group, source }),
            other => OpenError::Failed(StartError::Raft { group, reason: other.to_string() }),
        };
        let dir = self.group_dir(group);
        std::fs::create_dir_all(&dir).map_err(io)?;
        let snapshots = Snapshots::open(&dir.join("snapshots")).map_err(io)?;
        let checksums = Arc::new(Checksums::default());
        let path = self.state_dir(group);
        let (state, data): (Arc<dyn GroupState>, _) = if group.is_meta() {
            let cell = Arc::clone(&self.catalog);
            let state = MetaState::open(&path, &self.shared, Arc::clone(&checksums), cell).map_err(failed)?;
            (Arc::new(state), None)
        } else {
            let state = DataState::open(&path, &self.shared, Arc::clone(&checksums)).map_err(failed)?;
            let store = state.store();
            (Arc::new(state), Some(store))
        };
        let replica = Replica::new(group, state, snapshots, checksums, self.shared.clone())
            .map_err(|error| OpenError::Damaged(error.to_string()))?;
        Ok(Opened { replica: Arc::new(replica), data })
    }

    /// Puts a damaged state out of the way and installs a received one in its place.
    pub(crate) fn replace_state(
        &self,
        group: GroupId,
        received: &Path,
        index: u64,
    ) -> Result<(), StateError> {
        let path = self.state_dir(group);
        storage::set_aside(&path)?;
        storage::crash_point("rebuild-aside");
        storage::StateDb::open(&path, &self.shared)?.install(received, index)?;
        storage::crash_point("rebuild-installed");
        Ok(())
    }
}

/// A state that ends before its log begins has lost entries that the log does not have any more.
fn check_against_log(replica: &Replica, log: &LogStore) -> Result<(), OpenError> {
    let group = replica.group;
    let purged = log.purged().map_err(|source| OpenError::Failed(StartError::Io { group, source }))?;
    let applied = *replica.applied.borrow();
    match purged {
        Some(purged) if applied.is_none_or(|applied| applied < purged.index) => {
            let at = applied.map_or_else(|| "empty".to_owned(), |index| format!("at entry {index}"));
            Err(OpenError::Damaged(format!(
                "the state is {at}, but the log begins after entry {}",
                purged.index
            )))
        }
        _ => Ok(()),
    }
}
