//! One run: a cluster is founded, lives through faults under load, is healed, and must come to rest with everything it
//! acknowledged, the same at every node.

use super::faults::{Faults, Manner, Scene};
use super::network::Network;
use super::node::{SimulatedNode, Site};
use super::operator::{Operator, Premises};
use super::trace::Trace;
use super::users::{DATABASE, Users};
use super::verdict::Effects;
use super::watch::{Watch, unrest};
use super::world::World;
use node::embedded::simulate;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a node lives at once before the next has its turn, ms.
const TICK_MS: u64 = 1;
/// How often invariants are looked at, ms.
const LOOK_MS: u64 = 20;
/// How long a founding may take, ms.
const FOUNDING_MS: u64 = 60_000;
/// How long the cluster may take to come to rest after all faults ended, ms.
const REST_MS: u64 = 60_000;
/// The same if replicas have to move until every node has all.
const REST_OF_MOVES_MS: u64 = 150_000;
/// How long it may take until a write is acknowledged again, ms: keep-alive, a restart, and an election or two.
const SERVICE_MS: u64 = 20_000;
/// How long a last look at everything may take, ms.
const AUDIT_MS: u64 = 40_000;

/// What a run is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Story {
    /// A cluster is founded in peace, and lives.
    Life,
    /// A cluster is founded while everything goes wrong; nobody uses it.
    Founding,
}

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Repeats everything.
    pub seed: u64,
    /// What it is about.
    pub story: Story,
    /// Nodes that there are at most.
    pub nodes: usize,
    /// How many of them found the cluster; if there are more, an operator lets them join and go.
    pub founders: usize,
    /// Replicas of each data group at first.
    pub replication_factor: u32,
    /// When others take the replicas of a node that is gone, s; 0: never.
    pub replace_after_s: u64,
    /// Data groups.
    pub groups: u32,
    /// How long faults go on, ms.
    pub faults_ms: u64,
    /// A bug put back: see [`Manner`].
    pub keep_identity: bool,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What must not happen and did.
    pub violations: Vec<String>,
    /// What took effect.
    pub effects: Effects,
    /// Events, and their checksum.
    pub trace: (u64, u64),
    /// How long all of it lasted in the simulated world, ms.
    pub lasted_ms: u64,
}

/// What differs between replicas, or why they could not be compared.
type Compared = Result<Option<String>, String>;

struct Run {
    plan: Plan,
    world: World,
    network: Network,
    nodes: Vec<SimulatedNode>,
    users: Users,
    faults: Faults,
    operator: Option<Operator>,
    watch: Watch,
    effects: Effects,
}

/// Runs a plan in `dir`, on this thread, which can run no other plan afterwards.
pub fn run(plan: Plan, dir: &Path, trace: Trace) -> Outcome {
    let world = World::new(plan.seed, dir, trace.clone());
    simulate(Rc::new(world.clone()));
    note_panics(&world);
    let addresses: Vec<String> = (0..plan.nodes).map(|place| format!("node-{place}:8088")).collect();
    let network = Network::new(plan.seed, &addresses, trace);
    let site = Site {
        addresses,
        founders: plan.founders,
        groups: plan.groups,
        replication_factor: plan.replication_factor,
        replace_after: Duration::from_secs(plan.replace_after_s),
    };
    let nodes = (0..plan.nodes).map(|place| SimulatedNode::new(place, &world, &network, &site)).collect();
    let founding = plan.story == Story::Founding;
    let manner = Manner { founding, keep_identity: plan.keep_identity };
    let mut run = Run {
        plan,
        users: Users::new(plan.seed, &world),
        faults: Faults::new(plan.seed, plan.nodes, manner),
        operator: (plan.nodes > plan.founders).then(|| Operator::new(plan.seed)),
        world,
        network,
        nodes,
        watch: Watch::default(),
        effects: Effects::default(),
    };
    match plan.story {
        Story::Life => {
            if run.found() {
                run.live();
                run.heal();
                run.audit();
            }
        }
        Story::Founding => run.found_under_faults(),
    }
    run.outcome()
}

/// A panic ends one task of a node and nobody may notice: it is a violation.
fn note_panics(world: &World) {
    let (world, usual) = (world.clone(), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |panic| {
        usual(panic);
        world.panicked();
    }));
}

