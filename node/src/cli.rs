//! The command line: flags only. What they mean is in [`crate::config`], [`crate::dev`] and [`crate::load`].

use crate::config::{self, Sources, parse_duration, split_assignment};
use crate::ctl::CtlArgs;
use clap::{Args, Parser, Subcommand};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// A replicated time series store that speaks the InfluxDB 1.x HTTP API.
#[derive(Debug, Parser)]
#[command(name = "steadfast", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run one node
    Serve(Box<ServeArgs>),
    /// Run a whole cluster on this machine, to try and to test
    Dev(DevArgs),
    /// Look at a cluster and change it: nodes, replicas, leaders
    Ctl(Box<CtlArgs>),
    /// Write what Heapster would write, to any server that speaks the InfluxDB 1.x HTTP API
    Load(Box<LoadArgs>),
}

/// `steadfast serve`
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE", env = "STEADFAST_CONFIG")]
    pub config: Option<PathBuf>,
    /// Set any option; wins over the file and the environment
    #[arg(long, value_name = "SECTION.KEY=VALUE", value_parser = split_assignment)]
    pub set: Vec<(String, String)>,
    /// Short for --set node.data_dir=…
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// Short for --set node.http_addr=…
    #[arg(long, value_name = "IP:PORT")]
    pub http_addr: Option<String>,
    /// Short for --set node.admin_addr=…
    #[arg(long, value_name = "IP:PORT")]
    pub admin_addr: Option<String>,
    /// Short for --set node.peer_addr=…
    #[arg(long, value_name = "IP:PORT")]
    pub peer_addr: Option<String>,
    /// Short for --set node.advertise_http=…
    #[arg(long, value_name = "NAME:PORT")]
    pub advertise_http: Option<String>,
    /// Short for --set node.advertise_admin=…
    #[arg(long, value_name = "NAME:PORT")]
    pub advertise_admin: Option<String>,
    /// Short for --set node.advertise_peer=…
    #[arg(long, value_name = "NAME:PORT")]
    pub advertise_peer: Option<String>,
    /// Short for --set node.peers=…
    #[arg(long, value_name = "NAME:PORT,…")]
    pub peers: Option<String>,
    /// Short for --set log.format=…
    #[arg(long, value_name = "human|json")]
    pub log_format: Option<String>,
    /// Short for --set log.level=…
    #[arg(long, value_name = "FILTER")]
    pub log_level: Option<String>,
    /// Print the effective configuration with comments and exit
    #[arg(long)]
    pub print_config: bool,
    /// Stop when standard input ends: how `steadfast dev` takes its nodes with it
    #[arg(long, hide = true)]
    pub exit_on_stdin_close: bool,
}

impl ServeArgs {
    /// The file, this process's environment and the flags, in the form the configuration is loaded from.
    pub fn sources(&self) -> Sources {
        let short = [
            ("node.data_dir", &self.data_dir),
            ("node.http_addr", &self.http_addr),
            ("node.admin_addr", &self.admin_addr),
            ("node.peer_addr", &self.peer_addr),
            ("node.advertise_http", &self.advertise_http),
            ("node.advertise_admin", &self.advertise_admin),
            ("node.advertise_peer", &self.advertise_peer),
            ("node.peers", &self.peers),
            ("log.format", &self.log_format),
            ("log.level", &self.log_level),
        ];
        let mut flags = self.set.clone();
        for (name, value) in short {
            if let Some(value) = value {
                flags.push((name.to_owned(), value.clone()));
            }
        }
        // A variable that is not Unicode can't be one of ours.
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Sources { file: self.config.clone(), environment: environment.collect(), flags }
    }
}

/// `steadfast dev`
#[derive(Debug, Clone, Args)]
pub struct DevArgs {
    /// Nodes of the cluster [default: 3, or as many as DIR has]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=9))]
    pub nodes: Option<u16>,
    /// Where the nodes' files and logs are kept; with the files of an earlier cluster, that cluster goes on. Without
    /// it, a temporary directory that is removed at the end
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// HTTP port p of the first node; node i listens on p+10i (HTTP), p-3+10i (admin), p+2+10i (peers) [default: 8086]
    #[arg(long, value_name = "PORT")]
    pub http_port: Option<u16>,
    /// Start a node again when it ends by itself or is killed
    #[arg(long)]
    pub restart: bool,
    /// Set an option on every node
    #[arg(long, value_name = "SECTION.KEY=VALUE", value_parser = split_assignment)]
    pub set: Vec<(String, String)>,
}

