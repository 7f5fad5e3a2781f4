//! One simulated node: the real code on a runtime of its own, whose clock stands still until the driver lets it go on.

use super::disk::Synced;
use super::network::Network;
use super::world::World;
use model::Clock;
use node::embedded::{Embedded, EmbeddedConfig, SyncFaults, Tuning};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// When the simulated world begins, ns since the epoch.
pub const EPOCH_NS: i64 = 1_800_000_000_000_000_000;

/// The wall clock of one node: the world's time, and how wrong it is.
#[derive(Debug, Default)]
pub struct WallClock {
    now_ms: Arc<AtomicU64>,
    offset_ns: AtomicI64,
}

impl Clock for WallClock {
    fn now_ns(&self) -> i64 {
        let since = self.now_ms.load(Ordering::Relaxed) as i64 * 1_000_000;
        EPOCH_NS + since + self.offset_ns.load(Ordering::Relaxed)
    }
}

impl WallClock {
    /// Lets it jump to so far from the right time.
    pub fn jump(&self, offset: i64) {
        self.offset_ns.store(offset, Ordering::Relaxed);
    }
}

/// A process that runs.
#[derive(Debug)]
struct Process {
    runtime: Runtime,
    node: Arc<Embedded>,
}

/// What all nodes of a cluster are started with.
#[derive(Debug, Clone)]
pub struct Site {
    /// Where the nodes are, by place.
    pub addresses: Vec<String>,
    /// The first so many of them found the cluster.
    pub founders: usize,
    /// Data groups.
    pub groups: u32,
    /// How many replicas each of them has at first.
    pub replication_factor: u32,
    /// When others take the replicas of a node that is gone; zero: never.
    pub replace_after: Duration,
}

/// A node, whether it runs or not.
#[derive(Debug)]
pub struct SimulatedNode {
    /// Its place among the nodes; not its node id, which changes with its volume.
    pub place: usize,
    world: World,
    network: Network,
    site: Site,
    root: PathBuf,
    incarnation: u32,
    /// How often its volume was replaced, or taken away.
    volume: u32,
    /// Whether the last one was lost.
    replaced: bool,
    process: Option<Process>,
    synced: Synced,
    /// Its wall clock.
    pub clock: Arc<WallClock>,
    /// Until when it hangs, ms.
    pub paused_until: u64,
    /// How far its own clock is behind the world's, ms.
    missed_ms: u64,
    /// When its disk has done what it does now, ms.
    disk_free_at: u64,
    /// Whether it belongs to the cluster, or is to.
    wanted: bool,
}

impl SimulatedNode {
    /// A node with an empty volume, which does not run yet.
    pub fn new(place: usize, world: &World, network: &Network, site: &Site) -> Self {
        let clock = WallClock { now_ms: world.clock(), offset_ns: AtomicI64::new(0) };
        Self {
            place,
            world: world.clone(),
            network: network.clone(),
            site: site.clone(),
            root: world.dir(),
            incarnation: 0,
            volume: 0,
            replaced: false,
            process: None,
            synced: Synced::default(),
            clock: Arc::new(clock),
            paused_until: 0,
            missed_ms: 0,
            disk_free_at: 0,
            wanted: place < site.founders,
        }
    }

    fn dir(&self) -> PathBuf {
        self.root.join(format!("{}-{}", self.place, self.incarnation))
    }

    /// How often its volume was replaced.
    pub fn volume(&self) -> u32 {
        self.volume
    }

    /// Under which address the others reach it.
    pub fn address(&self) -> String {
        self.site.addresses[self.place].clone()
    }

    /// Whether it belongs to the cluster, or is to; else its machine is off.
    pub fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// From now on it is one that [`Self::is_wanted`], or is none.
    pub fn set_wanted(&mut self, wanted: bool) {
        self.wanted = wanted;
    }

    /// Whether it runs, be it hanging.
    pub fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// The node, if it runs and does not hang.
    pub fn running(&self) -> Option<&Arc<Embedded>> {
        let process = self.process.as_ref()?;
        (self.paused_until <= self.world.now()).then_some(&process.node)
    }

