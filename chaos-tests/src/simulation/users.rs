//! What users of the simulated cluster do, what they were told, and whether every answer agrees with it.
//!
//! Points are written once, with times and values of their own, in series that hash to different groups; registers are
//! single points that one user overwrites again and again; the beginning of one series is deleted now and then; and some
//! points are stamped by the node that takes them, each in a series of its own.

use super::node::{EPOCH_NS, SimulatedNode};
use super::world::World;
use crate::workload::random::Random;
use node::embedded::{Answer, Cell, Embedded, Written};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// The database of all users.
pub const DATABASE: &str = "sim";
/// Users; each does one thing at a time.
const USERS: usize = 5;
/// Series of points.
const SERIES: usize = 12;
/// After so long a user gives up on an answer, ms; the outcome stays unknown.
const PATIENCE_MS: u64 = 12_000;

/// How it stands with a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// On its way, or the outcome is unknown.
    Open,
    /// Acknowledged.
    Stored,
    /// Refused: it must never be seen.
    Refused,
}

#[derive(Debug, Clone, Copy)]
struct Point {
    value: i64,
    fate: Fate,
    /// It was acknowledged before a deletion began that was acknowledged, too.
    gone: bool,
}

/// One series as the users know it.
#[derive(Debug, Clone, Default)]
struct Known {
    points: BTreeMap<i64, Point>,
    /// Up to which time a deletion was asked for, at most.
    delete_asked: i64,
}

/// One register.
#[derive(Debug, Clone, Copy, Default)]
struct Register {
    asked: i64,
    stored: i64,
}

#[derive(Debug, Clone)]
enum Work {
    Write(Vec<(usize, i64)>),
    Set(usize, i64),
    Delete {
        series: usize,
        upto: i64,
        covered: Vec<i64>,
    },
    /// A point without a time.
    Stamp(i64),
    Stamped {
        must: BTreeSet<i64>,
    },
    Read {
        series: usize,
        must: BTreeSet<i64>,
        gone: BTreeSet<i64>,
    },
    Get {
        register: usize,
        floor: i64,
    },
}

#[derive(Debug)]
struct Pending {
    work: Work,
    user: usize,
    place: usize,
    since: u64,
}

#[derive(Debug)]
enum Told {
    Written(Written),
    Answered(Result<Answer, String>),
    /// The node died before it answered.
    Nothing,
}

type Finished = Arc<Mutex<Vec<(u64, Told)>>>;

/// What came of all that.
#[derive(Debug, Clone, Default)]
pub struct UserCounts {
    /// Points that were acknowledged.
    pub stored: u64,
    /// Points whose write has no known outcome.
    pub unknown: u64,
    /// Points refused.
    pub refused: u64,
    /// Answers that were checked.
    pub reads: u64,
    /// Answers that said they may be old.
    pub stale_reads: u64,
    /// Queries without an answer.
    pub failed_reads: u64,
    /// Overwrites acknowledged.
    pub sets: u64,
    /// Answers in which an overwrite was undone by an older one that came late.
    pub sets_undone: u64,
    /// Deletions acknowledged.
    pub deletes: u64,
}

/// The users of one run.
#[derive(Debug)]
pub struct Users {
    world: World,
    random: Random,
    series: Vec<Known>,
    registers: Vec<Register>,
    stamped: BTreeMap<i64, Fate>,
    next: u64,
    pending: BTreeMap<u64, Pending>,
    busy: Vec<Option<u64>>,
    rest_until: Vec<u64>,
    finished: Finished,
    /// What came of it.
    pub counts: UserCounts,
}

/// Tells that there was no answer, if there was none.
struct Telling {
    finished: Finished,
    id: u64,
    told: bool,
}

impl Telling {
    fn tell(&mut self, told: Told) {
        self.told = true;
        self.finished.lock().unwrap_or_else(PoisonError::into_inner).push((self.id, told));
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        if !self.told {
            self.tell(Told::Nothing);
        }
    }
}

