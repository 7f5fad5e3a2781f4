//! Work that may touch the disk: never on a worker thread of the runtime that elects leaders.
//!
//! A simulation has one thread for everything: there, work is done in line, after the time that the simulated disk
//! takes, so that the order of events is that of a seed.

use crate::simulation::{disk_wait, is_simulated};
use std::thread;
use std::time::Duration;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::sleep;

/// Runs `work` on a thread that may block. It goes on when the future is dropped after it was first polled.
///
/// # Errors
///
/// It panicked, or the runtime is shutting down.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    match disk_wait() {
        None => spawn_blocking(work).await,
        Some(wait) => Ok(in_line(wait, work).await),
    }
}

/// Does the work here, after the wait.
pub(crate) async fn in_line<T>(wait: Duration, work: impl FnOnce() -> T) -> T {
    if !wait.is_zero() {
        sleep(wait).await;
    }
    work()
}

/// Runs `work` on a thread of its own, for as long as it takes.
pub(crate) fn detach(name: &str, work: impl FnOnce() + Send + 'static) {
    if is_simulated() {
        return work();
    }
    if let Err(error) = thread::Builder::new().name(name.to_owned()).spawn(work) {
        tracing::warn!(%error, name, "no thread for this");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::{AppliedEntry, Simulation, simulate};
    use std::rc::Rc;

    struct SlowDisk;

    impl Simulation for SlowDisk {
        fn disk_wait(&self) -> Duration {
            Duration::from_millis(1)
        }

        fn wall_ns(&self) -> i64 {
            0
        }

        fn applied(&self, _entry: &AppliedEntry<'_>) {}

        fn voted(&self, _group: model::GroupId, _term: u64) {}
    }

    fn where_it_runs() -> (thread::ThreadId, thread::ThreadId) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        (thread::current().id(), runtime.block_on(run(|| thread::current().id())).unwrap())
    }

    #[test]
    fn work_leaves_the_thread_except_in_a_simulation() {
        let (here, there) = where_it_runs();
        assert_ne!(here, there);
        let simulated = thread::spawn(|| {
            simulate(Rc::new(SlowDisk));
            where_it_runs()
        });
        let (here, there) = simulated.join().unwrap();
        assert_eq!(here, there);
        assert!(!is_simulated(), "it was another thread's");
    }
}
