//! How old a replica may be that is read without a barrier.
//!
//! A follower was current at the moment when the leader told it of a commit index that it has applied by now. To hear from
//! a leader is not enough: who catches up hears heartbeats all the time.

use super::{Group, Role};
use std::time::Duration;
use tokio::time::Instant;

/// How old what a replica holds may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Staleness {
    /// Everything that was acknowledged so long ago is there.
    pub age: Duration,
    /// The replica has not been known to be current since it was opened, so it may be older still.
    pub at_least: bool,
}

/// What a replica knows of the time when it was current.
#[derive(Debug, Default)]
pub(super) struct Current {
    as_of: Option<Instant>,
    /// What a leader had committed at a moment, until that is applied.
    told: Option<(Option<u64>, Instant)>,
}

impl Current {
    fn told(&mut self, committed: Option<u64>, at: Instant, applied: Option<u64>) {
        self.settle(applied);
        // The earlier word is the one that is reached first.
        self.told.get_or_insert((committed, at));
        self.settle(applied);
    }

    fn settle(&mut self, applied: Option<u64>) {
        if let Some((_, at)) = self.told.take_if(|(committed, _)| applied >= *committed) {
            self.as_of = Some(at);
        }
    }
}

impl Group {
    /// Notes that a leader's append or heartbeat was accepted, which came at this moment with what the leader had
    /// committed.
    pub(crate) fn heard_from_leader(&self, committed: Option<u64>, at: Instant) {
        // When it came, not when it was on the disk: the leader counts from then.
        let mut heard = self.heard.lock();
        *heard = Some(heard.map_or(at, |last| last.max(at)));
        drop(heard);
        if let Some(core) = self.core() {
            let applied = *core.replica.applied.borrow();
            self.current.lock().told(committed, at, applied);
        }
    }

    /// How long no leader could confirm that it has a quorum, as far as reads asked for it here. Cheap.
    pub fn unconfirmed_for(&self) -> Option<Duration> {
        self.unconfirmed.lock().map(|at| at.elapsed())
    }

    /// How old a read without a barrier may be.
    pub fn staleness(&self) -> Staleness {
        let status = self.status();
        let known = if status.role == Role::Leader {
            status.since_quorum_ack
        } else {
            let mut current = self.current.lock();
            current.settle(status.applied);
            current.as_of.map(|at| at.elapsed())
        };
        // A leader without a quorum may still be heard, but what it says is not the latest.
        let age = known.unwrap_or(status.since_start).max(status.unconfirmed_for.unwrap_or_default());
        Staleness { age, at_least: known.is_none() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_was_current_when_it_was_told_of_what_it_has_applied_by_now() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut current = Current::default();
        current.told(Some(10), at(1), Some(4));
        assert_eq!(current.as_of, None, "it catches up");
        current.told(Some(20), at(2), Some(9));
        assert_eq!(current.as_of, None);
        current.told(Some(30), at(3), Some(12));
        assert_eq!(current.as_of, Some(at(1)));
        current.settle(Some(29));
        assert_eq!(current.as_of, Some(at(1)));
        current.settle(Some(30));
        assert_eq!(current.as_of, Some(at(3)));
        current.told(Some(30), at(4), Some(30));
        assert_eq!(current.as_of, Some(at(4)), "a heartbeat with nothing new");
        let mut empty = Current::default();
        empty.told(None, at(1), None);
        assert_eq!(empty.as_of, Some(at(1)), "nothing was ever committed");
    }
}
