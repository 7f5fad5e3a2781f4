//! openraft's state machine of one group: takes committed entries to the group's state, and makes and installs its
//! snapshots.
//!
//! openraft calls it from its own tasks; everything that may touch the disk runs on the group's own thread
//! ([`worker`]) or on a blocking thread, so that a stall of the state database never delays a heartbeat or an
//! election. What an entry does is up to [`data`] and [`meta`]. Apply is a function of (state, entry): no clock, no
//! randomness, no configuration, no node id.

pub(crate) mod checksums;
pub(crate) mod data;
pub(crate) mod meta;
mod worker;

use crate::applied;
use crate::blocking;
use crate::codec::CodecError;
use crate::command::{CommandError, Outcome};
use crate::simulation;
use crate::snapshot::{SnapshotData, Snapshots};
use crate::type_config::{Entry, LogId, Payload, Reply, SnapshotMeta, StoredMembership, TypeConfig};
use bytes::Bytes;
use checksums::Checksums;
use futures::{Stream, StreamExt};
use model::GroupId;
use openraft::OptionalSend;
use openraft::storage::{ApplyResponder, EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use parking_lot::Mutex;
use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use storage::bugs::{self, Bug};
use storage::{ApplyMarker, Shared, StorageError};
use tokio::sync::watch;
use worker::Worker;

/// Entries handed to the apply thread at once, at most.
const APPLY_CHUNK: usize = 256;

/// Why the state can no longer follow the log. The group stops on this node.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    /// The disk failed, or damage was found.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The entry is of a later version, or damaged.
    #[error("entry {index} cannot be applied")]
    Command {
        /// Its log index.
        index: u64,
        /// Why.
        #[source]
        source: CommandError,
    },
    /// What the state says about itself is damaged.
    #[error("applied marker")]
    Marker(#[from] CodecError),
    /// The catalog on disk is damaged.
    #[error("catalog on disk")]
    Catalog(#[from] proto::DecodeError),
    /// The replica was closed meanwhile.
    #[error("the replica was closed")]
    Gone,
}

impl StateError {
    /// Whether the replica must be built again from another one.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::Storage(error) => error.is_damage(),
            Self::Marker(_) | Self::Catalog(_) => true,
            // What is in the log is the same everywhere; another replica would not help.
            Self::Command { .. } | Self::Gone => false,
        }
    }
}

/// The state of a group: points, or the catalog. Everything may block.
pub(crate) trait GroupState: Send + Sync + Debug + 'static {
    /// The marker of the last applied entry.
    fn applied(&self) -> ApplyMarker;

    /// The marker that a crash would go back to.
    fn durable(&self) -> ApplyMarker;

    /// Applies a command. `marker` describes the state after it and is kept with what it did.
    fn apply(&self, command: &Bytes, marker: ApplyMarker) -> Result<Outcome, StateError>;

    /// Notes that an entry without a command was passed.
    fn advance(&self, marker: ApplyMarker) -> Result<(), StateError>;

    /// The first damage found on disk since it was opened.
    fn damage(&self) -> Option<String>;

    /// Remembers damage that somebody else came upon.
    fn report_damage(&self, what: &str);

    /// Failed flushes and compactions since it was opened.
    fn background_errors(&self) -> u64;

    /// Stops what can wait, or lets it go on: the disk is nearly full.
    fn save_space(&self, save: bool);

    /// Bytes in memory that a flush would free.
    fn memory_bytes(&self) -> u64;

    /// Whether a flush would free room on the disk.
    fn holds_dropped(&self) -> bool;

    /// Makes everything applied durable.
    fn flush(&self) -> Result<ApplyMarker, StateError>;

    /// Flushes and copies the state into `target`, which does not exist; returns what the copy holds.
    fn checkpoint(&self, target: &Path) -> Result<ApplyMarker, StateError>;

    /// Replaces the state by the checkpoint in `received`, which must hold the applied index `index`.
    fn install(&self, received: &Path, index: u64) -> Result<ApplyMarker, StateError>;
}

