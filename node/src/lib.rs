//! One node of a Steadfast cluster, and the command line around it.
//!
//! This is the only crate that sees all the others. It parses no line protocol and no InfluxQL, encodes no answers
//! and knows no key bytes; it wires those who do:
//!
//! - [`telemetry`], [`clock`]: logs, and the one place that reads the wall clock.

pub mod clock;
pub mod config;
pub mod shutdown;
pub mod start;
pub mod telemetry;
