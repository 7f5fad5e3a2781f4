//! Columns of a replica on another node.
//!
//! A column asks for the series that come next as well, as far as they were announced, and reads them from one page of
//! chunks. The next page is on its way while one is read. Where the newest points come first, few chunks a series are
//! asked for: mostly the newest point is all that is wanted.

use super::chunk::{Damaged, Head, Input, Record};
use super::reader::{Link, ReadFailure, range_to_wire};
use bytes::Bytes;
use hashbrown::HashMap;
use model::scan::{
    Bounds, ChunkCost, ChunkStats, ColumnBatch, ColumnReader, EvenWindows, Order, PolicyReader, ScanError,
    SeriesRef,
};
use model::{FieldId, RetentionPolicyId, SeriesId, TimeRange};
use parking_lot::Mutex;
use proto::peer as wire;
use proto::peer::read_request::{Columns, Question};
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Series that one request names at most.
const SERIES_MAX: usize = 1_024;
/// Chunks of a series in the first page of a column that is read from its end, and how much more there are each time that
/// was too few.
const NEWEST_CHUNKS: u32 = 2;
const MORE_CHUNKS: u32 = 8;

/// See the module.
pub(super) struct RemotePolicy {
    link: Arc<Link>,
    policy: RetentionPolicyId,
    announced: Mutex<Arc<Announced>>,
}

/// Series in the order in which they will be read.
#[derive(Debug, Default)]
struct Announced {
    series: Vec<SeriesId>,
    places: HashMap<SeriesId, usize>,
}

impl Announced {
    fn new(series: Vec<SeriesId>) -> Self {
        let places = series.iter().enumerate().map(|(place, id)| (*id, place)).collect();
        Self { series, places }
    }
}

impl RemotePolicy {
    pub(super) fn new(link: Arc<Link>, policy: RetentionPolicyId) -> Self {
        Self { link, policy, announced: Mutex::default() }
    }
}

impl PolicyReader for RemotePolicy {
    fn column(&self, field: FieldId) -> Box<dyn ColumnReader + '_> {
        Box::new(RemoteColumn {
            policy: self,
            field,
            windows: None,
            chunks_max: NEWEST_CHUNKS,
            held: 0,
            run: None,
            current: None,
        })
    }

    fn announce(&self, series: &[SeriesRef]) {
        let ids = series.iter().map(|series| series.id).collect();
        *self.announced.lock() = Arc::new(Announced::new(ids));
    }
}

/// Where a request begins: a series of the list, and if that was begun, how far it was read.
type Start = (usize, Option<i64>);

/// Series that are read one after the other, over one range.
struct Run {
    list: Arc<Announced>,
    range: TimeRange,
    order: Order,
    /// The page, and what of it was read.
    page: Bytes,
    read: usize,
    /// The series that is read.
    place: usize,
    /// Where the next page begins; `None` behind the last series.
    next: Option<Start>,
    coming: Option<(Start, Coming)>,
}

/// A page on its way; dropped, it is not wanted any more.
struct Coming(JoinHandle<Result<Vec<wire::ReadPart>, ReadFailure>>);

impl Drop for Coming {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a run has to tell of the series that it is at.
enum Step {
    /// A chunk: its place in the page.
    Chunk(usize, usize),
    /// The series has more chunks, from or before this time.
    Cut(i64),
    /// The series has ended, and was passed if that is what was asked for.
    Ended,
}

/// The chunk that a column is at.
struct Current {
    head: Head,
    stats: Option<ChunkStats>,
    /// The rest of the chunk's bytes.
    points: Bytes,
}

/// See the module.
struct RemoteColumn<'a> {
    policy: &'a RemotePolicy,
    field: FieldId,
    windows: Option<EvenWindows>,
    /// Chunks of a series to ask for, if the newest come first.
    chunks_max: u32,
    /// Bytes charged: those of a page, and as many for the next one.
    held: usize,
    run: Option<Run>,
    current: Option<Current>,
}

impl Drop for RemoteColumn<'_> {
    fn drop(&mut self) {
        self.policy.link.account.release(self.held);
    }
}

impl Run {
    /// The next record of the series that is read.
    fn step(&mut self) -> Result<Option<Step>, Damaged> {
        let before = self.page.len();
        let mut input = Input(&self.page[self.read..]);
        let record = input.record()?;
        let read = before - input.0.len();
        Ok(match record {
            None => None,
            // Stays where it is until the column is moved on.
            Some(Record::Next) => Some(Step::Ended),
            Some(Record::Cut(time)) => {
                self.read = read;
                Some(Step::Cut(time))
            }
            Some(Record::Chunk(body)) => {
                self.read = read;
                Some(Step::Chunk(read - body.len(), read))
            }
        })
    }

