//! The receiving side of a snapshot: the stream is written by a blocking thread, then all of it is checked. Both the
//! leader's snapshot and one that a damaged replica asked for come this way.

use super::staging::Staging;
use crate::type_config::SnapshotMeta;
use proto::peer::snapshot_part::Part;
use proto::peer::{SnapshotChunk, SnapshotFile, SnapshotHave, SnapshotPart};
use std::path::PathBuf;
use std::sync::Arc;
use storage::{Shared, crash_point};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

/// Messages that may wait for the disk.
const QUEUE: usize = 4;

/// Collects the files that a start announced, as far as they are not there, and checks the whole of it: every block,
/// every chunk, and that it is at the index of `meta`. Answers the directory; nothing else of the group was touched.
///
/// # Errors
///
/// The status to answer with. What was received stays for the next attempt, unless it is damaged.
pub(crate) async fn receive(
    staging: Arc<Staging>,
    shared: Shared,
    meta: &SnapshotMeta,
    (files, have): (Vec<SnapshotFile>, Vec<SnapshotHave>),
    mut parts: Streaming<SnapshotPart>,
) -> Result<PathBuf, Status> {
    let (chunks, mut queue) = mpsc::channel::<SnapshotChunk>(QUEUE);
    let index = meta.last_log_id.map_or(0, |log_id| log_id.index);
    let writing = tokio::task::spawn_blocking(move || -> Result<PathBuf, Status> {
        let mut writer = staging.collect(files, &have)?;
        while let Some(chunk) = queue.blocking_recv() {
            writer.write(&chunk)?;
        }
        let dir = writer.finish()?;
        if let Err(error) = storage::verify_checkpoint(&dir, index, &shared) {
            staging.clear();
            let error = &error as &dyn std::error::Error;
            tracing::error!(index, error, "a snapshot was received that is damaged");
            return Err(Status::data_loss(format!("snapshot is damaged: {error}")));
        }
        crash_point("receive-verified");
        Ok(dir)
    });
    let passed = pass_on(&mut parts, chunks).await;
    // Also after a broken stream: nobody else may write there before the thread has ended.
    let written = writing.await.map_err(|error| Status::internal(error.to_string()))?;
    passed.and(written)
}

/// Hands the chunks to the writing thread until there are no more, or it wants no more.
async fn pass_on(
    parts: &mut Streaming<SnapshotPart>,
    chunks: mpsc::Sender<SnapshotChunk>,
) -> Result<(), Status> {
    while let Some(part) = parts.message().await? {
        let Some(Part::Chunk(chunk)) = part.part else {
            return Err(Status::invalid_argument("snapshot has two starts"));
        };
        if chunks.send(chunk).await.is_err() {
            break;
        }
    }
    Ok(())
}
