//! The one thread on which a group's entries are applied.
//!
//! A thread of its own, not a pool: apply is serial by nature, and a pool that is full of slow queries must not delay
//! it.

use crate::{blocking, simulation};
use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// Runs jobs one after the other; ends when it is dropped.
#[derive(Debug)]
pub(super) struct Worker {
    /// None in a simulation, which has one thread for everything.
    jobs: Option<SyncSender<Job>>,
}

impl Worker {
    /// Starts the thread.
    pub(super) fn start(name: &str) -> io::Result<Self> {
        if simulation::is_simulated() {
            return Ok(Self { jobs: None });
        }
        // openraft waits for every job; more than one is queued only if it gave up on one at its end.
        let (jobs, queue) = sync_channel::<Job>(4);
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            for job in queue {
                job();
            }
        })?;
        Ok(Self { jobs: Some(jobs) })
    }

    /// Runs `job` on the thread and waits for its result without blocking.
    ///
    /// # Errors
    ///
    /// The thread is gone: an earlier job panicked.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let Some(jobs) = &self.jobs else {
            let wait = simulation::disk_wait().unwrap_or_default();
            return Ok(blocking::in_line(wait, job).await);
        };
        let (done, result) = oneshot::channel();
        // A caller that has gone away needs no result.
        let job = move || drop(done.send(job()));
        let gone = || io::Error::other("the apply thread is gone");
        jobs.try_send(Box::new(job)).map_err(|_| gone())?;
        result.await.map_err(|_| gone())
    }
}
