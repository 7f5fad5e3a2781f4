//! Looks after the groups of a node: one that shall be here is opened, one that has left is let go of, one that failed is
//! opened again, one that is damaged is rebuilt, and when the log failed, all are opened again over a log that was
//! recovered.
//!
//! Causes go away: a full disk is cleared, a file system is mounted again. So every attempt is followed by another one,
//! later each time. What a group is waiting for can be read from its condition.

use super::open::{OpenError, Opener, describe};
use super::rebuild::{Rebuild, damage_of};
use super::{RaftHost, give_away};
use crate::blocking;
use crate::group::{Condition, Group};
use hashbrown::HashMap;
use model::{GroupId, NodeId};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;
use storage::log::{LogDb, LogError};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep};

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(250);
/// Wait before the second attempt at the same thing, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// How long leadership is tried to be handed on from a damaged replica.
const HAND_OVER: Duration = Duration::from_secs(2);
/// How often a replica that is to leave looks whether it may.
const LEAVE_LOOK: Duration = Duration::from_secs(1);
/// How long a closed log may be in use by tasks that end.
const RELEASE_MAX: Duration = Duration::from_secs(10);

/// Runs as long as the host does.
pub(crate) async fn run(host: Weak<RaftHost>) {
    let mut repairs: HashMap<GroupId, JoinHandle<()>> = HashMap::new();
    let mut errors: HashMap<GroupId, u64> = HashMap::new();
    let mut left: HashMap<GroupId, Instant> = HashMap::new();
    loop {
        sleep(LOOK).await;
        let Some(host) = host.upgrade().filter(|host| !host.is_stopping()) else { break };
        repairs.retain(|_, repair| !repair.is_finished());
        let log_failure = host.opener.log.load().as_ref().and_then(|log| log.failure());
        if let Some(cause) = log_failure {
            for (_, repair) in repairs.drain() {
                repair.abort();
                drop(repair.await);
            }
            reopen_log(&host, &cause).await;
            continue;
        }
        for group in host.groups() {
            if repairs.contains_key(&group.id()) {
                continue;
            }
            if let Some(needed) = move_of(&host, &group, &mut left).or_else(|| look(&group, &mut errors)) {
                let host = Arc::downgrade(&host);
                repairs.insert(group.id(), tokio::spawn(repair(host, Arc::clone(&group), needed)));
            }
        }
    }
    for (_, repair) in repairs {
        repair.abort();
    }
}

/// What a group needs.
enum Needed {
    Open,
    Leave,
    Reopen(String),
    Rebuild(String),
}

/// Whether a replica comes or goes.
fn move_of(host: &RaftHost, group: &Group, left: &mut HashMap<GroupId, Instant>) -> Option<Needed> {
    if group.condition() == Condition::Elsewhere {
        return host.places.is_wished(group.id()).then_some(Needed::Open);
    }
    let due = left.get(&group.id()).is_none_or(|looked| looked.elapsed() >= LEAVE_LOOK);
    if !due || !host.is_to_leave(group) {
        return None;
    }
    left.insert(group.id(), Instant::now());
    Some(Needed::Leave)
}

/// What is wrong with a group, if anything is.
fn look(group: &Arc<Group>, errors: &mut HashMap<GroupId, u64>) -> Option<Needed> {
    match group.condition() {
        Condition::Failed { reason } => return Some(Needed::Reopen(reason)),
        Condition::Rebuilding { reason, .. } => return Some(Needed::Rebuild(reason)),
        Condition::Opening | Condition::Running | Condition::Elsewhere => {}
    }
    let core = group.core()?;
    if let Some(damage) = core.replica.state.damage() {
        return Some(Needed::Rebuild(damage));
    }
    let seen = core.replica.state.background_errors();
    if seen > *errors.get(&group.id()).unwrap_or(&0) {
        errors.insert(group.id(), seen);
        tracing::error!(group = %group.id(), errors = seen, "a flush or compaction failed in the background");
        // The engine says what it was when something is written; if it was damage, that is noticed there.
        let state = Arc::downgrade(&core.replica.state);
        blocking::detach("flush", move || {
            let Some(state) = state.upgrade() else { return };
            if let Err(error) = state.flush()
                && error.is_damage()
            {
                state.report_damage(&describe(&error));
            }
        });
    } else if seen == 0 {
        errors.remove(&group.id());
    }
    let stopped = !group.is_stopped() && group.core().is_some();
    group.failure().filter(|_| stopped).map(Needed::Reopen)
}

/// Brings one group back, however long that takes.
async fn repair(host: Weak<RaftHost>, group: Arc<Group>, needed: Needed) {
    let id = group.id();
    let mut needed = needed;
    let mut wait = BACKOFF.0;
    let mut is_first = true;
    loop {
        let Some(host) = host.upgrade().filter(|host| !host.is_stopping()) else { return };
        // A replica that is to leave votes until its group has let it go: it is tried once, before the next look.
        let is_tried = !std::mem::take(&mut is_first) || matches!(needed, Needed::Open);
        if is_tried && host.is_to_leave(&group) && !matches!(needed, Needed::Leave) {
            return;
        }
        needed = match needed {
            Needed::Leave => return host.leave(&group).await,
            Needed::Open => match begin(&host, &group).await {
                Some(needed) => needed,
                None => return,
            },
            Needed::Reopen(reason) => {
                tracing::error!(group = %id, reason, "group failed, opening it again");
                group.set_condition(Condition::Failed { reason });
                group.counts().reopened();
                group.close().await;
                match open(&host.opener, &group).await {
                    Ok(()) => return,
                    Err(error) => match damage_of(&error) {
                        Some(what) => Needed::Rebuild(what.to_owned()),
                        None => Needed::Reopen(error.text()),
                    },
                }
            }
            Needed::Rebuild(reason) => match rebuild(&host, &group, &reason).await {
                Ok(()) => return,
                Err(step) => {
                    tracing::warn!(group = %id, reason, step, "group not rebuilt yet");
                    group.set_condition(Condition::Rebuilding { reason: reason.clone(), step });
                    Needed::Rebuild(reason)
                }
            },
        };
        drop(host);
        sleep(wait).await;
        wait = (wait * 2).min(BACKOFF.1);
    }
}

