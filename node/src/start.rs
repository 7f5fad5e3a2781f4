//! Wires one node together and runs it until it is told to stop. Called by `main` for `steadfast serve`.
//!
//! The start is a list of short steps; each waits for what it needs and says so on the admin port. The stop goes the
//! other way round: no new requests, leadership handed over, groups, logs.

use crate::bootstrap::{self, Membership};
use crate::clock::{self, SystemClock};
use crate::config::Config;
use crate::continuous::run_continuous_queries;
use crate::coordinator::{About, NodeCoordinator, RequestLimits};
use crate::data_level::{self, known_level};
use crate::identity::{Identity, Volume};
use crate::late::LateCoordinator;
use crate::maintenance;
use crate::operator::watch_events;
use crate::space::{self, Thresholds};
use crate::subscribers::SubscriberLimits;
use crate::tls::Certificates;
use crate::tokens::TokenFiles;
use crate::write::SeriesLimits;
use anyhow::Context;
use api::{AdminAccess, ApiConfig, AuthConfig, Coordinator, HttpMetrics, ServeLimits};
use model::catalog::NodeInfo;
use model::{Clock, GroupId};
use raft::peer::PeerControl;
use raft::{Connect, HostConfig, PeerServer, RaftHost, Tcp, Tuning};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use storage::Shared;
use storage::log::{LogDb, LogError};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long a statement waits for a group without a leader before it reads what is there: longer than an election.
const BARRIER_TIMEOUT: Duration = Duration::from_secs(6);
/// How long open requests may take when the node stops. Longer than a parked write.
const REQUESTS_GRACE: Duration = Duration::from_secs(12);

/// Runs one node until `stop` becomes true or something it cannot live without fails.
///
/// # Errors
///
/// Whatever kept the node from starting or made it stop.
pub async fn run(config: Config, stop: watch::Receiver<bool>) -> anyhow::Result<()> {
    let certificates = Arc::new(Certificates::open(&config)?);
    let tokens = TokenFiles::open(&config.admin)?;
    let following =
        [tokio::spawn(Arc::clone(&certificates).follow()), tokio::spawn(Arc::clone(&tokens).follow())];
    while let Ended::Again = run_once(&config, &certificates, &tokens, stop.clone()).await? {
        tracing::info!("starting again");
    }
    for task in following {
        task.abort();
    }
    Ok(())
}

/// Whether there are other members that have what this node has.
fn has_others(config: &Config, info: &NodeInfo) -> bool {
    config.node.peers.iter().any(|peer| *peer != info.peer_addr)
}

/// How a run came to its end.
enum Ended {
    /// Told to stop.
    Stopped,
    /// The log is damaged, or was and the data directory is another node's now: everything begins anew.
    Again,
}

async fn run_once(
    config: &Config,
    certificates: &Arc<Certificates>,
    tokens: &TokenFiles,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<Ended> {
    let listeners = Listeners::bind(config).await?;
    let info = addresses(config, &listeners);
    data_level::check(&config.node.data_dir, known_level())?;
    let volume = Volume::open(&config.node.data_dir, has_others(config, &info))?;
    let peer_tls = certificates.peer();
    let connect: Arc<dyn Connect> = match &peer_tls {
        Some(tls) => Arc::new(tls.clone()),
        None => Arc::new(Tcp),
    };
    let membership = Arc::new(Membership::open(volume, info, known_level(), Arc::clone(&connect))?);
    // Elections must not wait behind requests: the groups have threads of their own.
    let raft_runtime =
        tokio::runtime::Builder::new_multi_thread().thread_name("raft").enable_all().build()?;
    let peers = PeerServer::new(Arc::clone(&membership) as Arc<dyn PeerControl>);
    let peer_task = raft_runtime.spawn(Arc::clone(&peers).serve(listeners.peer, peer_tls));

    let late = Arc::new(LateCoordinator::default());
    let metrics = Arc::new(HttpMetrics::default());
    let limits = serve_limits(config);
    let access = AdminAccess {
        tokens: tokens.tokens(),
        certificate: !config.admin.tls_client_ca.is_empty(),
        failed_logins_max: config.auth.failed_logins,
    };
    let admin = api::admin_router(Arc::clone(&late) as Arc<dyn Coordinator>, Arc::clone(&metrics), access);
    // The admin port answers until the very end: probes ask it during the stop, too.
    let (admin_stop, admin_stopped) = watch::channel(false);
    let admin_stopped = when_true(admin_stopped);
    let admin_task =
        tokio::spawn(api::serve(listeners.admin, admin, limits, certificates.admin(), admin_stopped));

    let finished = serve(Parts {
        config,
        certificates,
        connect,
        http: listeners.http,
        membership: &membership,
        peers: &peers,
        late: &late,
        metrics,
        raft: raft_runtime.handle(),
        stop,
    })
    .await;
    peer_task.abort();
    // Its port may be needed again at once.
    drop(peer_task.await);
    admin_stop.send_replace(true);
    admin_task.await.context("admin server")?;
    raft_runtime.shutdown_background();
    finished
}

/// What the steps below need.
struct Parts<'a> {
    config: &'a Config,
    certificates: &'a Arc<Certificates>,
    connect: Arc<dyn Connect>,
    http: TcpListener,
    membership: &'a Arc<Membership>,
    peers: &'a PeerServer,
    late: &'a Arc<LateCoordinator>,
    metrics: Arc<HttpMetrics>,
    raft: &'a tokio::runtime::Handle,
    stop: watch::Receiver<bool>,
}