impl Run {
    /// One tick of everything.
    fn tick(&mut self) {
        self.world.pass(TICK_MS);
        let now = self.world.now();
        self.network.deliver(now);
        for node in &mut self.nodes {
            node.step(TICK_MS);
        }
        self.users.hear();
        if now.is_multiple_of(LOOK_MS) {
            self.watch.look(&self.nodes, &self.world, &mut self.effects);
        }
    }

    /// Ticks until `done` says so, or the time is over; answers whether it said so.
    fn until(&mut self, limit_ms: u64, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.world.now() + limit_ms;
        while self.world.now() < end {
            self.tick();
            if done(self) {
                return true;
            }
        }
        false
    }

    fn failed(&self) -> bool {
        !self.world.violations().is_empty() || self.world.panics() > 0
    }

    /// Every node starts at some time, and everything goes wrong meanwhile; then there must be one cluster.
    fn found_under_faults(&mut self) {
        self.faults.start_late(&mut self.effects);
        let end = self.world.now() + self.plan.faults_ms;
        while self.world.now() < end && !self.failed() {
            self.tick();
            self.break_something();
        }
        if self.failed() {
            return;
        }
        self.end_faults();
        if !self.until(FOUNDING_MS, |run| run.failed() || run.is_at_rest()) {
            let why = unrest(&self.nodes).unwrap_or_default();
            self.world.violation(format!("no cluster within {FOUNDING_MS} ms after all faults: {why}"));
        }
        if !self.failed() && !self.ask_until(FOUNDING_MS, format!("CREATE DATABASE {DATABASE}")) {
            self.world.violation("the cluster does nothing".to_owned());
        }
        self.effects.add("foundings", u64::from(!self.failed()));
    }

    fn found(&mut self) -> bool {
        for node in &mut self.nodes {
            node.start();
        }
        if !self.until(FOUNDING_MS, Self::is_at_rest) {
            let why = unrest(&self.nodes).unwrap_or_default();
            self.world.violation(format!("no cluster was founded: {why}"));
            return false;
        }
        let created = self.ask_until(FOUNDING_MS, format!("CREATE DATABASE {DATABASE}"));
        if !created {
            self.world.violation("no database was created".to_owned());
        }
        created
    }

    fn is_at_rest(&mut self) -> bool {
        self.world.now().is_multiple_of(100)
            && self.operator.as_ref().is_none_or(|operator| operator.is_idle(&self.nodes))
            && unrest(&self.nodes).is_none()
    }

    fn break_something(&mut self) {
        let Self { faults, nodes, network, world, watch, effects, .. } = self;
        faults.act(&mut Scene { nodes, network, world, watch, effects });
        self.operate();
    }

    fn operate(&mut self) {
        let Self { operator, nodes, world, watch, effects, .. } = self;
        if let Some(operator) = operator {
            operator.act(&mut Premises { nodes, world, watch, effects });
        }
    }

    fn end_faults(&mut self) {
        if let Some(operator) = &mut self.operator {
            operator.end();
        }
        let Self { faults, nodes, network, world, watch, effects, .. } = self;
        faults.end(&mut Scene { nodes, network, world, watch, effects });
    }

    /// Asks any node for something until it is done.
    fn ask_until(&mut self, limit_ms: u64, statement: String) -> bool {
        let done = Arc::new(Mutex::new(Some(false)));
        let node = &self.nodes[0];
        if let Some(embedded) = node.look(Arc::clone) {
            let told = Arc::clone(&done);
            node.spawn(async move {
                let answered = embedded.query("", &statement).await;
                *told.lock().unwrap_or_else(PoisonError::into_inner) = answered.ok().map(|_| true);
            });
        }
        self.until(limit_ms, |_| *done.lock().unwrap_or_else(PoisonError::into_inner) != Some(false))
            && *done.lock().unwrap_or_else(PoisonError::into_inner) == Some(true)
    }

    /// Faults and load.
    fn live(&mut self) {
        let end = self.world.now() + self.plan.faults_ms;
        while self.world.now() < end && !self.failed() {
            self.tick();
            self.users.act(&self.nodes);
            self.break_something();
        }
    }

