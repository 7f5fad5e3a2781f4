//! Answers reads of other nodes from the replica that is here.
//!
//! One request is one piece of work on a blocking thread; its answer is made as a whole, within limits, and then sent. So a
//! slow asker holds no thread and no turn, and two askers never wait for each other.

use super::chunk::{self, Sent};
use super::{ReadAccount, lists};
use crate::blocking;
use crate::group::Group;
use crate::host::RaftHost;
use model::scan::{
    Bounds, ChunkStats, ColumnBatch, ColumnReader, EvenWindows, GroupReader, Order, ScanError,
};
use model::{DatabaseId, FieldId, RetentionPolicyId, SeriesId, TagPredicate, TimeRange};
use proto::peer as wire;
use proto::peer::read_request::Question;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use storage::Stop;
use tokio::time::{Instant, timeout_at};
use tonic::Status;

/// Bytes of chunks in one answer; the last one may go beyond.
pub(super) const PAGE_BYTES: usize = 512 << 10;
/// Times a page is begun again because a snapshot took the place of the state.
const REPLACED_MAX: usize = 3;

/// Ends the work of a request that was dropped: its asker left, or its time is over.
struct Asker(Arc<AtomicBool>);

impl Drop for Asker {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Answers one request.
pub(crate) async fn read(
    host: &RaftHost,
    group: Arc<Group>,
    request: wire::ReadRequest,
) -> Result<Vec<wire::ReadPart>, Status> {
    let timeout = Duration::from_millis(u64::from(request.timeout_ms));
    let deadline = Instant::now() + timeout;
    let question = request.question.ok_or_else(|| Status::invalid_argument("a read asks nothing"))?;
    if let Some(index) = request.min_index {
        group.wait_applied(index, deadline).await.map_err(|error| Status::unavailable(error.to_string()))?;
    }
    let turn = timeout_at(deadline, host.read_turns.acquire()).await;
    let _turn = turn.map_err(|_| Status::deadline_exceeded("too many reads"))?;
    if let Some(reason) = group.unfit() {
        return Err(unfit(&group, &reason));
    }
    let store = group.data_store().ok_or_else(|| unfit(&group, "it has no replica here"))?;
    // While this waited for its turn the replica may have been rebuilt from one that is behind.
    if request.min_index.is_some_and(|index| group.applied() < Some(index)) {
        return Err(unfit(&group, "it is behind what the reader knows"));
    }
    let account = host.read_account(timeout);
    let gone = Arc::new(AtomicBool::new(false));
    let asker = Asker(Arc::clone(&gone));
    let stop: Stop = {
        let account = Arc::clone(&account);
        Arc::new(move || gone.load(Ordering::Relaxed) || !account.is_wanted())
    };
    let reader = store.reader_until(Arc::clone(&stop));
    let work = move || Server { group, reader, account, stop }.answer(question);
    let answer = blocking::run(work).await;
    drop(asker);
    answer.map_err(|error| Status::internal(error.to_string()))?
}

fn unfit(group: &Group, reason: &str) -> Status {
    Status::unavailable(format!("group {} cannot be read: {reason}", group.id()))
}

fn invalid(what: &str) -> Status {
    Status::invalid_argument(format!("a read has no valid {what}"))
}

/// What a request is answered from.
struct Server {
    group: Arc<Group>,
    reader: Arc<dyn GroupReader>,
    account: Arc<dyn ReadAccount>,
    stop: Stop,
}

impl Server {
    fn answer(&self, question: Question) -> Result<Vec<wire::ReadPart>, Status> {
        let parts = match question {
            Question::Measurements(database) => {
                lists::texts(self.reader.measurements(DatabaseId(database)).into_iter(), &*self.account)
            }
            Question::Series(selection) => {
                let series = self.selected(&selection)?;
                self.charge(series.len() * size_of::<model::scan::SeriesRef>())?;
                lists::series(series, &*self.account)
            }
            Question::TagKeys(selection) => {
                let (database, predicate) = read_selection(&selection)?;
                let keys = self.reader.tag_keys(database, &selection.measurement, &predicate);
                lists::texts(keys.into_iter(), &*self.account)
            }
            Question::TagValues(asked) => {
                let selection = asked.selection.ok_or_else(|| invalid("selection"))?;
                let (database, predicate) = read_selection(&selection)?;
                let values = self.reader.tag_values(database, &selection.measurement, &asked.key, &predicate);
                lists::texts(values.into_iter(), &*self.account)
            }
            Question::Fields(asked) => {
                let (database, policy) = (DatabaseId(asked.database), RetentionPolicyId(asked.policy));
                let range = read_range(asked.range)?;
                let fields = self.reader.fields(database, policy, &asked.measurement, range);
                let (fields, types) =
                    fields.into_iter().map(|(id, kind)| (id.0, u32::from(kind.code()))).unzip();
                Ok(vec![wire::ReadPart { fields, types, ..wire::ReadPart::default() }])
            }
            Question::Slices(policy) => {
                let slices = self.reader.slices(RetentionPolicyId(policy)).into_iter();
                let slices = slices.map(|s| wire::Range { start: s.start, end: s.end }).collect();
                Ok(vec![wire::ReadPart { slices, ..wire::ReadPart::default() }])
            }
            Question::Active(asked) => {
                let selection = asked.selection.ok_or_else(|| invalid("selection"))?;
                let range = read_range(asked.range)?;
                let policy = asked.policy.map(RetentionPolicyId);
                let series = self.selected(&selection)?.into_iter().map(|series| series.id);
                let series =
                    series.filter(|id| self.reader.is_active(*id, policy, range)).map(|id| id.0).collect();
                Ok(vec![wire::ReadPart { series, ..wire::ReadPart::default() }])
            }
            Question::Columns(asked) => {
                self.charge(2 * PAGE_BYTES)?;
                let chunks = self.page(&Asked::of(&asked)?)?;
                return Ok(vec![wire::ReadPart { chunks: Some(chunks), ..wire::ReadPart::default() }]);
            }
        };
        // A reader that was stopped has answered less than there is.
        if (self.stop)() {
            return Err(Status::deadline_exceeded("the read was stopped"));
        }
        parts.map_err(|_| no_memory())
    }