/// Identity, groups, requests; and back.
async fn serve(parts: Parts<'_>) -> anyhow::Result<Ended> {
    let stop = parts.stop.clone();
    let Some(identity) = until_stopped(stop.clone(), find_identity(&parts)).await.transpose()? else {
        return Ok(Ended::Stopped);
    };
    let host = match start_groups(&parts, &identity).await {
        Ok(host) => host,
        Err(error) => return renew(&parts, error).await,
    };
    let spreading = parts.raft.spawn(bootstrap::spread(identity.clone(), Arc::clone(&parts.connect)));
    parts.peers.attach(&host);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let limits = request_limits(parts.config);
    let about = About {
        http: Arc::clone(&parts.metrics),
        bind: parts.http.local_addr()?.to_string(),
        started_ns: clock.now_ns(),
        certificates: Arc::clone(parts.certificates),
    };
    let node = Arc::new(NodeCoordinator::new(Arc::clone(&host), clock, limits, about));
    parts.late.set(Arc::clone(&node));
    let upkeep = spawn_upkeep(&parts, &node, identity);

    let api_config = api_config(parts.config, Arc::clone(&parts.metrics));
    let router = api::influx_router(Arc::clone(&node) as Arc<dyn Coordinator>, api_config);
    tracing::info!(address = %parts.http.local_addr()?, "serving the InfluxDB API");
    let stepping_down = step_down(stop.clone(), Arc::clone(&node), Arc::clone(&host), parts.raft.clone());
    let tls = parts.certificates.http();
    api::serve(parts.http, router, serve_limits(parts.config), tls, Box::pin(stepping_down)).await;

    for task in upkeep {
        task.abort();
    }
    spreading.abort();
    // The groups' tasks live on the raft runtime; their stop must run there too.
    parts.raft.spawn(async move { host.shutdown().await }).await.context("stopping the groups")?;
    tracing::info!("stopped");
    Ok(if *stop.borrow() { Ended::Stopped } else { Ended::Again })
}

/// Waits for the stop or the end of the log, then hands leadership over while requests are still answered: nobody waits for an election.
async fn step_down(
    stop: watch::Receiver<bool>,
    node: Arc<NodeCoordinator>,
    host: Arc<RaftHost>,
    raft: tokio::runtime::Handle,
) {
    tokio::select! {
        () = when_true(stop) => {}
        error = host.log_damaged() => tracing::error!(%error, "nothing can be done under this node id any more"),
    }
    tracing::info!("handing over leadership");
    node.stopping();
    if let Err(error) = raft.spawn(async move { host.hand_over().await }).await {
        tracing::error!(%error, "handing over leadership panicked");
    }
}

