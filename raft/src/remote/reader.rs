//! A replica on another node as a [`GroupReader`].
//!
//! Most of what a reader is asked has no error in its type. So a reader that fails keeps the reason, answers nothing from
//! then on, and whoever ran the statement asks for the reason at its end: with one, what was computed is worth nothing.

use super::column::RemotePolicy;
use super::lists::SeriesList;
use super::{NoMemory, ReadAccount, millis};
use crate::error::PeerError;
use crate::host::RaftHost;
use crate::network::pool::{Lane, Pool};
use crate::network::rpc::peer_error;
use model::scan::{GroupReader, PolicyReader, ScanError, SeriesRef};
use model::{DatabaseId, FieldId, FieldType, GroupId, NodeId, RetentionPolicyId, SeriesId};
use model::{TagPredicate, TimeRange};
use parking_lot::Mutex;
use proto::peer as wire;
use proto::peer::read_request::{Active, Fields, Question, Selection, TagValues};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, interval, timeout};

/// How often a thread that waits for another node looks whether its statement goes on.
const WANTED_INTERVAL: Duration = Duration::from_millis(20);
/// Lists of series that a reader remembers, to know what it is asked about.
const LISTS_KEPT: usize = 4;

/// Why a reader answers no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadFailure {
    /// The statement's account said no, or nobody wants the answer any more.
    Stopped,
    /// The node did not answer, or cannot: another one may.
    Node(String),
}

/// See the module. Its methods block: not for threads of a runtime.
#[derive(Debug)]
pub struct RemoteReader {
    pub(super) link: Arc<Link>,
    lists: Mutex<Vec<List>>,
}

/// Series that were handed out, so that one question does for what is asked of each.
#[derive(Debug)]
struct List {
    selection: Selection,
    /// Sorted.
    ids: Vec<SeriesId>,
    /// Those with a point in a range of a policy, or of any, sorted, as far as it was asked.
    active: BTreeMap<(Option<RetentionPolicyId>, i64, i64), Vec<SeriesId>>,
}

/// How the replica is reached.
#[derive(Debug)]
pub(super) struct Link {
    pool: Arc<Pool>,
    node: NodeId,
    address: String,
    group: GroupId,
    min_index: Option<u64>,
    deadline: Instant,
    pub(super) account: Arc<dyn ReadAccount>,
    failure: Mutex<Option<ReadFailure>>,
}

impl RaftHost {
    /// A reader of another node's replica that has applied `min_index`.
    ///
    /// # Errors
    ///
    /// [`PeerError`] when the node is unknown. It is not asked yet.
    pub fn remote_reader(
        &self,
        (node, group): (NodeId, GroupId),
        min_index: Option<u64>,
        account: Arc<dyn ReadAccount>,
        deadline: Instant,
    ) -> Result<RemoteReader, PeerError> {
        let link = Link {
            pool: Arc::clone(&self.pool),
            node,
            address: self.address_of(node)?,
            group,
            min_index,
            deadline,
            account,
            failure: Mutex::default(),
        };
        Ok(RemoteReader { link: Arc::new(link), lists: Mutex::default() })
    }
}

impl Link {
    /// Asks and waits. `None` is a failure that was noted.
    pub(super) fn ask(&self, question: Question) -> Option<Vec<wire::ReadPart>> {
        self.wait(self.answer(question))
    }

    /// Waits for what another thread of the runtime does, as long as the statement goes on.
    pub(super) fn wait<T>(&self, answer: impl Future<Output = Result<T, ReadFailure>>) -> Option<T> {
        if self.failure.lock().is_some() {
            return None;
        }
        let unwanted = async {
            let mut looks = interval(WANTED_INTERVAL);
            while self.account.is_wanted() {
                looks.tick().await;
            }
        };
        let waiting = async {
            tokio::select! {
                answer = answer => answer,
                () = unwanted => Err(ReadFailure::Stopped),
            }
        };
        match self.pool.runtime().block_on(waiting) {
            Ok(answer) => Some(answer),
            Err(failure) => {
                self.fail(failure);
                None
            }
        }
    }