impl Users {
    /// Users that did nothing yet.
    pub fn new(seed: u64, world: &World) -> Self {
        Self {
            world: world.clone(),
            random: Random::new(seed ^ 0x7573_6572_7300),
            series: vec![Known { delete_asked: i64::MIN, ..Known::default() }; SERIES],
            registers: vec![Register::default(); USERS],
            stamped: BTreeMap::new(),
            next: 0,
            pending: BTreeMap::new(),
            busy: vec![None; USERS],
            rest_until: vec![0; USERS],
            finished: Finished::default(),
            counts: UserCounts::default(),
        }
    }

    /// Lets every user who has nothing to do begin something.
    pub fn act(&mut self, nodes: &[SimulatedNode]) {
        let now = self.world.now();
        for user in 0..USERS {
            let patience = |id: &u64| self.pending.get(id).is_some_and(|p| now - p.since < PATIENCE_MS);
            if self.busy[user].as_ref().is_some_and(patience) || self.rest_until[user] > now {
                continue;
            }
            let up: Vec<&SimulatedNode> = nodes.iter().filter(|node| node.is_up()).collect();
            if up.is_empty() {
                return;
            }
            let node = up[self.random.below(up.len() as u64) as usize];
            let work = self.choose(user);
            self.rest_until[user] = now + 10 + self.random.below(120);
            self.begin(user, node, work);
        }
    }

    fn choose(&mut self, user: usize) -> Work {
        let series = self.random.below(SERIES as u64) as usize;
        match self.random.below(100) {
            0..8 => Work::Stamp(self.next as i64 + 1),
            8..10 => self.read_of_stamped(),
            10..55 => {
                let count = 1 + self.random.below(5) as usize;
                let points = (0..count).map(|place| (series + place) % SERIES);
                let base = EPOCH_NS + (self.next as i64 + 1) * 1_000_000;
                Work::Write(points.zip(0..).map(|(series, more)| (series, base + more)).collect())
            }
            55..70 => Work::Set(user, self.registers[user].asked + 1),
            70..73 => {
                let upto = EPOCH_NS + self.next as i64 * 500_000;
                let (series, known) = (SERIES - 1, &self.series[SERIES - 1]);
                let covered = known.points.range(..=upto).filter(|(_, point)| point.fate == Fate::Stored);
                Work::Delete { series, upto, covered: covered.map(|(time, _)| *time).collect() }
            }
            73..90 => self.read_of(series),
            _ => {
                let register = self.random.below(USERS as u64) as usize;
                Work::Get { register, floor: self.registers[register].stored }
            }
        }
    }

    /// A read of a series, with what its answer must hold and must not hold.
    fn read_of(&self, series: usize) -> Work {
        let known = &self.series[series];
        let stored = known.points.iter().filter(|(_, point)| point.fate == Fate::Stored);
        let must = stored.map(|(time, _)| *time).collect();
        // A deletion that has no outcome yet may take points at any time.
        let gone = known.points.iter().filter(|(_, point)| point.gone).map(|(time, _)| *time).collect();
        Work::Read { series, must, gone }
    }

    fn read_of_stamped(&self) -> Work {
        let stored = self.stamped.iter().filter(|(_, fate)| **fate == Fate::Stored);
        Work::Stamped { must: stored.map(|(value, _)| *value).collect() }
    }

    fn begin(&mut self, user: usize, node: &SimulatedNode, work: Work) {
        self.next += 1;
        let id = self.next;
        let statement = self.prepare(&work);
        self.world.trace().event(self.world.now(), || format!("user {user} at {} {statement}", node.place));
        let telling = Telling { finished: Arc::clone(&self.finished), id, told: false };
        self.busy[user] = Some(id);
        let is_write = matches!(work, Work::Write(_) | Work::Set(..) | Work::Stamp(_));
        let since = self.world.now();
        self.pending.insert(id, Pending { work, user, place: node.place, since });
        if let Some(embedded) = node.look(Arc::clone) {
            node.spawn(ask(embedded, is_write, statement, telling));
        }
    }

