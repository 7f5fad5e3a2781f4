//! What groups ask each other besides openraft's own messages: propose, read index, checksum, status.

use super::pool::{Lane, Pool};
use super::transport::Transport;
use crate::error::PeerError;
use crate::state_machine::checksums::ChecksumAt;
use bytes::Bytes;
use model::{GroupId, NodeId};
use proto::peer as wire;
use std::time::Duration;
use tonic::{Code, Response, Status, Streaming};

/// How long a peer may take to begin with a snapshot.
const LINKED: Duration = Duration::from_secs(60);

/// Runs a call with a deadline and turns failures into ours.
pub(crate) async fn within<T>(
    node: NodeId,
    timeout: Duration,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, PeerError> {
    match tokio::time::timeout(timeout, call).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(peer_error(node, &status)),
        Err(_) => {
            let reason = format!("no answer within {} ms", timeout.as_millis());
            Err(PeerError::Unreachable { node, reason })
        }
    }
}

/// Splits failures by what helps: waiting, or nothing.
pub(crate) fn peer_error(node: NodeId, status: &Status) -> PeerError {
    let reason = status.message().to_owned();
    match status.code() {
        Code::FailedPrecondition | Code::InvalidArgument | Code::Unimplemented | Code::NotFound => {
            PeerError::Refused { node, reason }
        }
        _ => PeerError::Unreachable { node, reason },
    }
}

/// A peer that is asked about one group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer<'a> {
    pub(crate) pool: &'a Pool,
    pub(crate) group: GroupId,
    pub(crate) node: NodeId,
    pub(crate) address: &'a str,
}

impl Peer<'_> {
    fn header(&self) -> wire::Header {
        self.pool.header(self.group, self.node)
    }

    fn client(&self, lane: Lane) -> Result<wire::peer_client::PeerClient<Transport>, PeerError> {
        self.pool
            .client(self.node, self.address, lane)
            .map_err(|error| PeerError::Unreachable { node: self.node, reason: error.to_string() })
    }

    /// Hands a command to the peer, which proposes it if it leads the group, or if it is to `relay` hands it to the leader.
    pub(crate) async fn propose(
        &self,
        command: Bytes,
        relay: bool,
        timeout: Duration,
    ) -> Result<wire::ProposeReply, PeerError> {
        let timeout_ms = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        let request = wire::ProposeRequest { header: Some(self.header()), command, timeout_ms, relay };
        within(self.node, timeout, self.client(Lane::Propose)?.propose(request)).await
    }

    /// Asks the peer, if it leads the group, up to which index a read must have applied.
    pub(crate) async fn read_index(&self, timeout: Duration) -> Result<wire::ReadIndexReply, PeerError> {
        let timeout_ms = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        let request = wire::ReadIndexRequest { header: Some(self.header()), timeout_ms };
        within(self.node, timeout, self.client(Lane::Heartbeat)?.read_index(request)).await
    }

    /// Asks for the checksum that the peer's replica keeps under a token.
    pub(crate) async fn checksum(
        &self,
        token: u64,
        timeout: Duration,
    ) -> Result<wire::ChecksumReply, PeerError> {
        let request = wire::ChecksumRequest { header: Some(self.header()), token };
        within(self.node, timeout, self.client(Lane::Heartbeat)?.checksum(request)).await
    }

    /// Tells the peer that most replicas have another checksum than its own at an entry.
    pub(crate) async fn tell_odd(
        &self,
        token: u64,
        right: ChecksumAt,
        timeout: Duration,
    ) -> Result<(), PeerError> {
        let ChecksumAt { index, value: right } = right;
        let request = wire::TellOddRequest { header: Some(self.header()), token, right, index };
        within(self.node, timeout, self.client(Lane::Heartbeat)?.tell_odd(request)).await.map(drop)
    }

    /// Asks for a snapshot of the peer's replica that reaches at least to `min_index`, less what is here already.
    pub(crate) async fn fetch_snapshot(
        &self,
        min_index: u64,
        have: Vec<wire::SnapshotHave>,
    ) -> Result<Streaming<wire::SnapshotPart>, PeerError> {
        let request = wire::FetchSnapshotRequest { header: Some(self.header()), min_index, have };
        within(self.node, LINKED, self.client(Lane::Snapshot)?.fetch_snapshot(request)).await
    }

    /// Asks for the state of all groups of the peer.
    pub(crate) async fn status(&self, timeout: Duration) -> Result<wire::StatusReply, PeerError> {
        let request = wire::StatusRequest { header: Some(self.header()) };
        within(self.node, timeout, self.client(Lane::Heartbeat)?.status(request)).await
    }

    /// Tells the peer, if it leads a group, to hand it to a voter.
    pub(crate) async fn hand_over(
        &self,
        group: GroupId,
        to: NodeId,
        timeout: Duration,
    ) -> Result<(), PeerError> {
        let timeout_ms = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        let header = Some(self.pool.header(group, self.node));
        let request = wire::HandOverRequest { header, to: to.0, timeout_ms };
        let reply = within(self.node, timeout, self.client(Lane::Heartbeat)?.hand_over(request)).await?;
        if reply.refusal.is_empty() {
            Ok(())
        } else {
            Err(PeerError::Refused { node: self.node, reason: reply.refusal })
        }
    }

    /// Asks for the statements that run on the peer.
    pub(crate) async fn queries(&self, timeout: Duration) -> Result<wire::QueriesReply, PeerError> {
        let request = wire::QueriesRequest { header: Some(self.header()) };
        within(self.node, timeout, self.client(Lane::Heartbeat)?.queries(request)).await
    }

    /// Tells a statement that runs on the peer to end.
    pub(crate) async fn kill_query(
        &self,
        id: u64,
        timeout: Duration,
    ) -> Result<wire::KillQueryReply, PeerError> {
        let request = wire::KillQueryRequest { header: Some(self.header()), id };
        within(self.node, timeout, self.client(Lane::Heartbeat)?.kill_query(request)).await
    }
}