    /// Lets the runtime do something meanwhile.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.pool.runtime().spawn(work)
    }

    /// One question and its whole answer.
    pub(super) async fn answer(&self, question: Question) -> Result<Vec<wire::ReadPart>, ReadFailure> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        // Whoever is silent for so long is given up while there is time for another node.
        let limit = left.min(PATIENCE_MIN.max(left / 3));
        let request = wire::ReadRequest {
            header: Some(self.pool.header(self.group, self.node)),
            min_index: self.min_index,
            timeout_ms: millis(limit),
            question: Some(question),
        };
        let failed = |reason: String| ReadFailure::Node(format!("node {}: {reason}", self.node));
        let client = self.pool.client(self.node, &self.address, Lane::Read);
        let mut client = client.map_err(|error| failed(error.to_string()))?;
        let asking = async {
            let mut answer = client.read(request).await?.into_inner();
            let mut parts = Vec::new();
            while let Some(part) = answer.message().await? {
                parts.push(part);
            }
            Ok::<_, tonic::Status>(parts)
        };
        match timeout(limit, asking).await {
            Ok(Ok(parts)) => Ok(parts),
            Ok(Err(status)) => Err(failed(peer_error(self.node, &status).to_string())),
            Err(_) => Err(failed("no answer in time".to_owned())),
        }
    }

    /// Notes why nothing more is read. The first reason counts.
    pub(super) fn fail(&self, failure: ReadFailure) {
        self.failure.lock().get_or_insert(failure);
    }

    /// Notes that bytes of the answer make no sense.
    pub(super) fn damaged(&self) {
        self.fail(ReadFailure::Node(format!("node {}: its answer is damaged", self.node)));
    }

    /// Takes memory; `None` is a failure that was noted.
    pub(super) fn charge(&self, bytes: usize) -> Option<()> {
        self.counted(self.account.charge(bytes))
    }

    fn counted<T>(&self, outcome: Result<T, NoMemory>) -> Option<T> {
        outcome.map_err(|NoMemory| self.fail(ReadFailure::Stopped)).ok()
    }

    /// The error of a column, whose reason was noted.
    pub(super) fn error(&self) -> ScanError {
        let text = match &*self.failure.lock() {
            Some(ReadFailure::Node(text)) => text.clone(),
            Some(ReadFailure::Stopped) | None => "the read was stopped".to_owned(),
        };
        ScanError::Io(format!("group {}: {text}", self.group))
    }
}

/// How long a node may take for one answer at least; a third of what is left of the statement's time if that is more.
const PATIENCE_MIN: Duration = Duration::from_secs(5);

impl RemoteReader {
    /// The node that is read.
    pub fn node(&self) -> NodeId {
        self.link.node
    }

    /// Why what was read is not everything, if it is not. To be asked when the statement has ended.
    pub fn failure(&self) -> Option<ReadFailure> {
        self.link.failure.lock().clone()
    }

    fn texts(&self, question: Question) -> Option<impl Iterator<Item = Arc<str>>> {
        let parts = self.link.ask(question)?;
        let bytes: usize = parts.iter().flat_map(|part| &part.texts).map(|text| text.len() + 64).sum();
        self.link.charge(bytes)?;
        Some(parts.into_iter().flat_map(|part| part.texts).map(Arc::from))
    }

    fn series_of(&self, selection: Selection) -> Option<Vec<SeriesRef>> {
        let mut list = SeriesList::default();
        for part in self.link.ask(Question::Series(selection.clone()))? {
            if self.link.counted(list.add(part, &*self.link.account))?.is_none() {
                self.link.damaged();
                return None;
            }
        }
        self.link.charge(list.series.len() * size_of::<SeriesId>())?;
        let mut ids: Vec<SeriesId> = list.series.iter().map(|series| series.id).collect();
        ids.sort_unstable();
        let mut lists = self.lists.lock();
        if lists.len() == LISTS_KEPT {
            lists.remove(0);
        }
        lists.push(List { selection, ids, active: BTreeMap::new() });
        Some(list.series)
    }

