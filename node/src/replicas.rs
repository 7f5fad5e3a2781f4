//! The replicas that a statement reads: those on this node, and for each group that has none here, one on another node.
//!
//! The other nodes are asked first, as few as have all that is missing, to make theirs current; where one does not answer
//! or is behind, the next one is asked. A replica that fails while it is read is left out when the statement is begun
//! again.

use crate::coordinator::NodeCoordinator;
use crate::freshness::{is_welcome, too_old};
use api::coordinator::{Consistency, ExecuteError, Reading, StaleCause, Staleness};
use futures::future::join_all;
use model::catalog::Catalog;
use model::scan::GroupReader;
use model::{GroupId, NodeId};
use parking_lot::Mutex;
use query::{Budget, MemoryPool, QueryError, QueryLimits};
use raft::simulation::is_simulated;
use raft::{Freshened, Group, NoMemory, ReadAccount, ReadAccounts, ReadFailure, RemoteReader};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::Instant;

/// The environment variable that makes a node read no data group's replica of its own, for tests of whole processes: then
/// everything that is asked of it is read from other nodes.
const READ_ELSEWHERE_VARIABLE: &str = "STEADFAST_FAULT_READ_ELSEWHERE";

/// How long one node may take to make its replicas current, before the next one is asked.
const ATTEMPT_MAX: Duration = Duration::from_secs(3);
/// How long a node that did not answer is asked after the others only.
const AVOID: Duration = Duration::from_secs(5);
/// Pause before all are asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// A group and what it has, here or on another node.
pub(crate) type Replica = (Arc<Group>, Arc<dyn GroupReader>);

/// A replica on another node that is fit to be read.
#[derive(Debug)]
pub(crate) struct Placed {
    group: Arc<Group>,
    node: NodeId,
    applied: Option<u64>,
}

/// Where the groups are read that have no replica here.
#[derive(Debug, Default)]
pub(crate) struct Elsewhere {
    placed: Vec<Placed>,
    /// How old they may be, if they are not current.
    pub(crate) stale: Option<Staleness>,
    /// Groups that nobody answers for.
    pub(crate) missing: Vec<GroupId>,
}

/// Replicas that failed while a statement read them.
pub(crate) type Spoiled = BTreeSet<(GroupId, NodeId)>;

/// Nodes that did not answer lately: a statement waits for each that it asks, so others are asked before them.
#[derive(Debug, Default)]
pub(crate) struct Silent(Mutex<BTreeMap<NodeId, Instant>>);

impl Silent {
    /// Those of now.
    fn nodes(&self) -> BTreeSet<NodeId> {
        let now = Instant::now();
        let mut silent = self.0.lock();
        silent.retain(|_, until| *until > now);
        silent.keys().copied().collect()
    }

    fn note(&self, node: NodeId, answers: bool) {
        if answers {
            self.0.lock().remove(&node);
        } else {
            self.0.lock().insert(node, Instant::now() + AVOID);
        }
    }
}

/// All that a statement reads.
#[derive(Debug)]
pub(crate) struct Replicas {
    /// In order of their groups.
    pub(crate) all: Vec<Replica>,
    remote: Vec<(GroupId, Arc<RemoteReader>)>,
    account: Arc<QueryAccount>,
}

/// Why what was read is not everything.
#[derive(Debug)]
pub(crate) enum Lost {
    /// The statement itself: its memory, its time, or somebody ended it.
    Statement(QueryError),
    /// Replicas that others may stand in for, and what they said.
    Replicas(Spoiled, String),
    /// A replica of this node turned out to be damaged; another node's may stand in for it.
    Here(QueryError),
}

impl Replicas {
    /// Whether something is missing from what was read, and why. To be asked when the statement has ended, whatever
    /// came out.
    pub(crate) fn lost(&self) -> Option<Lost> {
        let mut spoiled = Spoiled::new();
        let mut reasons = Vec::new();
        for (group, reader) in &self.remote {
            match reader.failure() {
                None => {}
                Some(ReadFailure::Stopped) => return Some(Lost::Statement(self.account.error())),
                Some(ReadFailure::Node(reason)) => {
                    spoiled.insert((*group, reader.node()));
                    reasons.push(format!("group {group}: {reason}"));
                }
            }
        }
        (!spoiled.is_empty()).then(|| Lost::Replicas(spoiled, reasons.join("; ")))
    }

