//! What happened, in order: a running checksum of every event, and the events themselves when somebody wants to read
//! them. Two runs of one seed have the same.

use crate::report;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
struct Events {
    count: u64,
    checksum: u64,
    shown: bool,
}

/// The events of one run; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Trace(Arc<Mutex<Events>>);

impl Trace {
    /// A trace, printed as it grows if `shown`.
    pub fn new(shown: bool) -> Self {
        Self(Arc::new(Mutex::new(Events { shown, ..Events::default() })))
    }

    fn events(&self) -> MutexGuard<'_, Events> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an event.
    pub fn event(&self, now_ms: u64, text: impl FnOnce() -> String) {
        let text = text();
        let mut events = self.events();
        events.count += 1;
        // FNV-1a.
        let bytes = now_ms.to_le_bytes().into_iter().chain(text.bytes());
        let begin = events.checksum ^ 0xcbf2_9ce4_8422_2325;
        events.checksum =
            bytes.fold(begin, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        if events.shown {
            report::say(&format!("{now_ms:>7} {text}"));
        }
    }

    /// Events so far, and their checksum.
    pub fn checksum(&self) -> (u64, u64) {
        let events = self.events();
        (events.count, events.checksum)
    }
}