/// Opens a replica that comes to this node; its group's leader fills it. What it needs, if that did not do.
async fn begin(host: &RaftHost, group: &Group) -> Option<Needed> {
    group.begin_filling();
    match open(&host.opener, group).await {
        Ok(()) => None,
        Err(OpenError::Failed(error)) => {
            let reason = describe(&error);
            group.set_condition(Condition::Failed { reason: reason.clone() });
            Some(Needed::Reopen(reason))
        }
        // It was here before and went: its log is remembered, its state is not.
        Err(OpenError::Damaged(reason)) => {
            group.set_condition(Condition::Rebuilding { reason: reason.clone(), step: "waiting".to_owned() });
            Some(Needed::Rebuild(reason))
        }
    }
}

/// Opens a group and lets it run.
async fn open(opener: &Arc<Opener>, group: &Group) -> Result<(), OpenError> {
    let core = opener.open(group.id()).await?;
    group.run(core);
    tracing::info!(group = %group.id(), "group runs again");
    Ok(())
}

async fn rebuild(host: &RaftHost, group: &Group, reason: &str) -> Result<(), String> {
    let id = group.id();
    let step = |step: &str| {
        let (reason, step) = (reason.to_owned(), step.to_owned());
        group.set_condition(Condition::Rebuilding { reason, step });
    };
    if matches!(group.condition(), Condition::Running | Condition::Failed { .. } | Condition::Opening) {
        tracing::error!(group = %id, reason, "replica is damaged and will be rebuilt from another node");
        group.counts().damaged();
        // From here on nobody reads it.
        step("handing over leadership");
        give_away(group, HAND_OVER).await;
    }
    group.close().await;
    step("fetching a snapshot");
    Rebuild { opener: &host.opener, group, members: members(host, group) }.run().await?;
    step("opening the new state");
    open(&host.opener, group).await.map_err(|error| error.text())?;
    group.counts().rebuilt();
    tracing::info!(group = %id, "replica was rebuilt");
    Ok(())
}

/// Who may have a replica: the group's members; if it never ran here, those of the other groups, and the catalog's.
fn members(host: &RaftHost, group: &Group) -> BTreeMap<NodeId, String> {
    let own = group.members();
    if own.len() > 1 {
        return own;
    }
    let catalog = host.catalog();
    let known = catalog.nodes.iter().map(|(id, info)| (*id, info.peer_addr.clone()));
    let mut members: BTreeMap<NodeId, String> = known.filter(|(_, address)| !address.is_empty()).collect();
    for other in host.groups() {
        members.extend(other.members());
    }
    members
}

/// Closes all groups and the log, recovers the log, and opens the groups again. The log refuses everything after one
/// failed write, because nobody knows what of it reached the disk; opening it finds out.
async fn reopen_log(host: &Arc<RaftHost>, cause: &str) {
    tracing::error!(cause, "the raft log failed; closing all groups to open it again");
    let reason = format!("raft log: {cause}");
    let mut groups = host.groups();
    groups.retain(|group| group.condition() != Condition::Elsewhere);
    for group in &groups {
        group.set_condition(Condition::Failed { reason: reason.clone() });
    }
    futures::future::join_all(groups.iter().map(|group| group.close())).await;
    let Some(log) = host.opener.log.swap(None) else { return };
    let (dir, options) = (log.dir().to_owned(), log.options());
    let closed = Arc::downgrade(&log);
    drop(log);
    let until = Instant::now() + RELEASE_MAX;
    while closed.strong_count() > 0 && Instant::now() < until {
        sleep(Duration::from_millis(10)).await;
    }
    let mut wait = BACKOFF.0;
    loop {
        sleep(wait).await;
        if host.is_stopping() {
            return;
        }
        wait = (wait * 2).min(BACKOFF.1);
        let (dir, options) = (dir.clone(), options.clone());
        let opened = blocking::run(move || LogDb::open_with(&dir, options)).await;
        let error = match opened {
            Ok(Ok(log)) => {
                host.opener.log.store(Some(log));
                break;
            }
            Ok(Err(error)) => error,
            Err(_) => LogError::Closed,
        };
        tracing::error!(%error, "the raft log cannot be opened");
        for group in &groups {
            group.set_condition(Condition::Failed { reason: error.to_string() });
        }
        if matches!(error, LogError::Damaged { .. } | LogError::Format { .. }) {
            // No attempt will help; the text says what will.
            host.log_damage.send_replace(Some(error));
            return std::future::pending().await;
        }
    }
    host.log_reopened.fetch_add(1, Ordering::Relaxed);
    let mut opening = JoinSet::new();
    for group in groups {
        let opener = Arc::clone(&host.opener);
        opening.spawn(async move {
            if let Err(error) = open(&opener, &group).await {
                // The next look sees what it needs.
                let reason = error.text();
                group.set_condition(match damage_of(&error) {
                    Some(_) => Condition::Rebuilding { reason, step: "waiting".to_owned() },
                    None => Condition::Failed { reason },
                });
            }
        });
    }
    opening.join_all().await;
}
