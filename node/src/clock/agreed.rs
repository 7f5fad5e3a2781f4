//! The time that a majority of the nodes agrees on: the middle one of their clocks.
//!
//! A machine's clock can jump by a year. If the node that leads a group dropped by it what is too old, everything would be
//! gone; if it stamped points by it, nobody would find them. So every node asks the others what time it is, and goes by
//! its own clock only as long as that is near the middle one.

use crate::coordinator::NodeCoordinator;
use futures::future::join_all;
use model::{Clock, NodeId};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often the others are asked.
const ASK: Duration = Duration::from_secs(2);
/// How long a node may take to tell the time.
const ASK_MAX: Duration = Duration::from_secs(1);
/// How long what was agreed on is good without being agreed on again.
const VALID: Duration = Duration::from_secs(60);
/// How far from the middle an own clock is still trusted. What is nearer is a matter of the network's delays.
const TRUSTED_NS: u64 = 2_000_000_000;

/// A node's own clock, as long as it is right by those of the others; else the middle of them all.
#[derive(Debug)]
pub(crate) struct ClusterClock {
    own: Arc<dyn Clock>,
    agreed: Mutex<Option<Agreed>>,
    ahead_ns: AtomicI64,
}

/// What time it was at a moment.
#[derive(Debug, Clone, Copy)]
struct Agreed {
    at: Instant,
    time_ns: i64,
}

impl Agreed {
    /// What time it is by this at `moment`, `None` if it was too long ago.
    fn at(self, moment: Instant) -> Option<i64> {
        let since = moment.saturating_duration_since(self.at);
        let since_ns = i64::try_from(since.as_nanos()).ok()?;
        (since <= VALID).then(|| self.time_ns.saturating_add(since_ns))
    }
}

impl ClusterClock {
    pub(crate) fn new(own: Arc<dyn Clock>) -> Self {
        Self { own, agreed: Mutex::new(None), ahead_ns: AtomicI64::new(0) }
    }

    /// The time by the agreement of a majority not long ago; `None` without one. What cannot be taken back goes by this.
    pub(crate) fn agreed_ns(&self) -> Option<i64> {
        self.agreed_at(Instant::now())
    }

    fn agreed_at(&self, moment: Instant) -> Option<i64> {
        let agreed = (*self.agreed.lock())?.at(moment)?;
        let own = self.own.now_ns();
        Some(if own.abs_diff(agreed) <= TRUSTED_NS { own } else { agreed })
    }

    /// The agreed time, or without an agreement what the own clock says.
    pub(crate) fn now_ns(&self) -> i64 {
        self.agreed_ns().unwrap_or_else(|| self.own.now_ns())
    }

    /// How far the own clock was ahead of the middle one when that was last known, ns.
    pub(crate) fn ahead_ns(&self) -> i64 {
        self.ahead_ns.load(Ordering::Relaxed)
    }

    /// Takes in the offsets of other clocks from this node's, in ns, as far as they were told, of a cluster of so many
    /// nodes.
    fn learn(&self, mut offsets: Vec<i64>, nodes: usize) {
        offsets.push(0);
        if offsets.len() * 2 <= nodes {
            return;
        }
        offsets.sort_unstable();
        // Of two in the middle the earlier one: dropping late does no harm.
        let middle = offsets[(offsets.len() - 1) / 2];
        let time_ns = self.own.now_ns().saturating_add(middle);
        *self.agreed.lock() = Some(Agreed { at: Instant::now(), time_ns });
        let before = self.ahead_ns.swap(middle.saturating_neg(), Ordering::Relaxed);
        let (was_wrong, is_wrong) = (is_far(before), is_far(middle));
        if is_wrong != was_wrong {
            let ahead_s = middle.saturating_neg() as f64 / 1e9;
            if is_wrong {
                tracing::error!(
                    ahead_s,
                    "this node's clock is wrong by those of the others; going by theirs"
                );
            } else {
                tracing::info!(ahead_s, "this node's clock is right again");
            }
        }
    }
}

