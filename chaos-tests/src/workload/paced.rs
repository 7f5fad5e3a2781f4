//! A steady load over all nodes that never stops while they are killed under it.

use crate::client::{Client, ClientError};
use crate::history::{DATABASE, History, Outcome, batch_lines};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Connections writing at once.
const WRITERS: usize = 6;
/// A request without an answer after this is a hung one.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// A batch that nobody took for so long is given up, as a failure.
const BATCH_TIMEOUT: Duration = Duration::from_secs(60);

/// A running load. Batches are spread over the nodes in turn; one whose connection dies is sent again to the next node,
/// as a load balancer in front of the nodes would do. Any other answer than 204 is noted as a refusal.
#[derive(Debug)]
pub struct PacedLoad {
    shared: Arc<Shared>,
    writers: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    nodes: Vec<String>,
    avoided: Vec<AtomicBool>,
    interval: Duration,
    started: Instant,
    first: u64,
    next: AtomicU64,
    stopped: AtomicBool,
    history: Mutex<History>,
}

impl PacedLoad {
    /// Starts writing `batches_per_second` batches a second to `nodes` (`host:port`).
    pub fn start(nodes: &[String], batches_per_second: u32) -> Self {
        Self::resume(nodes, batches_per_second, History::default())
    }

    /// The same, going on after the batches of an earlier load.
    pub fn resume(nodes: &[String], batches_per_second: u32, history: History) -> Self {
        let shared = Arc::new(Shared {
            avoided: nodes.iter().map(|_| AtomicBool::new(false)).collect(),
            nodes: nodes.to_vec(),
            interval: Duration::from_secs(1) / batches_per_second.max(1),
            started: Instant::now(),
            first: history.batches(),
            next: AtomicU64::new(history.batches()),
            stopped: AtomicBool::new(false),
            history: Mutex::new(history),
        });
        let writer = |_| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.run())
        };
        Self { writers: (0..WRITERS).map(writer).collect(), shared }
    }

    /// Sends nothing to a node from now on, or sends to it again: a hung node takes connections and never answers, so
    /// its users must be told, as a Service tells them by its readiness probe.
    pub fn avoid(&self, node: usize, avoided: bool) {
        self.shared.avoided[node].store(avoided, Ordering::Relaxed);
    }

    /// Batches acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.shared.history().acknowledged()
    }

    /// The longest that a batch was on its way, from its first sending to its 204, of those acknowledged since the last
    /// call: what a collector sees of a fault.
    pub fn take_longest(&self) -> Duration {
        std::mem::take(&mut self.shared.history().longest)
    }

    /// Stops, waits for the last answers and hands out what the users were told.
    pub fn finish(self) -> History {
        self.shared.stopped.store(true, Ordering::Relaxed);
        for writer in self.writers {
            assert!(writer.join().is_ok(), "a writer panicked");
        }
        std::mem::take(&mut *self.shared.history())
    }
}

impl Shared {
    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let client = |node: &String| Client::new(node).with_timeout(REQUEST_TIMEOUT);
        let mut clients: Vec<Client> = self.nodes.iter().map(client).collect();
        while !self.stopped.load(Ordering::Relaxed) {
            let batch = self.next.fetch_add(1, Ordering::Relaxed);
            let due = self.started + self.interval * (batch - self.first) as u32;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            self.history().set(batch, Outcome::Unknown);
            self.deliver(batch, &mut clients);
        }
    }

    /// Sends one batch until a node answers.
    fn deliver(&self, batch: u64, clients: &mut [Client]) {
        let lines = batch_lines(batch);
        let first = Instant::now();
        let mut node = batch as usize % clients.len();
        while first.elapsed() < BATCH_TIMEOUT {
            if self.avoided[node].load(Ordering::Relaxed) {
                node = (node + 1) % clients.len();
                std::thread::sleep(Duration::from_millis(1));
                continue;
            }
            let sent = Instant::now();
            let answer = clients[node].write(DATABASE, lines.as_bytes());
            let mut history = self.history();
            match answer {
                Ok(answer) => {
                    history.slowest = history.slowest.max(sent.elapsed());
                    if answer.status == 204 {
                        history.set(batch, Outcome::Acknowledged);
                        history.longest = history.longest.max(first.elapsed());
                    } else {
                        let text = answer.text();
                        history.refusals.push(format!("batch {batch} node {node}: {} {text}", answer.status));
                    }
                    return;
                }
                Err(ClientError::TimedOut) if !self.avoided[node].load(Ordering::Relaxed) => {
                    history
                        .refusals
                        .push(format!("batch {batch} node {node}: no answer in {REQUEST_TIMEOUT:?}"));
                    return;
                }
                Err(error) => history.resent += u64::from(!matches!(error, ClientError::Connect(_))),
            }
            drop(history);
            node = (node + 1) % clients.len();
            std::thread::sleep(Duration::from_millis(5));
        }
        self.history().refusals.push(format!("batch {batch}: nobody took it in {BATCH_TIMEOUT:?}"));
    }
}
