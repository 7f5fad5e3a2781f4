//! The receiving side of a snapshot: the stream is written piece by piece, then all of it is checked. Both the leader's
//! snapshot and one that a damaged replica asked for come this way.

use super::staging::{Staging, Writer};
use crate::blocking;
use crate::type_config::SnapshotMeta;
use proto::peer::snapshot_part::Part;
use proto::peer::{SnapshotFile, SnapshotHave, SnapshotPart};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use storage::{Shared, crash_point};
use tokio::time::timeout;
use tonic::{Status, Streaming};

/// How long the sender may send nothing. A slow one sends half a megabyte at a time, however low `raft.snapshot_rate` is.
const SILENCE_MAX: Duration = Duration::from_secs(120);

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
    let index = meta.last_log_id.map_or(0, |log_id| log_id.index);
    let collecting = Arc::clone(&staging);
    let writer = on_disk(move || collecting.collect(files, &have)).await?;
    let writer = write_all(writer, &mut parts).await?;
    on_disk(move || {
        let dir = writer.finish()?;
        if let Err(error) = storage::verify_checkpoint(&dir, index, &shared) {
            staging.clear();
            let error = &error as &dyn std::error::Error;
            tracing::error!(index, error, "a snapshot was received that is damaged");
            return Err(Status::data_loss(format!("snapshot is damaged: {error}")));
        }
        crash_point("receive-verified");
        Ok(dir)
    })
    .await
}

/// Writes the chunks until there are no more. Each is on its way to the disk before the next is taken, so nobody else
/// writes there once this has returned.
async fn write_all(mut writer: Writer, parts: &mut Streaming<SnapshotPart>) -> Result<Writer, Status> {
    let idle = || Status::deadline_exceeded("the sender of the snapshot is silent");
    while let Some(part) = timeout(SILENCE_MAX, parts.message()).await.map_err(|_| idle())?? {
        let Some(Part::Chunk(chunk)) = part.part else {
            return Err(Status::invalid_argument("snapshot has two starts"));
        };
        writer = on_disk(move || writer.write(&chunk).map(|()| writer)).await?;
    }
    Ok(writer)
}

async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    blocking::run(work).await.map_err(|error| Status::internal(error.to_string()))?
}