    /// No faults any more, but load: service must come back, and then rest.
    fn heal(&mut self) {
        if self.failed() {
            return;
        }
        self.end_faults();
        let before = self.users.counts.stored;
        let served = self.until(SERVICE_MS, |run| {
            run.users.act(&run.nodes);
            run.operate();
            run.users.counts.stored > before || run.failed()
        });
        if !served {
            self.world.violation(format!(
                "no write was acknowledged within {SERVICE_MS} ms after all faults ended"
            ));
        }
        let rest_ms = if self.operator.is_some() { REST_OF_MOVES_MS } else { REST_MS };
        let rested = self.until(rest_ms, |run| {
            run.operate();
            run.failed() || (run.users.is_quiet() && run.is_at_rest())
        });
        if !rested && !self.failed() {
            let why = unrest(&self.nodes).unwrap_or_else(|| "users still wait".to_owned());
            self.world
                .violation(format!("the cluster has not come to rest {rest_ms} ms after all faults: {why}"));
        }
        self.users.leave();
    }

    /// Everything is read at every node, and all replicas are compared.
    fn audit(&mut self) {
        for place in 0..self.nodes.len() {
            if self.failed() {
                return;
            }
            if !self.nodes[place].is_wanted() {
                continue;
            }
            let wanted = self.users.counts.reads + self.users.reads_of_all();
            self.users.read_all(&self.nodes[place]);
            if !self.until(AUDIT_MS, |run| run.users.counts.reads >= wanted || run.failed()) {
                self.world
                    .violation(format!("node {place} does not answer for everything after all faults ended"));
            }
            self.users.leave();
        }
        if !self.failed() {
            self.compare_replicas();
        }
    }

    fn compare_replicas(&mut self) {
        let told: Arc<Mutex<Option<Compared>>> = Arc::default();
        let node = self.nodes.iter().find(|node| node.is_wanted());
        if let Some((node, embedded)) = node.and_then(|node| Some((node, node.look(Arc::clone)?))) {
            let told = Arc::clone(&told);
            node.spawn(async move {
                let compared = embedded.compare_checksums().await;
                *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(compared);
            });
        }
        self.until(AUDIT_MS, |_| told.lock().unwrap_or_else(PoisonError::into_inner).is_some());
        let told = told.lock().unwrap_or_else(PoisonError::into_inner).take();
        match told {
            Some(Ok(None)) => self.effects.count("replicas_compared"),
            Some(Ok(Some(differ))) => self.world.violation(format!("replicas differ: {differ}")),
            Some(Err(why)) => self.world.violation(format!("replicas could not be compared: {why}")),
            None => self.world.violation("replicas could not be compared in time".to_owned()),
        }
    }

    fn outcome(mut self) -> Outcome {
        let users = self.users.counts.clone();
        let network = self.network.counts();
        let (entries, again, slow) = self.world.counts();
        for (what, times) in [
            ("points_stored", users.stored),
            ("points_unknown", users.unknown),
            ("points_refused", users.refused),
            ("registers_set", users.sets),
            ("registers_gone_back", users.sets_undone),
            ("deletions", users.deletes),
            ("reads_checked", users.reads),
            ("stale_reads", users.stale_reads),
            ("failed_reads", users.failed_reads),
            ("messages", network.delivered),
            ("messages_held", network.held),
            ("messages_late", network.late),
            ("calls_lost", network.lost),
            ("calls_doubled", network.doubled),
            ("calls_broken", network.broken),
            ("entries_applied", entries),
            ("entries_applied_again", again),
            ("slow_disk_waits", slow),
            ("leaderships_transferred", self.world.transfers().load(std::sync::atomic::Ordering::Relaxed)),
        ] {
            self.effects.add(what, times);
        }
        let mut violations = self.world.violations();
        let panics = self.world.panics();
        if panics > 0 {
            violations.push(format!("{panics} panics"));
        }
        if violations.is_empty() && self.plan.story == Story::Life {
            violations.extend(self.effects.idle_run());
        }
        Outcome {
            violations,
            effects: self.effects,
            trace: self.world.trace().checksum(),
            lasted_ms: self.world.now(),
        }
    }
}
