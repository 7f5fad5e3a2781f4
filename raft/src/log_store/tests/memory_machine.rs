//! The smallest state machine openraft accepts: it counts the commands and remembers where it is. For tests of the log,
//! which must not depend on what is done with it.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use parking_lot::Mutex;

use crate::type_config::{LogId, Reply, SnapshotMeta, StoredMembership, TypeConfig};

/// What a snapshot of this machine is: its description says it all.
pub(super) type Snapshot = openraft::alias::SnapshotOf<TypeConfig, ()>;

/// Clones share one state.
#[derive(Debug, Clone, Default)]
pub(super) struct MemoryMachine(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    applied: SnapshotMeta,
    commands: usize,
    snapshot: Option<SnapshotMeta>,
}

impl MemoryMachine {
    /// Commands applied so far.
    pub(super) fn commands(&self) -> usize {
        self.0.lock().commands
    }
}

impl RaftStateMachine<TypeConfig> for MemoryMachine {
    type SnapshotData = ();
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        let state = self.0.lock();
        Ok((state.applied.last_log_id, state.applied.last_membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let mut state = self.0.lock();
            state.applied.last_log_id = Some(entry.log_id);
            match entry.payload {
                EntryPayload::Blank => {}
                EntryPayload::Normal(_) => state.commands += 1,
                EntryPayload::Membership(membership) => {
                    state.applied.last_membership = StoredMembership::new(Some(entry.log_id), membership);
                }
            }
            if let Some(responder) = responder {
                responder.send(Reply(Bytes::new()));
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, (): ()) -> io::Result<()> {
        let mut state = self.0.lock();
        state.applied = meta.clone();
        state.snapshot = Some(meta.clone());
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        let meta = self.0.lock().snapshot.clone();
        Ok(meta.map(|meta| Snapshot { meta, snapshot: () }))
    }
}

impl RaftSnapshotBuilder<TypeConfig> for MemoryMachine {
    type SnapshotData = ();

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let mut state = self.0.lock();
        let meta = state.applied.clone();
        state.snapshot = Some(meta.clone());
        Ok(Snapshot { meta, snapshot: () })
    }
}
