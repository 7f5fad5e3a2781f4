//! What happened in a group on this node, counted since the start. `node` renders it for Prometheus.

use crate::group::Core;
use crate::state_machine::Replica;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GroupCounters {
    /// Commands submitted on this node.
    pub submitted: u64,
    /// Attempts sent to another node.
    pub forwarded: u64,
    /// Attempts after the first one.
    pub retried: u64,
    /// Submissions that missed their deadline.
    pub timed_out: u64,
    /// Read barriers asked for on this node.
    pub barriers: u64,
    /// Rounds that answered them.
    pub barrier_rounds: u64,
    /// Commands applied to the local replica.
    pub applied_commands: u64,
    /// Bytes of these.
    pub applied_bytes: u64,
    /// How often the replica was opened again after a failure.
    pub reopened: u64,
    /// How often it was found damaged.
    pub damaged: u64,
    /// How often it was rebuilt from another node's.
    pub rebuilt: u64,
    /// How often this node, as the leader, found replicas that differ.
    pub mismatched: u64,
    /// Snapshots sent to the end.
    pub snapshots_sent: u64,
    /// Snapshots received to the end.
    pub snapshots_received: u64,
    /// Bytes of snapshots sent.
    pub snapshot_bytes_sent: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    submitted: AtomicU64,
    forwarded: AtomicU64,
    retried: AtomicU64,
    timed_out: AtomicU64,
    barriers: AtomicU64,
    barrier_rounds: AtomicU64,
    reopened: AtomicU64,
    damaged: AtomicU64,
    rebuilt: AtomicU64,
    mismatched: AtomicU64,
    snapshots_sent: AtomicU64,
    snapshots_received: AtomicU64,
    snapshot_bytes_sent: AtomicU64,
}

macro_rules! count {
    ($($name:ident => $counter:ident),*) => {
        impl Counters {
            $(pub(crate) fn $name(&self) {
                self.$counter.fetch_add(1, Ordering::Relaxed);
            })*
        }
    };
}

count! {
    submitted => submitted, forwarded => forwarded, retried => retried, timed_out => timed_out,
    barrier => barriers, barrier_round => barrier_rounds, reopened => reopened, damaged => damaged,
    rebuilt => rebuilt, mismatched => mismatched, snapshot_sent => snapshots_sent, snapshot_received => snapshots_received
}

impl Counters {
    pub(crate) fn sent_bytes(&self, bytes: u64) {
        self.snapshot_bytes_sent.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn read(&self, core: Option<&Core>) -> GroupCounters {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let applied = |read: fn(&Replica) -> &AtomicU64| core.map_or(0, |core| get(read(&core.replica)));
        GroupCounters {
            submitted: get(&self.submitted),
            forwarded: get(&self.forwarded),
            retried: get(&self.retried),
            timed_out: get(&self.timed_out),
            barriers: get(&self.barriers),
            barrier_rounds: get(&self.barrier_rounds),
            applied_commands: applied(|replica| &replica.applied_commands),
            applied_bytes: applied(|replica| &replica.applied_bytes),
            reopened: get(&self.reopened),
            damaged: get(&self.damaged),
            rebuilt: get(&self.rebuilt),
            mismatched: get(&self.mismatched),
            snapshots_sent: get(&self.snapshots_sent),
            snapshots_received: get(&self.snapshots_received),
            snapshot_bytes_sent: get(&self.snapshot_bytes_sent),
        }
    }
}
