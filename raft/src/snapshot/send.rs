//! The sending side of a snapshot: the files of the directory, in order, in chunks, no faster than allowed.

use super::SnapshotDir;
use crate::codec;
use crate::state_machine::SnapshotOf;
use crate::type_config::Vote;
use futures::Stream;
use proto::peer::snapshot_part::Part;
use proto::peer::{Header, SnapshotChunk, SnapshotFile, SnapshotPart, SnapshotStart};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;

/// Bytes of a file in one message.
const CHUNK_BYTES: usize = 512 << 10;
/// Messages that may wait for the transport.
const QUEUE: usize = 4;

/// The messages that carry a snapshot. Files are read on a blocking thread. If reading fails the stream ends early,
/// which the receiver notices. The directory stays until the stream is gone.
pub(crate) fn stream(
    header: Header,
    vote: Vote,
    snapshot: &SnapshotOf,
    bytes_per_second: u64,
) -> impl Stream<Item = SnapshotPart> + Send + 'static {
    let (parts, receiver) = mpsc::channel(QUEUE);
    let dir = Arc::clone(&snapshot.snapshot);
    let start = SnapshotStart {
        header: Some(header),
        vote: codec::encode(&vote),
        meta: codec::encode(&snapshot.meta),
        files: Vec::new(),
    };
    tokio::task::spawn_blocking(move || {
        if let Err(error) = send_all(&dir, start, &parts, bytes_per_second) {
            tracing::warn!(path = %dir.path().display(), %error, "snapshot not sent");
        }
    });
    ReceiverStream::new(receiver)
}

fn send_all(
    dir: &SnapshotDir,
    mut start: SnapshotStart,
    parts: &mpsc::Sender<SnapshotPart>,
    bytes_per_second: u64,
) -> io::Result<()> {
    start.files = list(dir.path())?;
    let files = start.files.clone();
    if !send(parts, Part::Start(start)) {
        return Ok(());
    }
    let mut pace = Pace { begun: Instant::now(), sent: 0, bytes_per_second: bytes_per_second.max(1) };
    for (place, file) in files.iter().enumerate() {
        let mut source = File::open(dir.path().join(&file.name))?;
        let mut offset = 0;
        while offset < file.size {
            let len = CHUNK_BYTES.min(usize::try_from(file.size - offset).unwrap_or(CHUNK_BYTES));
            let mut bytes = vec![0; len];
            source.read_exact(&mut bytes)?;
            let crc = crc32fast::hash(&bytes);
            let chunk = SnapshotChunk { file: place as u32, offset, bytes: bytes.into(), crc };
            if !send(parts, Part::Chunk(chunk)) {
                return Ok(());
            }
            offset += len as u64;
            pace.wait(len as u64);
        }
    }
    Ok(())
}

/// Whether the receiver is still there.
fn send(parts: &mpsc::Sender<SnapshotPart>, part: Part) -> bool {
    parts.blocking_send(SnapshotPart { part: Some(part) }).is_ok()
}

/// The files of a checkpoint, by name. It has no directories.
fn list(dir: &Path) -> io::Result<Vec<SnapshotFile>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        let name = entry.file_name().into_string();
        match name {
            Ok(name) if meta.is_file() => files.push(SnapshotFile { name, size: meta.len() }),
            _ => return Err(io::Error::other(format!("{} is no file", entry.path().display()))),
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// Keeps the mean rate below the limit.
struct Pace {
    begun: Instant,
    sent: u64,
    bytes_per_second: u64,
}

impl Pace {
    fn wait(&mut self, bytes: u64) {
        self.sent += bytes;
        let due = Duration::from_secs_f64(self.sent as f64 / self.bytes_per_second as f64);
        if let Some(early) = due.checked_sub(self.begun.elapsed()) {
            thread::sleep(early);
        }
    }
}
