//! `steadfast dev`: a cluster on this machine, every node a child process of its own with `steadfast serve`.
//!
//! The nodes are ordinary ones: they know nothing of `dev` but that they must stop when their standard input ends, so
//! that none outlives it. `dev` knows nothing of Raft or of the nodes' files; it asks `/readyz` and waits for exits.
//!
//! - [`ports`]: which node listens where, and whether these ports are free;
//! - [`state`]: `cluster.json` (the shape of a cluster that was started in a directory) and `dev.json` (who runs now);
//! - [`process`]: one child: start, watch, stop.

mod ports;
mod process;
mod state;

use crate::cli::{DevArgs, note, say};
use crate::config::{self, Sources};
use crate::http_client::Connection;
use crate::shutdown::stopped;
use anyhow::{Context, bail};
use ports::NodeAddresses;
use process::{Event, NodeSpec};
use state::Shape;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long a cluster may take to become ready; recovery of much data included.
const READY_TIMEOUT: Duration = Duration::from_secs(180);
/// Pause between two questions for readiness.
const READY_PAUSE: Duration = Duration::from_millis(100);

/// Runs a cluster until `stop` becomes true.
///
/// # Errors
///
/// When a port is taken, the directory holds another cluster, or a node ends before all are ready. No node is left
/// behind.
pub async fn run(args: DevArgs, mut stop: watch::Receiver<bool>) -> anyhow::Result<()> {
    check_options(&args)?;
    let place = Place::open(args.data.as_deref())?;
    let shape = Shape::settle(&place.path, args.nodes, args.http_port)?;
    let addresses = ports::layout(shape.nodes, shape.http_port)?;
    ports::check_free(&addresses)?;
    let specs: Vec<NodeSpec> =
        addresses.iter().map(|own| NodeSpec::new(&place.path, own, &addresses, &args)).collect();
    for spec in &specs {
        spec.write_config()?;
    }

    let (quit, quitting) = watch::channel(false);
    let mut cluster = Cluster::start(&place.path, specs, quitting);
    let outcome = tokio::select! {
        outcome = cluster.watch() => outcome,
        () = stopped(&mut stop) => Ok(()),
    };
    quit.send_replace(true);
    cluster.wait_for_end().await;
    state::remove_running(&place.path);
    outcome
}

/// Refuses `--set` options before any node is started with them.
fn check_options(args: &DevArgs) -> anyhow::Result<()> {
    if let Some((name, _)) = args.set.iter().find(|(name, _)| name.starts_with("node.")) {
        bail!("--set {name}: the [node] section differs from node to node and can't be set for all of them");
    }
    config::load(&Sources { flags: args.set.clone(), ..Sources::default() })?;
    Ok(())
}

/// The directory of the cluster; a temporary one goes away when this is dropped.
struct Place {
    path: PathBuf,
    _temporary: Option<TempDir>,
}

impl Place {
    fn open(given: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = given else {
            let temporary = tempfile::Builder::new().prefix("steadfast-dev-").tempdir()?;
            return Ok(Self { path: temporary.path().to_owned(), _temporary: Some(temporary) });
        };
        let refused = || format!("cannot use {} for the cluster", path.display());
        std::fs::create_dir_all(path).with_context(refused)?;
        // The nodes get it in their configuration, which somebody may start them with from elsewhere.
        Ok(Self { path: path.canonicalize().with_context(refused)?, _temporary: None })
    }
}

/// The running nodes.
struct Cluster {
    directory: PathBuf,
    nodes: Vec<RunningNode>,
    events: mpsc::Receiver<Event>,
    watchers: JoinSet<()>,
}

struct RunningNode {
    spec: NodeSpec,
    /// `None` while it does not run.
    pid: Option<u32>,
    ready: bool,
}

impl Cluster {
    fn start(directory: &Path, specs: Vec<NodeSpec>, quitting: watch::Receiver<bool>) -> Self {
        let (sender, events) = mpsc::channel(64);
        let mut watchers = JoinSet::new();
        for spec in &specs {
            watchers.spawn(process::keep(spec.clone(), sender.clone(), quitting.clone()));
        }
        let nodes = specs.into_iter().map(|spec| RunningNode { spec, pid: None, ready: false }).collect();
        Self { directory: directory.to_owned(), nodes, events, watchers }
    }

