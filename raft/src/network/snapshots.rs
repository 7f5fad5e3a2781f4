//! Snapshots as the peer service takes and gives them. What the files are, and whether they are good, is `snapshot`'s
//! business.

use super::convert;
use super::server::stopped;
use crate::blocking;
use crate::codec;
use crate::group::Group;
use crate::snapshot::{SnapshotData, files, receive, send};
use crate::type_config::{SnapshotMeta, Vote};
use openraft::Snapshot;
use proto::peer as wire;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

type Replies = ReceiverStream<Result<wire::SnapshotReply, Status>>;
type Parts = ReceiverStream<Result<wire::SnapshotPart, Status>>;

/// Takes the leader's snapshot: says what is here, receives the rest, installs it, and answers with the vote.
pub(super) async fn take(
    group: Arc<Group>,
    start: wire::SnapshotStart,
    parts: Streaming<wire::SnapshotPart>,
) -> Result<Replies, Status> {
    let closed = || Status::unavailable(format!("group {} is {}", group.id(), group.condition()));
    let vote: Vote = codec::decode(start.vote).map_err(|error| convert::damaged(&error))?;
    let meta: SnapshotMeta = codec::decode(start.meta).map_err(|error| convert::damaged(&error))?;
    let (replies, stream) = mpsc::channel(2);
    let own = group.vote().ok_or_else(closed)?;
    if own > vote {
        let refusal = wire::SnapshotReply { vote: codec::encode(&own), have: Vec::new() };
        replies.try_send(Ok(refusal)).ok();
        return Ok(ReceiverStream::new(stream));
    }
    let one = group.begin_receiving().ok_or_else(|| Status::resource_exhausted("already receiving"))?;
    let room = group.pool().transfers.begin_receiving();
    let room = room.ok_or_else(|| Status::resource_exhausted("no room for a snapshot now"))?;
    let core = group.core().ok_or_else(closed)?;
    let (staging, shared) = (core.replica.snapshots.staging(), core.replica.shared.clone());
    drop(core);
    let reading = Arc::clone(&staging);
    let have = blocking::run(move || reading.have()).await.map_err(stopped)?;
    let have = have.map_err(|error| Status::internal(error.to_string()))?;
    let total: u64 = start.files.iter().map(|file| file.size).sum();
    let had: u64 = start.files.iter().map(|file| files::had(file, &have)).sum();
    tracing::info!(group = %group.id(), %meta, files = start.files.len(), bytes = total, had, "receiving a snapshot");
    replies.try_send(Ok(wire::SnapshotReply { vote: bytes::Bytes::new(), have: have.clone() })).ok();
    tokio::spawn(async move {
        let _permits = (one, room);
        let received = receive::receive(staging, shared, &meta, (start.files, have), parts).await;
        let outcome = match received {
            Ok(dir) => install(&group, vote, meta, SnapshotData::Received(dir)).await,
            Err(status) => {
                tracing::warn!(group = %group.id(), reason = status.message(), "snapshot not received");
                Err(status)
            }
        };
        // A leader that has gone away needs no answer.
        replies.send(outcome).await.ok();
    });
    Ok(ReceiverStream::new(stream))
}

async fn install(
    group: &Group,
    vote: Vote,
    meta: SnapshotMeta,
    snapshot: SnapshotData,
) -> Result<wire::SnapshotReply, Status> {
    let raft = group.raft().ok_or_else(|| Status::unavailable(group.condition().to_string()))?;
    let reply = raft.install_full_snapshot(vote, Snapshot { meta, snapshot }).await.map_err(stopped)?;
    group.counts().snapshot_received();
    Ok(wire::SnapshotReply { vote: codec::encode(&reply.vote), have: Vec::new() })
}

/// Gives a snapshot of the local replica to a node whose own is damaged.
pub(super) async fn give(group: Arc<Group>, request: wire::FetchSnapshotRequest) -> Result<Parts, Status> {
    if let Some(reason) = group.unfit() {
        return Err(Status::unavailable(format!("group {} is {reason}", group.id())));
    }
    let room = Arc::clone(&group.pool().transfers.sending).try_acquire_owned();
    let room = room.map_err(|_| Status::resource_exhausted("sending as many snapshots as it may"))?;
    let sending = group.pool().transfers.note_sending(group.id());
    // Also of a state that was never flushed: linking it does that.
    let Some(core) = group.core() else { return Err(Status::unavailable(group.condition().to_string())) };
    let linked = blocking::run(move || {
        let (meta, dir) = core.replica.files().link().map_err(stopped)?;
        let files = files::list(dir.path()).map_err(stopped)?;
        Ok::<_, Status>((meta, dir, files))
    });
    let (meta, dir, files) = linked.await.map_err(stopped)??;
    if meta.last_log_id.map_or(0, |at| at.index) < request.min_index {
        let text = format!("this replica ends at {meta}, before entry {}", request.min_index);
        return Err(Status::unavailable(text));
    }
    tracing::info!(group = %group.id(), %meta, files = files.len(), "giving a snapshot");
    let start = wire::SnapshotStart {
        header: None,
        vote: bytes::Bytes::new(),
        meta: codec::encode(&meta),
        files: files.clone(),
    };
    let (parts, stream) = mpsc::channel(send::QUEUE);
    let first = wire::SnapshotPart { part: Some(wire::snapshot_part::Part::Start(start)) };
    parts.try_send(Ok(first)).ok();
    tokio::spawn(async move {
        let _until_sent = (room, sending);
        let transfers = &group.pool().transfers;
        match send::send_files(dir, files, request.have, parts, Ok, transfers).await {
            Ok(bytes) => {
                group.counts().sent_bytes(bytes);
                group.counts().snapshot_sent();
            }
            Err(error) => tracing::warn!(group = %group.id(), %error, "snapshot not given"),
        }
    });
    Ok(ReceiverStream::new(stream))
}