    /// What is lost by an error of the statement, when all that was read on other nodes is right.
    pub(crate) fn lost_by(&self, error: QueryError) -> Lost {
        let is_remote = |group: &Group| self.remote.iter().any(|(id, _)| *id == group.id());
        let here = self.all.iter().map(|(group, _)| group).filter(|group| !is_remote(group));
        let is_unfit = here.into_iter().any(|group| !is_read_here(group));
        match error {
            QueryError::Scan(_) if is_unfit => Lost::Here(error),
            error => Lost::Statement(error),
        }
    }
}

impl NodeCoordinator {
    /// Finds a replica of every group that has none here.
    ///
    /// # Errors
    ///
    /// [`ExecuteError::Unavailable`] when a group has none that is fresh enough.
    pub(crate) async fn find_elsewhere(
        &self,
        reading: Reading,
        spoiled: &Spoiled,
        deadline: Instant,
    ) -> Result<Elsewhere, ExecuteError> {
        let groups = self.host.groups().into_iter().filter(|group| !group.id().is_meta());
        let groups: Vec<Arc<Group>> = groups.filter(|group| !is_read_here(group)).collect();
        if groups.is_empty() {
            return Ok(Elsewhere::default());
        }
        if let Some(group) = groups.first().filter(|_| is_simulated()) {
            // Reading there takes a thread that waits while others go on; a simulation has one.
            return Err(unfit(group, "it is read on other nodes"));
        }
        let catalog = self.host.catalog();
        let me = self.host.node();
        let open = groups.into_iter().map(|group| {
            let id = group.id();
            let nodes = catalog.replicas(id).into_iter();
            let nodes = nodes.filter(|node| *node != me && !spoiled.contains(&(id, *node))).collect();
            let own = group.is_here().then(|| group.unfit()).flatten();
            let reasons = own.map(|reason| (me, reason)).into_iter().collect();
            (id, Open { group, nodes, oldest: None, reasons })
        });
        let silent = self.silent.nodes();
        let mut search = Search { reading, open: open.collect(), silent, found: Elsewhere::default() };
        let nodes: BTreeMap<GroupId, BTreeSet<NodeId>> =
            search.open.iter().map(|(id, open)| (*id, open.nodes.clone())).collect();
        let asks_for_stale = reading.consistency == Some(Consistency::Stale);
        if asks_for_stale {
            self.search(&mut search, true, deadline).await;
            // What is too old as it is may be current a moment later.
            search.begin_again(&nodes);
        }
        let until = deadline.min(Instant::now() + 2 * self.limits.barrier_timeout);
        if !asks_for_stale || reading.max_staleness.is_some() {
            self.search(&mut search, false, until).await;
            // An election may have been under way, or a replica on its way: then one that the catalog does not name any
            // more still has everything.
            while !search.open.is_empty() && Instant::now() < until {
                tokio::time::sleep(PAUSE).await;
                let nodes = search.everybody(&self.host.catalog(), me, spoiled);
                if nodes.values().all(BTreeSet::is_empty) {
                    break;
                }
                search.begin_again(&nodes);
                self.search(&mut search, false, until).await;
            }
        }
        search.end(self.limits.stale_reads)
    }

