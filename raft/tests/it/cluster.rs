//! A cluster in one process: each node has a runtime, a log, groups and a peer server of its own, and can be killed.

use model::batch::{BatchHeader, BatchWriter, Row};
use model::delete::Measurements;
use model::scan::GroupReader;
use model::time::ShardOrigin;
use model::value::{ValueRef, Values};
use model::{
    DatabaseId, Delete, FieldId, GroupId, NodeId, RetentionPolicyId, SeriesKey, TagPredicate, TimeRange,
};
use raft::peer::{FoundingInfo, IdentityInfo, PeerControl};
use raft::{Group, HostConfig, PeerAddr, PeerServer, RaftHost, Tcp, Tuning};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use storage::log::{LogDb, LogOptions, SyncFaults};
use storage::{Shared, StorageConfig};
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

/// The first data group; most tests need no other.
pub(crate) const DATA: GroupId = GroupId(1);
/// The uuid of the test cluster.
pub(crate) const CLUSTER: &str = "7c1d0f3e-cluster";

pub(crate) const DATABASE: DatabaseId = DatabaseId(1);
pub(crate) const POLICY: RetentionPolicyId = RetentionPolicyId(1);
pub(crate) const FIELD: FieldId = FieldId(0);
pub(crate) const HOUR_NS: i64 = 3_600_000_000_000;

/// Short times, so that a test takes seconds; nothing happens by itself.
pub(crate) fn tuning() -> Tuning {
    Tuning {
        heartbeat: Duration::from_millis(150),
        election_min: Duration::from_millis(800),
        election_max: Duration::from_millis(1_600),
        log_kept_bytes: 0,
        balance_interval: Duration::from_secs(3_600),
        ..Tuning::default()
    }
}

/// A node that says nothing about itself and is never founded.
#[derive(Debug)]
pub(crate) struct Silent;

impl PeerControl for Silent {
    fn identity(&self) -> IdentityInfo {
        IdentityInfo { volume: "blank".into(), ..IdentityInfo::default() }
    }

    fn bootstrap(&self, founding: &FoundingInfo) -> Result<(), String> {
        Err(format!("not in {}", founding.cluster))
    }

    fn founding(&self) -> Option<FoundingInfo> {
        None
    }
}

pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) address: String,
    dir: PathBuf,
    running: Option<Running>,
}

struct Running {
    faults: SyncFaults,
    runtime: Runtime,
    host: Arc<RaftHost>,
    server: Arc<PeerServer>,
}

pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    pub(crate) client: Runtime,
    groups: u32,
    founding: BTreeMap<GroupId, Vec<NodeId>>,
    tuning: Tuning,
    _dir: tempfile::TempDir,
}

impl Cluster {
    /// Three nodes with the meta group and `groups` data groups, founded and led.
    pub(crate) fn start(groups: u32, tuning: Tuning) -> Self {
        Self::start_placed(3, groups, BTreeMap::new(), tuning)
    }

    /// So many nodes; groups that are not in `founding` are on all of them.
    pub(crate) fn start_placed(
        count: u64,
        groups: u32,
        founding: BTreeMap<GroupId, Vec<NodeId>>,
        tuning: Tuning,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let taken: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let nodes = taken.iter().zip(1..).map(|(listener, id)| Node {
            id: NodeId(id),
            address: listener.local_addr().unwrap().to_string(),
            dir: dir.path().join(format!("n{id}")),
            running: None,
        });
        let nodes = nodes.collect();
        drop(taken);
        let client = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut cluster = Self { nodes, client, groups, founding, tuning, _dir: dir };
        for place in 0..count as usize {
            cluster.start_node(place);
        }
        for group in (0..=groups).map(GroupId) {
            let has = |node: &&Node| cluster.founding.get(&group).is_none_or(|on| on.contains(&node.id));
            let members: BTreeMap<NodeId, PeerAddr> = cluster
                .nodes
                .iter()
                .filter(has)
                .map(|n| (n.id, PeerAddr { address: n.address.clone() }))
                .collect();
            let first = members.keys().nth(group.0 as usize % members.len()).unwrap();
            let first = cluster.host(first.0 as usize - 1);
            cluster.client.block_on(first.initialize(group, &members)).unwrap();
        }
        for group in 0..=groups {
            cluster.leader(GroupId(group));
        }
        cluster
    }

    pub(crate) fn start_node(&mut self, place: usize) {
        let (groups, founding, tuning) = (self.groups, self.founding.clone(), self.tuning.clone());
        let node = &mut self.nodes[place];
        std::fs::create_dir_all(&node.dir).unwrap();
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let config = HostConfig {
            node: node.id,
            cluster: CLUSTER.into(),
            dir: node.dir.join("groups"),
            founding,
            tuning,
            connect: Arc::new(Tcp),
        };
        let (dir, address) = (node.dir.clone(), node.address.clone());
        let faults = SyncFaults::default();
        let options = LogOptions { faults: faults.clone(), ..LogOptions::default() };
        let (host, server) = runtime.block_on(async move {
            let log = LogDb::open_with(&dir.join("raftlog"), options).unwrap();
            let shared = Shared::new(&StorageConfig::default()).unwrap();
            let listener = tokio::net::TcpListener::bind(&address).await.unwrap();
            let server = PeerServer::new(Arc::new(Silent));
            tokio::spawn(Arc::clone(&server).serve(listener, None));
            let host =
                RaftHost::start(config, log, shared, (0..=groups).map(GroupId).collect()).await.unwrap();
            server.attach(&host);
            (host, server)
        });
        node.running = Some(Running { faults, runtime, host, server });
    }

