//! Folds one fragment of a query over all local groups.
//!
//! The work of a fragment is cut into items: look up the series of a group, fold some of them. One thread begins; a query
//! that is not over soon gets as many as there are cores. So a dashboard's small queries pay for no threads, and a wide
//! scan of one group uses all cores.

use model::scan::{GroupReader, ScanError};
use parking_lot::Mutex;
use query::{Budget, Fragment, Partial, QueryError, Scatter, Selection};
use raft::{Group, simulation};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a query works on one thread before it gets more: about what starting them costs, a few times over.
const ALONE: Duration = Duration::from_micros(300);

/// The replicas a statement reads, each behind its read barrier already.
#[derive(Debug)]
pub(crate) struct LocalScatter {
    replicas: Vec<(Arc<Group>, Arc<dyn GroupReader>)>,
    budget: Arc<Budget>,
    threads: usize,
}

impl LocalScatter {
    /// Reads from these replicas, in order of their groups.
    pub(crate) fn new(replicas: Vec<(Arc<Group>, Arc<dyn GroupReader>)>, budget: Arc<Budget>) -> Self {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        // A simulation has one thread for everything.
        let threads = if simulation::is_simulated() { 1 } else { cores() };
        Self { replicas, budget, threads }
    }
}

impl Scatter for LocalScatter {
    fn scatter(&self, fragment: &Fragment) -> Result<Vec<Partial>, QueryError> {
        let work = Work { scatter: self, fragment, queue: Mutex::default() };
        let begun = Instant::now();
        while begun.elapsed() < ALONE || self.threads == 1 {
            if !work.do_one() {
                return work.finish();
            }
        }
        std::thread::scope(|scope| {
            let helpers: Vec<_> = (1..self.threads).map(|_| scope.spawn(|| while work.do_one() {})).collect();
            while work.do_one() {}
            for helper in helpers {
                if let Err(panic) = helper.join() {
                    std::panic::resume_unwind(panic);
                }
            }
        });
        work.finish()
    }
}

/// Place of a group among the readers, and of a part in its selection.
type Place = (usize, usize);

/// What is left of a fragment, and what is done.
struct Work<'a> {
    scatter: &'a LocalScatter,
    fragment: &'a Fragment,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    /// Groups whose series were looked up, or are being so.
    selected: usize,
    parts: VecDeque<(Place, Arc<Selection>)>,
    folded: BTreeMap<Place, Partial>,
    failed: Option<QueryError>,
}

impl Work<'_> {
    /// Does the next item; false when there is none, or none that matters.
    fn do_one(&self) -> bool {
        let mut queue = self.queue.lock();
        if queue.failed.is_some() {
            return false;
        }
        let next = queue.parts.pop_front();
        if let Some((place, selection)) = next {
            drop(queue);
            let (group, reader) = &self.scatter.replicas[place.0];
            let folded = self.fragment.fold_part(&**reader, &selection, place.1, &self.scatter.budget);
            let mut queue = self.queue.lock();
            match folded {
                Ok(partial) => drop(queue.folded.insert(place, partial)),
                Err(error) => {
                    if let QueryError::Scan(damage @ ScanError::Damaged { .. }) = &error {
                        group.report_damage(&damage.to_string());
                    }
                    queue.failed.get_or_insert(error);
                }
            }
            return true;
        }
        let group = queue.selected;
        let Some((_, reader)) = self.scatter.replicas.get(group) else { return false };
        queue.selected += 1;
        drop(queue);
        let selection = self.fragment.select(&**reader, &self.scatter.budget);
        let mut queue = self.queue.lock();
        match selection {
            Ok(selection) => {
                let selection = Arc::new(selection);
                let parts = (0..selection.parts()).map(|part| ((group, part), Arc::clone(&selection)));
                queue.parts.extend(parts);
            }
            Err(error) => {
                queue.failed.get_or_insert(error);
            }
        }
        true
    }

    /// Partials in the order of groups and parts, whoever folded them.
    fn finish(self) -> Result<Vec<Partial>, QueryError> {
        let queue = self.queue.into_inner();
        match queue.failed {
            Some(error) => Err(error),
            None => Ok(queue.folded.into_values().collect()),
        }
    }
}