/// What the state machine shares with the group it belongs to.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) group: GroupId,
    pub(crate) state: Arc<dyn GroupState>,
    pub(crate) snapshots: Snapshots,
    pub(crate) checksums: Arc<Checksums>,
    /// What all databases of the node share.
    pub(crate) shared: Shared,
    /// Index of the last applied entry.
    pub(crate) applied: watch::Sender<Option<u64>>,
    /// Bytes of commands applied since the last snapshot began.
    pub(crate) unsaved_bytes: AtomicU64,
    pub(crate) applied_commands: AtomicU64,
    pub(crate) applied_bytes: AtomicU64,
    /// For [`Bug::ApplyTwice`].
    last_applied: Mutex<Option<Entry>>,
    /// What the state is at; changed by the apply thread and by an install, which exclude each other.
    at: Mutex<SnapshotMeta>,
}

impl Replica {
    /// Takes over a state as it was found on disk.
    pub(crate) fn new(
        group: GroupId,
        state: Arc<dyn GroupState>,
        snapshots: Snapshots,
        checksums: Arc<Checksums>,
        shared: Shared,
    ) -> Result<Self, CodecError> {
        let at = applied::read(&state.applied())?;
        if at.last_log_id.is_some() {
            // What was opened is durable, and so a snapshot already.
            snapshots.keep(&at);
        }
        let (applied, _) = watch::channel(at.last_log_id.map(|log_id| log_id.index));
        Ok(Self {
            group,
            state,
            snapshots,
            checksums,
            shared,
            applied,
            unsaved_bytes: AtomicU64::new(0),
            applied_commands: AtomicU64::new(0),
            applied_bytes: AtomicU64::new(0),
            last_applied: Mutex::new(None),
            at: Mutex::new(at),
        })
    }

    /// Index that a crash would go back to.
    pub(crate) fn durable(&self) -> Option<u64> {
        let marker = self.state.durable();
        (!marker.bytes.is_empty()).then_some(marker.index)
    }

    fn apply_all(&self, entries: Vec<EntryResponder<TypeConfig>>) -> Result<(), StateError> {
        let mut at = self.at.lock();
        for (entry, responder) in entries {
            let index = entry.log_id.index;
            let again = bugs::is(Bug::ApplyTwice).then(|| entry.clone());
            simulation::applied(|| self.seen(&entry));
            let reply = self.note(self.apply_one(&mut at, entry))?;
            if let Some(last) = again.and_then(|entry| self.last_applied.lock().replace(entry)) {
                let now = at.clone();
                self.note(self.apply_one(&mut at, last))?;
                *at = now;
            }
            self.applied.send_replace(Some(index));
            if let Some(responder) = responder {
                ApplyResponder::send(responder, reply);
            }
        }
        Ok(())
    }

    fn apply_one(&self, at: &mut SnapshotMeta, entry: Entry) -> Result<Reply, StateError> {
        at.last_log_id = Some(entry.log_id);
        match entry.payload {
            Payload::Blank => {
                self.state.advance(applied::marker(at))?;
                Ok(Reply::default())
            }
            Payload::Membership(membership) => {
                at.last_membership = StoredMembership::new(Some(entry.log_id), membership);
                self.state.advance(applied::marker(at))?;
                Ok(Reply::default())
            }
            Payload::Normal(command) => {
                let outcome = self.state.apply(&command.0, applied::marker(at))?;
                let bytes = command.0.len() as u64;
                self.unsaved_bytes.fetch_add(bytes, Ordering::Relaxed);
                self.applied_bytes.fetch_add(bytes, Ordering::Relaxed);
                self.applied_commands.fetch_add(1, Ordering::Relaxed);
                Ok(outcome.encode())
            }
        }
    }

    /// What a simulation is told of an entry.
    fn seen(&self, entry: &Entry) -> (GroupId, u64, u64, Bytes) {
        let command = match &entry.payload {
            Payload::Normal(command) => command.0.clone(),
            Payload::Blank | Payload::Membership(_) => Bytes::new(),
        };
        (self.group, entry.log_id.leader_id.term, entry.log_id.index, command)
    }