    /// Notes what is asked for, and says it as text.
    fn prepare(&mut self, work: &Work) -> String {
        match work {
            Work::Write(points) => {
                let mut lines = String::new();
                for (series, time) in points {
                    let value = (*time - EPOCH_NS) * 7 + *series as i64;
                    let point = Point { value, fate: Fate::Open, gone: false };
                    self.series[*series].points.insert(*time, point);
                    lines = format!("{lines}p,s={series} v={value}i {time}\n");
                }
                lines
            }
            Work::Set(register, value) => {
                self.registers[*register].asked = *value;
                format!("r,u={register} v={value}i {EPOCH_NS}")
            }
            Work::Delete { series, upto, .. } => {
                let known = &mut self.series[*series];
                known.delete_asked = known.delete_asked.max(*upto);
                format!("DELETE FROM p WHERE s = '{series}' AND time <= {upto}")
            }
            Work::Stamp(value) => {
                self.stamped.insert(*value, Fate::Open);
                format!("q,u={value} v={value}i")
            }
            Work::Stamped { .. } => "SELECT v FROM q".to_owned(),
            Work::Read { series, .. } => format!("SELECT v FROM p WHERE s = '{series}'"),
            Work::Get { register, .. } => format!("SELECT v FROM r WHERE u = '{register}'"),
        }
    }

    /// Takes in what the users were told since the last time.
    pub fn hear(&mut self) {
        let finished = std::mem::take(&mut *self.finished.lock().unwrap_or_else(PoisonError::into_inner));
        for (id, told) in finished {
            let Some(pending) = self.pending.remove(&id) else { continue };
            let (user, place) = (pending.user, pending.place);
            self.world.trace().event(self.world.now(), || format!("user {user} at {place} heard {told:?}"));
            if self.busy[user] == Some(id) {
                self.busy[user] = None;
            }
            self.take_in(pending, told);
        }
    }

    fn take_in(&mut self, pending: Pending, told: Told) {
        let place = pending.place;
        match (pending.work, told) {
            (Work::Write(points), Told::Written(Written::Stored)) => self.settle(&points, Fate::Stored),
            (Work::Write(points), Told::Written(Written::Refused(_))) => self.settle(&points, Fate::Refused),
            (Work::Write(points), _) => self.counts.unknown += points.len() as u64,
            (Work::Set(register, value), Told::Written(Written::Stored)) => {
                self.counts.sets += 1;
                let register = &mut self.registers[register];
                register.stored = register.stored.max(value);
            }
            (Work::Stamp(value), Told::Written(Written::Stored)) => {
                self.counts.stored += 1;
                self.stamped.insert(value, Fate::Stored);
            }
            (Work::Stamp(value), Told::Written(Written::Refused(_))) => {
                self.counts.refused += 1;
                self.stamped.insert(value, Fate::Refused);
            }
            (Work::Stamp(_), _) => self.counts.unknown += 1,
            (Work::Stamped { must }, Told::Answered(Ok(answer))) => {
                self.counts.reads += 1;
                self.check_stamped(place, &must, &answer);
            }
            (Work::Delete { series, covered, .. }, Told::Answered(Ok(_))) => {
                self.counts.deletes += 1;
                for time in covered {
                    if let Some(point) = self.series[series].points.get_mut(&time) {
                        point.gone = true;
                    }
                }
            }
            (Work::Read { series, must, gone }, Told::Answered(Ok(answer))) => {
                if answer.stale {
                    self.counts.stale_reads += 1;
                    self.check_series(place, series, &answer, None);
                } else {
                    self.counts.reads += 1;
                    self.check_series(place, series, &answer, Some((&must, &gone)));
                }
            }
            (Work::Get { register, floor }, Told::Answered(Ok(answer))) => {
                let floor = if answer.stale { 0 } else { floor };
                self.check_register(place, register, floor, &answer);
            }
            (Work::Read { .. } | Work::Get { .. } | Work::Stamped { .. }, _) => self.counts.failed_reads += 1,
            (Work::Set(..) | Work::Delete { .. }, _) => {}
        }
    }

    fn settle(&mut self, points: &[(usize, i64)], fate: Fate) {
        let counted = match fate {
            Fate::Stored => &mut self.counts.stored,
            Fate::Open | Fate::Refused => &mut self.counts.refused,
        };
        *counted += points.len() as u64;
        for (series, time) in points {
            if let Some(point) = self.series[*series].points.get_mut(time) {
                point.fate = fate;
            }
        }
    }

