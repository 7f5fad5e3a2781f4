//! The proof that replicas are equal, all the time: one group after the other computes the checksum of every replica at
//! one log index. A replica that differs from the majority is taken out of service and rebuilt.
//!
//! The leader of a group asks; each group's turn comes once an interval, spread evenly, so that no node ever computes more
//! than a few at once. Who is told that it differs compares for itself before it believes it.

use super::RaftHost;
use crate::error::PeerError;
use crate::group::{Group, ReplicaChecksum};
use crate::state_machine::checksums::ChecksumAt;
use futures::future::join_all;
use hashbrown::HashMap;
use model::{GroupId, NodeId};
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long replicas may take to compute. One that is behind, or away, is proven another time.
const COMPUTE_MAX: Duration = Duration::from_secs(60);
/// How long a replica may take to hear that it differs.
const TELL_MAX: Duration = Duration::from_secs(5);
/// Shortest pause between two groups.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// Runs as long as the host does, if there is an interval.
pub(crate) async fn run(host: Weak<RaftHost>, interval: Duration) {
    if interval.is_zero() {
        return;
    }
    let mut tried: HashMap<GroupId, Instant> = HashMap::new();
    loop {
        let Some(groups) = host.upgrade().map(|host| host.groups.len() as u32) else { return };
        sleep((interval / groups.max(1)).max(PAUSE_MIN)).await;
        let Some(host) = host.upgrade().filter(|host| !host.is_stopping()) else { return };
        let led = host.groups.values().filter(|group| group.is_leader() && !group.id().is_meta());
        // The one that was tried the longest ago: one that cannot be proven now holds up no other.
        let Some(group) = led.min_by_key(|group| tried.get(&group.id()).copied()) else { continue };
        if tried.get(&group.id()).is_none_or(|at| at.elapsed() >= interval) {
            tried.insert(group.id(), Instant::now());
            prove(&Arc::clone(group)).await;
        }
    }
}

/// What the checksums of a group's replicas say.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// All have the same.
    Equal,
    /// Those that answered have the same.
    Incomplete,
    /// Most have this checksum, these have not.
    Odd(ChecksumAt, Vec<NodeId>),
    /// There is no majority for any.
    Split,
}

/// Computes and compares the checksums of one group.
async fn prove(group: &Arc<Group>) {
    let collected = match group.checksums_once(Instant::now() + COMPUTE_MAX).await {
        Ok(collected) => collected,
        Err(error) => {
            tracing::debug!(group = %group.id(), %error, "replicas not compared");
            return;
        }
    };
    match verdict(&collected.replicas) {
        Verdict::Equal => group.proven(),
        Verdict::Incomplete => {
            tracing::debug!(group = %group.id(), "some replicas were not compared");
        }
        Verdict::Split => {
            group.counts().mismatched();
            tracing::error!(
                group = %group.id(), replicas = ?collected.replicas,
                "replicas differ, and no majority says which are right"
            );
        }
        Verdict::Odd(right, odd) => {
            group.counts().mismatched();
            tracing::error!(
                group = %group.id(), nodes = ?odd, replicas = ?collected.replicas,
                "replicas differ from the majority and will be rebuilt"
            );
            let told = odd.iter().map(|node| group.tell_odd(*node, collected.token, right));
            for (node, told) in odd.iter().zip(join_all(told).await) {
                if let Err(error) = told {
                    // The next proof finds it again.
                    tracing::warn!(group = %group.id(), %node, %error, "replica not told that it differs");
                }
            }
        }
    }
}

