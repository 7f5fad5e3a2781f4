//! Where the files of a snapshot are collected as they come in. Nothing of the group is touched before all of it is
//! there and was checked.
//!
//! ```text
//! received/000012.sst                            complete: its checksum was right
//! received/000015.sst.0f3c…9a.part               the first bytes of the file with that checksum
//! ```
//!
//! A transfer that was cut off goes on with what is there, also after a restart: tables never change, and a file is
//! taken for the same only by name and checksum.

use super::files;
use proto::peer::{SnapshotChunk, SnapshotFile, SnapshotHave};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use storage::crash_point;
use tonic::Status;
use xxhash_rust::xxh3::Xxh3;

/// Ends the name of a file that is not complete.
const PART: &str = ".part";
/// Files of one snapshot, at most.
const FILES_MAX: usize = 100_000;
/// After so long without a new byte, what was received is given up.
const STALE: Duration = Duration::from_secs(3_600);

/// The directory of incoming files.
#[derive(Debug)]
pub(crate) struct Staging {
    dir: PathBuf,
}

impl Staging {
    /// Uses `dir` for nothing else; what is there stays.
    pub(crate) fn open(dir: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        Ok(Self { dir })
    }

    /// Where it is.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What is there already. Reads the complete files, whose checksums nobody remembers after a restart.
    pub(crate) fn have(&self) -> io::Result<Vec<SnapshotHave>> {
        fs::create_dir_all(&self.dir)?;
        let mut have = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let size = entry.metadata()?.len();
            let Ok(name) = entry.file_name().into_string() else { continue };
            have.push(match parse_part(&name) {
                // A part never counts as whole, even if it is: with its last byte it is checked and gets its name.
                Some((name, checksum)) => {
                    SnapshotHave { name: name.to_owned(), checksum, size: size.saturating_sub(1) }
                }
                None => SnapshotHave { checksum: files::checksum(&entry.path(), size)?.digest(), name, size },
            });
        }
        Ok(have)
    }

    /// Begins, or goes on, to collect these files, of which `have` is there already. Everything else is removed.
    pub(crate) fn collect(&self, files: Vec<SnapshotFile>, have: &[SnapshotHave]) -> Result<Writer, Status> {
        if files.len() > FILES_MAX || files.iter().any(|file| !is_plain(&file.name)) {
            return Err(Status::invalid_argument("snapshot has files that it cannot have"));
        }
        fs::create_dir_all(&self.dir).map_err(|error| disk(&error))?;
        let had: Vec<u64> = files.iter().map(|file| files::had(file, have)).collect();
        self.keep_only(&files, &had).map_err(|error| disk(&error))?;
        crash_point("receive-begun");
        let files = files.into_iter().zip(had).collect();
        let mut writer = Writer { dir: self.dir.clone(), files, place: 0, open: None };
        writer.open_next()?;
        Ok(writer)
    }

    /// Removes everything but the files named, as far as they are there.
    fn keep_only(&self, files: &[SnapshotFile], had: &[u64]) -> io::Result<()> {
        let names = files.iter().zip(had).map(|(file, had)| match *had {
            complete if complete == file.size => file.name.clone(),
            _ => part_name(file),
        });
        let names: BTreeSet<String> = names.collect();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            if entry.file_name().to_str().is_none_or(|name| !names.contains(name)) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Removes everything.
    pub(crate) fn clear(&self) {
        if let Err(error) = fs::remove_dir_all(&self.dir).and_then(|()| fs::create_dir_all(&self.dir)) {
            tracing::warn!(dir = %self.dir.display(), %error, "received files not removed");
        }
    }

    /// Removes everything if nothing was added for [`STALE`].
    pub(super) fn forget_stale(&self) -> io::Result<()> {
        let Ok(entries) = fs::read_dir(&self.dir) else { return Ok(()) };
        let mut newest = None;
        for entry in entries {
            newest = newest.max(Some(entry?.metadata()?.modified()?));
        }
        // A clock that was set back makes files look new, and they stay for a while longer.
        if newest.is_some_and(|at| at.elapsed().is_ok_and(|age| age > STALE)) {
            tracing::info!(dir = %self.dir.display(), "giving up a snapshot that nobody goes on sending");
            self.clear();
        }
        Ok(())
    }
}