/// Founds the cluster, waits for it to be founded, or joins it.
async fn find_identity(parts: &Parts<'_>) -> anyhow::Result<Identity> {
    let report = |what: String| parts.late.wait_for(what);
    let config = parts.config;
    let groups = (config.raft.groups, config.cluster.replication_factor);
    let identity = parts.membership.find(&config.node.peers, groups, &report).await?;
    tracing::info!(cluster = identity.record.cluster, node = identity.node, "identity");
    Ok(identity)
}

/// Opens the log and all groups, and founds those that have no members yet.
async fn start_groups(parts: &Parts<'_>, identity: &Identity) -> anyhow::Result<Arc<RaftHost>> {
    parts.late.wait_for("opening the groups".to_owned());
    let dir = parts.config.node.data_dir.clone();
    let log_dir = dir.join("raftlog");
    let log = tokio::task::spawn_blocking(move || LogDb::open(&log_dir)).await?.context("raft log")?;
    let shared = Shared::new(&storage_config(parts.config)).context("storage")?;
    let config = HostConfig {
        node: identity.node_id(),
        cluster: identity.record.cluster.clone(),
        dir: dir.join("groups"),
        founding: identity.record.placement().groups,
        tuning: tuning(parts.config),
        connect: Arc::clone(&parts.connect),
    };
    let groups: Vec<GroupId> = (0..=identity.record.groups).map(GroupId).collect();
    let starting = parts.raft.spawn(async move { RaftHost::start(config, log, shared, groups).await });
    starting.await?.context("groups")
}

/// After a start that failed: if the log is damaged, gives the data directory another identity, as soon as the others
/// grant one. They have everything that was acknowledged.
async fn renew(parts: &Parts<'_>, error: anyhow::Error) -> anyhow::Result<Ended> {
    let damaged = matches!(error.downcast_ref(), Some(LogError::Damaged { .. }));
    if !damaged || !has_others(parts.config, parts.membership.info()) {
        return Err(error);
    }
    tracing::error!(error = format!("{error:#}"), "asking the other nodes for a new node id");
    let report = |what: String| parts.late.wait_for(what);
    let renewing = parts.membership.renew(&parts.config.node.peers, &report);
    match until_stopped(parts.stop.clone(), renewing).await.transpose()? {
        Some(()) => Ok(Ended::Again),
        None => Ok(Ended::Stopped),
    }
}

/// The loops beside the requests.
fn spawn_upkeep(parts: &Parts<'_>, node: &Arc<NodeCoordinator>, identity: Identity) -> Vec<JoinHandle<()>> {
    let info = parts.membership.info().clone();
    let retention = parts.config.retention.check_interval;
    let continuous = &parts.config.continuous_queries;
    let thresholds = Thresholds::of(&parts.config.disk);
    let mut tasks = vec![
        parts.raft.spawn(maintenance::found_groups(Arc::clone(node), identity.clone())),
        tokio::spawn(maintenance::publish(Arc::clone(node), identity, info)),
        tokio::spawn(clock::agree(Arc::clone(node))),
        tokio::spawn(maintenance::enforce_retention(Arc::clone(node), retention)),
        tokio::spawn(maintenance::forget_subscriptions(Arc::clone(node))),
        tokio::spawn(watch_events(Arc::clone(node))),
        tokio::spawn(data_level::follow(Arc::clone(node), parts.config.node.data_dir.clone())),
        parts.raft.spawn(space::watch(Arc::clone(node), parts.config.node.data_dir.clone(), thresholds)),
    ];
    if continuous.enabled {
        let runner = run_continuous_queries(Arc::clone(node), continuous.run_interval);
        tasks.push(tokio::spawn(runner));
    }
    tasks
}

/// The three ports, taken before anything else so that a port in use is the first thing said.
struct Listeners {
    http: TcpListener,
    admin: TcpListener,
    peer: TcpListener,
}

impl Listeners {
    async fn bind(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            http: bind("node.http_addr", config.node.http_addr).await?,
            admin: bind("node.admin_addr", config.node.admin_addr).await?,
            peer: bind("node.peer_addr", config.node.peer_addr).await?,
        })
    }
}

async fn bind(option: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address} ({option})"))
}