    /// Moves on to a later series as far as the page goes; false if it does not go so far.
    fn pass_to(&mut self, place: usize) -> Result<bool, Damaged> {
        while self.place < place {
            match self.step()? {
                Some(Step::Chunk(..) | Step::Cut(_)) => {}
                Some(Step::Ended) => {
                    self.read += 1;
                    self.place += 1;
                }
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}

impl RemoteColumn<'_> {
    /// What to ask for a page.
    fn question(
        &self,
        list: &Announced,
        (place, resume): Start,
        (range, order): (TimeRange, Order),
    ) -> Question {
        let series = &list.series[place.min(list.series.len())..];
        Question::Columns(Columns {
            policy: self.policy.policy.0,
            field: self.field.0,
            series: series.iter().take(SERIES_MAX).map(|id| id.0).collect(),
            range: Some(range_to_wire(range)),
            descending: order == Order::Descending,
            resume,
            chunks_max: if order == Order::Descending { self.chunks_max } else { 0 },
            windows: self.windows.map(|w| wire::Windows { length: w.length, offset: w.offset }),
        })
    }

    /// Brings the page that begins there, and sends for the one after it.
    fn load(&mut self, run: &mut Run, start: Start) -> Option<()> {
        let link = &self.policy.link;
        let parts = match run.coming.take_if(|(from, _)| *from == start) {
            Some((_, mut coming)) => link.wait(async {
                let failed = |_| ReadFailure::Node("a page was lost".to_owned());
                (&mut coming.0).await.map_err(failed)?
            })?,
            None => link.ask(self.question(&run.list, start, (run.range, run.order)))?,
        };
        let Some(chunks) = parts.into_iter().find_map(|part| part.chunks) else {
            link.damaged();
            return None;
        };
        link.account.release(std::mem::take(&mut self.held));
        link.charge(2 * chunks.records.len())?;
        self.held = 2 * chunks.records.len();
        let asked = (run.list.series.len() - start.0).min(SERIES_MAX);
        run.next = match chunks.next {
            // It must have gone on, or the same page would come for ever.
            Some(next) if (next as usize) < asked && !chunks.records.is_empty() => {
                Some((start.0 + next as usize, chunks.resume))
            }
            Some(_) => {
                link.damaged();
                return None;
            }
            None => Some((start.0 + asked, None)).filter(|(next, _)| *next < run.list.series.len()),
        };
        (run.page, run.read, run.place) = (chunks.records, 0, start.0);
        run.coming = run.next.map(|next| (next, self.send_for(run, next)));
        Some(())
    }

    fn send_for(&self, run: &Run, start: Start) -> Coming {
        let question = self.question(&run.list, start, (run.range, run.order));
        let link = Arc::clone(&self.policy.link);
        Coming(self.policy.link.spawn(async move { link.answer(question).await }))
    }

    /// Moves the run to a series, by reading on or by asking anew.
    fn move_to(&mut self, run: &mut Run, place: usize) -> Result<(), ScanError> {
        loop {
            let reached = run.place <= place && run.pass_to(place).map_err(|Damaged| self.damaged())?;
            if reached {
                return Ok(());
            }
            // The page that comes next, if it begins early enough and is not about the rest of a series that was left.
            let start = run.next.filter(|(next, resume)| *next == place && resume.is_none());
            let start = start.unwrap_or((place, None));
            self.load(run, start).ok_or_else(|| self.policy.link.error())?;
        }
    }

    fn damaged(&self) -> ScanError {
        self.policy.link.damaged();
        self.policy.link.error()
    }

    fn advance(&mut self, run: &mut Run) -> Result<Option<Bounds>, ScanError> {
        loop {
            match run.step().map_err(|Damaged| self.damaged())? {
                Some(Step::Ended) => return Ok(None),
                Some(Step::Chunk(from, to)) => {
                    let body = run.page.slice(from..to);
                    let current = read_chunk(&body).map_err(|Damaged| self.damaged())?;
                    let bounds = current.head.bounds;
                    self.current = Some(current);
                    return Ok(Some(bounds));
                }
                Some(Step::Cut(time)) => {
                    self.chunks_max = self.chunks_max.saturating_mul(MORE_CHUNKS);
                    let start = (run.place, Some(time));
                    self.load(run, start).ok_or_else(|| self.policy.link.error())?;
                }
                None => match run.next {
                    // The rest of the series, or all of it if the page ended before it.
                    Some(start) if start.0 == run.place => {
                        self.load(run, start).ok_or_else(|| self.policy.link.error())?;
                    }
                    _ => return Ok(None),
                },
            }
        }
    }
}

fn read_chunk(body: &Bytes) -> Result<Current, Damaged> {
    let mut input = Input(body);
    let head = input.head()?;
    let stats = input.stats(head)?;
    let rest = body.len() - input.0.len();
    Ok(Current { head, stats, points: body.slice(rest..) })
}

impl ColumnReader for RemoteColumn<'_> {
    fn seek(&mut self, series: SeriesId, range: TimeRange, order: Order) -> Result<(), ScanError> {
        self.current = None;
        let announced = Arc::clone(&self.policy.announced.lock());
        let (list, place) = match announced.places.get(&series).copied() {
            Some(place) => (announced, place),
            None => (Arc::new(Announced::new(vec![series])), 0),
        };
        let fits = |run: &Run| {
            Arc::ptr_eq(&run.list, &list) && (run.range, run.order) == (range, order) && run.place <= place
        };
        let mut run = match self.run.take().filter(fits) {
            Some(run) => run,
            None => {
                let mut run =
                    Run { list, range, order, page: Bytes::new(), read: 0, place, next: None, coming: None };
                self.load(&mut run, (place, None)).ok_or_else(|| self.policy.link.error())?;
                run
            }
        };
        self.move_to(&mut run, place)?;
        self.run = Some(run);
        Ok(())
    }

    fn next_chunk(&mut self) -> Result<Option<Bounds>, ScanError> {
        self.current = None;
        let Some(mut run) = self.run.take() else { return Ok(None) };
        let found = self.advance(&mut run)?;
        self.run = Some(run);
        Ok(found)
    }

    fn expect_windows(&mut self, windows: EvenWindows) {
        self.windows = Some(windows);
    }

    fn cost(&self) -> ChunkCost {
        self.current.as_ref().map_or_else(ChunkCost::default, |current| current.head.cost)
    }

    fn stats(&self) -> Option<ChunkStats> {
        self.current.as_ref()?.stats.clone()
    }

    fn decode(&mut self, batch: &mut ColumnBatch) -> Result<(), ScanError> {
        let Some(current) = &self.current else {
            *batch = ColumnBatch::default();
            return Ok(());
        };
        let mut input = Input(&current.points);
        match input.points(current.head, batch) {
            Ok(true) => Ok(()),
            Ok(false) => self.bring(current.head.bounds, batch),
            Err(Damaged) => Err(self.damaged()),
        }
    }
}

impl RemoteColumn<'_> {
    /// Brings the points of a chunk of which only the summary was sent.
    fn bring(&self, bounds: Bounds, batch: &mut ColumnBatch) -> Result<(), ScanError> {
        let link = &self.policy.link;
        let Some(series) = self.run.as_ref().and_then(|run| run.list.series.get(run.place)) else {
            return Err(self.damaged());
        };
        let range = TimeRange { start: bounds.first, end: bounds.last.saturating_add(1) };
        let mut whole = None;
        let mut resume = None;
        loop {
            let question = Question::Columns(Columns {
                policy: self.policy.policy.0,
                field: self.field.0,
                series: vec![series.0],
                range: Some(range_to_wire(range)),
                resume,
                ..Columns::default()
            });
            let parts = link.ask(question).ok_or_else(|| link.error())?;
            let chunks = parts.into_iter().find_map(|part| part.chunks).ok_or_else(|| self.damaged())?;
            self.add_points(&chunks.records, &mut whole)?;
            match (chunks.next, chunks.resume) {
                (None, _) => break,
                // Texts may fill many pages; it must have gone on, or the same page would come for ever.
                (Some(0), Some(from)) if from > resume.unwrap_or(bounds.first) => resume = Some(from),
                _ => return Err(self.damaged()),
            }
        }
        *batch = whole.unwrap_or_default();
        Ok(())
    }

