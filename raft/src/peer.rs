//! Talking to a node that may belong to no cluster yet: who are you, become a founding member, and: may I join.
//!
//! `node` decides what is answered ([`PeerControl`]); everything between members of a cluster is done by the groups.

use crate::error::PeerError;
use crate::host::RaftHost;
use crate::network::rpc;
use crate::network::transport::{Connect, Transport};
use model::NodeId;
use model::catalog::NodeInfo;
use model::feature_level::level_told;
use proto::peer as wire;
use proto::peer::peer_client::PeerClient;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// How long the place of a newcomer may take to be decided.
const JOIN_MAX: Duration = Duration::from_secs(10);

/// What a node says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IdentityInfo {
    /// The cluster's uuid; empty on a node that belongs to none.
    pub cluster: String,
    /// Its node id; 0 on a node that belongs to no cluster.
    pub node: u64,
    /// The uuid of its volume.
    pub volume: String,
    /// Its addresses.
    pub info: NodeInfo,
    /// The newest feature level it knows.
    pub feature_level: u32,
    /// The version of its program; empty if it did not tell.
    pub version: String,
}

/// How a cluster is founded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FoundingInfo {
    /// The new cluster's uuid.
    pub cluster: String,
    /// Number of data groups; their ids start at 1.
    pub groups: u32,
    /// Replicas of each; 0: one on every founder.
    pub replication_factor: u32,
    /// What the cluster writes from the beginning; 0: as for its catalog.
    pub feature_level: u32,
    /// The first members.
    pub founders: Vec<FounderInfo>,
}

/// A founding member.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FounderInfo {
    /// The node id it gets.
    pub id: u64,
    /// Where it is reached.
    pub peer_addr: String,
    /// The volume that takes part, and no other.
    pub volume: String,
}

/// What the peer service asks its node before any group exists.
pub trait PeerControl: Send + Sync + Debug + 'static {
    /// Who this node is. Called often; must not block.
    fn identity(&self) -> IdentityInfo;

    /// Becomes a founding member; does nothing if it is one already by the same record. May block.
    ///
    /// # Errors
    ///
    /// Why not, for the operator. Nothing was changed.
    fn bootstrap(&self, founding: &FoundingInfo) -> Result<(), String>;

    /// How the cluster that this node belongs to was founded. Must not block.
    fn founding(&self) -> Option<FoundingInfo>;
}

/// Asks the node at `address` who it is.
///
/// # Errors
///
/// [`PeerError`]; node 0 stands for "whoever is there".
pub async fn identity(
    connect: &dyn Connect,
    address: &str,
    timeout: Duration,
) -> Result<IdentityInfo, PeerError> {
    let request = wire::IdentityRequest { header: Some(wire::Header::default()) };
    let mut client = client(connect, address, NodeId(0), timeout)?;
    let reply = rpc::within(NodeId(0), timeout, client.identity(request)).await?;
    let info = NodeInfo {
        peer_addr: reply.peer_addr,
        http_addr: reply.http_addr,
        admin_addr: reply.admin_addr,
        volume: reply.volume.clone(),
    };
    Ok(IdentityInfo {
        cluster: reply.cluster,
        node: reply.node,
        volume: reply.volume,
        info,
        feature_level: level_told(reply.feature_level),
        version: reply.version,
    })
}

/// Tells the node at `address`, which becomes `node`, that it is a founding member.
///
/// # Errors
///
/// [`PeerError::Refused`] if it will not; [`PeerError::Unreachable`] if it is not known whether it did.
pub async fn bootstrap(
    connect: &dyn Connect,
    address: &str,
    node: NodeId,
    founding: &FoundingInfo,
    timeout: Duration,
) -> Result<(), PeerError> {
    let request = wire::BootstrapRequest {
        header: Some(wire::Header {
            cluster: founding.cluster.clone(),
            to: node.0,
            ..wire::Header::default()
        }),
        cluster: founding.cluster.clone(),
        founders: founders_to_wire(&founding.founders),
        groups: founding.groups,
        replication_factor: founding.replication_factor,
        feature_level: founding.feature_level,
    };
    let mut client = client(connect, address, node, timeout)?;
    let reply = rpc::within(node, timeout, client.bootstrap(request)).await?;
    if reply.refusal.is_empty() { Ok(()) } else { Err(PeerError::Refused { node, reason: reply.refusal }) }
}

