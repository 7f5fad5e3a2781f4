//! The state of a data group: points, in a shard store.

use super::checksums::{ChecksumAt, Checksums};
use super::{GroupState, StateError};
use crate::command::{CommandError, DataCommand, Outcome};
use crate::{blocking, simulation};
use bytes::Bytes;
use model::Delete;
use std::path::Path;
use std::sync::Arc;
use storage::bugs::{self, Bug};
use storage::{ApplyMarker, ShardStore, Shared};
use tokio::sync::Semaphore;

/// What a write is answered that comes by a catalog from before a DROP.
const DROPPED: &str = "the database or retention policy was dropped";

/// A data group's state.
#[derive(Debug)]
pub(crate) struct DataState {
    store: Arc<ShardStore>,
    checksums: Arc<Checksums>,
    /// Held by the checksum that is being computed.
    computing: Arc<Semaphore>,
}

impl DataState {
    /// Opens the store.
    pub(crate) fn open(dir: &Path, shared: &Shared, checksums: Arc<Checksums>) -> Result<Self, StateError> {
        let store = Arc::new(ShardStore::open(dir, shared)?);
        Ok(Self { store, checksums, computing: Arc::new(Semaphore::new(1)) })
    }

    pub(crate) fn store(&self) -> Arc<ShardStore> {
        Arc::clone(&self.store)
    }

    /// Fixes the state here and reads it on a thread of its own: that decodes every point, and applying must go on. One at a
    /// time: where one takes longer than the pause to the next command, that one is left unanswered.
    fn checksum(&self, token: u64) -> Result<(), StateError> {
        let Ok(computing) = Arc::clone(&self.computing).try_acquire_owned() else {
            tracing::info!(token, "no checksum: an earlier one is still being computed");
            return Ok(());
        };
        let job = self.store.begin_checksum()?;
        let checksums = Arc::clone(&self.checksums);
        blocking::detach("checksum", move || {
            match job.run() {
                Ok(sum) => checksums.insert(token, ChecksumAt { index: sum.index, value: sum.value }),
                Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "checksum failed"),
            }
            drop(computing);
        });
        Ok(())
    }
}

impl GroupState for DataState {
    fn applied(&self) -> ApplyMarker {
        self.store.applied()
    }

    fn durable(&self) -> ApplyMarker {
        self.store.durable()
    }

    fn apply(&self, command: &Bytes, marker: ApplyMarker) -> Result<Outcome, StateError> {
        let command = DataCommand::decode(command)
            .map_err(|source| StateError::Command { index: marker.index, source })?;
        match command {
            DataCommand::Write(_) if bugs::is(Bug::ClockInApply) && !simulation::is_even_hour() => {
                self.store.advance(marker)?;
            }
            DataCommand::Write(batch) => {
                if !self.store.apply_write(batch, marker)? {
                    return Ok(Outcome::Refused(DROPPED.to_owned()));
                }
            }
            DataCommand::DropDatabase(database, policies) => {
                self.store.drop_database(database, &policies, marker)?;
            }
            DataCommand::DropPolicy(policy) => self.store.drop_policy(policy, marker)?,
            DataCommand::DropBefore(policy, before) => self.store.drop_before(policy, before, marker)?,
            DataCommand::Delete(delete) => {
                let delete = Delete::decode(delete).map_err(CommandError::from);
                let index = marker.index;
                let delete = delete.map_err(|source| StateError::Command { index, source })?;
                self.store.delete(&delete, marker)?;
            }
            DataCommand::Checksum(token) => {
                self.store.advance(marker)?;
                self.checksum(token)?;
            }
        }
        Ok(Outcome::Done)
    }

    fn advance(&self, marker: ApplyMarker) -> Result<(), StateError> {
        Ok(self.store.advance(marker)?)
    }

    fn damage(&self) -> Option<String> {
        self.store.damage()
    }

    fn report_damage(&self, what: &str) {
        self.store.report_damage(what);
    }

    fn background_errors(&self) -> u64 {
        self.store.background_errors()
    }

    fn save_space(&self, save: bool) {
        self.store.save_space(save);
    }

    fn memory_bytes(&self) -> u64 {
        self.store.head_bytes()
    }

    fn holds_dropped(&self) -> bool {
        self.store.holds_dropped()
    }

    fn flush(&self) -> Result<ApplyMarker, StateError> {
        Ok(self.store.flush()?)
    }

    fn checkpoint(&self, target: &Path) -> Result<ApplyMarker, StateError> {
        Ok(self.store.checkpoint(target)?)
    }

    fn install(&self, received: &Path, index: u64) -> Result<ApplyMarker, StateError> {
        Ok(self.store.install(received, index)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command;
    use std::time::{Duration, Instant};
    use storage::StorageConfig;

    #[test]
    fn one_checksum_is_computed_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let shared = Shared::new(&StorageConfig::default()).unwrap();
        let checksums = Arc::new(Checksums::default());
        let state = DataState::open(&dir.path().join("state"), &shared, Arc::clone(&checksums)).unwrap();
        let at = |index| ApplyMarker { index, bytes: Vec::new() };
        let earlier = state.computing.try_acquire().unwrap();
        assert_eq!(state.apply(&command::checksum(7), at(1)).unwrap(), Outcome::Done);
        drop(earlier);
        state.apply(&command::checksum(8), at(2)).unwrap();
        let begun = Instant::now();
        while checksums.get(8).is_none() {
            assert!(begun.elapsed() < Duration::from_secs(20), "no checksum");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(checksums.get(8).map(|sum| sum.index), Some(2));
        assert_eq!((checksums.get(7), state.applied().index), (None, 2));
    }
}