/// Writes the files in the order in which they were announced, each from where it ended.
pub(crate) struct Writer {
    dir: PathBuf,
    files: Vec<(SnapshotFile, u64)>,
    place: usize,
    open: Option<Open>,
}

/// The file that is being written.
struct Open {
    target: File,
    written: u64,
    checksum: Xxh3,
}

impl Writer {
    /// Opens the next file that lacks bytes.
    fn open_next(&mut self) -> Result<(), Status> {
        while let Some((file, had)) = self.files.get(self.place) {
            if *had < file.size {
                self.open = Some(open(&self.dir.join(part_name(file)), *had).map_err(|error| disk(&error))?);
                return Ok(());
            }
            if file.size == 0 {
                let path = self.dir.join(&file.name);
                File::create(path).and_then(|file| file.sync_all()).map_err(|error| disk(&error))?;
            }
            self.place += 1;
        }
        Ok(())
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    ///
    /// They are not the next ones, or the file they complete is not the one that was announced: that one is removed.
    pub(crate) fn write(&mut self, chunk: &SnapshotChunk) -> Result<(), Status> {
        let (Some(open), Some((file, _))) = (&mut self.open, self.files.get(self.place)) else {
            return Err(Status::data_loss("snapshot has more bytes than announced"));
        };
        let end = chunk.offset + chunk.bytes.len() as u64;
        let fits = chunk.file as usize == self.place && chunk.offset == open.written && end <= file.size;
        if !fits || crc32fast::hash(&chunk.bytes) != chunk.crc {
            return Err(Status::data_loss(format!("snapshot file {} is damaged", file.name)));
        }
        open.target.write_all(&chunk.bytes).map_err(|error| disk(&error))?;
        open.checksum.update(&chunk.bytes);
        open.written = end;
        crash_point("receive-some");
        if end == file.size {
            self.complete()?;
            self.open_next()?;
        }
        Ok(())
    }

    /// Checks the whole file and gives it its name.
    fn complete(&mut self) -> Result<(), Status> {
        let (Some(open), Some((file, _))) = (self.open.take(), self.files.get(self.place)) else {
            return Ok(());
        };
        let part = self.dir.join(part_name(file));
        if open.checksum.digest() != file.checksum {
            fs::remove_file(&part).map_err(|error| disk(&error))?;
            return Err(Status::data_loss(format!("snapshot file {} does not have its checksum", file.name)));
        }
        open.target.sync_all().map_err(|error| disk(&error))?;
        fs::rename(&part, self.dir.join(&file.name)).map_err(|error| disk(&error))?;
        crash_point("receive-file");
        self.place += 1;
        Ok(())
    }

    /// Everything was received. Answers where it is.
    pub(crate) fn finish(self) -> Result<PathBuf, Status> {
        if self.open.is_some() {
            return Err(Status::data_loss("snapshot ended early"));
        }
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(|error| disk(&error))?;
        crash_point("receive-done");
        Ok(self.dir)
    }
}

/// Opens a file that may have its first `had` bytes already.
fn open(path: &Path, had: u64) -> io::Result<Open> {
    let checksum = if had == 0 { Xxh3::new() } else { files::checksum(path, had)? };
    let mut target = File::options().create(true).truncate(false).write(true).open(path)?;
    target.set_len(had)?;
    io::Seek::seek(&mut target, io::SeekFrom::Start(had))?;
    Ok(Open { target, written: had, checksum })
}

fn part_name(file: &SnapshotFile) -> String {
    format!("{}.{:016x}{PART}", file.name, file.checksum)
}

/// Name and checksum of the file that a part is of.
fn parse_part(name: &str) -> Option<(&str, u64)> {
    let (name, checksum) = name.strip_suffix(PART)?.rsplit_once('.')?;
    Some((name, u64::from_str_radix(checksum, 16).ok()?))
}

/// A name that cannot lead out of the directory, nor be taken for a part.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 200
        && name != "."
        && name != ".."
        && !name.contains(['/', '\\', '\0'])
        && name.strip_suffix(PART).is_none()
}

