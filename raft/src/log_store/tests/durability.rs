//! Nothing is acknowledged before a majority has it on disk: three real Raft instances over three logs whose fsyncs
//! can be stopped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt;
use model::GroupId;
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, ClientWriteResponse, SnapshotResponse, VoteRequest,
    VoteResponse,
};
use openraft::{Config, OptionalSend, Raft, RaftNetworkFactory, RaftNetworkV2, ServerState, SnapshotPolicy};
use parking_lot::Mutex;
use storage::log::{LogDb, LogOptions, SyncFaults};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::memory_machine::{MemoryMachine, Snapshot};
use crate::log_store::LogStore;
use crate::type_config::{Command, PeerAddr, TypeConfig, Vote};

const LEADER: u64 = 1;

/// Time in which a write would be acknowledged many times over, if it were going to be.
const LONG_ENOUGH: Duration = Duration::from_secs(1);

/// Only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(60);

type Node = Raft<TypeConfig, MemoryMachine>;
type Write = JoinHandle<ClientWriteResponse<TypeConfig>>;

/// Hands calls over to the other instances of the process.
#[derive(Debug, Clone, Default)]
struct Switch(Arc<Mutex<BTreeMap<u64, Node>>>);

struct Link {
    switch: Switch,
    target: u64,
}

impl Link {
    fn node(&self) -> Result<Node, Unreachable<TypeConfig>> {
        let node = self.switch.0.lock().get(&self.target).cloned();
        node.ok_or_else(|| Unreachable::new(&std::io::Error::other("not started")))
    }
}

fn refused(error: &(impl std::error::Error + 'static)) -> Unreachable<TypeConfig> {
    Unreachable::new(error)
}

impl RaftNetworkFactory<TypeConfig> for Switch {
    type Network = Link;

    async fn new_client(&mut self, target: u64, _: &PeerAddr) -> Link {
        Link { switch: self.clone(), target }
    }
}

impl RaftNetworkV2<TypeConfig> for Link {
    type SnapshotData = ();

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        Ok(self.node()?.append_entries(rpc).await.map_err(|error| refused(&error))?)
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        _: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        Ok(self.node()?.vote(rpc).await.map_err(|error| refused(&error))?)
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        _: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        Ok(self.node()?.install_full_snapshot(vote, snapshot).await.map_err(|error| refused(&error))?)
    }
}

struct Cluster {
    nodes: BTreeMap<u64, Node>,
    faults: BTreeMap<u64, SyncFaults>,
    logs: BTreeMap<u64, Arc<LogDb>>,
    machines: BTreeMap<u64, MemoryMachine>,
    dirs: Vec<TempDir>,
}

impl Cluster {
    /// Three voters; node 1 leads and stays the leader, because nobody else may stand for election.
    async fn start() -> Self {
        let config = Arc::new(
            Config {
                enable_elect: false,
                heartbeat_interval: 100,
                election_timeout_min: 60_000,
                election_timeout_max: 120_000,
                snapshot_policy: SnapshotPolicy::Never,
                ..Config::default()
            }
            .validate()
            .unwrap(),
        );
        let switch = Switch::default();
        let mut cluster = Self {
            nodes: BTreeMap::new(),
            faults: BTreeMap::new(),
            logs: BTreeMap::new(),
            machines: BTreeMap::new(),
            dirs: Vec::new(),
        };
        for id in 1..=3 {
            let dir = tempfile::tempdir().unwrap();
            let faults = SyncFaults::default();
            let options = LogOptions { faults: faults.clone(), ..LogOptions::default() };
            let log = LogDb::open_with(dir.path(), options).unwrap();
            let store = LogStore::new(Arc::clone(&log), GroupId(1));
            let machine = MemoryMachine::default();
            let node =
                Node::new(id, Arc::clone(&config), switch.clone(), store, machine.clone()).await.unwrap();
            switch.0.lock().insert(id, node.clone());
            cluster.nodes.insert(id, node);
            cluster.faults.insert(id, faults);
            cluster.logs.insert(id, log);
            cluster.machines.insert(id, machine);
            cluster.dirs.push(dir);
        }
        let members: BTreeMap<u64, PeerAddr> = (1..=3).map(|id| (id, PeerAddr::default())).collect();
        cluster.nodes[&LEADER].initialize(members).await.unwrap();
        let leader = cluster.nodes[&LEADER].wait(Some(PATIENCE));
        leader.state(ServerState::Leader, "the first election").await.unwrap();
        cluster.first_write().await;
        cluster
    }

