//! What all parts of one run share: the time, the directory, what the disks are like, and what the nodes applied.

use super::trace::Trace;
use crate::workload::random::{Random, hash_bytes};
use model::GroupId;
use node::embedded::{AppliedEntry, Simulation};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What an entry was when it was first applied, and where.
#[derive(Debug, Clone, Copy)]
struct Applied {
    term: u64,
    command: u64,
    place: usize,
}

#[derive(Debug)]
struct State {
    random: Random,
    /// The node that runs at present.
    place: usize,
    /// Longest wait of a disk, ms, by place.
    slow: BTreeMap<usize, u64>,
    slow_waits: u64,
    /// How wrong the wall clocks are, ns, by place.
    wrong_by: BTreeMap<usize, i64>,
    applied: BTreeMap<(u32, u64), Applied>,
    /// The last entry each process applied; forgotten when it dies.
    last: BTreeMap<(usize, u32), u64>,
    /// The last entry ever applied at a place, by group.
    highest: BTreeMap<(usize, u32), u64>,
    /// The last term in which the process at a place told that it voted, by group.
    votes: BTreeMap<(usize, u32), u64>,
    /// The same of the processes that ran there before, on the same volume.
    promised: BTreeMap<(usize, u32), u64>,
    /// Who told that last, until somebody asks.
    voter: Option<usize>,
    applied_again: u64,
    entries: u64,
    violations: Vec<String>,
}

/// The world of one run; clones share it.
#[derive(Debug, Clone)]
pub struct World {
    now_ms: Arc<AtomicU64>,
    dir: Arc<PathBuf>,
    trace: Trace,
    transfers: Arc<AtomicU64>,
    panics: Arc<AtomicU64>,
    state: Arc<Mutex<State>>,
}