    /// Asks one node after the other until every group has a replica, or none is left.
    async fn search(&self, search: &mut Search, as_they_are: bool, deadline: Instant) {
        while Instant::now() < deadline {
            let asked = search.next_nodes(self.host.node());
            if asked.is_empty() {
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = left.min(ATTEMPT_MAX).min(self.limits.barrier_timeout);
            let answers =
                asked.iter().map(|(node, groups)| self.host.freshen_at(*node, groups, as_they_are, timeout));
            for ((node, groups), answer) in asked.iter().zip(join_all(answers).await) {
                self.silent.note(*node, answer.is_ok());
                match answer {
                    Ok(answer) => search.take(*node, answer, as_they_are),
                    Err(error) => {
                        tracing::debug!(%node, %error, "replicas not reached for a read");
                        search.failed(*node, groups, &error.to_string());
                    }
                }
            }
        }
    }

    /// Opens everything for reading.
    ///
    /// # Errors
    ///
    /// [`ExecuteError::Unavailable`]: a replica was closed meanwhile.
    pub(crate) fn open_replicas(
        &self,
        elsewhere: &Elsewhere,
        budget: &Arc<Budget>,
        deadline: Instant,
    ) -> Result<Replicas, ExecuteError> {
        let account = Arc::new(QueryAccount { budget: Arc::clone(budget), error: Mutex::default() });
        let (mut all, mut remote): (BTreeMap<GroupId, Replica>, _) = (BTreeMap::new(), Vec::new());
        let counted = Arc::clone(budget);
        let stop: storage::Stop = Arc::new(move || counted.check().is_err());
        let placed = |id: GroupId| elsewhere.placed.iter().any(|placed| placed.group.id() == id);
        for group in self.host.groups().into_iter().filter(|group| !group.id().is_meta()) {
            let id = group.id();
            if placed(id) || elsewhere.missing.contains(&id) {
                continue;
            }
            if let Some(reason) = group.unfit() {
                return Err(unfit(&group, &reason));
            }
            match group.data_store() {
                Some(store) => drop(all.insert(id, (group, store.reader_until(Arc::clone(&stop))))),
                None => return Err(unfit(&group, "it is closed")),
            }
        }
        for Placed { group, node, applied } in &elsewhere.placed {
            let place = (*node, group.id());
            let account = Arc::clone(&account) as Arc<dyn ReadAccount>;
            let reader = self.host.remote_reader(place, *applied, account, deadline);
            let reader = reader.map_err(|error| unfit(group, &error.to_string()))?;
            let reader = Arc::new(reader);
            remote.push((group.id(), Arc::clone(&reader)));
            all.insert(group.id(), (Arc::clone(group), reader));
        }
        Ok(Replicas { all: all.into_values().collect(), remote, account })
    }
}

/// Whether a group is read from this node's replica: it has one that takes part, and nothing is wrong with it.
pub(crate) fn is_read_here(group: &Group) -> bool {
    static NOTHING_HERE: OnceLock<bool> = OnceLock::new();
    let nothing = *NOTHING_HERE.get_or_init(|| std::env::var_os(READ_ELSEWHERE_VARIABLE).is_some());
    group.id().is_meta() || (!nothing && group.is_here() && group.unfit().is_none())
}

/// What a client is told of a group that cannot be read.
pub(crate) fn unfit(group: &Group, reason: &str) -> ExecuteError {
    let text = format!("group {} cannot be read on this node: {reason}; ask another node", group.id());
    ExecuteError::Unavailable(text)
}

/// A group for which a replica is sought.
struct Open {
    group: Arc<Group>,
    /// Those that were not asked yet.
    nodes: BTreeSet<NodeId>,
    /// The best of those that are not fresh enough.
    oldest: Option<(Placed, Staleness)>,
    /// What each of them said.
    reasons: BTreeMap<NodeId, String>,
}

struct Search {
    reading: Reading,
    open: BTreeMap<GroupId, Open>,
    /// Asked last.
    silent: BTreeSet<NodeId>,
    found: Elsewhere,
}

impl Search {
    /// The nodes to ask next: few of them, so that a query waits for few.
    fn next_nodes(&mut self, me: NodeId) -> BTreeMap<NodeId, Vec<GroupId>> {
        let mut counts: BTreeMap<NodeId, usize> = BTreeMap::new();
        for node in self.open.values().flat_map(|open| &open.nodes) {
            *counts.entry(*node).or_default() += 1;
        }
        let mut asked: BTreeMap<NodeId, Vec<GroupId>> = BTreeMap::new();
        for (id, open) in &mut self.open {
            // Nodes that have as many are spread by who asks.
            let answers = |node: &NodeId| !self.silent.contains(node);
            let weight =
                |node: &NodeId| (answers(node), counts.get(node).copied(), (node.0 ^ me.0) % 5, *node);
            let Some(node) = open.nodes.iter().max_by_key(|node| weight(node)).copied() else { continue };
            open.nodes.remove(&node);
            asked.entry(node).or_default().push(*id);
        }
        asked
    }

    /// All nodes that may be asked for a replica of what is still open.
    fn everybody(
        &self,
        catalog: &Catalog,
        me: NodeId,
        spoiled: &Spoiled,
    ) -> BTreeMap<GroupId, BTreeSet<NodeId>> {
        let others = |id: GroupId| {
            let others = catalog.nodes.keys().copied();
            others.filter(move |node| *node != me && !spoiled.contains(&(id, *node))).collect()
        };
        self.open.keys().map(|id| (*id, others(*id))).collect()
    }

    /// All nodes may be asked again.
    fn begin_again(&mut self, nodes: &BTreeMap<GroupId, BTreeSet<NodeId>>) {
        for (id, open) in &mut self.open {
            open.nodes = nodes.get(id).cloned().unwrap_or_default();
        }
    }

