//! A cluster of `steadfast serve` processes on 127.0.0.1.

mod admin;
mod config;
mod members;

pub use admin::Leaders;
pub use members::Told;

use crate::binary::steadfast;
use crate::client::{Client, Response};
use crate::network::Network;
use crate::process::{Process, Signal};
use crate::report::say;
use crate::work_dir::WorkDir;
use rustls::ClientConfig;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest time a fresh or restarted cluster may take to serve.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// How a cluster is started.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Number of nodes.
    pub nodes: usize,
    /// Configuration beside addresses and directories: `section.key` and its TOML value.
    pub config: Vec<(&'static str, String)>,
    /// Environment variables of all nodes.
    pub environment: Vec<(String, String)>,
    /// The network that the nodes live in; without one they share that of the test, on 127.0.0.1.
    pub network: Option<Arc<Network>>,
    /// The first three numbers of the nodes' addresses in 127.0.0.0/8, with ports that are always the same: for data that
    /// knows its cluster's addresses.
    pub loopback: Option<&'static str>,
    /// How to speak TLS with the nodes' HTTP ports, if `config` gives them certificates.
    pub tls: Option<Arc<ClientConfig>>,
}

impl Default for Settings {
    fn default() -> Self {
        let (config, environment) = (Vec::new(), Vec::new());
        Self { nodes: 3, config, environment, network: None, loopback: None, tls: None }
    }
}

/// A running cluster. Dropping it kills all nodes, also while a test panics; its directory is then kept.
#[derive(Debug)]
pub struct Cluster {
    // Declared before the directory: the processes must be gone before their files are.
    nodes: Vec<Node>,
    environment: Vec<(String, String)>,
    // The namespaces go when nobody lives in them any more.
    network: Option<Arc<Network>>,
    tls: Option<Arc<ClientConfig>>,
    directory: WorkDir,
}

/// One member.
#[derive(Debug)]
struct Node {
    http: String,
    admin: String,
    peer: String,
    config: PathBuf,
    process: Option<Process>,
}

impl Cluster {
    /// Starts a cluster and waits until every node is ready.
    pub fn start(settings: &Settings) -> Self {
        let mut cluster = Self::stopped(settings);
        cluster.start_all();
        cluster
    }

    /// A cluster that was configured but not started.
    pub fn stopped(settings: &Settings) -> Self {
        let directory = WorkDir::new("cluster");
        let addresses: Vec<config::Addresses> = match (&settings.network, settings.loopback) {
            (Some(network), _) => (0..settings.nodes).map(|node| network.addresses(node).into()).collect(),
            (None, Some(net)) => {
                (1..=settings.nodes).map(|node| config::Addresses::fixed(net, node)).collect()
            }
            (None, None) => (0..settings.nodes).map(|_| config::Addresses::free()).collect(),
        };
        let node = |(index, own): (usize, &config::Addresses)| {
            let path = directory.path().join(format!("node-{index}.toml"));
            let data = directory.path().join(format!("node-{index}"));
            let text = config::render(own, &addresses, &data, &settings.config);
            let written = std::fs::create_dir_all(&data).and_then(|()| std::fs::write(&path, text));
            assert!(written.is_ok(), "cannot write {}", path.display());
            let config::Addresses { http, admin, peer, .. } = own.clone();
            Node { http, admin, peer, config: path, process: None }
        };
        let nodes = addresses.iter().enumerate().map(node).collect();
        let (environment, network) = (settings.environment.clone(), settings.network.clone());
        Self { nodes, environment, network, tls: settings.tls.clone(), directory }
    }

    /// Number of nodes, running or not.
    pub fn size(&self) -> usize {
        self.nodes.len()
    }

    /// `host:port` of a node's InfluxDB API.
    pub fn http(&self, node: usize) -> &str {
        &self.nodes[node].http
    }

    /// `host:port` at which the other nodes reach a node.
    pub fn peer(&self, node: usize) -> &str {
        &self.nodes[node].peer
    }

