//! `steadfast ctl`: what the admin API can do, for people and scripts.
//!
//! Exit codes: 0 done, 1 refused (the text says what to do instead), 2 wrong usage, 3 the cluster did not answer, 4 the token
//! is missing or wrong.

mod table;

use crate::cli::{note, say};
use crate::http_client::{ClientError, Connection, Response};
use crate::tls::{TlsError, Trust, client_config};
use api::AdminTokens;
use bytes::Bytes;
use clap::{Args, Subcommand};
use http_body_util::Full;
use hyper::{Method, Request};
use rustls::ClientConfig;
use serde_json::Value;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long one request may take; a checksum of everything takes longest.
const REQUEST_MAX: Duration = Duration::from_secs(90);
/// Pause between two looks while `--wait` waits.
const LOOK: Duration = Duration::from_millis(500);

/// `steadfast ctl`
#[derive(Debug, Clone, Args)]
pub struct CtlArgs {
    /// Admin addresses of nodes, with `https://` before them where they speak TLS; the first that answers is asked
    #[arg(
        long,
        value_name = "HOST:PORT,…",
        value_delimiter = ',',
        default_value = "127.0.0.1:8083",
        env = "STEADFAST_ADMIN",
        global = true
    )]
    pub admin: Vec<String>,
    /// A file with the token of the admin API: its first one
    #[arg(long, value_name = "FILE", env = "STEADFAST_ADMIN_TOKEN_FILE", global = true)]
    pub token_file: Option<PathBuf>,
    /// A file with the authorities (PEM) of the nodes' certificates [default: those of this machine]; the addresses are then
    /// https
    #[arg(long, value_name = "FILE", env = "STEADFAST_CTL_CA", global = true)]
    pub ca: Option<String>,
    /// A file with a certificate (PEM) to show to the nodes
    #[arg(long, value_name = "FILE", env = "STEADFAST_CTL_CERT", global = true, requires = "key")]
    pub cert: Option<String>,
    /// A file with its private key (PEM)
    #[arg(long, value_name = "FILE", env = "STEADFAST_CTL_KEY", global = true, requires = "cert")]
    pub key: Option<String>,
    /// Accept any certificate of a node: for one on this machine, whose certificate is for another name
    #[arg(long, global = true, conflicts_with = "ca")]
    pub insecure: bool,
    /// Print the answer as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub order: CtlOrder,
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub enum CtlOrder {
    /// Show all nodes: duty, replicas, leaderships, disk
    Nodes,
    /// Show all groups: leader, voters, how far behind replicas are
    Groups,
    /// Say that a new node with this peer address may join
    Add {
        /// Its `node.advertise_peer`
        #[arg(value_name = "NAME:PORT")]
        address: String,
    },
    /// Say that it may join no longer
    Withdraw {
        /// Its `node.advertise_peer`
        #[arg(value_name = "NAME:PORT")]
        address: String,
    },
    /// Move leaderships and replicas away from a node
    Drain {
        /// Its id
        node: u64,
        /// Wait until it is drained, so long at most
        #[arg(long, value_name = "TIME", value_parser = crate::config::parse_duration)]
        wait: Option<Duration>,
    },
    /// Let a node do everything again
    Undrain {
        /// Its id
        node: u64,
    },
    /// Forget a node that was drained or is dead
    Remove {
        /// Its id
        node: u64,
        /// Give up replicas of a dead node that nobody can take, where their groups keep a majority
        #[arg(long)]
        force: bool,
    },
    /// Hand leadership of a group to a node
    Transfer {
        /// The group
        group: u32,
        /// The node
        node: u64,
    },
    /// Move a replica of a data group
    Move {
        /// The group
        group: u32,
        /// The node that has it
        from: u64,
        /// The node that gets it
        to: u64,
    },
    /// Set how many replicas data groups have: 1, 3 or 5
    ReplicationFactor {
        /// How many
        factor: u32,
    },
    /// Show what a rebalancing would move; with --apply, do it
    Rebalance {
        /// Move replicas, step by step
        #[arg(long, conflicts_with = "cancel")]
        apply: bool,
        /// Move nothing more than what is on its way
        #[arg(long)]
        cancel: bool,
    },
    /// Show what moves now and what is still to move
    Moves,
    /// Show what changed lately, as the asked node saw it
    Events,
    /// Compare all replicas of every group
    Checksum,
}

