//! What happened in a group on this node, counted since the start. `node` renders it for Prometheus.

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
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    submitted: AtomicU64,
    forwarded: AtomicU64,
    retried: AtomicU64,
    timed_out: AtomicU64,
    barriers: AtomicU64,
    barrier_rounds: AtomicU64,
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
    barrier => barriers, barrier_round => barrier_rounds
}

impl Counters {
    pub(crate) fn read(&self, replica: &Replica) -> GroupCounters {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        GroupCounters {
            submitted: get(&self.submitted),
            forwarded: get(&self.forwarded),
            retried: get(&self.retried),
            timed_out: get(&self.timed_out),
            barriers: get(&self.barriers),
            barrier_rounds: get(&self.barrier_rounds),
            applied_commands: get(&replica.applied_commands),
            applied_bytes: get(&replica.applied_bytes),
        }
    }
}
