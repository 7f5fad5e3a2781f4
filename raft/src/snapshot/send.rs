//! The sending side of a snapshot: the files of a copy, in order, in chunks, less what the receiver has, no faster than
//! allowed.

use super::SnapshotDir;
use super::files;
use super::pace::Transfers;
use proto::peer::snapshot_part::Part;
use proto::peer::{SnapshotChunk, SnapshotFile, SnapshotHave, SnapshotPart};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use tokio::sync::mpsc;

/// Bytes of a file in one message.
const CHUNK_BYTES: usize = 512 << 10;
/// Messages that may wait for the transport.
pub(crate) const QUEUE: usize = 4;

/// Reads the files and hands them over; blocks. If reading fails the stream ends early, which the receiver notices.
/// Answers how many bytes were sent.
pub(crate) fn send_files<T>(
    dir: &SnapshotDir,
    (files, have): (&[SnapshotFile], &[SnapshotHave]),
    parts: &mpsc::Sender<T>,
    wrap: impl Fn(SnapshotPart) -> T,
    transfers: &Transfers,
) -> io::Result<u64> {
    let mut sent = 0;
    for (place, file) in files.iter().enumerate() {
        let mut offset = files::had(file, have);
        let mut source = File::open(dir.path().join(&file.name))?;
        source.seek(SeekFrom::Start(offset))?;
        while offset < file.size {
            let len = CHUNK_BYTES.min(usize::try_from(file.size - offset).unwrap_or(CHUNK_BYTES));
            let mut bytes = vec![0; len];
            source.read_exact(&mut bytes)?;
            transfers.pace.wait(len as u64);
            let crc = crc32fast::hash(&bytes);
            let chunk = SnapshotChunk { file: place as u32, offset, bytes: bytes.into(), crc };
            if parts.blocking_send(wrap(SnapshotPart { part: Some(Part::Chunk(chunk)) })).is_err() {
                return Err(io::Error::other("the receiver has gone away"));
            }
            offset += len as u64;
            sent += len as u64;
        }
    }
    Ok(sent)
}