    /// Starts it on what its disk holds.
    pub fn start(&mut self) {
        if self.process.is_some() || !self.wanted {
            return;
        }
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime without I/O needs nothing");
        let config = EmbeddedConfig {
            data_dir: self.dir(),
            address: self.address(),
            peers: self.site.addresses[..self.site.founders].to_vec(),
            groups: self.site.groups,
            replication_factor: self.site.replication_factor,
            tuning: Tuning { replace_after: self.site.replace_after, ..tuning() },
            connect: self.network.from(self.place),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            write_timeout: Duration::from_secs(10),
            log_faults: SyncFaults::default(),
        };
        self.world.enter(self.place);
        let node = runtime.block_on(async { Embedded::start(config) });
        let node = node.unwrap_or_else(|error| panic!("node {} does not start: {error:#}", self.place));
        runtime.block_on(async { self.network.open(self.place, node.peers()) });
        self.process = Some(Process { runtime, node });
        (self.paused_until, self.missed_ms, self.disk_free_at) = (0, 0, 0);
        // What is on the disk at a start was synced, or is taken for it: a later crash can lose it no more.
        self.note_synced();
    }

    /// Power loss: what was not synced is gone. Answers how many bytes of the log that were.
    pub fn crash(&mut self) -> u64 {
        let Some(process) = self.process.take() else { return 0 };
        let old = self.dir();
        self.incarnation += 1;
        let lost = self.synced.crash(&old, &self.dir()).expect("the copy of a crashed disk");
        self.network.close(self.place);
        self.world.enter(self.place);
        drop(process.runtime);
        drop(process.node);
        drop(fs::remove_dir_all(old));
        lost
    }

    /// Whether the volume that it has stands for one that was lost.
    pub fn has_replaced_volume(&self) -> bool {
        self.replaced
    }

    /// Its volume is lost; it must not run. `keep_identity` is what nobody should do: who it was comes back without what
    /// it promised.
    pub fn wipe(&mut self, keep_identity: bool) {
        let old = self.dir();
        self.incarnation += 1;
        self.volume += 1;
        self.replaced = self.wanted;
        if keep_identity {
            fs::create_dir_all(self.dir()).expect("a directory for the new volume");
            for name in ["identity.toml", "volume"] {
                drop(fs::copy(old.join(name), self.dir().join(name)));
            }
        }
        drop(fs::remove_dir_all(old));
        self.synced = Synced::default();
    }

    /// Lets it live through `ms`.
    pub fn step(&mut self, ms: u64) {
        let now = self.world.now();
        let Some(process) = &self.process else { return };
        if self.paused_until > now {
            self.missed_ms += ms;
            return;
        }
        self.world.enter(self.place);
        if self.missed_ms > 0 {
            let missed = std::mem::take(&mut self.missed_ms);
            process.runtime.block_on(async { tokio::time::advance(Duration::from_millis(missed)).await });
        }
        process.runtime.block_on(async { tokio::time::sleep(Duration::from_millis(ms)).await });
        self.write_log();
    }

    /// What the log's writer does in one turn, if the disk has done with the last one.
    fn write_log(&mut self) {
        let now = self.world.now();
        let Some(process) = &self.process else { return };
        if self.disk_free_at > now {
            return;
        }
        let written = {
            let _entered = process.runtime.enter();
            process.node.write_log_round()
        };
        if let Some(synced) = written {
            if synced {
                self.note_synced();
            }
            self.disk_free_at = now + self.world.disk_ms(self.place);
        }
    }

    fn note_synced(&mut self) {
        let dir = self.dir().join("raftlog");
        if dir.exists() {
            self.synced.note(&dir).expect("the log's directory can be listed");
        }
    }

    /// Runs something on its runtime, beside everything else.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(process) = &self.process {
            process.runtime.handle().spawn(work);
        }
    }

    /// Looks at it from within its runtime.
    pub fn look<T>(&self, look: impl FnOnce(&Arc<Embedded>) -> T) -> Option<T> {
        let process = self.process.as_ref()?;
        let _entered = process.runtime.enter();
        Some(look(&process.node))
    }
}

/// As in a product, but what takes minutes there takes seconds here.
fn tuning() -> Tuning {
    Tuning {
        snapshot_bytes: 64 << 10,
        snapshot_interval: Duration::from_secs(4),
        log_kept_bytes: 4 << 10,
        snapshot_bytes_per_second: 0,
        snapshot_timeout: Duration::from_secs(20),
        ..Tuning::default()
    }
}
