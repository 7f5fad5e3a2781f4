//! What openraft sends through: appends, heartbeats, votes, snapshots, leader transfers to one peer of one group.

use super::pool::{Lane, Pool};
use super::transport::Transport;
use super::{append, convert};
use crate::blocking;
use crate::codec;
use crate::snapshot::{SnapshotData, files, send};
use crate::type_config::{PeerAddr, TypeConfig, Vote};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, stream};
use model::{GroupId, NodeId};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::network::{
    Backoff, NetBackoff, NetSnapshot, NetStreamAppend, NetTransferLeader, NetVote, RPCOption, RPCTypes,
    RaftNetworkFactory,
};
use openraft::raft::{
    AppendEntriesRequest, SnapshotResponse, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{OptionalSend, alias};
use proto::peer as wire;
use proto::peer::peer_client::PeerClient;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Response, Status};

type Error = RPCError<TypeConfig>;

/// Makes the clients of one group.
#[derive(Debug, Clone)]
pub(crate) struct Factory {
    pub(crate) pool: Arc<Pool>,
    pub(crate) group: GroupId,
}

impl Factory {
    fn client(&self, target: u64, node: &PeerAddr, lane: Lane) -> Client {
        Client {
            pool: Arc::clone(&self.pool),
            group: self.group,
            target: NodeId(target),
            address: node.address.clone(),
            lane,
        }
    }
}

impl RaftNetworkFactory<TypeConfig> for Factory {
    type Network = Client;

    async fn new_client(&mut self, target: u64, node: &PeerAddr) -> Client {
        self.client(target, node, Lane::Append)
    }

    async fn new_heartbeat_client(&mut self, target: u64, node: &PeerAddr) -> Client {
        self.client(target, node, Lane::Heartbeat)
    }

    async fn new_snapshot_client(&mut self, target: u64, node: &PeerAddr) -> Client {
        self.client(target, node, Lane::Snapshot)
    }
}

/// One peer, for one group and one purpose. Holds no connection of its own.
#[derive(Debug)]
pub(crate) struct Client {
    pool: Arc<Pool>,
    group: GroupId,
    target: NodeId,
    address: String,
    lane: Lane,
}

impl Client {
    pub(super) fn header(&self) -> wire::Header {
        self.pool.header(self.group, self.target)
    }

    pub(super) fn node(&self) -> NodeId {
        self.pool.node
    }

    pub(super) fn target(&self) -> NodeId {
        self.target
    }

    /// A follower's fsync may take longer than the heartbeat interval that openraft gives as the limit of an append.
    pub(super) fn append_timeout(&self) -> Duration {
        self.pool.tuning.append_timeout
    }

    pub(super) fn peer(&self, lane: Lane) -> Result<PeerClient<Transport>, Error> {
        self.pool
            .client(self.target, &self.address, lane)
            .map_err(|error| RPCError::Unreachable(Unreachable::new(&error)))
    }

    pub(super) fn error(&self, status: &Status) -> Error {
        if status.code() == Code::FailedPrecondition {
            tracing::warn!(group = %self.group, peer = %self.target, reason = status.message(), "peer refused");
        }
        rpc_error(status)
    }

    async fn call<T>(
        &self,
        action: RPCTypes,
        timeout: Duration,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(timeout, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(self.error(&status)),
            Err(_) => {
                let (id, target) = (self.pool.node.0, self.target.0);
                Err(RPCError::Timeout(Timeout { action, id, target, timeout }))
            }
        }
    }

    async fn append_once(&self, request: &AppendEntriesRequest<TypeConfig>, timeout: Duration) -> Answer {
        let mut peer = self.peer(Lane::Heartbeat)?;
        let request = convert::append_to_wire(self.header(), request);
        let reply = self.call(RPCTypes::AppendEntries, timeout, peer.append(request)).await?;
        convert::appended_from_wire(reply).map_err(|status| rpc_error(&status))
    }

