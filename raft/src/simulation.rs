//! What a simulation puts under the groups of a node: everything runs on its one thread, in virtual time, and it hears of
//! every entry that is applied.
//!
//! A simulation says so with [`simulate`], for its own thread only. A product never does, and pays one read of a
//! thread-local for it.

use model::GroupId;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// The simulation that a thread belongs to.
pub trait Simulation {
    /// How long the disk lets a piece of work wait before it is done.
    fn disk_wait(&self) -> Duration;

    /// The wall clock of the node that runs at present, ns since the epoch. Nothing that is applied may ask for it.
    fn wall_ns(&self) -> i64;

    /// An entry was applied by the node that runs at present.
    fn applied(&self, entry: &AppliedEntry<'_>);

    /// The node that runs at present tells that it votes for somebody in this term: from now on it must know that.
    fn voted(&self, group: GroupId, term: u64);
}

/// An entry, as a replica applies it.
#[derive(Debug, Clone, Copy)]
pub struct AppliedEntry<'a> {
    /// Its group.
    pub group: GroupId,
    /// The term of the leader that proposed it.
    pub term: u64,
    /// Its place in the log.
    pub index: u64,
    /// What it asks for; empty if it is no command.
    pub command: &'a [u8],
}

thread_local! {
    static SIMULATION: RefCell<Option<Rc<dyn Simulation>>> = const { RefCell::new(None) };
}

/// From now on this thread is the simulation's.
pub fn simulate(simulation: Rc<dyn Simulation>) {
    SIMULATION.with_borrow_mut(|current| *current = Some(simulation));
}

/// Whether this thread is a simulation's.
pub fn is_simulated() -> bool {
    SIMULATION.with_borrow(Option::is_some)
}

/// How long a piece of work waits before it is done in line; none outside of simulations.
pub(crate) fn disk_wait() -> Option<Duration> {
    let simulation = SIMULATION.with_borrow(Clone::clone)?;
    Some(simulation.disk_wait())
}

/// Whether the wall clock shows an even hour: what [`storage::bugs::Bug::ClockInApply`] wants to know.
pub(crate) fn is_even_hour() -> bool {
    let simulation = SIMULATION.with_borrow(Clone::clone);
    simulation.is_none_or(|simulation| simulation.wall_ns() / 3_600_000_000_000 % 2 == 0)
}

/// Tells the simulation of a vote, if there is one.
pub(crate) fn voted(group: GroupId, term: u64) {
    if let Some(simulation) = SIMULATION.with_borrow(Clone::clone) {
        simulation.voted(group, term);
    }
}

/// Tells the simulation, if there is one.
pub(crate) fn applied(entry: impl FnOnce() -> (GroupId, u64, u64, bytes::Bytes)) {
    let Some(simulation) = SIMULATION.with_borrow(Clone::clone) else { return };
    let (group, term, index, command) = entry();
    simulation.applied(&AppliedEntry { group, term, index, command: &command });
}