    fn charge(&self, bytes: usize) -> Result<(), Status> {
        self.account.charge(bytes).map_err(|_| no_memory())
    }

    fn selected(
        &self,
        selection: &wire::read_request::Selection,
    ) -> Result<Vec<model::scan::SeriesRef>, Status> {
        let (database, predicate) = read_selection(selection)?;
        Ok(self.reader.series(database, &selection.measurement, &predicate))
    }

    /// A page of chunks, begun again if the state was replaced meanwhile.
    fn page(&self, asked: &Asked<'_>) -> Result<wire::Chunks, Status> {
        let mut replaced = 0;
        loop {
            match self.fill_page(asked) {
                Ok(page) => return Ok(page),
                Err(ScanError::Replaced) if replaced < REPLACED_MAX => replaced += 1,
                Err(error) => {
                    if let ScanError::Damaged { .. } = &error {
                        self.group.report_damage(&error.to_string());
                    }
                    return Err(Status::unavailable(error.to_string()));
                }
            }
        }
    }

    fn fill_page(&self, asked: &Asked<'_>) -> Result<wire::Chunks, ScanError> {
        let policy = self.reader.open(asked.policy);
        let mut column = policy.column(asked.field);
        let mut page = Page::default();
        for (place, series) in asked.series.iter().enumerate() {
            if (self.stop)() {
                return Err(ScanError::Io("the read was stopped".to_owned()));
            }
            if page.records.len() >= PAGE_BYTES {
                return Ok(page.ends_at(place, None));
            }
            let range = if place == 0 { asked.first } else { asked.range };
            column.seek(SeriesId(*series), range, asked.order)?;
            if let Some(resume) = page.add(&mut *column, range, asked)? {
                return Ok(page.ends_at(place, Some(resume)));
            }
            chunk::put_next(&mut page.records);
        }
        Ok(wire::Chunks { records: page.records.into(), next: None, resume: None })
    }
}

fn no_memory() -> Status {
    Status::resource_exhausted("the memory of queries is used up on the node that has the replica")
}

fn read_selection(selection: &wire::read_request::Selection) -> Result<(DatabaseId, TagPredicate), Status> {
    let predicate = TagPredicate::decode(&selection.predicate).map_err(|_| invalid("predicate"))?;
    Ok((DatabaseId(selection.database), predicate))
}

fn read_range(range: Option<wire::Range>) -> Result<TimeRange, Status> {
    let range = range.ok_or_else(|| invalid("range"))?;
    Ok(TimeRange { start: range.start, end: range.end })
}

/// A request for columns.
struct Asked<'a> {
    policy: RetentionPolicyId,
    field: FieldId,
    series: &'a [u32],
    range: TimeRange,
    /// What is left of the first series.
    first: TimeRange,
    order: Order,
    chunks_max: usize,
    windows: Option<EvenWindows>,
}

