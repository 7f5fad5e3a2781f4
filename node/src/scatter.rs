//! Folds one fragment of a query over all local groups, on as many threads as there are cores.

use model::scan::GroupReader;
use query::{Budget, Fragment, Partial, QueryError, Scatter};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The replicas a statement reads, each behind its read barrier already.
#[derive(Debug)]
pub(crate) struct LocalScatter {
    readers: Vec<Arc<dyn GroupReader>>,
    budget: Arc<Budget>,
    threads: usize,
}

impl LocalScatter {
    /// Reads from these replicas, in order of their groups.
    pub(crate) fn new(readers: Vec<Arc<dyn GroupReader>>, budget: Arc<Budget>) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(readers.len().max(1));
        Self { readers, budget, threads }
    }

    /// One thread's work: takes the next group until none is left.
    fn fold_some(
        &self,
        fragment: &Fragment,
        next: &AtomicUsize,
    ) -> Vec<(usize, Result<Partial, QueryError>)> {
        let mut folded = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(reader) = self.readers.get(place) else { return folded };
            let partial = fragment.fold(&**reader, &self.budget);
            let failed = partial.is_err();
            folded.push((place, partial));
            if failed {
                return folded;
            }
        }
    }
}

impl Scatter for LocalScatter {
    fn scatter(&self, fragment: &Fragment) -> Result<Vec<Partial>, QueryError> {
        let next = AtomicUsize::new(0);
        let mut folded = std::thread::scope(|scope| {
            let helpers: Vec<_> =
                (1..self.threads).map(|_| scope.spawn(|| self.fold_some(fragment, &next))).collect();
            let mut folded = self.fold_some(fragment, &next);
            for helper in helpers {
                match helper.join() {
                    Ok(some) => folded.extend(some),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            folded
        });
        folded.sort_by_key(|(place, _)| *place);
        folded.into_iter().map(|(_, partial)| partial).collect()
    }
}
