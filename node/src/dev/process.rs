//! One node of `steadfast dev`: its configuration, its child process, and the task that watches it.
//!
//! The child reads a pipe from us. Closing it asks for a graceful stop, and it closes by itself when we die, however
//! that happens.

use super::ports::NodeAddresses;
use crate::cli::DevArgs;
use crate::config::environment_name;
use crate::shutdown::stopped;
use anyhow::Context;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// What a node may take for its graceful stop before it is killed.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// Pause before a node that ended is started again, so that one that can't start does not spin.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// What happens to a node.
#[derive(Debug)]
pub(super) enum Event {
    /// It runs.
    Started { id: u16, pid: u32 },
    /// It ended without having been asked to.
    Ended { id: u16, how: String, killed: bool, restarting: bool },
    /// Its process could not be created.
    Failed { id: u16, error: String },
}

/// All that is needed to start a node.
#[derive(Debug, Clone)]
pub(super) struct NodeSpec {
    pub(super) addresses: NodeAddresses,
    directory: PathBuf,
    /// `section.key` and value.
    options: Vec<(String, String)>,
    restart: bool,
}

impl NodeSpec {
    pub(super) fn new(root: &Path, own: &NodeAddresses, all: &[NodeAddresses], args: &DevArgs) -> Self {
        let directory = root.join(format!("node-{}", own.id));
        let peers: Vec<&str> = all.iter().map(|node| node.peer.as_str()).collect();
        let fixed = [
            ("node.data_dir", directory.join("data").display().to_string()),
            ("node.http_addr", own.http.clone()),
            ("node.admin_addr", own.admin.clone()),
            ("node.peer_addr", own.peer.clone()),
            ("node.advertise_http", own.http.clone()),
            ("node.advertise_admin", own.admin.clone()),
            ("node.advertise_peer", own.peer.clone()),
            ("node.peers", peers.join(",")),
        ];
        let mut options: Vec<(String, String)> = fixed.map(|(name, value)| (name.to_owned(), value)).into();
        options.extend_from_slice(&args.set);
        Self { addresses: own.clone(), directory, options, restart: args.restart }
    }

    /// Writes the node's configuration file, which also serves to start it by hand after it was killed.
    pub(super) fn write_config(&self) -> anyhow::Result<()> {
        let mut root = toml::Table::new();
        for (name, value) in &self.options {
            let (section, key) = name.split_once('.').unwrap_or((name, ""));
            let table = root.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            if let toml::Value::Table(table) = table {
                table.insert(key.to_owned(), toml::Value::String(value.clone()));
            }
        }
        let path = self.config_path();
        std::fs::create_dir_all(self.directory.join("data"))
            .and_then(|()| std::fs::write(&path, root.to_string()))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    fn config_path(&self) -> PathBuf {
        self.directory.join("node.toml")
    }

    pub(super) fn log_path(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// How to start it by hand.
    pub(super) fn start_command(&self) -> String {
        let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("steadfast"));
        format!("start it again with: {} serve --config {}", program.display(), self.config_path().display())
    }

    /// The last lines of its log.
    pub(super) fn log_tail(&self) -> String {
        let text = std::fs::read(self.log_path()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }

    fn spawn(&self) -> anyhow::Result<(Child, ChildStdin)> {
        let log = File::options().create(true).append(true).open(self.log_path())?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["serve", "--exit-on-stdin-close", "--config"])
            .arg(self.config_path())
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A Ctrl-C at the terminal goes to a whole process group; the nodes stop when we say so.
            .process_group(0)
            .kill_on_drop(true);
        // What the file sets must not be overridden by a variable that is meant for another node.
        for (name, _) in &self.options {
            if let Some((section, key)) = name.split_once('.') {
                command.env_remove(environment_name(section, key));
            }
        }
        command.env_remove("STEADFAST_CONFIG");
        let mut child = command.spawn()?;
        let stdin = child.stdin.take().context("the child has no standard input")?;
        Ok((child, stdin))
    }
}

/// Starts a node and watches it until `quit`; then stops it. Starts it again when the specification says so.
pub(super) async fn keep(spec: NodeSpec, events: mpsc::Sender<Event>, mut quit: watch::Receiver<bool>) {
    let id = spec.addresses.id;
    loop {
        let (mut child, stdin) = match spec.spawn() {
            Ok(started) => started,
            Err(error) => {
                tell(&events, Event::Failed { id, error: format!("{error:#}") }).await;
                return;
            }
        };
        tell(&events, Event::Started { id, pid: child.id().unwrap_or(0) }).await;
        let ended = tokio::select! {
            status = child.wait() => describe(status),
            () = stopped(&mut quit) => {
                drop(stdin);
                end(&mut child).await;
                return;
            }
        };
        let (how, killed) = ended;
        tell(&events, Event::Ended { id, how, killed, restarting: spec.restart }).await;
        tokio::select! {
            () = tokio::time::sleep(RESTART_PAUSE), if spec.restart => {}
            () = stopped(&mut quit) => return,
        }
    }
}

async fn end(child: &mut Child) {
    if timeout(STOP_GRACE, child.wait()).await.is_err() {
        // An error means that it has just ended.
        drop(child.kill().await);
    }
}

/// Nobody listens any more once the cluster is being stopped.
async fn tell(events: &mpsc::Sender<Event>, event: Event) {
    drop(events.send(event).await);
}

/// How it ended, and whether a signal did it.
fn describe(status: std::io::Result<ExitStatus>) -> (String, bool) {
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => (format!("exit code {code}"), false),
            (None, Some(signal)) => (format!("killed by signal {signal}"), true),
            (None, None) => (status.to_string(), false),
        },
        Err(error) => (format!("cannot be waited for: {error}"), false),
    }
}
