//! One at a time may flush, checkpoint, install or start a checksum. A lock that can be kept across threads.

use super::Inner;
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;

/// Whether somebody has the turn.
#[derive(Debug, Default)]
pub(super) struct Turn {
    taken: Mutex<bool>,
    free: Condvar,
}

/// The turn; given back when dropped.
#[derive(Debug)]
pub(super) struct TurnGuard(Arc<Inner>);

/// Waits for the turn.
pub(super) fn take(inner: &Arc<Inner>) -> TurnGuard {
    let mut taken = inner.turn.taken.lock();
    while *taken {
        inner.turn.free.wait(&mut taken);
    }
    *taken = true;
    TurnGuard(Arc::clone(inner))
}

impl Drop for TurnGuard {
    fn drop(&mut self) {
        *self.0.turn.taken.lock() = false;
        self.0.turn.free.notify_one();
    }
}