/// `steadfast load`
#[derive(Debug, Clone, Args)]
pub struct LoadArgs {
    /// Servers; batches go round, and a batch whose connection dies goes to the next one
    #[arg(long, value_name = "HOST:PORT,…", value_delimiter = ',', default_value = "127.0.0.1:8086",
          value_parser = server_address)]
    pub url: Vec<String>,
    /// Database, created first as Heapster does
    #[arg(long, default_value = "k8s")]
    pub db: String,
    /// User and password, sent with every request
    #[arg(long, value_name = "USER:PASSWORD", default_value = "root:root")]
    pub auth: String,
    /// Simulated Kubernetes nodes
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub nodes: u32,
    /// Simulated pods; a pod and its containers write about 60 points a scrape
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(0..=200_000))]
    pub pods: u32,
    /// Tag `cluster_name` of every point
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub cluster_name: String,
    /// Time between two scrapes' timestamps
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    pub interval: Duration,
    /// Stop after so many scrapes, and send them without waiting for the clock
    #[arg(long, value_name = "N")]
    pub scrapes: Option<u64>,
    /// Stop after so long. Without --scrapes and --for, go on till Ctrl-C
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// Send so many points a second, whatever the clock says; 0: as fast as the servers take them. Without it and without
    /// --scrapes, one scrape each interval, as Heapster does
    #[arg(long, value_name = "POINTS_PER_S")]
    pub rate: Option<u64>,
    /// Requests in flight at once; a replay has one
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: u16,
    /// Part of the pods that are replaced at each scrape
    #[arg(long, default_value_t = 0.02, value_parser = fraction)]
    pub churn: f64,
    /// The same seed gives the same cluster and the same values
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Unix time in seconds of the first scrape [default: so that the last one is now]
    #[arg(long, value_name = "SECONDS")]
    pub start: Option<i64>,
    /// Lines of a request, at most
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub batch: u32,
    /// Give a batch up when no server has taken it for so long
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
    pub give_up: Duration,
    /// At the end, count the points of every measurement on every server and compare. No other run may have written
    /// this cluster name in this time range
    #[arg(long)]
    pub verify: bool,
    /// Instead of a simulation, send recordings with their times shifted so that they end now
    #[arg(long, value_name = "FILE,…", value_delimiter = ',', conflicts_with_all = ["verify", "scrapes", "duration", "rate", "start"])]
    pub replay: Vec<PathBuf>,
    /// Speed of the replay: 1 as recorded, 0 as fast as the servers take it
    #[arg(long, value_name = "FACTOR", default_value_t = 0.0, value_parser = speed, requires = "replay")]
    pub replay_speed: f64,
}

fn fraction(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=1.0).contains(&number) => Ok(number),
        _ => Err("expected a number from 0 to 1".to_owned()),
    }
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number == 0.0 || (0.001..=1e6).contains(&number) => Ok(number),
        _ => Err("expected 0 or a number of at least 0.001".to_owned()),
    }
}

/// `host:port`, also with `http://` before it and a slash behind it.
fn server_address(text: &str) -> Result<String, String> {
    let address = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    match address.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(address.to_owned()),
        _ => Err("expected host:port".to_owned()),
    }
}

/// Prints the effective configuration of `serve --print-config`.
///
/// # Errors
///
/// [`config::ConfigError`].
pub fn print_config(args: &ServeArgs) -> Result<(), config::ConfigError> {
    let config = config::load(&args.sources())?;
    say(config::print(&config).trim_end());
    Ok(())
}

/// Writes a line to standard output. If nobody reads it any more, there is nobody to tell.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    drop(writeln!(out, "{line}").and_then(|()| out.flush()));
}

/// Writes a line to standard error.
pub(crate) fn note(line: &str) {
    drop(writeln!(std::io::stderr().lock(), "{line}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_declaration_of_the_flags_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn servers_may_be_written_as_urls() {
        assert_eq!(server_address("http://a.b:8086/"), Ok("a.b:8086".to_owned()));
        assert_eq!(server_address("127.0.0.1:1"), Ok("127.0.0.1:1".to_owned()));
        for text in ["", "a", ":1", "a:b", "https://a"] {
            assert!(server_address(text).is_err(), "{text}");
        }
    }
}
