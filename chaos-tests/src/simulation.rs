//! Deterministic simulation: the real code of several nodes on one thread in virtual time, with a network, disks and clocks
//! that break as a seed says, and a checker that believes no node. The README of this crate tells how it is built and why.
//!
//! - [`run`] drives one seed: founding, faults under load, healing, audit; [`faults`] chooses what breaks;
//! - [`network`], [`disk`], [`node`], [`world`] are what the nodes live in; [`users`] what is asked of them;
//! - [`watch`] and [`users`] check; [`verdict`] says whether the run was worth something; [`trace`] repeats.

pub mod disk;
pub mod faults;
pub mod network;
pub mod node;
pub mod operator;
pub mod run;
pub mod trace;
pub mod users;
pub mod verdict;
pub mod watch;
pub mod world;
