//! One node of a Steadfast cluster, and the command line around it.
//!
//! This is the only crate that sees all the others. It parses no line protocol and no InfluxQL, encodes no answers
//! and knows no key bytes; it wires those who do:
//!
//! - [`cli`] → [`config`] → [`start`]: what `steadfast serve` does, until [`shutdown`] says stop;
//! - [`dev`]: a whole cluster as child processes on 127.0.0.1;
//! - [`load`]: a simulated Heapster, or a recorded one, in front of any server that speaks the InfluxDB 1.x API;
//! - [`embedded`]: a node within another process, for simulations;
//! - [`telemetry`], [`clock`]: logs, and the one place that reads the wall clock.
//! - [`start`] → `bootstrap` and `identity` (who this volume is), the groups, [`coordinator`], the ports;
//! - [`coordinator`]: what HTTP asks of this node, delegated to [`write`], `query` with `scatter`, `turns` and `running`,
//!   `show`, `catalog`, `admin`;
//! - `users`, `passwords`: statements with passwords, and how those are hashed and verified;
//! - [`subscribers`]: what was written, sent on;
//! - `maintenance`, `continuous`: the loops beside the requests; `space`: what happens as the disk fills up; `metrics`:
//!   what is counted.

mod admin;
mod bootstrap;
mod catalog;
pub mod cli;
pub mod clock;
pub mod config;
mod continuous;
pub mod coordinator;
pub mod ctl;
mod data_level;
mod delete;
pub mod dev;
pub mod embedded;
mod everywhere;
mod freshness;
pub mod http_client;
mod identity;
mod into;
mod late;
pub mod load;
mod maintenance;
mod metrics;
mod operator;
mod passwords;
mod query;
mod replicas;
mod running;
mod scatter;
mod show;
pub mod shutdown;
mod space;
pub mod start;
pub mod subscribers;
pub mod telemetry;
mod tls;
mod tokens;
mod turns;
mod users;
pub mod write;