    /// Stops a node as a crash would.
    pub(crate) fn kill(&mut self, place: usize) {
        let running = self.nodes[place].running.take().unwrap();
        running.runtime.block_on(running.host.kill());
        running.end();
    }

    /// Stops a node in order.
    pub(crate) fn stop(&mut self, place: usize) {
        let running = self.nodes[place].running.take().unwrap();
        running.runtime.block_on(running.host.shutdown());
        running.end();
    }

    /// Where a node keeps the state of a group.
    pub(crate) fn state_dir(&self, place: usize, group: GroupId) -> PathBuf {
        self.nodes[place].dir.join(format!("groups/g{group}/state"))
    }

    /// The disk under a node's log.
    pub(crate) fn log_faults(&self, place: usize) -> SyncFaults {
        self.nodes[place].running.as_ref().unwrap().faults.clone()
    }

    pub(crate) fn host(&self, place: usize) -> Arc<RaftHost> {
        Arc::clone(&self.nodes[place].running.as_ref().unwrap().host)
    }

    pub(crate) fn group(&self, place: usize, group: GroupId) -> Arc<Group> {
        self.host(place).group(group).unwrap()
    }

    pub(crate) fn running(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|place| self.nodes[*place].running.is_some()).collect()
    }

    /// Waits until a running node leads the group, and says which.
    pub(crate) fn leader(&self, group: GroupId) -> usize {
        eventually("a leader", || {
            self.running().into_iter().find(|place| self.group(*place, group).is_leader())
        })
    }

    /// Waits until the node's replica has everything that was acknowledged.
    pub(crate) fn barrier(&self, place: usize, group: GroupId) {
        let group = self.group(place, group);
        self.client.block_on(group.read_barrier(in_seconds(20))).unwrap();
    }

    pub(crate) fn write(&self, place: usize, time: i64, value: i64) {
        let group = self.group(place, DATA);
        self.client.block_on(group.submit(point(time, value), in_seconds(20))).unwrap();
    }

    /// All replicas have the same checksum at the same index.
    pub(crate) fn assert_equal_replicas(&self, group: GroupId) {
        let asked = self.group(self.leader(group), group);
        let checksums = self.client.block_on(asked.checksums(in_seconds(20))).unwrap();
        assert_eq!(checksums.len(), 3);
        let first = checksums[0].checksum.clone().unwrap();
        for replica in &checksums {
            assert_eq!(replica.checksum.clone().unwrap(), first, "node {}", replica.node);
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for place in self.running() {
            self.kill(place);
        }
    }
}

impl Running {
    /// Lets go of everything, so that the directories can be opened again.
    fn end(self) {
        self.server.detach();
        drop(self.host);
        self.runtime.shutdown_timeout(Duration::from_secs(5));
    }
}

pub(crate) fn in_seconds(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

/// Looks until there is something, up to 20 s.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(std::time::Instant::now() < until, "no {what} in time");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn key() -> SeriesKey {
    SeriesKey::from_parts(b"m", &[(b"host", b"a")])
}

/// The command that writes one point of the one series that tests use.
pub(crate) fn point(time: i64, value: i64) -> bytes::Bytes {
    let header = BatchHeader {
        database: DATABASE,
        policy: POLICY,
        shard_duration_ns: HOUR_NS,
        shard_origin: ShardOrigin::YearOne,
    };
    let mut batch = BatchWriter::new(header);
    let series = batch.add_series(&key().0);
    batch.push(&Row { series, time, field: FIELD, value: ValueRef::Integer(value) });
    raft::command::write(batch)
}

/// A delete of that series' points from one time to another.
pub(crate) fn delete_times(start: i64, end: i64) -> Delete {
    Delete {
        database: DATABASE,
        policy: None,
        measurements: Measurements::All,
        predicate: TagPredicate::All,
        range: TimeRange::new(start, end),
    }
}

/// All points of that series in a replica.
pub(crate) fn points(group: &Group) -> BTreeMap<i64, i64> {
    let store = group.data_store().unwrap();
    let Some(series) = store.lookup_series(DATABASE, &key().0) else { return BTreeMap::new() };
    let reader: Arc<dyn GroupReader> = store.reader();
    let mut points = BTreeMap::new();
    for run in reader.scan(POLICY, series, FIELD, TimeRange::ALL).unwrap() {
        let Values::Integer(values) = run.batch.values else { panic!("another type") };
        points.extend(run.batch.times.into_iter().zip(values));
    }
    points
}
