//! What the admin API says about the nodes and groups.

use super::Cluster;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Group → index of the node that leads it.
pub type Leaders = BTreeMap<u64, usize>;

/// Longest time a cluster may take to have a leader for every group and all replicas caught up.
const SETTLED_TIMEOUT: Duration = Duration::from_secs(60);
/// A replica that has this many entries less than its leader counts as caught up: under load it never has all.
const LAG_ENTRIES_MAX: u64 = 20;

impl Cluster {
    /// `GET /admin/v1/cluster` of one node; `None` when it gives no answer.
    pub fn status(&self, node: usize) -> Option<Value> {
        let mut admin = self.admin(node).with_timeout(Duration::from_secs(5));
        admin.get("/admin/v1/cluster").ok().filter(|answer| answer.status == 200).map(|answer| answer.json())
    }

    /// The status as some running node tells it.
    fn any_status(&self) -> Option<Value> {
        (0..self.size()).filter(|node| self.is_running(*node)).find_map(|node| self.status(node))
    }

    /// Which node leads which group; `None` unless every group has a leader.
    pub fn leaders(&self) -> Option<Leaders> {
        let status = self.any_status()?;
        let leader = |group: &Value| Some((group["id"].as_u64()?, self.index_of(&status, &group["leader"])?));
        status["groups"].as_array().filter(|groups| !groups.is_empty())?.iter().map(leader).collect()
    }

    /// The index of the node with this id.
    fn index_of(&self, status: &Value, id: &Value) -> Option<usize> {
        let node = status["nodes"].as_array()?.iter().find(|node| node["id"] == *id)?;
        self.addresses().iter().position(|address| node["http"] == **address)
    }

    /// The node that leads most groups. Waits until every group has a leader.
    pub fn busiest_leader(&self) -> usize {
        let mut busiest = None;
        self.wait("every group has a leader", || {
            let Some(leaders) = self.leaders() else { return false };
            let led = |node: &usize| leaders.values().filter(|leader| *leader == node).count();
            busiest = (0..self.size()).max_by_key(led);
            busiest.is_some()
        });
        busiest.unwrap_or(0)
    }

    /// Waits until every group has a leader and every node's replica has what the leader has. Only then may the next
    /// node fail: two of three at once are no minority.
    #[track_caller]
    pub fn wait_caught_up(&self) {
        self.wait("all replicas caught up", || {
            let Some(status) = self.any_status() else { return false };
            let caught_up = |group: &Value| {
                let replicas = group["replicas"].as_array().map(Vec::as_slice).unwrap_or_default();
                let close =
                    |replica: &Value| replica["lag"].as_u64().is_some_and(|lag| lag <= LAG_ENTRIES_MAX);
                group["leader"].is_u64() && replicas.len() == self.size() && replicas.iter().all(close)
            };
            status["groups"]
                .as_array()
                .is_some_and(|groups| !groups.is_empty() && groups.iter().all(caught_up))
        });
    }

    #[track_caller]
    fn wait(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + SETTLED_TIMEOUT;
        while !condition() {
            let status = || self.any_status().map(|status| status["groups"].to_string());
            assert!(Instant::now() < deadline, "waited {SETTLED_TIMEOUT:?}: {what}: {:?}", status());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Computes the checksum of every group on every node, each at one log index, and panics unless the replicas are
    /// equal and none is missing.
    #[track_caller]
    pub fn assert_equal_checksums(&self) {
        let answer = self.admin(0).with_timeout(SETTLED_TIMEOUT).post("/admin/v1/checksum", b"");
        let json = answer.as_ref().map(super::Response::json).unwrap_or_default();
        let complete = |group: &Value| {
            let replicas = group["replicas"].as_array().map(Vec::as_slice).unwrap_or_default();
            let same = |replica: &Value| {
                replica["checksum"].is_string() && replica["checksum"] == replicas[0]["checksum"]
            };
            replicas.len() == self.size() && replicas.iter().all(same)
        };
        let groups = json["groups"].as_array().map(Vec::as_slice).unwrap_or_default();
        let wrong: Vec<String> =
            groups.iter().filter(|group| !complete(group)).map(Value::to_string).collect();
        assert!(!groups.is_empty() && wrong.is_empty(), "replicas differ: {answer:?}\n{}", wrong.join("\n"));
    }

    /// A number of a node's replicas by group, such as `last_log` or `purged`; groups that have none are left out.
    pub fn replica_numbers(&self, node: usize, key: &str) -> BTreeMap<u64, u64> {
        let Some(status) = self.any_status() else { return BTreeMap::new() };
        let groups = status["groups"].as_array().map(Vec::as_slice).unwrap_or_default();
        let number = |group: &Value| {
            let mut replicas = group["replicas"].as_array()?.iter();
            let own = replicas.find(|replica| self.index_of(&status, &replica["node"]) == Some(node))?;
            Some((group["id"].as_u64()?, own[key].as_u64()?))
        };
        groups.iter().filter_map(number).collect()
    }

    /// The sum of a metric of one node over all its labels.
    pub fn metric(&self, node: usize, name: &str) -> f64 {
        self.sum_of_metric(node, name, |_| true)
    }

    /// A metric of one group of a node; 0 if there is none.
    pub fn metric_of_group(&self, node: usize, name: &str, group: u64) -> f64 {
        let label = format!("{{group=\"{group}\"}}");
        self.sum_of_metric(node, name, |labels| labels == label)
    }

    /// A metric of a node with exactly these labels, braces included; 0 if there is none.
    pub fn metric_with(&self, node: usize, name: &str, labels: &str) -> f64 {
        self.sum_of_metric(node, name, |found| found == labels)
    }

    fn sum_of_metric(&self, node: usize, name: &str, wanted: impl Fn(&str) -> bool) -> f64 {
        let text = self.admin(node).get("/metrics").map(|answer| answer.text()).unwrap_or_default();
        let value = |line: &str| {
            let (labels, value) = line.strip_prefix(name)?.rsplit_once(' ')?;
            let is_whole_name = labels.is_empty() || labels.starts_with('{');
            value.parse::<f64>().ok().filter(|_| is_whole_name && wanted(labels))
        };
        text.lines().filter_map(value).sum()
    }
}
