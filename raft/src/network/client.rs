//! What openraft sends through: appends, heartbeats, votes, snapshots, leader transfers to one peer of one group.

use super::pool::{Lane, Pool};
use super::{append, convert};
use crate::snapshot::{SnapshotDir, send};
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
use tonic::transport::Channel;
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

    pub(super) fn peer(&self, lane: Lane) -> Result<PeerClient<Channel>, Error> {
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
    type SnapshotData = Arc<SnapshotDir>;

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: alias::SnapshotOf<TypeConfig, Arc<SnapshotDir>>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let mut peer = self.peer(Lane::Snapshot).map_err(StreamingError::from)?;
        let rate = self.pool.tuning.snapshot_bytes_per_second;
        let bytes = send::stream(self.header(), vote, &snapshot, rate);
        tracing::info!(group = %self.group, peer = %self.target, meta = %snapshot.meta, "sending a snapshot");
        tokio::select! {
            closed = cancel => Err(StreamingError::Closed(closed)),
            reply = self.call(RPCTypes::InstallSnapshot, option.soft_ttl(), peer.snapshot(bytes)) => {
                let reply = reply.map_err(StreamingError::from)?;
                let vote = crate::codec::decode(reply.vote)
                    .map_err(|error| rpc_error(&convert::damaged(&error)))
                    .map_err(StreamingError::from)?;
                Ok(SnapshotResponse::new(vote))
            }
        }
    }
}
