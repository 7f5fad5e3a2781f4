//! Crashes on demand, for tests of whole processes: the process aborts when it reaches a named step.
//!
//! Steps are where a crash would leave something half done: while a snapshot is received and swapped in. Never set the
//! variable in production.

use std::sync::OnceLock;

/// The environment variable of crash tests: the name of the step to abort at.
pub const CRASH_VARIABLE: &str = "STEADFAST_FAULT_CRASH_AT";

/// Aborts the process if the environment asks for a crash at this step. Costs one read of memory otherwise.
pub fn crash_point(step: &str) {
    static WANTED: OnceLock<Option<String>> = OnceLock::new();
    let wanted = WANTED.get_or_init(|| std::env::var(CRASH_VARIABLE).ok());
    if wanted.as_deref() == Some(step) {
        tracing::error!(step, "crash on purpose: this is a fault test");
        std::process::abort();
    }
}