    /// Writes once. A new leader refuses proposals until a majority has answered it.
    async fn first_write(&self) {
        let begun = Instant::now();
        while let Err(error) = self.nodes[&LEADER].client_write(Command(Bytes::new())).await {
            assert!(begun.elapsed() < PATIENCE, "{error}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn hang(&self, id: u64) {
        self.faults[&id].hang_after(0);
    }

    fn write(&self) -> Write {
        let leader = self.nodes[&LEADER].clone();
        tokio::spawn(async move { leader.client_write(Command(Bytes::from_static(b"w"))).await.unwrap() })
    }

    async fn acknowledged(&self, write: Write) {
        tokio::time::timeout(PATIENCE, write).await.expect("not acknowledged").unwrap();
    }

    async fn not_acknowledged(&self, write: &mut Write) {
        tokio::time::sleep(LONG_ENOUGH).await;
        assert!(write.now_or_never().is_none(), "acknowledged without a majority of fsyncs");
        assert_eq!(self.machines[&LEADER].commands(), 1, "applied without a majority of fsyncs");
    }

    /// Lets all go on and stops the instances.
    async fn stop(self) {
        for faults in self.faults.values() {
            faults.clear();
        }
        for node in self.nodes.values() {
            node.shutdown().await.unwrap();
        }
        drop(self.dirs);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hanging_followers_keep_a_write_from_being_acknowledged() {
    let cluster = Cluster::start().await;
    cluster.hang(2);
    cluster.hang(3);
    let mut write = cluster.write();
    cluster.not_acknowledged(&mut write).await;
    assert!(
        cluster.faults[&2].is_hanging() && cluster.faults[&3].is_hanging(),
        "both have the entry, unsynced"
    );
    cluster.faults[&3].clear();
    cluster.acknowledged(write).await;
    assert!(cluster.faults[&2].is_hanging(), "a minority was waited for");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_does_not_count_itself_before_its_own_fsync() {
    let cluster = Cluster::start().await;
    cluster.hang(LEADER);
    cluster.hang(2);
    let mut write = cluster.write();
    cluster.not_acknowledged(&mut write).await;
    cluster.faults[&LEADER].clear();
    cluster.acknowledged(write).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_hanging_follower_costs_nothing() {
    let cluster = Cluster::start().await;
    cluster.hang(2);
    let before: Vec<u64> = [1, 3].iter().map(|id| cluster.logs[id].stats().syncs).collect();
    cluster.acknowledged(cluster.write()).await;
    let after: Vec<u64> = [1, 3].iter().map(|id| cluster.logs[id].stats().syncs).collect();
    assert!(before.iter().zip(&after).all(|(before, after)| after > before), "{before:?} → {after:?}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writes_at_once_share_fsyncs() {
    let cluster = Cluster::start().await;
    let before = cluster.logs[&LEADER].stats();
    let writes: Vec<Write> = (0..400).map(|_| cluster.write()).collect();
    for write in writes {
        cluster.acknowledged(write).await;
    }
    let after = cluster.logs[&LEADER].stats();
    let (entries, syncs) = (after.entries - before.entries, after.syncs - before.syncs);
    // The leader may have counted the last entry of the founding only now: the two others were a majority for it.
    assert!(entries >= 400, "{entries} entries");
    assert!(syncs < entries, "{syncs} fsyncs for {entries} entries");
    cluster.stop().await;
}