impl<'a> Asked<'a> {
    fn of(asked: &'a wire::read_request::Columns) -> Result<Self, Status> {
        let range = read_range(asked.range)?;
        let order = if asked.descending { Order::Descending } else { Order::Ascending };
        let first = match (asked.resume, order) {
            (None, _) => range,
            (Some(from), Order::Ascending) => TimeRange { start: range.start.max(from), ..range },
            (Some(before), Order::Descending) => TimeRange { end: range.end.min(before), ..range },
        };
        Ok(Self {
            policy: RetentionPolicyId(asked.policy),
            field: FieldId(asked.field),
            series: &asked.series,
            range,
            first,
            order,
            chunks_max: if asked.chunks_max == 0 { usize::MAX } else { asked.chunks_max as usize },
            windows: asked.windows.map(|w| EvenWindows { length: w.length, offset: w.offset }),
        })
    }
}

/// An answer that grows.
#[derive(Default)]
struct Page {
    records: Vec<u8>,
    body: Vec<u8>,
    batch: ColumnBatch,
}

impl Page {
    /// Adds the chunks of a series; answers where it goes on if the page is full.
    fn add(
        &mut self,
        column: &mut dyn ColumnReader,
        range: TimeRange,
        asked: &Asked<'_>,
    ) -> Result<Option<i64>, ScanError> {
        let mut count = 0;
        while let Some(bounds) = column.next_chunk()? {
            let resume = match asked.order {
                Order::Ascending => bounds.first.max(range.start),
                Order::Descending => bounds.last.saturating_add(1).min(range.end),
            };
            if self.records.len() >= PAGE_BYTES {
                return Ok(Some(resume));
            }
            if count == asked.chunks_max {
                chunk::put_cut(&mut self.records, resume);
                return Ok(None);
            }
            count += 1;
            let resume = self.add_chunk(column, bounds, range, asked)?;
            if resume.is_some() {
                return Ok(resume);
            }
        }
        Ok(None)
    }

    /// Adds what of a chunk lies in the range. The rest of it may lack what was written last. Answers where it goes on if
    /// its texts are too long for one page.
    fn add_chunk(
        &mut self,
        column: &mut dyn ColumnReader,
        bounds: Bounds,
        range: TimeRange,
        asked: &Asked<'_>,
    ) -> Result<Option<i64>, ScanError> {
        let cost = column.cost();
        let inside = range.contains(bounds.first) && range.contains(bounds.last);
        let stats: Option<ChunkStats> = if inside { column.stats() } else { None };
        let summary_will_do = stats.is_some() && asked.windows.is_some_and(|windows| windows.hold(bounds));
        let mut sent = Sent { bounds, cost, stats: stats.as_ref(), points: None };
        let mut resume = None;
        if !summary_will_do {
            column.decode(&mut self.batch)?;
            if !inside {
                cut(&mut self.batch, range);
            }
            resume = cut_texts(&mut self.batch, asked.order);
            if resume.is_some() {
                sent.stats = None;
            }
            let times = &self.batch.times;
            let (Some(first), Some(last)) = (times.first(), times.last()) else { return Ok(None) };
            sent.bounds = Bounds { first: *first, last: *last };
            sent.points = Some(&self.batch);
        }
        chunk::put_chunk(&mut self.records, &sent, &mut self.body);
        Ok(resume)
    }

