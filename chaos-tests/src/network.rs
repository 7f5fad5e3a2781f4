//! A network of its own for a cluster: one namespace a node, joined by a bridge, whose links can be cut, in one direction too.
//!
//! Needs root and `ip` of iproute2. Packets that are cut off vanish silently, as they do behind a broken switch: their
//! sender addresses a machine that does not exist. Everything goes with the value that owns it; what a killed test left
//! behind is removed by the next one.

use std::process::Command;

/// The port of each service, the same on every node.
const HTTP: u16 = 8086;
const ADMIN: u16 = 8083;
const PEER: u16 = 8088;
/// Addresses of nodes are `10.77.PART.1` and on; that of the test itself ends with this.
const TEST_HOST: u8 = 254;
/// Nobody has it.
const NOBODY: &str = "02:00:00:00:00:ff";

/// The namespaces of one cluster.
#[derive(Debug)]
pub struct Network {
    name: String,
    part: u8,
    nodes: usize,
}

impl Network {
    /// Makes the network of so many nodes, or says why that cannot be done here.
    ///
    /// # Errors
    ///
    /// What `ip` said; without root it is not permitted.
    pub fn new(nodes: usize) -> Result<Self, String> {
        remove_left_behind();
        let pid = std::process::id();
        let network = Self { name: format!("sfn{pid}"), part: (pid % 200) as u8 + 1, nodes };
        network.build()?;
        Ok(network)
    }

    fn build(&self) -> Result<(), String> {
        let hub = self.hub();
        ip(&["netns", "add", &hub])?;
        ip(&["-n", &hub, "link", "add", "bridge", "type", "bridge"])?;
        ip(&["-n", &hub, "link", "set", "bridge", "up"])?;
        for node in 0..self.nodes {
            let (space, port) = (self.namespace(node), format!("node{node}"));
            ip(&["netns", "add", &space])?;
            ip(&["-n", &hub, "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &space])?;
            ip(&["-n", &hub, "link", "set", &port, "master", "bridge", "up"])?;
            ip(&["-n", &space, "addr", "add", &format!("{}/24", self.ip(node)), "dev", "eth0"])?;
            ip(&["-n", &space, "link", "set", "eth0", "up"])?;
            ip(&["-n", &space, "link", "set", "lo", "up"])?;
        }
        // The test talks to the nodes as a user would, from a machine beside them.
        let own = &self.name;
        ip(&["link", "add", own, "type", "veth", "peer", "name", "test", "netns", &hub])?;
        ip(&["-n", &hub, "link", "set", "test", "master", "bridge", "up"])?;
        ip(&["addr", "add", &format!("10.77.{}.{TEST_HOST}/24", self.part), "dev", own])?;
        ip(&["link", "set", own, "up"])
    }

    fn hub(&self) -> String {
        format!("{}-hub", self.name)
    }

    /// The namespace that a node runs in.
    pub(crate) fn namespace(&self, node: usize) -> String {
        format!("{}-{node}", self.name)
    }

    fn ip(&self, node: usize) -> String {
        format!("10.77.{}.{}", self.part, node + 1)
    }

    /// InfluxDB API, admin API and peers' address of a node.
    pub(crate) fn addresses(&self, node: usize) -> [String; 3] {
        [HTTP, ADMIN, PEER].map(|port| format!("{}:{port}", self.ip(node)))
    }

    /// From now on nothing that `from` sends arrives at `to`.
    pub fn cut(&self, from: usize, to: usize) {
        self.neighbour(from, to, &["lladdr", NOBODY, "nud", "permanent"], "replace");
    }

    /// From now on neither hears the other.
    pub fn cut_both(&self, a: usize, b: usize) {
        self.cut(a, b);
        self.cut(b, a);
    }

    /// Cuts a node off from all others; the test still reaches it.
    pub fn isolate(&self, node: usize) {
        for other in (0..self.nodes).filter(|other| *other != node) {
            self.cut_both(node, other);
        }
    }

    /// Everybody hears everybody again.
    pub fn heal(&self) {
        for from in 0..self.nodes {
            for to in (0..self.nodes).filter(|to| *to != from) {
                // One that was not cut has no such entry, or a right one, which is found again.
                let found = ip(&["-n", &self.namespace(from), "neigh", "del", &self.ip(to), "dev", "eth0"]);
                drop(found);
            }
        }
    }

    fn neighbour(&self, from: usize, to: usize, how: &[&str], verb: &str) {
        let (space, address) = (self.namespace(from), self.ip(to));
        let arguments = [&["-n", &space, "neigh", verb, &address], how, &["dev", "eth0"]].concat();
        let done = ip(&arguments);
        assert!(done.is_ok(), "{done:?}");
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Removes all namespaces with this prefix, and with them their links.
fn remove(name: &str) {
    let listed = Command::new("ip").args(["netns", "list"]).output().map(|output| output.stdout);
    let listed = String::from_utf8_lossy(&listed.unwrap_or_default()).into_owned();
    let spaces = listed.lines().filter_map(|line| line.split_whitespace().next());
    for space in spaces.filter(|space| space.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'))) {
        // Nothing can be done about one that does not go.
        drop(ip(&["netns", "del", space]));
    }
}

/// Removes the networks of tests that have ended without doing so.
fn remove_left_behind() {
    let listed = Command::new("ip").args(["netns", "list"]).output().map(|output| output.stdout);
    let listed = String::from_utf8_lossy(&listed.unwrap_or_default()).into_owned();
    let pid = |line: &str| line.strip_prefix("sfn")?.split_once('-')?.0.parse::<u32>().ok();
    let gone = |pid: &u32| !std::path::Path::new(&format!("/proc/{pid}")).exists();
    for pid in listed.lines().filter_map(pid).filter(gone) {
        remove(&format!("sfn{pid}"));
    }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(arguments).output().map_err(|error| format!("ip: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("ip {}: {}", arguments.join(" "), said.trim()))
}