    /// Tells of everything that happens to the nodes; returns only with an error.
    async fn watch(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_TIMEOUT;
        let mut introduced = false;
        let mut all_ready = false;
        loop {
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(event) => self.take(event, all_ready)?,
                    None => bail!("no node is watched any more"),
                },
                () = tokio::time::sleep(READY_PAUSE), if introduced && !all_ready => {
                    all_ready = self.ask_ready().await;
                    if all_ready {
                        self.say_ready();
                    } else if Instant::now() > deadline {
                        bail!("not ready after {} s\n{}", READY_TIMEOUT.as_secs(), self.reasons());
                    }
                }
            }
            if !introduced && self.nodes.iter().all(|node| node.pid.is_some()) {
                introduced = true;
                self.introduce();
            }
        }
    }

    fn take(&mut self, event: Event, all_ready: bool) -> anyhow::Result<()> {
        match event {
            Event::Started { id, pid } => {
                let Some(node) = self.node(id) else { return Ok(()) };
                let again = node.pid.replace(pid).is_some() || all_ready;
                if again {
                    say(&format!("node {id} runs again, pid {pid}"));
                }
                if self.nodes.iter().all(|node| node.pid.is_some()) {
                    state::write_running(&self.directory, &self.running())?;
                }
            }
            Event::Ended { id, how, killed, restarting } => {
                let Some(node) = self.node(id) else { return Ok(()) };
                if !all_ready && !killed && !restarting {
                    bail!("node {id} ended before it was ready: {how}\n{}", node.spec.log_tail());
                }
                // Nobody waits for one that stays away.
                node.ready = !restarting;
                let next =
                    if restarting { "starting it again".to_owned() } else { node.spec.start_command() };
                say(&format!("node {id} ended: {how}; {next}"));
            }
            Event::Failed { id, error } => bail!("node {id} cannot be started: {error}"),
        }
        Ok(())
    }

    fn node(&mut self, id: u16) -> Option<&mut RunningNode> {
        self.nodes.iter_mut().find(|node| node.spec.addresses.id == id)
    }

    fn running(&self) -> Vec<(u32, &NodeAddresses)> {
        self.nodes.iter().map(|node| (node.pid.unwrap_or(0), &node.spec.addresses)).collect()
    }

    fn introduce(&self) {
        say(&format!("{} nodes in {}", self.nodes.len(), self.directory.display()));
        for node in &self.nodes {
            let NodeAddresses { id, http, admin, peer } = &node.spec.addresses;
            let pid = node.pid.unwrap_or(0);
            say(&format!("node {id}  pid {pid}  http http://{http}  admin http://{admin}  peer {peer}"));
            say(&format!("        log {}", node.spec.log_path().display()));
        }
    }

    /// Asks every node that was not ready yet; true when all are.
    async fn ask_ready(&mut self) -> bool {
        for node in self.nodes.iter_mut().filter(|node| !node.ready) {
            let mut connection = Connection::new(&node.spec.addresses.admin);
            let answer = connection.get("/readyz", Duration::from_secs(2)).await;
            node.ready = answer.is_ok_and(|answer| answer.is_success());
        }
        self.nodes.iter().all(|node| node.ready)
    }

    fn say_ready(&self) {
        let urls: Vec<String> =
            self.nodes.iter().map(|node| format!("http://{}", node.spec.addresses.http)).collect();
        say(&format!("ready: {}", urls.join(" ")));
    }

    fn reasons(&self) -> String {
        let late = self.nodes.iter().filter(|node| !node.ready);
        late.map(|node| format!("node {}:\n{}", node.spec.addresses.id, node.spec.log_tail()))
            .collect::<Vec<_>>()
            .join("\n")
    }

    async fn wait_for_end(&mut self) {
        // Nobody reads the events any more, and a watcher must not wait for that.
        self.events.close();
        while let Some(ended) = self.watchers.join_next().await {
            if let Err(error) = ended {
                note(&format!("a node's watcher failed: {error}"));
            }
        }
    }
}