/// Whether a clock that is so far off is not to be trusted. Any number may have been told.
fn is_far(offset_ns: i64) -> bool {
    offset_ns.unsigned_abs() > TRUSTED_NS
}

/// Asks the other nodes for the time, as long as the node runs.
pub(crate) async fn agree(node: Arc<NodeCoordinator>) {
    loop {
        let catalog = node.host.catalog();
        let others = catalog.nodes.keys().filter(|id| **id != node.host.node());
        let asked = join_all(others.map(|id| offset(&node, *id))).await;
        // A catalog that is not known yet names nobody, and agrees with nobody.
        let nodes = if catalog.nodes.is_empty() { usize::MAX / 2 } else { catalog.nodes.len() };
        node.clock.learn(asked.into_iter().flatten().collect(), nodes);
        sleep(ASK).await;
    }
}

/// How far another node's clock is ahead of this one's, ns.
async fn offset(node: &NodeCoordinator, other: NodeId) -> Option<i64> {
    let asked_ns = node.clock.own.now_ns();
    let asked = Instant::now();
    let told = node.host.peer_node_state(other, ASK_MAX).await.ok()?.clock_ns?;
    // It answered somewhere between; the middle is wrong by half of it at most.
    let half_ns = (asked.elapsed() / 2).as_nanos() as i64;
    Some(told.saturating_sub(asked_ns.saturating_add(half_ns)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::clock::FixedClock;

    const SECOND: i64 = 1_000_000_000;
    const YEAR: i64 = 365 * 86_400 * SECOND;
    const OWN: i64 = 1_700_000_000 * SECOND;

    fn after(offsets: &[i64], nodes: usize) -> ClusterClock {
        let clock = ClusterClock::new(Arc::new(FixedClock(OWN)));
        clock.learn(offsets.to_vec(), nodes);
        clock
    }

    /// What was agreed on, at the moment it was.
    fn agreed(offsets: &[i64], nodes: usize) -> Option<i64> {
        let clock = after(offsets, nodes);
        let moment = clock.agreed.lock().map(|agreed| agreed.at)?;
        clock.agreed_at(moment)
    }

    #[test]
    fn a_clock_that_jumped_is_outvoted() {
        // Mine is a year behind those of the two others, or one of theirs is ahead of the rest.
        assert_eq!(agreed(&[YEAR, YEAR + 7], 3), Some(OWN + YEAR));
        assert_eq!(agreed(&[YEAR, 5], 3), Some(OWN));
        assert_eq!(agreed(&[-YEAR, 5], 3), Some(OWN));
        assert_eq!(after(&[YEAR, YEAR + 7], 3).ahead_ns(), -YEAR);
        // Nonsense is no panic.
        assert!(after(&[i64::MIN, i64::MIN], 3).agreed_ns().is_some());
        // Two of three: the earlier one.
        assert_eq!(agreed(&[YEAR], 3), Some(OWN));
        assert_eq!(agreed(&[-YEAR], 3), Some(OWN - YEAR));
    }

    #[test]
    fn without_a_majority_nothing_is_agreed_and_the_own_clock_goes_on() {
        let alone = after(&[], 3);
        assert_eq!((alone.agreed_ns(), alone.now_ns()), (None, OWN));
        assert_eq!(agreed(&[], 1), Some(OWN));
        assert_eq!(agreed(&[0], 4), None);
    }

    #[test]
    fn what_was_agreed_goes_on_for_a_while() {
        let clock = after(&[YEAR, YEAR], 3);
        let learned = clock.agreed.lock().unwrap().at;
        let later = |seconds: u64| clock.agreed_at(learned + Duration::from_secs(seconds));
        assert_eq!(later(10), Some(OWN + YEAR + 10 * SECOND));
        assert_eq!(later(61), None);
    }
}