    fn failed(&mut self, node: NodeId, groups: &[GroupId], reason: &str) {
        for id in groups {
            if let Some(open) = self.open.get_mut(id) {
                open.reasons.insert(node, reason.to_owned());
            }
        }
    }

    /// Takes the replicas that will do.
    fn take(&mut self, node: NodeId, answer: Vec<Freshened>, as_they_are: bool) {
        for freshened in answer {
            let Some(open) = self.open.get_mut(&freshened.group) else { continue };
            if let Some(reason) = freshened.refusal {
                open.reasons.insert(node, reason);
                continue;
            }
            let placed = Placed { group: Arc::clone(&open.group), node, applied: freshened.applied };
            let cause =
                if self.reading.consistency.is_some() { StaleCause::AskedFor } else { StaleCause::NoQuorum };
            let raft::Staleness { age, at_least } = freshened.staleness;
            let stale = Staleness { age, at_least, cause };
            let is_current = !as_they_are && freshened.behind.is_none();
            let will_do = is_current || (as_they_are && is_welcome(stale, self.reading));
            if !will_do {
                open.reasons.extend(freshened.behind.map(|reason| (node, reason)));
                if open.oldest.as_ref().is_none_or(|(_, known)| stale.age < known.age) {
                    open.oldest = Some((placed, stale));
                }
                continue;
            }
            self.open.remove(&freshened.group);
            self.found.placed.push(placed);
            if !is_current {
                self.found.stale = Some(self.found.stale.map_or(stale, |before| before.or(stale)));
            }
        }
    }

    /// Decides about groups without a replica that is fresh enough.
    fn end(mut self, stale_reads: bool) -> Result<Elsewhere, ExecuteError> {
        let may_be_stale = match self.reading.consistency {
            None => stale_reads,
            Some(Consistency::Strong | Consistency::Lease) => false,
            Some(Consistency::Stale) => true,
        };
        for (id, open) in self.open {
            match open.oldest {
                Some((placed, stale)) if may_be_stale && is_welcome(stale, self.reading) => {
                    tracing::warn!(group = %id, node = %placed.node, "reading without a quorum");
                    self.found.placed.push(placed);
                    self.found.stale = Some(self.found.stale.map_or(stale, |before| before.or(stale)));
                }
                Some((placed, stale)) if may_be_stale => {
                    return Err(too_old(&placed.group, stale, self.reading));
                }
                None if self.reading.consistency == Some(Consistency::Stale) => self.found.missing.push(id),
                _ => {
                    let told = open.reasons.iter().map(|(node, reason)| format!("node {node}: {reason}"));
                    let reasons = told.collect::<Vec<_>>().join("; ");
                    let text = format!("group {id}: no node that has it can be read: {reasons}");
                    return Err(ExecuteError::Unavailable(text));
                }
            }
        }
        Ok(self.found)
    }
}

/// What reads on other nodes may take, as the statement's budget says.
#[derive(Debug)]
pub(crate) struct QueryAccount {
    budget: Arc<Budget>,
    error: Mutex<Option<QueryError>>,
}

impl QueryAccount {
    /// Why the statement was stopped.
    fn error(&self) -> QueryError {
        let noted = self.error.lock().clone();
        noted.or_else(|| self.budget.check().err()).unwrap_or(QueryError::Cancelled)
    }
}

impl ReadAccount for QueryAccount {
    fn is_wanted(&self) -> bool {
        self.budget.check().is_ok()
    }

    fn charge(&self, bytes: usize) -> Result<(), NoMemory> {
        self.budget.charge(bytes).map_err(|error| {
            self.error.lock().get_or_insert(error);
            NoMemory
        })
    }

    fn release(&self, bytes: usize) {
        self.budget.release(bytes);
    }
}

/// What other nodes' reads take here: each is limited as a query of its own, and all draw on the memory of queries.
#[derive(Debug)]
pub(crate) struct ServedReads {
    pub(crate) limits: QueryLimits,
    pub(crate) pool: Arc<MemoryPool>,
}

impl ReadAccounts for ServedReads {
    fn open(&self, timeout: Duration) -> Arc<dyn ReadAccount> {
        let deadline = (Instant::now() + timeout).into_std();
        let budget = Arc::new(Budget::with_pool(&self.limits, deadline, Arc::clone(&self.pool)));
        Arc::new(QueryAccount { budget, error: Mutex::default() })
    }
}