    async fn ask_vote(
        &self,
        request: &VoteRequest<TypeConfig>,
        pre_vote: bool,
        option: &RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, Error> {
        let mut peer = self.peer(Lane::Heartbeat)?;
        let request = convert::vote_to_wire(self.header(), request, pre_vote);
        let reply = self.call(RPCTypes::Vote, option.soft_ttl(), peer.vote(request)).await?;
        convert::voted_from_wire(reply).map_err(|status| rpc_error(&status))
    }
}

type Answer = Result<StreamAppendResult<TypeConfig>, Error>;

/// What openraft should do about a failed call: a peer that is not there is left alone for a while.
pub(super) fn rpc_error(status: &Status) -> Error {
    match status.code() {
        Code::Unavailable
        | Code::FailedPrecondition
        | Code::NotFound
        | Code::InvalidArgument
        | Code::Unimplemented => RPCError::Unreachable(Unreachable::new(status)),
        _ => RPCError::Network(NetworkError::new(status)),
    }
}

impl NetBackoff<TypeConfig> for Client {
    fn backoff(&self) -> Option<Backoff> {
        None
    }
}

impl NetStreamAppend<TypeConfig> for Client {
    fn stream_append<S>(
        &mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<'_, Result<BoxStream<'_, Answer>, Error>>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
    {
        Box::pin(async move {
            if self.lane == Lane::Append {
                return append::pipelined(self, input).await;
            }
            // A heartbeat: one small request, one answer, no stream to open.
            let timeout = option.soft_ttl();
            let client = &*self;
            let answers = stream::unfold(Some(input), move |input| async move {
                let mut input = input?;
                let request = input.next().await?;
                let answer = client.append_once(&request, timeout).await;
                let goes_on = matches!(answer, Ok(Ok(_)));
                Some((answer, goes_on.then_some(input)))
            });
            Ok(answers.boxed())
        })
    }
}

impl NetVote<TypeConfig> for Client {
    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, Error> {
        self.ask_vote(&rpc, false, &option).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, Error> {
        self.ask_vote(&rpc, true, &option).await
    }
}

impl NetTransferLeader<TypeConfig> for Client {
    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, Error> {
        let mut peer = self.peer(Lane::Heartbeat)?;
        let request = convert::transfer_to_wire(self.header(), &request);
        let call = peer.transfer_leader(request);
        let reply = self.call(RPCTypes::TransferLeader, option.soft_ttl(), call).await?;
        convert::transferred_from_wire(reply).map_err(|status| rpc_error(&status))
    }
}

impl NetSnapshot<TypeConfig> for Client {
    type SnapshotData = SnapshotData;

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: alias::SnapshotOf<TypeConfig, SnapshotData>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let timeout = option.soft_ttl();
        let sending = tokio::time::timeout(timeout, self.send_snapshot(vote, snapshot));
        let sent = tokio::select! {
            closed = cancel => return Err(StreamingError::Closed(closed)),
            sent = sending => sent,
        };
        let reply = match sent {
            Ok(Ok(reply)) => reply,
            Ok(Err(status)) => {
                tracing::warn!(group = %self.group, peer = %self.target, reason = status.message(), "snapshot not sent");
                return Err(StreamingError::from(self.error(&status)));
            }
            Err(_) => {
                let (action, id, target) = (RPCTypes::InstallSnapshot, self.pool.node.0, self.target.0);
                let timeout = RPCError::Timeout(Timeout { action, id, target, timeout });
                return Err(StreamingError::from(timeout));
            }
        };
        Ok(SnapshotResponse::new(reply))
    }
}

impl Client {
    /// Sends what the peer lacks of the local replica; answers the peer's vote.
    async fn send_snapshot(
        &self,
        vote: Vote,
        snapshot: alias::SnapshotOf<TypeConfig, SnapshotData>,
    ) -> Result<Vote, Status> {
        let gone = |error: &dyn std::fmt::Display| Status::internal(error.to_string());
        let _room = self.pool.transfers.sending.acquire().await.map_err(|error| gone(&error))?;
        // What is applied while the files are under way must still be in the log when they have arrived.
        let _sending = self.pool.transfers.note_sending(self.group);
        let linked = blocking::run(move || {
            let (meta, dir) = snapshot.snapshot.link().map_err(|error| gone(&error))?;
            let files = files::list(dir.path()).map_err(|error| gone(&error))?;
            Ok::<_, Status>((meta, dir, files))
        });
        let (meta, dir, files) = linked.await.map_err(|error| gone(&error))??;
        tracing::info!(group = %self.group, peer = %self.target, %meta, files = files.len(), "sending a snapshot");
        let start = wire::SnapshotStart {
            header: Some(self.header()),
            vote: codec::encode(&vote),
            meta: codec::encode(&meta),
            files: files.clone(),
        };
        let (parts, stream) = mpsc::channel(send::QUEUE);
        let first = wire::SnapshotPart { part: Some(wire::snapshot_part::Part::Start(start)) };
        parts.try_send(first).map_err(|error| gone(&error))?;
        let peer = self.pool.client(self.target, &self.address, Lane::Snapshot);
        let mut peer = peer.map_err(|error| Status::unavailable(error.to_string()))?;
        let mut replies = peer.snapshot(ReceiverStream::new(stream)).await?.into_inner();
        let ended = || Status::unavailable("the peer ended without an answer");
        let mut reply = replies.message().await?.ok_or_else(ended)?;
        if reply.vote.is_empty() {
            let pool = Arc::clone(&self.pool);
            let have = reply.have;
            let sending = tokio::spawn(async move {
                send::send_files(dir, files, have, parts, |part| part, &pool.transfers).await
            });
            reply = replies.message().await?.ok_or_else(ended)?;
            let bytes = sending.await.map_err(|error| gone(&error))?.map_err(|error| gone(&error))?;
            tracing::info!(group = %self.group, peer = %self.target, bytes, "sent a snapshot");
        }
        codec::decode(reply.vote).map_err(|error| convert::damaged(&error))
    }
}
