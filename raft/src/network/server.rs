//! The peer service of a node. Exists before the node belongs to a cluster; refuses strangers.

use super::pool::{CHANNEL_WINDOW, STREAM_WINDOW};
use super::tls::PeerTls;
use super::transport::KEEP_ALIVE;
use super::{MESSAGE_BYTES_MAX, convert, snapshots};
use crate::blocking;
use crate::codec;
use crate::group::{Attempt, Group, GroupStatus, RaftInstance};
use crate::host::RaftHost;
use crate::peer::{PeerControl, founding_from_wire, place_of};
use crate::running::RunningQuery;
use crate::simulation;
use crate::state_machine::checksums::ChecksumAt;
use arc_swap::ArcSwapOption;
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::{self, BoxStream};
use model::feature_level::too_old;
use model::{GroupId, NodeId};
use openraft::raft::AppendEntriesResponse;
use parking_lot::Mutex;
use proto::peer as wire;
use proto::peer::peer_server;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};
use tower::Service;

/// How long an ordered handover may take.
const HAND_OVER_MAX: Duration = Duration::from_secs(5);
/// Streams of one peer's connection: appends of all groups, and calls.
const STREAMS_MAX: u32 = 10_000;

/// Answers the other nodes.
#[derive(Debug)]
pub struct PeerServer {
    control: Arc<dyn PeerControl>,
    host: ArcSwapOption<RaftHost>,
}

impl PeerServer {
    /// A server that answers who this node is, and nothing else until [`Self::attach`].
    pub fn new(control: Arc<dyn PeerControl>) -> Arc<Self> {
        Arc::new(Self { control, host: ArcSwapOption::empty() })
    }

    /// From now on answers for the groups of this host.
    pub fn attach(&self, host: &Arc<RaftHost>) {
        self.host.store(Some(Arc::clone(host)));
    }

    /// Answers for no group any more.
    pub fn detach(&self) {
        self.host.store(None);
    }

