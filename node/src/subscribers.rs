//! Subscriptions: what was written here is sent on, as line protocol with times in ns. Told by `write.rs` after a write
//! was acknowledged; the node that took a write sends it on, so every point is sent once.
//!
//! ```text
//! offer ─▶ lane (a queue in memory) ─▶ its task ─▶ destination
//! ```
//!
//! A subscription to ALL destinations has a lane for each of them, so that none waits for another; one to ANY has a
//! single lane that takes its destinations in turn, and the next one when one fails. A write never waits for any of
//! this: what finds no room is dropped and counted, what could not be delivered is not sent again, as in InfluxDB 1.x.

mod lane;
mod send;

use crate::tls::Trust;
use bytes::Bytes;
use lane::Lane;
use model::RetentionPolicyId;
use model::catalog::{Catalog, Database, RetentionPolicy, Subscription, SubscriptionMode};
use parking_lot::Mutex;
use send::Sender;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What an operator may set.
#[derive(Debug, Clone, Copy)]
pub struct SubscriberLimits {
    /// Bytes that all lanes together may hold.
    pub queue_bytes: u64,
    /// How long a destination may take to accept one request.
    pub timeout: Duration,
}

/// Points of one write, on their way to the subscribers of a retention policy.
#[derive(Debug, Clone)]
pub(crate) struct Copies {
    /// Line protocol, times in ns.
    pub(crate) lines: Bytes,
    /// How many.
    pub(crate) points: u64,
}

/// What happened to copies, in points; those to several destinations count for each.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) sent: AtomicU64,
    /// No room in a lane.
    pub(crate) dropped: AtomicU64,
    /// No destination took them.
    pub(crate) failed: AtomicU64,
    /// Bytes in lanes now.
    pub(crate) queued_bytes: AtomicU64,
}

/// What tells one lane from another: a subscription that was dropped and created anew is another one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct LaneId {
    policy: RetentionPolicyId,
    name: Arc<str>,
    mode: SubscriptionMode,
    destinations: Arc<[Arc<str>]>,
}

/// The lanes of a node.
#[derive(Debug)]
pub(crate) struct Subscribers {
    limits: SubscriberLimits,
    trust: Trust,
    lanes: Mutex<HashMap<LaneId, Lane>>,
    counts: Arc<Counts>,
}

impl Subscribers {
    pub(crate) fn new(limits: SubscriberLimits, trust: Trust) -> Self {
        Self { limits, trust, lanes: Mutex::new(HashMap::new()), counts: Arc::default() }
    }

    /// Puts the points of a write into the lanes of everybody who subscribed to them. Never waits.
    pub(crate) fn offer(&self, database: &Database, policy: &RetentionPolicy, copies: &Copies) {
        let mut lanes = self.lanes.lock();
        for subscription in &policy.subscriptions {
            for destinations in lanes_of(subscription) {
                let id = LaneId {
                    policy: policy.id,
                    name: Arc::clone(&subscription.name),
                    mode: subscription.mode,
                    destinations,
                };
                let lane = lanes.entry(id).or_insert_with_key(|id| {
                    let place = (&*database.name, &*policy.name);
                    let sender = Sender::new(place, &id.destinations, self.limits.timeout, &self.trust);
                    Lane::open(sender, self.limits, &self.counts)
                });
                lane.push(copies.clone());
            }
        }
    }

    /// Closes the lanes of subscriptions that are gone, with what is in them.
    pub(crate) fn forget_dropped(&self, catalog: &Catalog) {
        let policies = || catalog.databases.iter().flat_map(|database| &database.policies);
        self.lanes.lock().retain(|id, _| {
            let policy = policies().find(|policy| policy.id == id.policy);
            let subscription = policy.and_then(|policy| policy.subscription(&id.name));
            subscription.is_some_and(|s| s.mode == id.mode && lanes_of(s).contains(&id.destinations))
        });
    }

    /// Sent, dropped, failed points, and bytes that wait.
    pub(crate) fn counted(&self) -> [u64; 4] {
        let Counts { sent, dropped, failed, queued_bytes } = &*self.counts;
        [sent, dropped, failed, queued_bytes].map(|count| count.load(Ordering::Relaxed))
    }
}

/// The destinations of each lane of a subscription.
fn lanes_of(subscription: &Subscription) -> Vec<Arc<[Arc<str>]>> {
    match subscription.mode {
        SubscriptionMode::Any => vec![Arc::clone(&subscription.destinations)],
        SubscriptionMode::All => {
            subscription.destinations.iter().map(|url| Arc::from([Arc::clone(url)])).collect()
        }
    }
}
