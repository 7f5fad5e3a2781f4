//! Clusters under faults, real ones and simulated ones, their users, and what the users were told.
//!
//! - [`cluster`] starts `steadfast serve` processes and kills, stops and restarts them, in a [`network`] of its
//!   own if links are to be cut; [`oracle`] starts a real influxd.
//! - [`client`] is a small HTTP client that can also misbehave: slow bodies, aborts, garbage. With [`certificates`] it
//!   speaks TLS.
//! - [`workload`] makes the traffic: Heapster's recorded requests, a generated Kubernetes cluster, a paced load.
//! - [`history`] keeps what was acknowledged and checks that it can still be read; [`compare`] holds two answers side by
//!   side; [`report`] speaks to the person who runs the tests.
//!
//! Only [`simulation`] links the code under test, and runs it on one thread in virtual time. All others start the binary as
//! an operator would, so what they observe is what users observe. A harness that cannot be set up panics with the reason and the way out; what a server
//! answers is always a value.

pub mod binary;
pub mod certificates;
pub mod client;
pub mod cluster;
pub mod compare;
pub mod fuzz;
pub mod history;
pub mod network;
pub mod oracle;
pub mod ports;
pub mod process;
pub mod report;
pub mod simulation;
pub mod work_dir;
pub mod workload;

pub use client::{Client, ClientError, Request, Response};
pub use cluster::{Cluster, Settings};
pub use oracle::Oracle;
pub use work_dir::WorkDir;
