//! The state of groups from outside: what a crash, a flush, a snapshot or a drop leaves behind.

#![expect(
    clippy::unwrap_used,
    reason = "clippy sees tests only in test functions, but the harness is one too"
)]

mod checksum;
mod columns;
mod harness;
mod install;
mod kill;
mod lifecycle;
mod model_based;
mod state_db;