    fn ends_at(self, place: usize, resume: Option<i64>) -> wire::Chunks {
        wire::Chunks { records: self.records.into(), next: Some(place as u32), resume }
    }
}

/// Keeps as many points as have texts for a page, at least one; answers where the others begin, or end.
fn cut_texts(batch: &mut ColumnBatch, order: Order) -> Option<i64> {
    let model::value::Values::String(texts) = &batch.values else { return None };
    let mut bytes = 0;
    let mut fits = |text: &&Arc<str>| {
        let is_first = bytes == 0;
        bytes += text.len() + 1;
        is_first || bytes <= PAGE_BYTES
    };
    match order {
        Order::Ascending => {
            let kept = texts.iter().take_while(&mut fits).count();
            let resume = *batch.times.get(kept)?;
            cut(batch, TimeRange { start: i64::MIN, end: resume });
            Some(resume)
        }
        Order::Descending => {
            let kept = texts.iter().rev().take_while(&mut fits).count();
            let begin = texts.len().checked_sub(kept).filter(|begin| *begin > 0)?;
            let start = batch.times[begin];
            let resume = batch.times[begin - 1].saturating_add(1);
            cut(batch, TimeRange { start, end: i64::MAX });
            Some(resume)
        }
    }
}

/// Keeps what lies in the range.
fn cut(batch: &mut ColumnBatch, range: TimeRange) {
    use model::value::Values;
    let from = batch.times.partition_point(|time| *time < range.start);
    let to = batch.times.partition_point(|time| *time < range.end).max(from);
    fn keep<T>(values: &mut Vec<T>, from: usize, to: usize) {
        values.truncate(to);
        values.drain(..from);
    }
    keep(&mut batch.times, from, to);
    match &mut batch.values {
        Values::Float(values) => keep(values, from, to),
        Values::Integer(values) => keep(values, from, to),
        Values::Unsigned(values) => keep(values, from, to),
        Values::Boolean(values) => keep(values, from, to),
        Values::String(values) => keep(values, from, to),
    }
}

impl RaftHost {
    /// Makes the replicas here fit to be read by another node, and tells how they are.
    pub(crate) async fn freshen_for(&self, request: &wire::FreshenRequest) -> Vec<wire::Freshened> {
        let deadline = Instant::now() + Duration::from_millis(u64::from(request.timeout_ms));
        let wanted: BTreeSet<u32> = request.groups.iter().copied().collect();
        let mut behind = std::collections::BTreeMap::new();
        if !request.as_they_are {
            let is_wanted = |group: model::GroupId| wanted.contains(&group.0);
            // A replica that only became a full member meanwhile has passed no barrier.
            behind.extend(wanted.iter().map(|id| (*id, "it was not yet a full member".to_owned())));
            for (group, outcome) in self.read_barriers_of(is_wanted, deadline).await {
                match outcome {
                    Ok(()) => drop(behind.remove(&group.id().0)),
                    Err(error) => drop(behind.insert(group.id().0, error.to_string())),
                }
            }
        }
        let freshened = |id: u32| {
            let Some(group) = self.group(model::GroupId(id)) else {
                return wire::Freshened {
                    group: id,
                    refusal: "there is no such group".to_owned(),
                    ..wire::Freshened::default()
                };
            };
            let lacking = || group.data_store().is_none().then(|| "it has no replica here".to_owned());
            let staleness = group.staleness();
            wire::Freshened {
                group: id,
                refusal: group.unfit().or_else(lacking).unwrap_or_default(),
                applied: group.applied(),
                behind: behind.remove(&id).unwrap_or_default(),
                age_ms: u64::try_from(staleness.age.as_millis()).unwrap_or(u64::MAX),
                at_least: staleness.at_least,
            }
        };
        wanted.into_iter().map(freshened).collect()
    }
}