impl CtlOrder {
    /// Method and path.
    fn request(&self) -> (Method, String) {
        let path = |rest: String| format!("/admin/v1/{rest}");
        match self {
            Self::Nodes => (Method::GET, path("nodes".to_owned())),
            Self::Groups => (Method::GET, path("groups".to_owned())),
            Self::Add { address } => (Method::PUT, path(format!("announced/{address}"))),
            Self::Withdraw { address } => (Method::DELETE, path(format!("announced/{address}"))),
            Self::Drain { node, .. } => (Method::POST, path(format!("nodes/{node}/drain"))),
            Self::Undrain { node } => (Method::POST, path(format!("nodes/{node}/undrain"))),
            Self::Remove { node, force } => {
                (Method::DELETE, path(format!("nodes/{node}{}", if *force { "?force=true" } else { "" })))
            }
            Self::Transfer { group, node } => (Method::PUT, path(format!("groups/{group}/leader/{node}"))),
            Self::Move { group, from, to } => {
                (Method::POST, path(format!("groups/{group}/move/{from}/{to}")))
            }
            Self::ReplicationFactor { factor } => (Method::PUT, path(format!("replication-factor/{factor}"))),
            Self::Rebalance { apply: true, .. } => (Method::POST, path("rebalance".to_owned())),
            Self::Rebalance { cancel: true, .. } => (Method::DELETE, path("rebalance".to_owned())),
            Self::Rebalance { .. } => (Method::GET, path("rebalance".to_owned())),
            Self::Moves => (Method::GET, path("moves".to_owned())),
            Self::Events => (Method::GET, path("events".to_owned())),
            Self::Checksum => (Method::POST, path("checksum".to_owned())),
        }
    }
}

/// Why there is nothing to print.
#[derive(Debug, thiserror::Error)]
enum CtlError {
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Unavailable(String),
    #[error("{0}")]
    Unauthorized(String),
    #[error("cannot read {path}", path = path.display())]
    Token {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl CtlError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(_) => 1,
            Self::Token { .. } | Self::Tls(_) => 2,
            Self::Unavailable(_) | Self::Client(_) => 3,
            Self::Unauthorized(_) => 4,
        }
    }
}

/// Runs one command and prints its answer.
pub async fn run(args: CtlArgs) -> ExitCode {
    match carry_out(&args).await {
        Ok(answer) if args.json => say(&format!("{answer:#}")),
        Ok(answer) => say(table::render(&args.order, &answer).trim_end()),
        Err(error) => {
            let source = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            note(&format!("steadfast ctl: {error}{}", source.unwrap_or_default()));
            return ExitCode::from(error.exit_code());
        }
    }
    ExitCode::SUCCESS
}

async fn carry_out(args: &CtlArgs) -> Result<Value, CtlError> {
    let token = match &args.token_file {
        Some(path) => {
            std::fs::read_to_string(path).map_err(|source| CtlError::Token { path: path.clone(), source })?
        }
        None => String::new(),
    };
    // The file may be the nodes' own, with several.
    let token = AdminTokens::in_file(&token).next().map_or("", |(_, token)| token).to_owned();
    let nodes = Nodes { connections: connections(args)?, token };
    let (method, path) = args.order.request();
    let answer = nodes.ask(&method, &path).await?;
    match args.order {
        CtlOrder::Drain { node, wait: Some(limit) } => until_drained(&nodes, node, limit).await,
        _ => Ok(answer),
    }
}

/// Whom to ask, and as who.
struct Nodes {
    connections: Vec<NodeAddress>,
    token: String,
}

/// `host:port`, and how to speak TLS there.
struct NodeAddress {
    address: String,
    tls: Option<Arc<ClientConfig>>,
}