/// The addresses under which others reach this node: as configured, else where it listens.
fn addresses(config: &Config, listeners: &Listeners) -> NodeInfo {
    let or_local = |advertised: &str, listener: &TcpListener| {
        if advertised.is_empty() {
            listener.local_addr().map_or_else(|_| String::new(), |a| a.to_string())
        } else {
            advertised.to_owned()
        }
    };
    NodeInfo {
        peer_addr: or_local(&config.node.advertise_peer, &listeners.peer),
        http_addr: or_local(&config.node.advertise_http, &listeners.http),
        admin_addr: or_local(&config.node.advertise_admin, &listeners.admin),
        volume: String::new(),
    }
}

fn tuning(config: &Config) -> Tuning {
    let raft = &config.raft;
    Tuning {
        heartbeat: raft.heartbeat,
        election_min: raft.election_min,
        election_max: raft.election_max,
        snapshot_bytes: raft.snapshot_log_bytes.bytes(),
        snapshot_interval: raft.snapshot_interval,
        unsaved_bytes_total: raft.log_budget.bytes(),
        log_kept_bytes: raft.log_kept.bytes(),
        snapshot_bytes_per_second: raft.snapshot_rate.bytes(),
        snapshots_at_once: raft.snapshots_at_once,
        replace_after: config.cluster.replace_after,
        moves_at_once: config.cluster.moves_at_once,
        auto_join: config.cluster.auto_join,
        proof_interval: raft.proof_interval,
        slow_disk: raft.slow_disk,
        feature_level: known_level(),
        ..Tuning::default()
    }
}

fn storage_config(config: &Config) -> storage::StorageConfig {
    storage::StorageConfig {
        block_cache_bytes: config.storage.block_cache.bytes() as usize,
        write_buffer_bytes: config.storage.write_buffer.bytes() as usize,
        ..storage::StorageConfig::default()
    }
}

fn request_limits(config: &Config) -> RequestLimits {
    RequestLimits {
        write_timeout: config.write.timeout,
        query_timeout: config.query.timeout,
        barrier_timeout: BARRIER_TIMEOUT.min(config.query.timeout),
        stale_reads: config.query.stale_reads,
        series: SeriesLimits {
            series_max: config.write.max_series_per_database,
            values_max: config.write.max_values_per_tag,
        },
        query: query::QueryLimits {
            memory_bytes: config.query.memory_per_query.bytes(),
            buckets_max: config.query.max_buckets,
            series_max: config.query.max_series,
            points_max: config.query.max_points,
        },
        query_memory_bytes: config.query.memory_total.bytes(),
        query_slots: config.query.max_concurrent,
        queries_queued_max: config.query.max_queued,
        subscribers: SubscriberLimits {
            queue_bytes: config.subscriptions.queue_bytes.bytes(),
            timeout: config.subscriptions.timeout,
        },
    }
}

fn api_config(config: &Config, metrics: Arc<HttpMetrics>) -> ApiConfig {
    ApiConfig {
        body_bytes_max: config.write.body_bytes.bytes() as usize,
        inflated_bytes_max: config.write.inflated_bytes.bytes() as usize,
        bodies_in_flight_bytes_max: config.write.inflight_bytes.bytes() as usize,
        body_timeout: config.http.body_timeout,
        auth: AuthConfig {
            enabled: config.auth.enabled,
            ping: config.auth.ping,
            debug: config.auth.debug,
            shared_secret: config.auth.shared_secret.text().to_owned(),
            clock: Arc::new(SystemClock),
            failed_logins_max: config.auth.failed_logins,
        },
        rows_max: config.query.max_rows,
        metrics,
        ..ApiConfig::default()
    }
}

fn serve_limits(config: &Config) -> ServeLimits {
    ServeLimits {
        connections_max: config.http.max_connections,
        header_timeout: config.http.header_timeout,
        shutdown_timeout: REQUESTS_GRACE,
        ..ServeLimits::default()
    }
}

/// Completes when the signal says so, or its sender is gone.
fn when_true(mut signal: watch::Receiver<bool>) -> futures::future::BoxFuture<'static, ()> {
    Box::pin(async move {
        let _gone = signal.wait_for(|on| *on).await;
    })
}

/// `None` when the stop came first.
async fn until_stopped<T>(stop: watch::Receiver<bool>, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        () = when_true(stop) => None,
    }
}