    /// Serves until the future is dropped, with `tls` only members that show their certificate; calls under way end with
    /// the groups. Run it on the runtime that Raft runs on.
    ///
    /// # Errors
    ///
    /// The listener failed.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, tls: Option<PeerTls>) -> io::Result<()> {
        let router = tonic::transport::Server::builder()
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CHANNEL_WINDOW)
            .max_concurrent_streams(STREAMS_MAX)
            // A peer that lost its power or its link says no goodbye: what it holds here, a snapshot's place above all, is
            // given back.
            .http2_keepalive_interval(Some(KEEP_ALIVE))
            .http2_keepalive_timeout(Some(KEEP_ALIVE))
            .add_service(self.service());
        // The server's own setting does not reach connections of a listener that it is given; without it, a small
        // answer waits up to 40 ms for the peer's delayed acknowledgement.
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let served = match tls {
            None => router.serve_with_incoming(incoming).await,
            Some(tls) => router.serve_with_incoming(tls.incoming(incoming)).await,
        };
        served.map_err(io::Error::other)
    }

    /// Answers one request that came another way than by [`Self::serve`]: over the network of a simulation.
    pub async fn answer(self: Arc<Self>, request: http::Request<Body>) -> http::Response<Body> {
        match self.service().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    fn service(self: Arc<Self>) -> peer_server::PeerServer<Self> {
        peer_server::PeerServer::from_arc(self)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    fn host(&self, header: Option<&wire::Header>) -> Result<Arc<RaftHost>, Status> {
        let header = header.ok_or_else(|| Status::invalid_argument("message lacks a header"))?;
        let host =
            self.host.load_full().ok_or_else(|| Status::unavailable("this node runs no groups yet"))?;
        if header.cluster != host.cluster() {
            let (ours, theirs) = (host.cluster(), &header.cluster);
            let text = format!("this node belongs to cluster {ours}, not to {theirs}");
            return Err(Status::failed_precondition(text));
        }
        if header.to != host.node().0 {
            let text = format!("this is node {}, not node {}", host.node(), header.to);
            return Err(Status::failed_precondition(text));
        }
        if let Some(reason) = too_old(host.tuning().feature_level, header.feature_level) {
            host.pool.unreadable_level.fetch_max(header.feature_level, Ordering::Relaxed);
            let text = format!("node {} is too old: {reason}", host.node());
            return Err(Status::failed_precondition(text));
        }
        Ok(host)
    }

    fn group(&self, header: Option<&wire::Header>) -> Result<Arc<Group>, Status> {
        let host = self.host(header)?;
        let id = GroupId(header.map_or(0, |header| header.group));
        host.group(id).ok_or_else(|| Status::not_found(format!("node {} has no group {id}", host.node())))
    }
}

/// The Raft instance of a group that runs.
fn raft(group: &Group) -> Result<RaftInstance, Status> {
    group.raft().ok_or_else(|| Status::unavailable(format!("group {} is {}", group.id(), group.condition())))
}

pub(super) fn stopped(error: impl std::fmt::Display) -> Status {
    Status::unavailable(error.to_string())
}

fn deadline(timeout_ms: u32) -> Instant {
    Instant::now() + Duration::from_millis(u64::from(timeout_ms))
}

fn not_leader(leader: Option<NodeId>) -> wire::NotLeader {
    wire::NotLeader { leader: leader.map(|node| node.0) }
}

#[tonic::async_trait]
impl peer_server::Peer for PeerServer {
    type AppendStreamStream = BoxStream<'static, Result<wire::AppendReply, Status>>;
    type SnapshotStream = ReceiverStream<Result<wire::SnapshotReply, Status>>;
    type FetchSnapshotStream = ReceiverStream<Result<wire::SnapshotPart, Status>>;
    type ReadStream = BoxStream<'static, Result<wire::ReadPart, Status>>;

    async fn identity(
        &self,
        _request: Request<wire::IdentityRequest>,
    ) -> Result<Response<wire::IdentityReply>, Status> {
        let identity = self.control.identity();
        Ok(Response::new(wire::IdentityReply {
            cluster: identity.cluster,
            node: identity.node,
            volume: identity.volume,
            peer_addr: identity.info.peer_addr,
            http_addr: identity.info.http_addr,
            admin_addr: identity.info.admin_addr,
            feature_level: identity.feature_level,
            version: identity.version,
        }))
    }

    async fn bootstrap(
        &self,
        request: Request<wire::BootstrapRequest>,
    ) -> Result<Response<wire::BootstrapReply>, Status> {
        let control = Arc::clone(&self.control);
        let founding = founding_from_wire(request.into_inner());
        let done = blocking::run(move || control.bootstrap(&founding)).await;
        let done = done.map_err(|error| Status::internal(error.to_string()))?;
        Ok(Response::new(wire::BootstrapReply { refusal: done.err().unwrap_or_default() }))
    }

    async fn join(&self, request: Request<wire::JoinRequest>) -> Result<Response<wire::JoinReply>, Status> {
        let placed = match self.control.founding() {
            Some(founding) => place_of(request.into_inner(), founding, self.host.load_full()).await,
            None => Err("this node belongs to no cluster yet".to_owned()),
        };
        let refused = |refusal| wire::JoinReply { refusal, ..wire::JoinReply::default() };
        Ok(Response::new(placed.unwrap_or_else(refused)))
    }

    async fn vote(&self, request: Request<wire::VoteRequest>) -> Result<Response<wire::VoteReply>, Status> {
        let request = request.into_inner();
        let group = self.group(request.header.as_ref())?;
        let pre_vote = request.pre_vote;
        let vote = convert::vote_from_wire(request)?;
        let reply =
            if pre_vote { raft(&group)?.pre_vote(vote).await } else { raft(&group)?.vote(vote).await };
        let reply = reply.map_err(stopped)?;
        if reply.vote_granted && !pre_vote {
            simulation::voted(group.id(), reply.vote.leader_id.term);
        }
        Ok(Response::new(convert::voted_to_wire(&reply)))
    }

    async fn append(
        &self,
        request: Request<wire::AppendRequest>,
    ) -> Result<Response<wire::AppendReply>, Status> {
        let request = request.into_inner();
        let group = self.group(request.header.as_ref())?;
        let append = convert::append_from_wire(request)?;
        let (committed, arrived) = (append.leader_commit.map(|id| id.index), Instant::now());
        let prev = append.prev_log_id;
        let last = append.entries.last().map(|entry| entry.log_id).or(prev);
        let reply = raft(&group)?.append_entries(append).await.map_err(stopped)?;
        if !matches!(reply, AppendEntriesResponse::HigherVote(_)) {
            group.heard_from_leader(committed, arrived);
        }
        if prev.is_none() && matches!(reply, AppendEntriesResponse::Conflict) {
            return Err(Status::internal("a conflict before the first entry"));
        }
        Ok(Response::new(convert::appended_to_wire(reply.into_stream_result(prev, last))))
    }

    async fn append_stream(
        &self,
        request: Request<Streaming<wire::AppendRequest>>,
    ) -> Result<Response<Self::AppendStreamStream>, Status> {
        let mut requests = request.into_inner();
        let first = requests.message().await?.ok_or_else(|| Status::invalid_argument("empty stream"))?;
        let header = first.header.clone();
        let group = self.group(header.as_ref())?;
        // What the leader had committed at the first of the requests whose answers are not known yet.
        let told = Arc::new(Mutex::new(None));
        let tell = Arc::clone(&told);
        // Ends at the first message that is damaged or about something else; the leader opens another stream.
        let appends = stream::once(async { Ok(first) }).chain(requests).map(move |request| match request {
            Ok(request) if request.header == header => {
                let append = convert::append_from_wire(request).ok()?;
                let committed = append.leader_commit.map(|id| id.index);
                tell.lock().get_or_insert((committed, Instant::now()));
                Some(append)
            }
            _ => None,
        });
        let appends = appends.take_while(|append| futures::future::ready(append.is_some()));
        let answers = raft(&group)?.stream_append(appends.filter_map(futures::future::ready));
        let answers = answers.map(move |answer| {
            if matches!(answer, Ok(Ok(_)))
                && let Some((committed, arrived)) = told.lock().take()
            {
                group.heard_from_leader(committed, arrived);
            }
            answer.map(convert::appended_to_wire).map_err(stopped)
        });
        Ok(Response::new(answers.boxed()))
    }

    async fn snapshot(
        &self,
        request: Request<Streaming<wire::SnapshotPart>>,
    ) -> Result<Response<Self::SnapshotStream>, Status> {
        let mut parts = request.into_inner();
        let Some(wire::snapshot_part::Part::Start(start)) = parts.message().await?.and_then(|p| p.part)
        else {
            return Err(Status::invalid_argument("snapshot lacks a start"));
        };
        let group = self.group(start.header.as_ref())?;
        Ok(Response::new(snapshots::take(group, start, parts).await?))
    }

    async fn fetch_snapshot(
        &self,
        request: Request<wire::FetchSnapshotRequest>,
    ) -> Result<Response<Self::FetchSnapshotStream>, Status> {
        let request = request.into_inner();
        let group = self.group(request.header.as_ref())?;
        Ok(Response::new(snapshots::give(group, request).await?))
    }

    async fn transfer_leader(
        &self,
        request: Request<wire::TransferLeaderRequest>,
    ) -> Result<Response<wire::TransferLeaderReply>, Status> {
        let request = request.into_inner();
        let group = self.group(request.header.as_ref())?;
        let transfer = convert::transfer_from_wire(request)?;
        let reply = raft(&group)?.handle_transfer_leader(transfer).await.map_err(stopped)?;
        Ok(Response::new(convert::transferred_to_wire(reply)))
    }

    async fn hand_over(
        &self,
        request: Request<wire::HandOverRequest>,
    ) -> Result<Response<wire::HandOverReply>, Status> {
        let request = request.into_inner();
        let group = self.group(request.header.as_ref())?;
        let limit = Duration::from_millis(u64::from(request.timeout_ms)).min(HAND_OVER_MAX);
        let done = group.transfer_leader(NodeId(request.to), limit).await;
        let refusal = done.err().map(|error| error.to_string()).unwrap_or_default();
        Ok(Response::new(wire::HandOverReply { refusal }))
    }

    async fn propose(
        &self,
        request: Request<wire::ProposeRequest>,
    ) -> Result<Response<wire::ProposeReply>, Status> {
        use wire::propose_reply::{Outcome, Undecided};
        let request = request.into_inner();
        let group = self.group(request.header.as_ref())?;
        let outcome = match crate::command::check(group.id(), &request.command) {
            Err(error) => Outcome::Invalid(error.to_string()),
            Ok(()) => {
                match group.propose_for(request.command, request.relay, deadline(request.timeout_ms)).await {
                    Attempt::Done(reply) => Outcome::Reply(reply.0),
                    Attempt::NotDone { leader } => Outcome::NotLeader(not_leader(leader)),
                    Attempt::Refused(reason) => Outcome::Refused(reason),
                    Attempt::Undecided => Outcome::Undecided(Undecided {}),
                }
            }
        };
        Ok(Response::new(wire::ProposeReply { outcome: Some(outcome) }))
    }

    async fn read_index(
        &self,
        request: Request<wire::ReadIndexRequest>,
    ) -> Result<Response<wire::ReadIndexReply>, Status> {
        use wire::read_index_reply::{NoQuorum, Outcome};
        let request = request.into_inner();
        let group = self.group(request.header.as_ref())?;
        let outcome = match group.read_index_here(deadline(request.timeout_ms)).await {
            Attempt::Done(index) => Outcome::Index(index),
            Attempt::NotDone { leader } => Outcome::NotLeader(not_leader(leader)),
            Attempt::Refused(_) | Attempt::Undecided => Outcome::NoQuorum(NoQuorum {}),
        };
        Ok(Response::new(wire::ReadIndexReply { outcome: Some(outcome) }))
    }

    async fn stand(
        &self,
        request: Request<wire::StandRequest>,
    ) -> Result<Response<wire::StandReply>, Status> {
        let request = request.into_inner();
        let host = self.host(request.header.as_ref())?;
        let from = NodeId(request.header.as_ref().map_or(0, |header| header.from));
        let standings = request.groups.into_iter().filter_map(|theirs| {
            let group = host.group(GroupId(theirs.group))?;
            let vote = codec::decode(theirs.vote).ok()?;
            Some(async move { group.stand(from, &vote).await })
        });
        let groups = join_all(standings).await.into_iter().flatten().collect();
        Ok(Response::new(wire::StandReply { groups }))
    }

    async fn freshen(
        &self,
        request: Request<wire::FreshenRequest>,
    ) -> Result<Response<wire::FreshenReply>, Status> {
        let request = request.into_inner();
        let host = self.host(request.header.as_ref())?;
        Ok(Response::new(wire::FreshenReply { groups: host.freshen_for(&request).await }))
    }

    async fn read(&self, request: Request<wire::ReadRequest>) -> Result<Response<Self::ReadStream>, Status> {
        let request = request.into_inner();
        let host = self.host(request.header.as_ref())?;
        let group = self.group(request.header.as_ref())?;
        let parts = crate::remote::serve::read(&host, group, request).await?;
        Ok(Response::new(stream::iter(parts.into_iter().map(Ok)).boxed()))
    }

    async fn checksum(
        &self,
        request: Request<wire::ChecksumRequest>,
    ) -> Result<Response<wire::ChecksumReply>, Status> {
        let request = request.into_inner();
        let group = self.group(request.header.as_ref())?;
        let checksum = group.checksum(request.token);
        let checksum = checksum.map(|c| wire::checksum_reply::Checksum { index: c.index, value: c.value });
        Ok(Response::new(wire::ChecksumReply { checksum }))
    }

    async fn tell_odd(
        &self,
        request: Request<wire::TellOddRequest>,
    ) -> Result<Response<wire::TellOddReply>, Status> {
        let request = request.into_inner();
        let right = ChecksumAt { index: request.index, value: request.right };
        self.group(request.header.as_ref())?.differs(request.token, right);
        Ok(Response::new(wire::TellOddReply {}))
    }

    async fn status(
        &self,
        request: Request<wire::StatusRequest>,
    ) -> Result<Response<wire::StatusReply>, Status> {
        let host = self.host(request.into_inner().header.as_ref())?;
        let groups = host.replica_statuses().into_iter().map(GroupStatus::into_wire).collect();
        Ok(Response::new(host.node_state().into_wire(groups)))
    }

    async fn queries(
        &self,
        request: Request<wire::QueriesRequest>,
    ) -> Result<Response<wire::QueriesReply>, Status> {
        let host = self.host(request.into_inner().header.as_ref())?;
        let queries = host.running_queries.get().map(|queries| queries.list()).unwrap_or_default();
        let queries = queries.into_iter().map(RunningQuery::into_wire).collect();
        Ok(Response::new(wire::QueriesReply { queries }))
    }

    async fn kill_query(
        &self,
        request: Request<wire::KillQueryRequest>,
    ) -> Result<Response<wire::KillQueryReply>, Status> {
        let request = request.into_inner();
        let host = self.host(request.header.as_ref())?;
        let found = host.running_queries.get().is_some_and(|queries| queries.kill(request.id));
        Ok(Response::new(wire::KillQueryReply { found }))
    }
}
