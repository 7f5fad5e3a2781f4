//! Differential fuzzing: the same random requests to a real influxd and to a cluster, answers compared to the byte.
//!
//! [`schema`] and [`points`] make up what is stored, [`grammar`] and its parts statements about it (as [`tree`]s that can
//! be shrunk), [`ask`] the form of the request. [`campaign`] sends them to both, [`verdict`] compares. [`lines`] and
//! [`line_campaign`] do the same for line protocol; [`corpus`] replays what once differed. Everything random is
//! SplitMix64 ([`crate::workload::random`]) from one seed, so a seed repeats a run on any machine.

pub mod ask;
pub mod campaign;
pub mod corpus;
pub mod grammar;
pub mod line_campaign;
pub mod lines;
pub mod points;
pub mod schema;
pub mod tree;
pub mod verdict;

mod change;
mod clauses;
mod condition;
mod conflict;
mod explained;
mod expression;
mod msgpack;
mod rewrite;
mod select;
mod show;
mod time_text;

pub use campaign::{Outcome, Plan, Servers, fill, run};

use crate::{Cluster, Oracle};
use grammar::Grammar;
use tree::Tree;

impl Grammar<'_> {
    /// A random request's statements, and whether they change what is stored.
    pub fn statement(&mut self) -> (Tree, bool) {
        let tree = match self.random.below(100) {
            0..74 => self.select(),
            74..88 => self.show(),
            88..91 => self.change(),
            91..98 => self.broken(),
            _ => Tree::List("; ", vec![self.select(), self.show()]),
        };
        let text = tree.text().to_uppercase();
        let changes = ["CREATE", "DROP", "DELETE", "ALTER"].iter().any(|word| text.contains(word));
        (tree, changes)
    }
}

impl Servers {
    /// Clients of both.
    pub fn new(oracle: &Oracle, cluster: &Cluster) -> Self {
        Self {
            oracle: oracle.client(),
            nodes: (0..cluster.size()).map(|node| cluster.client(node)).collect(),
        }
    }
}