    fn check_series(
        &self,
        place: usize,
        series: usize,
        answer: &Answer,
        expected: Option<(&BTreeSet<i64>, &BTreeSet<i64>)>,
    ) {
        let known = &self.series[series];
        let mut seen = BTreeSet::new();
        for (time, value) in rows(answer) {
            if !seen.insert(time) {
                self.world.violation(format!("node {place} has two points of series {series} at {time}"));
            }
            match known.points.get(&time) {
                None => self.world.violation(format!("node {place}: nobody wrote {value} at {time}")),
                Some(point) if point.value != value => {
                    self.world.violation(format!("node {place}: {value} at {time}, not {}", point.value));
                }
                Some(point) if point.fate == Fate::Refused => {
                    self.world
                        .violation(format!("node {place}: {value} at {time} was refused, and is there"));
                }
                Some(_) => {}
            }
        }
        let Some((must, gone)) = expected else { return };
        let lost: Vec<&i64> = must.difference(&seen).filter(|time| **time > known.delete_asked).collect();
        if let Some(first) = lost.first() {
            let (count, of) = (lost.len(), must.len());
            self.world.violation(format!(
                "node {place} lost {count} of {of} acknowledged points of series {series}, the first at {first}"
            ));
        }
        if let Some(back) = gone.intersection(&seen).next() {
            self.world
                .violation(format!("node {place}: the deleted point of series {series} at {back} is back"));
        }
    }

    fn check_stamped(&self, place: usize, must: &BTreeSet<i64>, answer: &Answer) {
        let mut seen = BTreeSet::new();
        for (_, value) in rows(answer) {
            if !seen.insert(value) {
                self.world.violation(format!("node {place} has the stamped point {value} twice"));
            }
            if self.stamped.get(&value).is_none_or(|fate| *fate == Fate::Refused) {
                self.world
                    .violation(format!("node {place} has a stamped point {value} that it must not have"));
            }
        }
        if let Some(lost) = must.difference(&seen).next().filter(|_| !answer.stale) {
            self.world.violation(format!("node {place} lost the stamped point {lost}"));
        }
    }

    fn check_register(&mut self, place: usize, register: usize, floor: i64, answer: &Answer) {
        self.counts.reads += 1;
        let value = rows(answer).first().map_or(0, |(_, value)| *value);
        let asked = self.registers[register].asked;
        // Known and not yet mended: a write that was sent again because a link was cut arrives once more when the link is
        // whole, and overwrites what was written to the same point meanwhile. It is counted.
        self.counts.sets_undone += u64::from(value < floor);
        if value > asked {
            self.world.violation(format!(
                "node {place}: register {register} is {value}, and {asked} was the last asked for"
            ));
        }
    }

    /// Forgets what is still open: its outcome stays unknown.
    pub fn leave(&mut self) {
        self.pending.clear();
        self.busy.fill(None);
    }

    /// Whether everybody has an answer, or gave up.
    pub fn is_quiet(&self) -> bool {
        let now = self.world.now();
        self.pending.values().all(|pending| now - pending.since >= PATIENCE_MS)
    }

    /// Begins to read everything at one node; answers how much that is.
    pub fn read_all(&mut self, node: &SimulatedNode) {
        for series in 0..SERIES {
            let work = self.read_of(series);
            self.begin(0, node, work);
        }
        let stamped = self.read_of_stamped();
        self.begin(0, node, stamped);
        for register in 0..self.registers.len() {
            let floor = self.registers[register].stored;
            self.begin(0, node, Work::Get { register, floor });
        }
    }

    /// Answers a read of everything takes.
    pub fn reads_of_all(&self) -> u64 {
        (SERIES + self.registers.len() + 1) as u64
    }
}

async fn ask(node: Arc<Embedded>, is_write: bool, text: String, mut telling: Telling) {
    let told = if is_write {
        Told::Written(node.write(DATABASE, text.into_bytes()).await)
    } else {
        Told::Answered(node.query(DATABASE, &text).await)
    };
    telling.tell(told);
}

/// Time and value of every row.
fn rows(answer: &Answer) -> Vec<(i64, i64)> {
    let cells =
        answer.result.series.iter().flat_map(|series| series.cells.chunks(series.columns.len().max(1)));
    let row = |cells: &[Cell]| match cells {
        [Cell::Time(time), Cell::Integer(value)] => Some((*time, *value)),
        _ => None,
    };
    cells.filter_map(row).collect()
}