impl World {
    /// A world at time 0.
    pub fn new(seed: u64, dir: &Path, trace: Trace) -> Self {
        let state = State {
            random: Random::new(seed ^ 0x776f_726c_6400),
            place: 0,
            slow: BTreeMap::new(),
            slow_waits: 0,
            wrong_by: BTreeMap::new(),
            applied: BTreeMap::new(),
            last: BTreeMap::new(),
            highest: BTreeMap::new(),
            votes: BTreeMap::new(),
            promised: BTreeMap::new(),
            voter: None,
            applied_again: 0,
            entries: 0,
            violations: Vec::new(),
        };
        let (now_ms, dir) = (Arc::new(AtomicU64::new(0)), Arc::new(dir.to_owned()));
        Self {
            now_ms,
            dir,
            trace,
            transfers: Arc::default(),
            panics: Arc::default(),
            state: Arc::new(Mutex::new(state)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since the run began.
    pub fn now(&self) -> u64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    /// The time, to be read by clocks.
    pub fn clock(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.now_ms)
    }

    /// Lets time pass.
    pub fn pass(&self, ms: u64) {
        self.now_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// Where the disks are.
    pub fn dir(&self) -> PathBuf {
        PathBuf::clone(&self.dir)
    }

    /// From now on this node runs.
    pub fn enter(&self, place: usize) {
        self.state().place = place;
    }

    /// The process at this place died, or its replicas were replaced.
    pub fn forget_process(&self, place: usize) {
        let mut state = self.state();
        state.last.retain(|(at, _), _| *at != place);
        let of_it = state.votes.iter().filter(|((at, _), _)| *at == place);
        let told: Vec<((usize, u32), u64)> = of_it.map(|(replica, term)| (*replica, *term)).collect();
        state.votes.retain(|(at, _), _| *at != place);
        for (replica, term) in told {
            let known = state.promised.entry(replica).or_default();
            *known = term.max(*known);
        }
    }

    /// The replica at this place is gone: should it come back, it begins anew.
    pub fn forget_replica(&self, place: usize, group: u32) {
        let mut state = self.state();
        state.last.remove(&(place, group));
        state.highest.remove(&(place, group));
    }

    /// The volume at this place is lost, and with it what it promised.
    pub fn forget_volume(&self, place: usize) {
        let mut state = self.state();
        state.votes.retain(|(at, _), _| *at != place);
        state.promised.retain(|(at, _), _| *at != place);
    }

    /// The term in which a node told that it voted before its last crash, at least; 0 if it never did.
    pub fn voted_in(&self, place: usize, group: u32) -> u64 {
        self.state().promised.get(&(place, group)).copied().unwrap_or(0)
    }

    /// Who gave a vote since this was asked last.
    pub fn take_voter(&self) -> Option<usize> {
        self.state().voter.take()
    }

    /// Makes a disk slow: each piece of work waits for up to so many ms. 0 is as fast as ever.
    pub fn slow_disk(&self, place: usize, up_to_ms: u64) {
        self.state().slow.insert(place, up_to_ms);
    }

    /// Sets a wall clock wrong.
    pub fn wrong_clock(&self, place: usize, by_ns: i64) {
        self.state().wrong_by.insert(place, by_ns);
    }

    /// How long the disk takes for one round of the log, ms.
    pub fn disk_ms(&self, place: usize) -> u64 {
        let mut state = self.state();
        let slow = state.slow.get(&place).copied().unwrap_or(0);
        state.slow_waits += u64::from(slow > 0);
        1 + state.random.below(2) + state.random.below(slow)
    }

    /// Notes that something that must never happen did.
    pub fn violation(&self, text: String) {
        let now = self.now();
        self.trace.event(now, || format!("VIOLATION {text}"));
        let mut state = self.state();
        if state.violations.len() < 20 {
            state.violations.push(format!("at {now} ms: {text}"));
        }
    }

    /// What must never happen and did.
    pub fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    /// Entries applied, entries applied again after a crash, waits of slow disks.
    pub fn counts(&self) -> (u64, u64, u64) {
        let state = self.state();
        (state.entries, state.applied_again, state.slow_waits)
    }

    /// Leaderships that were handed over on demand.
    pub fn transfers(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.transfers)
    }

    /// Something panicked.
    pub fn panicked(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// Panics so far.
    pub fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// The trace of this run.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }
}

impl Simulation for World {
    fn disk_wait(&self) -> Duration {
        let mut state = self.state();
        let place = state.place;
        let slow = state.slow.get(&place).copied().unwrap_or(0);
        if slow == 0 {
            return Duration::ZERO;
        }
        state.slow_waits += 1;
        Duration::from_millis(state.random.below(slow))
    }

    fn wall_ns(&self) -> i64 {
        let state = self.state();
        super::node::EPOCH_NS
            + self.now() as i64 * 1_000_000
            + state.wrong_by.get(&state.place).copied().unwrap_or(0)
    }

    fn voted(&self, group: GroupId, term: u64) {
        let mut state = self.state();
        let place = state.place;
        let known = state.votes.entry((place, group.0)).or_default();
        *known = term.max(*known);
        state.voter = Some(place);
    }

    fn applied(&self, entry: &AppliedEntry<'_>) {
        let now = self.now();
        let command = hash_bytes(entry.command);
        let (group, index) = (entry.group.0, entry.index);
        let mut state = self.state();
        let place = state.place;
        state.entries += 1;
        let here = Applied { term: entry.term, command, place };
        let first = *state.applied.entry((group, index)).or_insert(here);
        let again = state.last.insert((place, group), index).is_some_and(|last| index <= last);
        let highest = state.highest.entry((place, group)).or_default();
        let before = index <= *highest;
        *highest = index.max(*highest);
        state.applied_again += u64::from(before);
        drop(state);
        self.trace.event(now, || format!("{place} applied {group}/{index} {command:016x}"));
        if (first.term, first.command) != (entry.term, command) {
            let other = first.place;
            self.violation(format!(
                "entry {index} of group {group} is not the same at nodes {other} and {place}"
            ));
        }
        if again {
            self.violation(format!("node {place} applied entry {index} of group {group} after a later one"));
        }
    }
}
