//! Talking to a node that may belong to no cluster yet: who are you, and: become a founding member.
//!
//! `node` decides what is answered ([`PeerControl`]); everything between members of a cluster is done by the groups.

use crate::error::PeerError;
use crate::network::pool::lazy_channel;
use crate::network::rpc;
use model::NodeId;
use model::catalog::NodeInfo;
use proto::peer as wire;
use proto::peer::peer_client::PeerClient;
use std::fmt::Debug;
use std::time::Duration;

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
}

/// How a cluster is founded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FoundingInfo {
    /// The new cluster's uuid.
    pub cluster: String,
    /// Number of data groups; their ids start at 1.
    pub groups: u32,
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
}

/// Asks the node at `address` who it is.
///
/// # Errors
///
/// [`PeerError`]; node 0 stands for "whoever is there".
pub async fn identity(address: &str, timeout: Duration) -> Result<IdentityInfo, PeerError> {
    let request = wire::IdentityRequest { header: Some(wire::Header::default()) };
    let mut client = client(address, NodeId(0), timeout)?;
    let reply = rpc::within(NodeId(0), timeout, client.identity(request)).await?;
    let info = NodeInfo {
        peer_addr: reply.peer_addr,
        http_addr: reply.http_addr,
        admin_addr: reply.admin_addr,
        volume: reply.volume.clone(),
    };
    Ok(IdentityInfo { cluster: reply.cluster, node: reply.node, volume: reply.volume, info })
}

/// Tells the node at `address`, which becomes `node`, that it is a founding member.
///
/// # Errors
///
/// [`PeerError::Refused`] if it will not; [`PeerError::Unreachable`] if it is not known whether it did.
pub async fn bootstrap(
    address: &str,
    node: NodeId,
    founding: &FoundingInfo,
    timeout: Duration,
) -> Result<(), PeerError> {
    let founders = founding.founders.iter().map(|founder| wire::Founder {
        id: founder.id,
        peer_addr: founder.peer_addr.clone(),
        volume: founder.volume.clone(),
    });
    let request = wire::BootstrapRequest {
        header: Some(wire::Header {
            cluster: founding.cluster.clone(),
            to: node.0,
            ..wire::Header::default()
        }),
        cluster: founding.cluster.clone(),
        founders: founders.collect(),
        groups: founding.groups,
    };
    let mut client = client(address, node, timeout)?;
    let reply = rpc::within(node, timeout, client.bootstrap(request)).await?;
    if reply.refusal.is_empty() { Ok(()) } else { Err(PeerError::Refused { node, reason: reply.refusal }) }
}

fn client(
    address: &str,
    node: NodeId,
    timeout: Duration,
) -> Result<PeerClient<tonic::transport::Channel>, PeerError> {
    let channel = lazy_channel(address, timeout)
        .map_err(|error| PeerError::Unreachable { node, reason: error.to_string() })?;
    Ok(PeerClient::new(channel))
}

pub(crate) fn founding_from_wire(request: wire::BootstrapRequest) -> FoundingInfo {
    let founders = request.founders.into_iter().map(|founder| FounderInfo {
        id: founder.id,
        peer_addr: founder.peer_addr,
        volume: founder.volume,
    });
    FoundingInfo { cluster: request.cluster, groups: request.groups, founders: founders.collect() }
}