fn verdict(replicas: &[ReplicaChecksum]) -> Verdict {
    // A command that was given twice is at two entries of the log; replicas that answer for different ones say nothing.
    let mut indexes = replicas.iter().filter_map(|replica| Some(replica.checksum.as_ref().ok()?.index));
    let first = indexes.next();
    if indexes.any(|index| Some(index) != first) {
        return Verdict::Incomplete;
    }
    let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
    for checksum in replicas.iter().filter_map(|replica| replica.checksum.as_ref().ok()) {
        *counts.entry(checksum.value).or_default() += 1;
    }
    let all = counts.values().sum::<usize>() == replicas.len();
    if counts.len() <= 1 {
        return if all { Verdict::Equal } else { Verdict::Incomplete };
    }
    // Of all replicas, not of those that answered: two of five against one are no proof.
    match counts.iter().find(|(_, count)| **count * 2 > replicas.len()) {
        None => Verdict::Split,
        Some((value, _)) => {
            let differs =
                |r: &&ReplicaChecksum| r.checksum.as_ref().is_ok_and(|checksum| checksum.value != *value);
            let right = ChecksumAt { index: first.unwrap_or_default(), value: *value };
            Verdict::Odd(right, replicas.iter().filter(differs).map(|replica| replica.node).collect())
        }
    }
}

impl Group {
    /// Tells a replica that most others had this checksum where it had another one.
    async fn tell_odd(&self, node: NodeId, token: u64, right: ChecksumAt) -> Result<(), PeerError> {
        if node == self.pool().node {
            self.differs(token, right);
            return Ok(());
        }
        let unknown = || PeerError::Refused { node, reason: "no member of the group".to_owned() };
        let address = self.address(node).ok_or_else(unknown)?;
        self.peer(node, &address).tell_odd(token, right, TELL_MAX).await
    }

    /// Takes this replica out of service if its checksum under the token, at the same entry, is not this one.
    pub(crate) fn differs(&self, token: u64, right: ChecksumAt) {
        let differs = |own: &ChecksumAt| own.index == right.index && own.value != right.value;
        let Some(own) = self.checksum(token).filter(differs) else { return };
        let found = format!(
            "checksum {:016x} at entry {}, most replicas have {:016x}",
            own.value, own.index, right.value
        );
        tracing::error!(group = %self.id(), found, "this replica differs from the others");
        self.report_damage(&found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replicas(values: &[u64]) -> Vec<ReplicaChecksum> {
        let replica = |(place, value): (usize, &u64)| {
            let node = NodeId(place as u64 + 1);
            let silent = || PeerError::Unreachable { node, reason: String::new() };
            let checksum = ChecksumAt { index: 9, value: *value };
            ReplicaChecksum { node, checksum: if *value == 0 { Err(silent()) } else { Ok(checksum) } }
        };
        values.iter().enumerate().map(replica).collect()
    }

    #[test]
    fn the_majority_of_all_replicas_decides() {
        let check = |values: &[u64]| verdict(&replicas(values));
        assert_eq!(check(&[7, 7, 7]), Verdict::Equal);
        assert_eq!(check(&[7]), Verdict::Equal);
        assert_eq!(check(&[7, 0, 7]), Verdict::Incomplete);
        assert_eq!(check(&[0, 0, 0]), Verdict::Incomplete);
        let right = ChecksumAt { index: 9, value: 7 };
        assert_eq!(check(&[7, 8, 7]), Verdict::Odd(right, vec![NodeId(2)]));
        assert_eq!(check(&[7, 8, 7, 9, 7]), Verdict::Odd(right, vec![NodeId(2), NodeId(4)]));
        assert_eq!(check(&[7, 8]), Verdict::Split);
        assert_eq!(check(&[7, 8, 9]), Verdict::Split);
        assert_eq!(check(&[7, 8, 0]), Verdict::Split);
        assert_eq!(check(&[7, 8, 7, 0, 0]), Verdict::Split, "two of five");
    }

    #[test]
    fn replicas_at_different_entries_are_not_compared() {
        let mut told = replicas(&[7, 8, 7]);
        told[1].checksum = Ok(ChecksumAt { index: 10, value: 8 });
        assert_eq!(verdict(&told), Verdict::Incomplete);
    }
}
