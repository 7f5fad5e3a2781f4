//! Pipelined appends: one gRPC stream per replication session, many appends under way on it.
//!
//! The stream may be silent as long as nothing is owed. A follower that owes an answer for too long hangs, or is cut
//! off: the session ends with an error and openraft opens another.

use super::client::Client;
use super::convert;
use super::pool::Lane;
use crate::type_config::TypeConfig;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, stream};
use model::NodeId;
use openraft::OptionalSend;
use openraft::errors::{RPCError, Timeout};
use openraft::network::RPCTypes;
use openraft::raft::{AppendEntriesRequest, StreamAppendResult};
use parking_lot::Mutex;
use proto::peer as wire;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tonic::Streaming;

type Answer = Result<StreamAppendResult<TypeConfig>, RPCError<TypeConfig>>;

/// When each append that has no answer yet was handed to the transport, oldest first.
type Owed = Arc<Mutex<VecDeque<Instant>>>;

/// Opens a stream for `input` and returns the answers in order.
pub(super) async fn pipelined<S>(
    client: &Client,
    input: S,
) -> Result<BoxStream<'static, Answer>, RPCError<TypeConfig>>
where
    S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
{
    // openraft waits out its pause after a failure before it hands over the first request. A transport that connects
    // first would never reach that point while the peer is away, and would try again without any pause.
    let mut input = input;
    let Some(first) = input.next().await else { return Ok(stream::empty().boxed()) };
    let input = stream::once(std::future::ready(first)).chain(input);
    let owed = Owed::default();
    let header = client.header();
    let sent = Arc::clone(&owed);
    let requests = input.map(move |request| {
        sent.lock().push_back(Instant::now());
        convert::append_to_wire(header.clone(), &request)
    });
    let mut peer = client.peer(Lane::Append)?;
    let limit = client.append_timeout();
    let opened = tokio::time::timeout(limit, peer.append_stream(requests)).await;
    let answers = match opened {
        Ok(Ok(response)) => response.into_inner(),
        Ok(Err(status)) => return Err(client.error(&status)),
        Err(_) => return Err(timeout(client.node(), client.target(), limit)),
    };
    let session = Session { answers, owed, limit, node: client.node(), target: client.target() };
    Ok(stream::unfold(Some(session), next).boxed())
}

struct Session {
    answers: Streaming<wire::AppendReply>,
    owed: Owed,
    limit: Duration,
    node: NodeId,
    target: NodeId,
}

/// The next answer; an error, and an answer that is no success, is the last one.
async fn next(session: Option<Session>) -> Option<(Answer, Option<Session>)> {
    let mut session = session?;
    loop {
        let waiting = tokio::time::timeout(session.limit / 4, session.answers.message()).await;
        let reply = match waiting {
            Ok(Ok(Some(reply))) => reply,
            Ok(Ok(None)) => return None,
            Ok(Err(status)) => return Some((Err(super::client::rpc_error(&status)), None)),
            Err(_) => {
                let oldest = session.owed.lock().front().copied();
                if oldest.is_some_and(|sent| sent.elapsed() > session.limit) {
                    return Some((Err(timeout(session.node, session.target, session.limit)), None));
                }
                continue;
            }
        };
        session.owed.lock().pop_front();
        return Some(match convert::appended_from_wire(reply) {
            Ok(Ok(matched)) => (Ok(Ok(matched)), Some(session)),
            Ok(Err(refused)) => (Ok(Err(refused)), None),
            Err(status) => (Err(super::client::rpc_error(&status)), None),
        });
    }
}

fn timeout(node: NodeId, target: NodeId, timeout: Duration) -> RPCError<TypeConfig> {
    RPCError::Timeout(Timeout { action: RPCTypes::AppendEntries, id: node.0, target: target.0, timeout })
}