fn disk(error: &io::Error) -> Status {
    Status::internal(format!("snapshot not written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use xxhash_rust::xxh3::xxh3_64;

    fn file(name: &str, bytes: &[u8]) -> SnapshotFile {
        SnapshotFile { name: name.to_owned(), size: bytes.len() as u64, checksum: xxh3_64(bytes) }
    }

    fn chunk(file: u32, offset: u64, bytes: &'static [u8]) -> SnapshotChunk {
        SnapshotChunk { file, offset, bytes: bytes.into(), crc: crc32fast::hash(bytes) }
    }

    fn staging() -> (tempfile::TempDir, Staging) {
        let dir = tempfile::tempdir().unwrap();
        let staging = Staging::open(dir.path().join("received")).unwrap();
        (dir, staging)
    }

    #[test]
    fn files_are_written_in_order_also_empty_ones() {
        let (_dir, staging) = staging();
        let files =
            vec![file("a", b""), file("b", b"hello"), file("c", b""), file("d", b"x"), file("e", b"")];
        let mut writer = staging.collect(files, &[]).unwrap();
        writer.write(&chunk(1, 0, b"hel")).unwrap();
        writer.write(&chunk(1, 3, b"lo")).unwrap();
        writer.write(&chunk(3, 0, b"x")).unwrap();
        let dir = writer.finish().unwrap();
        assert_eq!(fs::read(dir.join("b")).unwrap(), b"hello");
        assert_eq!(fs::read(dir.join("d")).unwrap(), b"x");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 5);
    }

    #[test]
    fn a_transfer_goes_on_where_it_was_cut_off() {
        let (_dir, staging) = staging();
        let files = || vec![file("a", b"first"), file("b", b"second"), file("z", b"third")];
        let mut writer = staging.collect(files(), &[]).unwrap();
        writer.write(&chunk(0, 0, b"first")).unwrap();
        writer.write(&chunk(1, 0, b"sec")).unwrap();
        drop(writer);
        // What belongs to no file of the next one goes.
        fs::write(staging.dir().join("other"), b"other").unwrap();
        let have = staging.have().unwrap();
        let mut left: Vec<u64> = files().iter().map(|file| file.size - files::had(file, &have)).collect();
        assert_eq!(left, [0, 4, 5]);
        // The same file under the same name but of another content is none.
        let mut changed = files();
        changed[0] = file("a", b"FIRST");
        left = changed.iter().map(|file| file.size - files::had(file, &have)).collect();
        assert_eq!(left, [5, 4, 5]);
        let mut writer = staging.collect(files(), &have).unwrap();
        writer.write(&chunk(1, 2, b"cond")).unwrap();
        drop(writer);
        // Cut off after the last byte of a file, before it was checked.
        fs::rename(staging.dir().join("b"), staging.dir().join(part_name(&files()[1]))).unwrap();
        let have = staging.have().unwrap();
        let mut writer = staging.collect(files(), &have).unwrap();
        writer.write(&chunk(1, 5, b"d")).unwrap();
        writer.write(&chunk(2, 0, b"third")).unwrap();
        let dir = writer.finish().unwrap();
        assert_eq!(fs::read(dir.join("b")).unwrap(), b"second");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 3);
    }

    #[test]
    fn damage_and_gaps_are_refused() {
        let (_dir, staging) = staging();
        let writer = || {
            staging.clear();
            staging.collect(vec![file("a", b"xxxx")], &[]).unwrap()
        };
        assert!(writer().write(&chunk(0, 1, b"x")).is_err());
        assert!(writer().write(&chunk(1, 0, b"x")).is_err());
        assert!(writer().write(&chunk(0, 0, b"xxxxx")).is_err());
        assert!(writer().write(&SnapshotChunk { crc: 1, ..chunk(0, 0, b"x") }).is_err());
        // Bytes that arrived as they were sent, but are not those of the file.
        assert!(writer().write(&chunk(0, 0, b"xyxx")).is_err());
        assert_eq!(fs::read_dir(staging.dir()).unwrap().count(), 0);
        let mut early = writer();
        early.write(&chunk(0, 0, b"xx")).unwrap();
        assert!(early.finish().is_err());
        let mut late = writer();
        late.write(&chunk(0, 0, b"xxxx")).unwrap();
        assert!(late.write(&chunk(1, 0, b"x")).is_err());
    }

    #[test]
    fn names_cannot_lead_out() {
        let (_dir, staging) = staging();
        for name in ["", ".", "..", "a/b", "/etc/passwd", "..\\x", "a.0.part"] {
            assert!(staging.collect(vec![file(name, b"x")], &[]).is_err(), "{name}");
        }
    }
}
