//! The receiving side of a snapshot: files are written beside the group's state, checked and synced; nothing of the
//! group is touched before all of it is there.

use super::{SnapshotDir, Snapshots};
use proto::peer::snapshot_part::Part;
use proto::peer::{SnapshotChunk, SnapshotFile, SnapshotPart};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

/// Messages that may wait for the disk.
const QUEUE: usize = 4;
/// Files of one snapshot, at most.
const FILES_MAX: usize = 100_000;

/// Receives the files that a start announced.
///
/// # Errors
///
/// The status to answer with; what was received is removed.
pub(crate) async fn receive(
    snapshots: &Snapshots,
    files: Vec<SnapshotFile>,
    mut parts: Streaming<SnapshotPart>,
) -> Result<Arc<SnapshotDir>, Status> {
    let dir = Arc::new(snapshots.next("received"));
    let (chunks, mut queue) = mpsc::channel::<SnapshotChunk>(QUEUE);
    let target = Arc::clone(&dir);
    let writing = tokio::task::spawn_blocking(move || -> Result<(), Status> {
        let mut writer = Writer::create(target.path(), files)?;
        while let Some(chunk) = queue.blocking_recv() {
            writer.write(&chunk)?;
        }
        writer.finish(target.path())
    });
    while let Some(part) = parts.message().await? {
        let Some(Part::Chunk(chunk)) = part.part else {
            return Err(Status::invalid_argument("snapshot has two starts"));
        };
        if chunks.send(chunk).await.is_err() {
            break;
        }
    }
    drop(chunks);
    writing.await.map_err(|error| Status::internal(error.to_string()))??;
    Ok(dir)
}

/// Writes the files in the order in which they were announced.
struct Writer {
    files: std::vec::IntoIter<SnapshotFile>,
    place: u32,
    open: Option<(File, SnapshotFile, u64)>,
    dir: std::path::PathBuf,
}

impl Writer {
    fn create(dir: &Path, files: Vec<SnapshotFile>) -> Result<Self, Status> {
        if files.len() > FILES_MAX || files.iter().any(|file| !is_plain(&file.name)) {
            return Err(Status::invalid_argument("snapshot has files that it cannot have"));
        }
        std::fs::create_dir(dir).map_err(|error| disk(&error))?;
        let mut writer = Self { files: files.into_iter(), place: 0, open: None, dir: dir.to_owned() };
        writer.open_next()?;
        Ok(writer)
    }

    /// Opens the next file that has bytes; creates those that have none.
    fn open_next(&mut self) -> Result<(), Status> {
        for file in self.files.by_ref() {
            let target = File::create_new(self.dir.join(&file.name)).map_err(|error| disk(&error))?;
            if file.size > 0 {
                self.open = Some((target, file, 0));
                return Ok(());
            }
            target.sync_all().map_err(|error| disk(&error))?;
            self.place += 1;
        }
        Ok(())
    }

    fn write(&mut self, chunk: &SnapshotChunk) -> Result<(), Status> {
        let Some((target, file, written)) = &mut self.open else {
            return Err(Status::data_loss("snapshot has more bytes than announced"));
        };
        let end = chunk.offset + chunk.bytes.len() as u64;
        let fits = chunk.file == self.place && chunk.offset == *written && end <= file.size;
        if !fits || crc32fast::hash(&chunk.bytes) != chunk.crc {
            return Err(Status::data_loss(format!("snapshot file {} is damaged", file.name)));
        }
        target.write_all(&chunk.bytes).map_err(|error| disk(&error))?;
        *written = end;
        if end == file.size {
            target.sync_all().map_err(|error| disk(&error))?;
            self.open = None;
            self.place += 1;
            self.open_next()?;
        }
        Ok(())
    }

    fn finish(self, dir: &Path) -> Result<(), Status> {
        if self.open.is_some() {
            return Err(Status::data_loss("snapshot ended early"));
        }
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| disk(&error))
    }
}

/// A name that cannot lead out of the directory.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.len() <= 255 && name != "." && name != ".." && !name.contains(['/', '\\', '\0'])
}

fn disk(error: &std::io::Error) -> Status {
    Status::internal(format!("snapshot not written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, size: u64) -> SnapshotFile {
        SnapshotFile { name: name.to_owned(), size }
    }

    fn chunk(file: u32, offset: u64, bytes: &'static [u8]) -> SnapshotChunk {
        SnapshotChunk { file, offset, bytes: bytes.into(), crc: crc32fast::hash(bytes) }
    }

    #[test]
    fn files_are_written_in_order_also_empty_ones() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("r");
        let files = vec![file("a", 0), file("b", 5), file("c", 0), file("d", 1), file("e", 0)];
        let mut writer = Writer::create(&dir, files).unwrap();
        writer.write(&chunk(1, 0, b"hel")).unwrap();
        writer.write(&chunk(1, 3, b"lo")).unwrap();
        writer.write(&chunk(3, 0, b"x")).unwrap();
        writer.finish(&dir).unwrap();
        assert_eq!(std::fs::read(dir.join("b")).unwrap(), b"hello");
        assert_eq!(std::fs::read(dir.join("d")).unwrap(), b"x");
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 5);
    }

    #[test]
    fn damage_and_gaps_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut place = 0;
        let mut writer = || {
            place += 1;
            Writer::create(&dir.path().join(place.to_string()), vec![file("a", 4)]).unwrap()
        };
        assert!(writer().write(&chunk(0, 1, b"x")).is_err());
        assert!(writer().write(&chunk(1, 0, b"x")).is_err());
        assert!(writer().write(&chunk(0, 0, b"xxxxx")).is_err());
        assert!(writer().write(&SnapshotChunk { crc: 1, ..chunk(0, 0, b"x") }).is_err());
        let mut early = writer();
        early.write(&chunk(0, 0, b"xx")).unwrap();
        assert!(early.finish(dir.path()).is_err());
        let mut late = writer();
        late.write(&chunk(0, 0, b"xxxx")).unwrap();
        assert!(late.write(&chunk(1, 0, b"x")).is_err());
    }

    #[test]
    fn names_cannot_lead_out() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["", ".", "..", "a/b", "/etc/passwd", "..\\x"] {
            assert!(Writer::create(&dir.path().join("r"), vec![file(name, 1)]).is_err(), "{name}");
        }
    }
}