    /// All nodes' InfluxDB API addresses.
    pub fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.http.clone()).collect()
    }

    /// A new client of a node's InfluxDB API.
    pub fn client(&self, node: usize) -> Client {
        Client::new(self.http(node)).with_tls(self.tls.clone())
    }

    /// How to speak TLS with the nodes, if they do.
    pub fn tls(&self) -> Option<Arc<ClientConfig>> {
        self.tls.clone()
    }

    /// A new client of a node's admin API.
    pub fn admin(&self, node: usize) -> Client {
        Client::new(&self.nodes[node].admin).with_tls(self.tls.clone())
    }

    /// The directory below which a node keeps its data.
    pub fn data_directory(&self, node: usize) -> PathBuf {
        self.directory.path().join(format!("node-{node}"))
    }

    /// Where a node's log is.
    pub fn log(&self, node: usize) -> PathBuf {
        self.directory.path().join(format!("node-{node}.log"))
    }

    /// The running process of a node.
    ///
    /// Panics when the test has stopped it: a mistake in the test.
    pub fn process(&mut self, node: usize) -> &mut Process {
        let Some(process) = self.nodes[node].process.as_mut() else { panic!("node {node} is not running") };
        process
    }

    /// True when the test has a node running.
    pub fn is_running(&self, node: usize) -> bool {
        self.nodes[node].process.is_some()
    }

    /// Ends a node with SIGKILL.
    pub fn kill(&mut self, node: usize) {
        // Dropping a process kills it.
        self.nodes[node].process = None;
    }

    /// Freezes a node: it keeps its connections and answers nothing.
    pub fn freeze(&mut self, node: usize) {
        self.process(node).signal(Signal::Stop);
    }

    /// Lets a frozen node run again.
    pub fn thaw(&mut self, node: usize) {
        self.process(node).signal(Signal::Continue);
    }

    /// Starts a node that is not running; it may not be ready yet.
    pub fn launch(&mut self, node: usize) {
        let environment = self.environment.clone();
        self.launch_with(node, &environment);
    }

    /// Starts a node with other environment variables than the cluster's.
    pub fn launch_with(&mut self, node: usize, environment: &[(String, String)]) {
        assert!(self.nodes[node].process.is_none(), "node {node} is running");
        let mut command = match &self.network {
            // It becomes the node, so that signals reach that.
            Some(network) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", &network.namespace(node)]).arg(steadfast());
                command
            }
            None => Command::new(steadfast()),
        };
        command.arg("serve").arg("--config").arg(&self.nodes[node].config);
        // The variables of the tests are no options of a node.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("STEADFAST_")) {
            command.env_remove(name);
        }
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let log = self.log(node);
        self.nodes[node].process = Some(Process::start(&mut command, &log));
    }

    /// Starts a node and waits until it is ready.
    pub fn restart(&mut self, node: usize) {
        self.launch(node);
        self.wait_ready(node);
    }

    /// Starts all nodes that do not run and waits until all are ready.
    pub fn start_all(&mut self) {
        let started = Instant::now();
        for node in 0..self.size() {
            if self.nodes[node].process.is_none() {
                self.launch(node);
            }
        }
        for node in 0..self.size() {
            self.wait_ready(node);
        }
        say(&format!("  {} nodes ready after {:.1} s", self.size(), started.elapsed().as_secs_f64()));
    }

    /// Waits until a node says that it is ready, and panics with the tail of its log when it does not.
    pub fn wait_ready(&mut self, node: usize) {
        let deadline = Instant::now() + READY_TIMEOUT;
        while !self.is_ready(node) {
            let running = self.process(node).is_running();
            if !running || Instant::now() > deadline {
                let what = if running { "is not ready" } else { "has ended" };
                let why = self.admin(node).get("/readyz").map(|a| a.text()).unwrap_or_default();
                panic!("node {node} {what}: {why}\n{}", self.process(node).log_tail());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// True when a node says that it is ready.
    pub fn is_ready(&self, node: usize) -> bool {
        let mut admin = self.admin(node).with_timeout(Duration::from_secs(2));
        admin.get("/readyz").is_ok_and(|answer| answer.status == 200)
    }
}