/// Asks the member at `address` for a place in its cluster for a blank volume, whose node knows this feature level, and
/// answers the node id it has from now on. Asking again with the same volume gives the same answer.
///
/// # Errors
///
/// [`PeerError::Refused`] says why not; asking again later may help.
pub async fn join(
    connect: &dyn Connect,
    address: &str,
    (info, feature_level): (&NodeInfo, u32),
    timeout: Duration,
) -> Result<(NodeId, FoundingInfo), PeerError> {
    let request = wire::JoinRequest {
        header: Some(wire::Header::default()),
        volume: info.volume.clone(),
        peer_addr: info.peer_addr.clone(),
        http_addr: info.http_addr.clone(),
        admin_addr: info.admin_addr.clone(),
        feature_level,
    };
    let mut client = client(connect, address, NodeId(0), timeout)?;
    let reply = rpc::within(NodeId(0), timeout, client.join(request)).await?;
    if !reply.refusal.is_empty() {
        return Err(PeerError::Refused { node: NodeId(0), reason: reply.refusal });
    }
    let founders = reply.founders.into_iter().map(founder_from_wire).collect();
    let founding = FoundingInfo {
        cluster: reply.cluster,
        groups: reply.groups,
        replication_factor: reply.replication_factor,
        feature_level: reply.feature_level,
        founders,
    };
    Ok((NodeId(reply.node), founding))
}

/// The place of a blank volume in the cluster of the node that is asked.
pub(crate) async fn place_of(
    request: wire::JoinRequest,
    founding: FoundingInfo,
    host: Option<Arc<RaftHost>>,
) -> Result<wire::JoinReply, String> {
    let wire::JoinRequest { volume, peer_addr, http_addr, admin_addr, feature_level, .. } = request;
    if volume.is_empty() || peer_addr.is_empty() {
        return Err("a newcomer must tell its volume and its peer address".to_owned());
    }
    let is_founder = |f: &&FounderInfo| f.volume == volume && f.peer_addr == peer_addr;
    let node = match founding.founders.iter().find(is_founder) {
        Some(founder) => founder.id,
        None => {
            let host = host.ok_or("this node runs no groups yet")?;
            let info = NodeInfo { peer_addr, http_addr, admin_addr, volume };
            host.replace(info, level_told(feature_level), JOIN_MAX).await?.0
        }
    };
    let founders = founders_to_wire(&founding.founders);
    Ok(wire::JoinReply {
        refusal: String::new(),
        node,
        cluster: founding.cluster,
        founders,
        groups: founding.groups,
        replication_factor: founding.replication_factor,
        feature_level: founding.feature_level,
    })
}

fn founders_to_wire(founders: &[FounderInfo]) -> Vec<wire::Founder> {
    let founder = |founder: &FounderInfo| wire::Founder {
        id: founder.id,
        peer_addr: founder.peer_addr.clone(),
        volume: founder.volume.clone(),
    };
    founders.iter().map(founder).collect()
}

fn founder_from_wire(founder: wire::Founder) -> FounderInfo {
    FounderInfo { id: founder.id, peer_addr: founder.peer_addr, volume: founder.volume }
}

fn client(
    connect: &dyn Connect,
    address: &str,
    node: NodeId,
    timeout: Duration,
) -> Result<PeerClient<Transport>, PeerError> {
    let transport = connect
        .transport(address, timeout)
        .map_err(|error| PeerError::Unreachable { node, reason: error.to_string() })?;
    Ok(PeerClient::new(transport))
}

pub(crate) fn founding_from_wire(request: wire::BootstrapRequest) -> FoundingInfo {
    let founders = request.founders.into_iter().map(founder_from_wire);
    FoundingInfo {
        cluster: request.cluster,
        groups: request.groups,
        replication_factor: request.replication_factor,
        feature_level: request.feature_level,
        founders: founders.collect(),
    }
}
