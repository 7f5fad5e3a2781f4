//! One cached channel per peer and lane. Channels connect when they are used, and again when they broke.

use super::transport::{Connect, Transport};
use crate::config::Tuning;
use crate::snapshot::pace::Transfers;
use arc_swap::ArcSwapOption;
use hashbrown::HashMap;
use model::{GroupId, NodeId};
use parking_lot::Mutex;
use proto::peer::Header;
use proto::peer::peer_client::PeerClient;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::runtime::Handle;

/// Bytes of one append stream that may be under way.
pub(super) const STREAM_WINDOW: u32 = 4 << 20;
/// Bytes of all streams of a channel that may be under way.
pub(super) const CHANNEL_WINDOW: u32 = 16 << 20;

/// What a channel is for. Traffic of one lane never waits behind that of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    /// Log entries.
    Append,
    /// Heartbeats, votes, read indexes: small and urgent.
    Heartbeat,
    /// Commands on their way to the leader.
    Propose,
    /// Snapshots: large and not urgent.
    Snapshot,
    /// Replicas read for statements on other nodes.
    Read,
}

/// The channels of a node to its peers, and what it writes on every request.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) cluster: String,
    pub(crate) node: NodeId,
    pub(crate) tuning: Tuning,
    /// Snapshots under way.
    pub(crate) transfers: Arc<Transfers>,
    /// Why this node takes no new data, if it does not.
    pub(crate) refusal: ArcSwapOption<String>,
    /// What the cluster writes, as the catalog here says.
    pub(crate) written_level: AtomicU32,
    /// What others wrote that this node cannot read; 0 if nothing.
    pub(crate) unreadable_level: AtomicU32,
    runtime: Handle,
    connect: Arc<dyn Connect>,
    channels: Mutex<HashMap<(NodeId, Lane), (String, Transport)>>,
}

impl Pool {
    /// An empty pool whose connections are driven by `runtime`.
    pub(crate) fn new(
        cluster: String,
        node: NodeId,
        tuning: Tuning,
        runtime: Handle,
        connect: Arc<dyn Connect>,
    ) -> Self {
        let transfers = Transfers::new(tuning.snapshots_at_once, tuning.snapshot_bytes_per_second);
        let (refusal, channels) = (ArcSwapOption::empty(), Mutex::new(HashMap::new()));
        let transfers = Arc::new(transfers);
        let (written_level, unreadable_level) = (AtomicU32::new(0), AtomicU32::new(0));
        Self {
            cluster,
            node,
            tuning,
            transfers,
            refusal,
            written_level,
            unreadable_level,
            runtime,
            connect,
            channels,
        }
    }

    /// What is written on every request to `to` about `group`.
    pub(crate) fn header(&self, group: GroupId, to: NodeId) -> Header {
        Header {
            cluster: self.cluster.clone(),
            group: group.0,
            from: self.node.0,
            to: to.0,
            feature_level: self.written_level.load(Ordering::Relaxed),
        }
    }

    /// What drives the connections.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// A client of the peer's service.
    ///
    /// # Errors
    ///
    /// The address is not `host:port`.
    pub(crate) fn client(
        &self,
        peer: NodeId,
        address: &str,
        lane: Lane,
    ) -> Result<PeerClient<Transport>, tonic::transport::Error> {
        Ok(PeerClient::new(self.channel(peer, address, lane)?)
            .max_decoding_message_size(super::MESSAGE_BYTES_MAX)
            .max_encoding_message_size(super::MESSAGE_BYTES_MAX))
    }

    fn channel(&self, peer: NodeId, address: &str, lane: Lane) -> Result<Transport, tonic::transport::Error> {
        let mut channels = self.channels.lock();
        if let Some((known, channel)) = channels.get(&(peer, lane))
            && known == address
        {
            return Ok(channel.clone());
        }
        // The connection is driven by a task of the runtime that is entered here, not of the caller's.
        let _entered = self.runtime.enter();
        let channel = self.connect.transport(address, self.tuning.connect_timeout)?;
        channels.insert((peer, lane), (address.to_owned(), channel.clone()));
        Ok(channel)
    }
}
