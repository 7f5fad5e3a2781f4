//! The sending side of a snapshot: the files of a copy, in order, in chunks, less what the receiver has, no faster than
//! allowed.

use super::SnapshotDir;
use super::files;
use super::pace::Transfers;
use crate::blocking;
use proto::peer::snapshot_part::Part;
use proto::peer::{SnapshotChunk, SnapshotFile, SnapshotHave, SnapshotPart};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use tokio::sync::mpsc;

/// Bytes of a file in one message.
const CHUNK_BYTES: usize = 512 << 10;
/// Messages that may wait for the transport.
pub(crate) const QUEUE: usize = 4;

/// Reads the files and hands them over, then removes the copy. If reading fails the stream ends early, which the
/// receiver notices. Answers how many bytes were sent. Spawn it: the copy must not be removed by whoever polls it.
pub(crate) async fn send_files<T>(
    dir: SnapshotDir,
    files: Vec<SnapshotFile>,
    have: Vec<SnapshotHave>,
    parts: mpsc::Sender<T>,
    wrap: impl Fn(SnapshotPart) -> T,
    transfers: &Transfers,
) -> io::Result<u64> {
    let mut sent = Ok(0);
    for (place, file) in files.iter().enumerate() {
        let had = files::had(file, &have);
        let path = dir.path().join(&file.name);
        let bytes = send_file((place as u32, path), had..file.size, &parts, &wrap, transfers).await;
        sent = sent.and_then(|sent| Ok(sent + bytes?));
        if sent.is_err() {
            break;
        }
    }
    blocking::run(move || drop(dir)).await.map_err(io::Error::other)?;
    sent
}

async fn send_file<T>(
    (place, path): (u32, PathBuf),
    range: std::ops::Range<u64>,
    parts: &mpsc::Sender<T>,
    wrap: &impl Fn(SnapshotPart) -> T,
    transfers: &Transfers,
) -> io::Result<u64> {
    if range.is_empty() {
        return Ok(0);
    }
    let mut offset = range.start;
    let opening = blocking::run(move || {
        let mut source = File::open(path)?;
        source.seek(SeekFrom::Start(offset))?;
        Ok::<_, io::Error>(source)
    });
    let mut source = opening.await.map_err(io::Error::other)??;
    while offset < range.end {
        let len = CHUNK_BYTES.min(usize::try_from(range.end - offset).unwrap_or(CHUNK_BYTES));
        transfers.pace.wait(len as u64).await;
        let reading = blocking::run(move || {
            let mut bytes = vec![0; len];
            source.read_exact(&mut bytes)?;
            let crc = crc32fast::hash(&bytes);
            Ok::<_, io::Error>((source, bytes, crc))
        });
        let (back, bytes, crc) = reading.await.map_err(io::Error::other)??;
        source = back;
        let chunk = SnapshotChunk { file: place, offset, bytes: bytes.into(), crc };
        if parts.send(wrap(SnapshotPart { part: Some(Part::Chunk(chunk)) })).await.is_err() {
            return Err(io::Error::other("the receiver has gone away"));
        }
        offset += len as u64;
    }
    Ok(range.end - range.start)
}