    /// Flushes; what is durable then is the current snapshot. May block.
    fn build(&self) -> Result<SnapshotOf, StateError> {
        self.unsaved_bytes.store(0, Ordering::Relaxed);
        let flush =
            || if bugs::is(Bug::PurgeBeforeFlush) { Ok(self.state.applied()) } else { self.state.flush() };
        let marker = self.note(flush())?;
        let meta = applied::read(&marker)?;
        self.snapshots.keep(&meta);
        Ok(self.snapshots.of(&self.state, meta))
    }

    /// The current snapshot, if anything is durable.
    pub(crate) fn snapshot(&self) -> Option<SnapshotOf> {
        Some(self.snapshots.of(&self.state, self.snapshots.current()?))
    }

    /// The files of the state, as it is when they are linked.
    pub(crate) fn files(&self) -> SnapshotData {
        self.snapshots.files(&self.state)
    }

    fn install(&self, meta: &SnapshotMeta, received: &Path) -> Result<(), StateError> {
        let mut at = self.at.lock();
        let index = meta.last_log_id.map_or(0, |log_id| log_id.index);
        if bugs::is(Bug::OldStateStays) {
            *at = meta.clone();
        } else {
            let marker = self.note(self.state.install(received, index))?;
            *at = applied::read(&marker)?;
        }
        self.snapshots.keep(&at);
        self.unsaved_bytes.store(0, Ordering::Relaxed);
        self.applied.send_replace(at.last_log_id.map(|log_id| log_id.index));
        Ok(())
    }

    /// Remembers damage that a call came upon.
    fn note<T>(&self, result: Result<T, StateError>) -> Result<T, StateError> {
        result.inspect_err(|error| {
            if error.is_damage() {
                self.state.report_damage(&error.to_string());
            }
        })
    }
}

/// What openraft drives. One per group, owned by openraft's task.
#[derive(Debug)]
pub(crate) struct StateMachine {
    replica: Arc<Replica>,
    worker: Worker,
}

impl StateMachine {
    /// Starts the apply thread.
    pub(crate) fn start(replica: Arc<Replica>) -> io::Result<Self> {
        let worker = Worker::start(&format!("apply-{}", replica.group))?;
        Ok(Self { replica, worker })
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        let at = self.replica.at.lock();
        Ok((at.last_log_id, at.last_membership.clone()))
    }

    async fn apply<Strm>(&mut self, entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        let mut chunks = entries.ready_chunks(APPLY_CHUNK);
        while let Some(chunk) = chunks.next().await {
            let entries = chunk.into_iter().collect::<Result<Vec<_>, _>>()?;
            let replica = Arc::clone(&self.replica);
            self.worker.run(move || replica.apply_all(entries)).await?.map_err(io::Error::other)?;
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder { replica: Arc::clone(&self.replica) }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: SnapshotData,
    ) -> Result<(), io::Error> {
        let SnapshotData::Received(files) = snapshot else {
            // It is this replica's own, so there is nothing to install.
            return Ok(());
        };
        let (replica, meta) = (Arc::clone(&self.replica), meta.clone());
        self.worker.run(move || replica.install(&meta, &files)).await?.map_err(io::Error::other)
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<SnapshotOf>, io::Error> {
        Ok(self.replica.snapshot())
    }
}

/// A snapshot as openraft hands it around.
pub(crate) type SnapshotOf = openraft::alias::SnapshotOf<TypeConfig, SnapshotData>;

/// Builds one snapshot, beside the apply thread: the store excludes applying while it flushes.
#[derive(Debug)]
pub(crate) struct SnapshotBuilder {
    replica: Arc<Replica>,
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> Result<SnapshotOf, io::Error> {
        let replica = Arc::clone(&self.replica);
        let built = blocking::run(move || replica.build()).await;
        built.map_err(io::Error::other)?.map_err(io::Error::other)
    }
}