/// The addresses without their scheme, and TLS for those that speak it.
fn connections(args: &CtlArgs) -> Result<Vec<NodeAddress>, CtlError> {
    let mut tls = None;
    let mut connections = Vec::with_capacity(args.admin.len());
    for url in &args.admin {
        let (scheme, address) = url.split_once("://").unwrap_or(("", url));
        let address = address.trim_end_matches('/').to_owned();
        let secure = match scheme {
            "https" => true,
            "" => args.ca.is_some() || args.insecure || args.cert.is_some(),
            "http" => false,
            _ => return Err(CtlError::Refused(format!("{url}: expected host:port, http:// or https://"))),
        };
        if secure && tls.is_none() {
            tls = Some(client_config(&trust(args), identity(args))?);
        }
        connections.push(NodeAddress { address, tls: tls.clone().filter(|_| secure) });
    }
    Ok(connections)
}

fn trust(args: &CtlArgs) -> Trust {
    match &args.ca {
        _ if args.insecure => Trust::Anybody,
        Some(path) => Trust::File("--ca".to_owned(), path.clone()),
        None => Trust::System("--ca".to_owned()),
    }
}

fn identity(args: &CtlArgs) -> Option<[(&str, &str); 2]> {
    Some([("--cert", args.cert.as_deref()?), ("--key", args.key.as_deref()?)])
}

async fn until_drained(nodes: &Nodes, node: u64, limit: Duration) -> Result<Value, CtlError> {
    let deadline = Instant::now() + limit;
    loop {
        let answer = nodes.ask(&Method::GET, &format!("/admin/v1/nodes/{node}")).await?;
        if answer["drained"] == true {
            return Ok(answer);
        }
        if Instant::now() >= deadline {
            let text = format!(
                "node {node} is not drained after {} s: it leads {} groups and has {} replicas; it goes on, see `steadfast \
                 ctl moves`, and if no node can take replicas, add one",
                limit.as_secs(),
                answer["leads"],
                answer["replicas"]
            );
            return Err(CtlError::Unavailable(text));
        }
        sleep(LOOK).await;
    }
}

impl Nodes {
    /// Asks the first of the nodes that answers. Every order may be given twice, so one whose answer was lost goes to the next.
    async fn ask(&self, method: &Method, path: &str) -> Result<Value, CtlError> {
        let mut last = CtlError::Unavailable("no node was named".to_owned());
        for NodeAddress { address, tls } in &self.connections {
            let mut request = Request::new(Full::new(Bytes::new()));
            *request.method_mut() = method.clone();
            let Ok(uri) = path.parse() else {
                return Err(CtlError::Refused(format!("{path} is no path")));
            };
            *request.uri_mut() = uri;
            if !self.token.is_empty()
                && let Ok(value) = format!("Bearer {}", self.token).parse()
            {
                request.headers_mut().insert(hyper::header::AUTHORIZATION, value);
            }
            let mut connection = match tls {
                Some(tls) => Connection::secure(address, Arc::clone(tls)),
                None => Connection::new(address),
            };
            match connection.send(request, REQUEST_MAX).await {
                Ok(response) => match answer_of(&response) {
                    Err(unavailable @ CtlError::Unavailable(_)) => last = unavailable,
                    decided => return decided,
                },
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }
}

fn answer_of(response: &Response) -> Result<Value, CtlError> {
    let text = response.text();
    let json: Value = serde_json::from_str(&text).unwrap_or_default();
    if response.is_success() {
        return Ok(json);
    }
    let reason = json["error"].as_str().map_or(text.trim().to_owned(), str::to_owned);
    match response.status {
        401 => Err(CtlError::Unauthorized(reason)),
        400..500 => Err(CtlError::Refused(reason)),
        _ => Err(CtlError::Unavailable(reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_is_a_request() {
        let request = |order: CtlOrder| {
            let (method, path) = order.request();
            format!("{method} {path}")
        };
        assert_eq!(request(CtlOrder::Remove { node: 4, force: true }), "DELETE /admin/v1/nodes/4?force=true");
        assert_eq!(request(CtlOrder::Remove { node: 4, force: false }), "DELETE /admin/v1/nodes/4");
        let moved = request(CtlOrder::Move { group: 1, from: 2, to: 3 });
        assert_eq!(moved, "POST /admin/v1/groups/1/move/2/3");
        let plan = |apply, cancel| request(CtlOrder::Rebalance { apply, cancel });
        assert_eq!(plan(false, false), "GET /admin/v1/rebalance");
        assert_eq!(plan(true, false), "POST /admin/v1/rebalance");
        assert_eq!(plan(false, true), "DELETE /admin/v1/rebalance");
    }
}