    /// Adds the points of a page of one series.
    fn add_points(&self, records: &[u8], whole: &mut Option<ColumnBatch>) -> Result<(), ScanError> {
        let mut input = Input(records);
        while let Some(record) = input.record().map_err(|Damaged| self.damaged())? {
            let Record::Chunk(body) = record else { continue };
            let mut body = Input(body);
            let mut piece = ColumnBatch::default();
            let read = body.head().and_then(|head| {
                body.stats(head)?;
                body.points(head, &mut piece)
            });
            if read != Ok(true) {
                return Err(self.damaged());
            }
            // Its texts may be in several pieces, and a flush may have cut it in two meanwhile.
            match whole {
                None => *whole = Some(piece),
                Some(whole) => append(whole, piece).ok_or_else(|| self.damaged())?,
            }
        }
        Ok(())
    }
}

/// Appends later points of the same type.
fn append(batch: &mut ColumnBatch, more: ColumnBatch) -> Option<()> {
    use model::value::Values;
    match (&mut batch.values, more.values) {
        (Values::Float(values), Values::Float(more)) => values.extend(more),
        (Values::Integer(values), Values::Integer(more)) => values.extend(more),
        (Values::Unsigned(values), Values::Unsigned(more)) => values.extend(more),
        (Values::Boolean(values), Values::Boolean(more)) => values.extend(more),
        (Values::String(values), Values::String(more)) => values.extend(more),
        _ => return None,
    }
    batch.times.extend(more.times);
    Some(())
}
