//! How a volume gets its identity: the founding of a cluster, exactly once, or a place in one that there is.
//!
//! Of the founding members the one with the least address leads. It waits until every member has answered that it is
//! blank, writes the founding record to its own volume, and then tells the others, who write the same record. From then on
//! every member that has the record tells those that do not, so a crash in between loses nothing.
//!
//! A volume that is blank later never founds anything and never takes part as what was there before, because it would
//! promise again what the first one promised. The others give it a new node id and the place of the member that had its
//! address. As long as some member does not answer, a blank volume waits: it might be the one that knows of a cluster.

use crate::identity::{Founder, FoundingRecord, Identity, IdentityError, Volume};
use futures::future::join_all;
use model::NodeId;
use model::catalog::NodeInfo;
use raft::peer::{self, FounderInfo, IdentityInfo, PeerControl};
use raft::{Connect, PeerError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Pause between two rounds of asking the other members.
const ROUND: Duration = Duration::from_millis(300);
/// How long one member may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a place in the cluster may take to be decided.
const JOIN_TIMEOUT: Duration = Duration::from_secs(15);

/// What a node tells its peers about itself, and how it takes part in a founding.
#[derive(Debug)]
pub(crate) struct Membership {
    volume: Volume,
    info: NodeInfo,
    /// The newest feature level that this node knows.
    feature_level: u32,
    identity: watch::Sender<Option<Identity>>,
    /// How the other members are reached.
    connect: Arc<dyn Connect>,
}

impl Membership {
    /// Reads the volume's identity. `info` holds the advertised addresses; its volume is filled in here. The node knows
    /// feature levels up to this one.
    pub(crate) fn open(
        volume: Volume,
        info: NodeInfo,
        feature_level: u32,
        connect: Arc<dyn Connect>,
    ) -> Result<Self, IdentityError> {
        let identity = watch::Sender::new(volume.identity()?);
        let info = NodeInfo { volume: volume.uuid.clone(), ..info };
        Ok(Self { volume, info, feature_level, identity, connect })
    }

    /// This node's addresses and volume.
    pub(crate) fn info(&self) -> &NodeInfo {
        &self.info
    }

    fn adopt(&self, identity: Identity) -> Result<(), IdentityError> {
        self.volume.adopt(&identity)?;
        self.identity.send_replace(Some(identity));
        Ok(())
    }

    /// Gives the volume an identity: a place in the cluster that other members belong to, or, if all members are blank,
    /// in one that is founded now, with so many data groups and so many replicas of each. `report` hears what is being
    /// waited for.
    pub(crate) async fn find(
        &self,
        peers: &[String],
        groups: (u32, u32),
        report: &(dyn Fn(String) + Sync),
    ) -> Result<Identity, IdentityError> {
        let mut members = peers.to_vec();
        if members.is_empty() {
            members.push(self.info.peer_addr.clone());
        }
        members.sort();
        members.dedup();
        let leads = members.first() == Some(&self.info.peer_addr);
        let mut identity = self.identity.subscribe();
        loop {
            if let Some(identity) = identity.borrow_and_update().clone() {
                return Ok(identity);
            }
            match self.look_around(&members).await {
                Around::Founded(addresses) => self.join(&addresses, report).await?,
                Around::Unknown(reason) => report(reason),
                Around::AllBlank(founders) if leads => {
                    let record = found(&members, founders, groups);
                    if let Some(identity) = self.volume.part_in(&record, &self.info.peer_addr) {
                        tracing::info!(cluster = record.cluster, members = members.len(), "cluster founded");
                        self.adopt(identity)?;
                    }
                }
                Around::AllBlank(_) => report(format!("waiting for {} to found the cluster", members[0])),
            }
            // Wakes early when the leader's word arrives.
            let _woken = tokio::time::timeout(ROUND, identity.changed()).await;
        }
    }

    /// Asks all members who they are.
    async fn look_around(&self, members: &[String]) -> Around {
        let asked = members.iter().map(|address| async move {
            if *address == self.info.peer_addr {
                Ok(PeerControl::identity(self))
            } else {
                ask(&*self.connect, address).await
            }
        });
        let answers = join_all(asked).await;
        let mut founded: Vec<(&String, &str)> = Vec::new();
        for (address, answer) in members.iter().zip(&answers) {
            if let Ok(IdentityInfo { cluster, .. }) = answer
                && !cluster.is_empty()
            {
                founded.push((address, cluster));
            }
        }
        if let Some((first, cluster)) = founded.first() {
            return match founded.iter().find(|(_, other)| other != cluster) {
                None => Around::Founded(founded.into_iter().map(|(address, _)| address.clone()).collect()),
                Some((second, other)) => Around::Unknown(format!(
                    "{first} belongs to cluster {cluster} and {second} to {other}: node.peers names members of \
                     more than one cluster"
                )),
            };
        }
        answers.into_iter().collect::<Result<_, _>>().map_or_else(Around::Unknown, Around::AllBlank)
    }

    /// Asks the members one after the other for a place in their cluster.
    async fn join(
        &self,
        addresses: &[String],
        report: &(dyn Fn(String) + Sync),
    ) -> Result<(), IdentityError> {
        let newcomer = (&self.info, self.feature_level);
        match place_in_cluster(&*self.connect, addresses, newcomer, report).await {
            Some(identity) => self.adopt(identity),
            None => Ok(()),
        }
    }

    /// Asks the other members for a new identity, for as long as it takes, and sets aside all that this one had.
    pub(crate) async fn renew(
        &self,
        peers: &[String],
        report: &(dyn Fn(String) + Sync),
    ) -> Result<(), IdentityError> {
        let others: Vec<String> =
            peers.iter().filter(|peer| **peer != self.info.peer_addr).cloned().collect();
        let info = NodeInfo { volume: uuid::Uuid::new_v4().to_string(), ..self.info.clone() };
        loop {
            let newcomer = (&info, self.feature_level);
            if let Some(identity) = place_in_cluster(&*self.connect, &others, newcomer, report).await {
                return self.volume.renew(&info.volume, &identity);
            }
            tokio::time::sleep(ROUND).await;
        }
    }
}

/// The identity that the first of the members that can grants to a volume.
async fn place_in_cluster(
    connect: &dyn Connect,
    addresses: &[String],
    (info, feature_level): (&NodeInfo, u32),
    report: &(dyn Fn(String) + Sync),
) -> Option<Identity> {
    for address in addresses {
        match peer::join(connect, address, (info, feature_level), JOIN_TIMEOUT).await {
            Ok((node, founding)) => {
                let record = from_wire(&founding);
                tracing::info!(cluster = record.cluster, %node, through = address, "joined the cluster");
                return Some(Identity { node: node.0, record });
            }
            Err(PeerError::Refused { reason, .. }) => {
                report(format!("{address} does not take this blank volume in: {reason}"));
            }
            Err(error) => report(format!("waiting for {address} to take this blank volume in: {error}")),
        }
    }
    None
}

/// What the members of a cluster say that a blank volume is to be part of.
enum Around {
    /// These belong to a cluster, all to the same one.
    Founded(Vec<String>),
    /// All are blank.
    AllBlank(Vec<IdentityInfo>),
    /// Somebody may know of a cluster and does not say so. There is nothing to do but wait.
    Unknown(String),
}

async fn ask(connect: &dyn Connect, address: &str) -> Result<IdentityInfo, String> {
    let asked = peer::identity(connect, address, ANSWER_TIMEOUT).await;
    asked.map_err(|error| format!("waiting for {address}: {error}"))
}

/// The record of a new cluster.
fn found(
    members: &[String],
    told: Vec<IdentityInfo>,
    (groups, replication_factor): (u32, u32),
) -> FoundingRecord {
    let known_to_all = told.iter().map(|founder| founder.feature_level).min();
    let founders = members.iter().zip(told).zip(1..).map(|((address, founder), id)| Founder {
        id,
        peer_addr: address.clone(),
        volume: founder.volume,
    });
    FoundingRecord {
        cluster: uuid::Uuid::new_v4().to_string(),
        groups,
        replication_factor,
        // Who knows level 1 only does not know that a record can name one.
        feature_level: known_to_all.filter(|level| *level > 1).unwrap_or(0),
        founders: founders.collect(),
    }
}

/// Tells every founding member that does not know it yet, until all do.
pub(crate) async fn spread(identity: Identity, connect: Arc<dyn Connect>) {
    let me = identity.node;
    let mut ignorant: Vec<&Founder> = identity.record.founders.iter().filter(|f| f.id != me).collect();
    while !ignorant.is_empty() {
        let mut still = Vec::new();
        for founder in ignorant {
            if !knows(&*connect, founder, &identity.record).await {
                still.push(founder);
            }
        }
        ignorant = still;
        if !ignorant.is_empty() {
            tokio::time::sleep(ROUND).await;
        }
    }
}

/// Whether a member has the record; tells it if it is blank.
async fn knows(connect: &dyn Connect, founder: &Founder, record: &FoundingRecord) -> bool {
    let Ok(answer) = peer::identity(connect, &founder.peer_addr, ANSWER_TIMEOUT).await else { return false };
    if answer.cluster == record.cluster {
        return true;
    }
    if !answer.cluster.is_empty() || answer.volume != founder.volume {
        tracing::warn!(
            address = founder.peer_addr,
            cluster = answer.cluster,
            "founding member has another volume or belongs to another cluster"
        );
        return true;
    }
    let told =
        peer::bootstrap(connect, &founder.peer_addr, NodeId(founder.id), &to_wire(record), ANSWER_TIMEOUT)
            .await;
    if let Err(error) = &told {
        tracing::debug!(address = founder.peer_addr, %error, "founding member not told yet");
    }
    told.is_ok()
}

fn to_wire(record: &FoundingRecord) -> peer::FoundingInfo {
    let founders = record.founders.iter();
    peer::FoundingInfo {
        cluster: record.cluster.clone(),
        groups: record.groups,
        replication_factor: record.replication_factor,
        feature_level: record.feature_level,
        founders: founders
            .map(|f| FounderInfo { id: f.id, peer_addr: f.peer_addr.clone(), volume: f.volume.clone() })
            .collect(),
    }
}

fn from_wire(info: &peer::FoundingInfo) -> FoundingRecord {
    let founders = info.founders.iter();
    FoundingRecord {
        cluster: info.cluster.clone(),
        groups: info.groups,
        replication_factor: info.replication_factor,
        feature_level: info.feature_level,
        founders: founders
            .map(|f| Founder { id: f.id, peer_addr: f.peer_addr.clone(), volume: f.volume.clone() })
            .collect(),
    }
}

impl PeerControl for Membership {
    fn identity(&self) -> IdentityInfo {
        let identity = self.identity.borrow();
        IdentityInfo {
            cluster: identity.as_ref().map_or_else(String::new, |i| i.record.cluster.clone()),
            node: identity.as_ref().map_or(0, |i| i.node),
            volume: self.volume.uuid.clone(),
            info: self.info.clone(),
            feature_level: self.feature_level,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    fn bootstrap(&self, founding: &peer::FoundingInfo) -> Result<(), String> {
        let record = from_wire(founding);
        if let Some(existing) = &*self.identity.borrow() {
            return if existing.record == record {
                Ok(())
            } else {
                Err(format!("already a member of cluster {}", existing.record.cluster))
            };
        }
        let mine = self.volume.part_in(&record, &self.info.peer_addr);
        let Some(identity) = mine else {
            return Err(format!(
                "the founding record of cluster {} does not name volume {} at {}",
                record.cluster, self.volume.uuid, self.info.peer_addr
            ));
        };
        self.adopt(identity).map_err(|error| error.to_string())
    }

    fn founding(&self) -> Option<peer::FoundingInfo> {
        self.identity.borrow().as_ref().map(|identity| to_wire(&identity.record))
    }
}