    fn active(&self, series: SeriesId, policy: Option<RetentionPolicyId>, range: TimeRange) -> Option<bool> {
        let mut lists = self.lists.lock();
        // Who asks about a series has just got it.
        let list = lists.iter_mut().rev().find(|list| list.ids.binary_search(&series).is_ok())?;
        let key = (policy, range.start, range.end);
        if !list.active.contains_key(&key) {
            let asked = Active {
                selection: Some(list.selection.clone()),
                range: Some(range_to_wire(range)),
                policy: policy.map(|policy| policy.0),
            };
            let parts = self.link.ask(Question::Active(asked))?;
            let mut ids: Vec<SeriesId> = parts.into_iter().flat_map(|p| p.series).map(SeriesId).collect();
            self.link.charge(ids.len() * size_of::<SeriesId>())?;
            ids.sort_unstable();
            list.active.insert(key, ids);
        }
        Some(list.active.get(&key)?.binary_search(&series).is_ok())
    }
}

fn selection(database: DatabaseId, measurement: &str, predicate: &TagPredicate) -> Selection {
    Selection {
        database: database.0,
        measurement: measurement.to_owned(),
        predicate: predicate.encode().into(),
    }
}

pub(super) fn range_to_wire(range: TimeRange) -> wire::Range {
    wire::Range { start: range.start, end: range.end }
}

impl GroupReader for RemoteReader {
    fn measurements(&self, database: DatabaseId) -> Vec<Arc<str>> {
        self.texts(Question::Measurements(database.0)).into_iter().flatten().collect()
    }

    fn series(&self, database: DatabaseId, measurement: &str, predicate: &TagPredicate) -> Vec<SeriesRef> {
        self.series_of(selection(database, measurement, predicate)).unwrap_or_default()
    }

    fn tag_keys(
        &self,
        database: DatabaseId,
        measurement: &str,
        predicate: &TagPredicate,
    ) -> BTreeSet<Arc<str>> {
        let question = Question::TagKeys(selection(database, measurement, predicate));
        self.texts(question).into_iter().flatten().collect()
    }

    fn tag_values(
        &self,
        database: DatabaseId,
        measurement: &str,
        key: &str,
        predicate: &TagPredicate,
    ) -> BTreeSet<Arc<str>> {
        let selection = Some(selection(database, measurement, predicate));
        let question = Question::TagValues(TagValues { selection, key: key.to_owned() });
        self.texts(question).into_iter().flatten().collect()
    }

    fn fields(
        &self,
        database: DatabaseId,
        policy: RetentionPolicyId,
        measurement: &str,
        range: TimeRange,
    ) -> BTreeMap<FieldId, FieldType> {
        let question = Question::Fields(Fields {
            database: database.0,
            policy: policy.0,
            measurement: measurement.to_owned(),
            range: Some(range_to_wire(range)),
        });
        let parts = self.link.ask(question).unwrap_or_default();
        let pairs = parts.into_iter().flat_map(|part| part.fields.into_iter().zip(part.types));
        pairs
            .filter_map(|(id, code)| Some((FieldId(id), FieldType::from_code(u8::try_from(code).ok()?)?)))
            .collect()
    }

    fn open(&self, policy: RetentionPolicyId) -> Box<dyn PolicyReader> {
        Box::new(RemotePolicy::new(Arc::clone(&self.link), policy))
    }

    fn slices(&self, policy: RetentionPolicyId) -> Vec<TimeRange> {
        let parts = self.link.ask(Question::Slices(policy.0)).unwrap_or_default();
        let slices = parts.into_iter().flat_map(|part| part.slices);
        slices.map(|slice| TimeRange { start: slice.start, end: slice.end }).collect()
    }

    fn is_active(&self, series: SeriesId, policy: Option<RetentionPolicyId>, range: TimeRange) -> bool {
        self.active(series, policy, range).unwrap_or(true)
    }
}
