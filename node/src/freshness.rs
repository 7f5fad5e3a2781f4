//! How fresh is what a statement reads: read barriers before it, and what becomes of groups that give none.

use crate::coordinator::NodeCoordinator;
use crate::replicas::is_read_here;
use api::coordinator::{Consistency, ExecuteError, Reading, StaleCause, Staleness};
use raft::{BarrierError, Group, Role};
use std::time::Duration;
use tokio::time::Instant;

/// How long a statement that may be stale waits for a group that has had no leader for longer than an election takes. One
/// that comes back meanwhile is noticed by the next statement.
const LOST_PATIENCE: Duration = Duration::from_millis(300);

impl NodeCoordinator {
    /// Makes the local replicas as fresh as the request wants them. Answers how old they may be if that is not known to be
    /// "not at all".
    ///
    /// # Errors
    ///
    /// [`ExecuteError::Unavailable`] when a group is not fresh enough.
    pub(crate) async fn freshen(
        &self,
        reading: Reading,
        deadline: Instant,
    ) -> Result<Option<Staleness>, ExecuteError> {
        let here = || self.host.groups().into_iter().filter(|group| is_read_here(group));
        let ages = || here().map(|group| age(&group, StaleCause::AskedFor));
        if reading.consistency == Some(Consistency::Stale) && ages().all(|stale| is_welcome(stale, reading)) {
            return Ok(ages().reduce(Staleness::or));
        }
        // What is too old to be read as it is may be current a moment later.
        self.barriers(reading, deadline).await
    }

    /// Whether a group here has had no leader for longer than an election takes: reads have waited for one already.
    fn has_lost_a_quorum(&self) -> bool {
        self.host.groups().into_iter().filter(|group| is_read_here(group)).any(|group| {
            let long = self.limits.barrier_timeout;
            // Nearly always it ends here: a status costs more.
            if group.unconfirmed_for() < Some(long) {
                return false;
            }
            let status = group.status();
            let heard =
                if status.role == Role::Leader { status.since_quorum_ack } else { status.since_leader };
            heard.is_none_or(|since| since >= long)
        })
    }

    /// Waits until the local replica of every group has all that was acknowledged before now.
    async fn barriers(&self, reading: Reading, deadline: Instant) -> Result<Option<Staleness>, ExecuteError> {
        let (allowed, cause) = match reading.consistency {
            None => (self.limits.stale_reads, StaleCause::NoQuorum),
            Some(Consistency::Strong | Consistency::Lease) => (false, StaleCause::NoQuorum),
            Some(Consistency::Stale) => (true, StaleCause::AskedFor),
        };
        let patience =
            if allowed && self.has_lost_a_quorum() { LOST_PATIENCE } else { self.limits.barrier_timeout };
        let barrier_deadline = deadline.min(Instant::now() + patience);
        let mut stale: Option<Staleness> = None;
        for (group, outcome) in self.host.read_barriers(barrier_deadline).await {
            let error = match outcome {
                Ok(()) => continue,
                Err(BarrierError::Stopped { .. }) => {
                    return Err(ExecuteError::Unavailable("this node is stopping".to_owned()));
                }
                Err(error) => error,
            };
            let found = age(&group, cause);
            if !allowed {
                return Err(ExecuteError::Unavailable(format!("group {}: {error}", group.id())));
            }
            if !is_welcome(found, reading) {
                return Err(too_old(&group, found, reading));
            }
            tracing::warn!(group = %group.id(), %error, "reading without a quorum");
            stale = Some(stale.map_or(found, |before| before.or(found)));
        }
        Ok(stale)
    }
}

fn age(group: &Group, cause: StaleCause) -> Staleness {
    let raft::Staleness { age, at_least } = group.staleness();
    Staleness { age, at_least, cause }
}

/// Whether an answer so old is what the request wants.
pub(crate) fn is_welcome(stale: Staleness, reading: Reading) -> bool {
    reading.max_staleness.is_none_or(|max| !stale.at_least && stale.age <= max)
}

pub(crate) fn too_old(group: &Group, found: Staleness, reading: Reading) -> ExecuteError {
    let at_least = if found.at_least { "at least " } else { "" };
    let (age, max) = (found.age.as_millis(), reading.max_staleness.unwrap_or_default().as_millis());
    let text = format!(
        "group {} has no quorum and its data is {at_least}{age} ms old; max_staleness is {max} ms",
        group.id()
    );
    ExecuteError::Unavailable(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_wanted_is_no_answer() {
        let stale = |ms, at_least| {
            let age = Duration::from_millis(ms);
            Staleness { age, at_least, cause: StaleCause::NoQuorum }
        };
        let max = |ms| Reading { max_staleness: Some(Duration::from_millis(ms)), ..Reading::default() };
        assert!(is_welcome(stale(500, false), max(500)));
        assert!(!is_welcome(stale(501, false), max(500)));
        assert!(!is_welcome(stale(1, true), max(500)), "it may be older");
        assert!(is_welcome(stale(u64::MAX, true), Reading::default()));
    }
}
