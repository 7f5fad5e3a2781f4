//! Sequences of requests that change things, asked of the nodes that are not killed: asked again after a broken connection,
//! a request that was carried out would be answered otherwise than the first time.

use crate::request_sequences::{compare, removal, sequences};
use chaos_tests::report::{Failures, shorten};
use chaos_tests::workload::create_database;
use chaos_tests::workload::heapster::DATABASES;
use chaos_tests::{Client, Cluster, Oracle};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The node that is not asked. Held while a request is under way.
#[derive(Debug, Clone, Default)]
pub(super) struct Avoided(Arc<Mutex<Option<usize>>>);

impl Avoided {
    /// Returns when no request is under way at that node.
    pub(super) fn avoid(&self, node: Option<usize>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = node;
    }
}

/// Tells the sequences, again and again.
#[derive(Debug)]
pub(super) struct Sequences {
    influxd: Client,
    nodes: Vec<Client>,
    avoided: Avoided,
    told: Told,
}

/// What came back.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) answers: usize,
    pub(super) slowest: Duration,
    pub(super) failures: Failures,
}

impl Sequences {
    pub(super) fn new(oracle: &Oracle, cluster: &Cluster) -> Self {
        let mut influxd = oracle.client();
        // SHOW DATABASES is one of the requests.
        for database in DATABASES {
            create_database(&mut influxd, database);
        }
        let nodes = (0..cluster.size()).map(|node| cluster.client(node)).collect();
        Self { influxd, nodes, avoided: Avoided::default(), told: Told::default() }
    }

    pub(super) fn avoided(&self) -> Avoided {
        self.avoided.clone()
    }

    pub(super) fn run(&mut self, stop: &AtomicBool) -> Told {
        while !stop.load(Ordering::Relaxed) {
            for (client, steps) in sequences() {
                for (number, step) in steps.iter().chain([&removal()]).enumerate() {
                    // The databases of a client stay for the next one.
                    if number == steps.len() && client != "Kapacitor" {
                        continue;
                    }
                    if stop.load(Ordering::Relaxed) {
                        return std::mem::take(&mut self.told);
                    }
                    let want = step.ask_influxd(&mut self.influxd);
                    let avoided = self.avoided.0.lock().unwrap_or_else(PoisonError::into_inner);
                    let node = (0..self.nodes.len()).map(|n| (number + n) % self.nodes.len());
                    let node = node.into_iter().find(|node| Some(*node) != *avoided).unwrap_or(0);
                    let started = Instant::now();
                    let got = step.ask(&mut self.nodes[node]);
                    drop(avoided);
                    self.told.answers += 1;
                    self.told.slowest = self.told.slowest.max(started.elapsed());
                    let place = format!("{client}, step {number}, node {node}: {}", shorten(&step.target));
                    compare(&place, step, want, got, &mut self.told.failures);
                }
            }
        }
        std::mem::take(&mut self.told)
    }
}
