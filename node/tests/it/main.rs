//! Tests of the shell around a node: configuration, the rules of the workspace, local clusters.

#![expect(clippy::unwrap_used, reason = "a test panics; clippy knows only functions marked as tests")]

mod config;
mod dev;
mod tidy;
