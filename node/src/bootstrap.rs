//! How a volume gets its identity: the founding of a cluster, exactly once.
//!
//! Of the founding members the one with the least address leads. It waits until every member has answered that it is
//! blank, writes the founding record to its own volume, and then tells the others, who write the same record. From then on
//! every member that has the record tells those that do not, so a crash in between loses nothing. A member takes part only
//! with the volume that the record names: a volume that was blank later is refused here, because it would promise again
//! what the first one promised.

use crate::identity::{Founder, FoundingRecord, Identity, IdentityError, Volume};
use model::NodeId;
use model::catalog::NodeInfo;
use raft::peer::{self, FounderInfo, IdentityInfo, PeerControl};
use std::time::Duration;
use tokio::sync::watch;

/// Pause between two rounds of asking the other members.
const ROUND: Duration = Duration::from_millis(300);
/// How long one member may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// What a node tells its peers about itself, and how it takes part in a founding.
#[derive(Debug)]
pub(crate) struct Membership {
    volume: Volume,
    info: NodeInfo,
    identity: watch::Sender<Option<Identity>>,
}

impl Membership {
    /// Reads the volume's identity. `info` holds the advertised addresses; its volume is filled in here.
    pub(crate) fn open(volume: Volume, info: NodeInfo) -> Result<Self, IdentityError> {
        let identity = watch::Sender::new(volume.identity()?);
        let info = NodeInfo { volume: volume.uuid.clone(), ..info };
        Ok(Self { volume, info, identity })
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

    /// Founds the cluster if this node leads the founding and all members are blank; else waits for the leader's word.
    /// Returns when the volume has an identity. `report` hears what is being waited for.
    pub(crate) async fn found(
        &self,
        peers: &[String],
        groups: u32,
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
            if leads && let Some(record) = self.ask_all(&members, groups, report).await {
                let mine = self.volume.part_in(&record, &self.info.peer_addr);
                if let Some(identity) = mine {
                    tracing::info!(cluster = record.cluster, members = members.len(), "cluster founded");
                    self.adopt(identity)?;
                }
            } else if !leads {
                report(format!("waiting for {} to found the cluster", members[0]));
            }
            // Wakes early when the leader's word arrives.
            let _woken = tokio::time::timeout(ROUND, identity.changed()).await;
        }
    }

    /// One round: a founding record if every member answered that it is blank.
    async fn ask_all(
        &self,
        members: &[String],
        groups: u32,
        report: &(dyn Fn(String) + Sync),
    ) -> Option<FoundingRecord> {
        let mut founders = Vec::with_capacity(members.len());
        for (place, address) in members.iter().enumerate() {
            let volume = if *address == self.info.peer_addr {
                self.volume.uuid.clone()
            } else {
                match peer::identity(address, ANSWER_TIMEOUT).await {
                    Ok(other) if other.cluster.is_empty() => other.volume,
                    Ok(other) => {
                        report(format!(
                            "{address} belongs to cluster {} already and this volume does not: a blank volume \
                             cannot take the place of a lost one",
                            other.cluster
                        ));
                        return None;
                    }
                    Err(error) => {
                        report(format!("waiting for {address}: {error}"));
                        return None;
                    }
                }
            };
            founders.push(Founder { id: place as u64 + 1, peer_addr: address.clone(), volume });
        }
        Some(FoundingRecord { cluster: uuid::Uuid::new_v4().to_string(), groups, founders })
    }
}

/// Tells every founding member that does not know it yet, until all do.
pub(crate) async fn spread(identity: Identity) {
    let me = identity.node;
    let mut ignorant: Vec<&Founder> = identity.record.founders.iter().filter(|f| f.id != me).collect();
    while !ignorant.is_empty() {
        let mut still = Vec::new();
        for founder in ignorant {
            if !knows(founder, &identity.record).await {
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
async fn knows(founder: &Founder, record: &FoundingRecord) -> bool {
    let Ok(answer) = peer::identity(&founder.peer_addr, ANSWER_TIMEOUT).await else { return false };
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
        peer::bootstrap(&founder.peer_addr, NodeId(founder.id), &to_wire(record), ANSWER_TIMEOUT).await;
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
}
