//! Faults of the disk on demand, for tests: the next fsyncs succeed, then one fails or never returns.
//!
//! The writer asks [`SyncFaults::before_sync`] before every synced write; a batch whose turn it is to fail or hang is
//! not written at all, which is the worst a disk may do with it. Tests in the same process use the methods; tests of
//! whole processes set [`FAULT_VARIABLE`], which is read once when the log is opened. Never set it in production: a
//! node with a plan stops taking writes, on purpose.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::error::LogError;

/// The environment variable of fault tests: `fail_after:N` lets N fsyncs of the Raft log succeed and fails the next,
/// `hang_after:N` lets N succeed and never returns from the next. Anything else refuses to open the log.
pub const FAULT_VARIABLE: &str = "STEADFAST_FAULT_LOG_SYNC";

/// A shared handle on the faults of one log's fsyncs. Without a plan it costs one uncontended lock a round.
#[derive(Debug, Clone, Default)]
pub struct SyncFaults(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    plan: Option<Plan>,
    hanging: bool,
    closed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    /// Fsyncs that still succeed.
    successes: u64,
    then: Fault,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Fail,
    Hang,
}

impl SyncFaults {
    /// Reads the plan of [`FAULT_VARIABLE`]; no variable is no fault.
    ///
    /// # Errors
    ///
    /// [`LogError::FaultPlan`] if the variable holds something else than a plan.
    pub fn from_env() -> Result<Self, LogError> {
        let faults = Self::default();
        if let Ok(given) = std::env::var(FAULT_VARIABLE) {
            let plan = parse(&given).ok_or_else(|| LogError::FaultPlan { given: given.clone() })?;
            tracing::warn!(%given, "fsyncs of the raft log fail on purpose: this is a fault test");
            faults.set(Some(plan));
        }
        Ok(faults)
    }

    /// Lets `successes` more fsyncs succeed and fails the next.
    pub fn fail_after(&self, successes: u64) {
        self.set(Some(Plan { successes, then: Fault::Fail }));
    }

    /// Lets `successes` more fsyncs succeed; the next hangs until [`SyncFaults::clear`].
    pub fn hang_after(&self, successes: u64) {
        self.set(Some(Plan { successes, then: Fault::Hang }));
    }

    /// Ends every fault; an fsync that hangs goes on and succeeds.
    pub fn clear(&self) {
        self.set(None);
    }

    /// Whether an fsync hangs now.
    pub fn is_hanging(&self) -> bool {
        self.0.state.lock().hanging
    }

    /// Decides over the next fsync; blocks while it is to hang.
    ///
    /// # Errors
    ///
    /// What the write is to fail with.
    pub(super) fn before_sync(&self) -> Result<(), &'static str> {
        let mut state = self.0.state.lock();
        loop {
            let Some(Plan { successes, then }) = state.plan else {
                state.hanging = false;
                return Ok(());
            };
            if successes > 0 {
                state.plan = Some(Plan { successes: successes - 1, then });
                return Ok(());
            }
            match then {
                Fault::Fail => return Err("fsync failed by the fault plan"),
                Fault::Hang if state.closed => return Err("closed while an fsync hung by the fault plan"),
                Fault::Hang => {
                    state.hanging = true;
                    self.0.changed.wait(&mut state);
                }
            }
        }
    }

    /// Lets an fsync that hangs fail, so that the log can be closed.
    pub(super) fn close(&self) {
        self.0.state.lock().closed = true;
        self.0.changed.notify_all();
    }

    fn set(&self, plan: Option<Plan>) {
        self.0.state.lock().plan = plan;
        self.0.changed.notify_all();
    }
}

fn parse(given: &str) -> Option<Plan> {
    let (fault, successes) = given.split_once(':')?;
    let then = match fault {
        "fail_after" => Fault::Fail,
        "hang_after" => Fault::Hang,
        _ => return None,
    };
    Some(Plan { successes: successes.parse().ok()?, then })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_parsed_or_refused() {
        assert_eq!(parse("fail_after:3"), Some(Plan { successes: 3, then: Fault::Fail }));
        assert_eq!(parse("hang_after:0"), Some(Plan { successes: 0, then: Fault::Hang }));
        for bad in ["", "fail_after", "fail_after:", "fail_after:-1", "slow:1", "hang_after:x"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn fails_after_the_given_number_and_again_until_cleared() {
        let faults = SyncFaults::default();
        faults.fail_after(2);
        let outcomes: Vec<bool> = (0..4).map(|_| faults.before_sync().is_ok()).collect();
        assert_eq!(outcomes, [true, true, false, false]);
        faults.clear();
        assert!(faults.before_sync().is_ok());
    }
}
