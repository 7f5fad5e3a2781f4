//! The state of one Raft group on disk: one RocksDB without WAL, and the applied marker in every batch.
//!
//! The raft crate uses it directly for the meta group (one blob) and through [`crate::ShardStore`] for data groups.
//! It knows keys and markers, not what the values mean.
//!
//! ```text
//! dir/LIVE            names the live directory, e.g. "db-000002\n"
//! dir/db-000002/      a RocksDB
//! ```
//!
//! A write is durable once [`StateDb::flush`] returned; a crash goes back to the last flush, data and marker
//! together. A snapshot is installed by moving its files in as the next directory and then rewriting LIVE: a crash
//! leaves either the old state or the new one.

mod live;

use crate::chunk::blocks;
use crate::crash::crash_point;
use crate::error::StorageError;
use crate::key;
use crate::marker::ApplyMarker;
use crate::rocks::{Batch, Rocks, Shared, Table};
use parking_lot::{Mutex, RwLock};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// One group's state database. All methods may block on the disk; all but [`Self::install`] are cheap to share.
#[derive(Debug)]
pub struct StateDb {
    dir: PathBuf,
    shared: Shared,
    live: RwLock<Arc<Rocks>>,
    markers: Mutex<Markers>,
    poisoned: AtomicBool,
}

/// Guards every change: writes, flushes and checkpoints exclude each other.
#[derive(Debug)]
struct Markers {
    applied: ApplyMarker,
    durable: ApplyMarker,
}

impl StateDb {
    /// Opens the state in `dir`, creating it if there is none, and removes what a crash left half done.
    ///
    /// # Errors
    ///
    /// [`StorageError::Damaged`] when LIVE is lost or names a directory that is not there; nothing was changed.
    pub fn open(dir: &Path, shared: &Shared) -> Result<Self, StorageError> {
        let path = live::find(dir)?;
        let rocks = Rocks::open(&path, shared)?;
        let marker = read_marker(&rocks)?;
        live::adopt(dir, &path, marker.is_some())?;
        let marker = marker.unwrap_or_default();
        Ok(Self {
            dir: dir.to_owned(),
            shared: shared.clone(),
            live: RwLock::new(Arc::new(rocks)),
            markers: Mutex::new(Markers { applied: marker.clone(), durable: marker }),
            poisoned: AtomicBool::new(false),
        })
    }

    /// The marker of the last write.
    pub fn applied(&self) -> ApplyMarker {
        self.markers.lock().applied.clone()
    }

    /// The marker of the last flush: where a crash would go back to.
    pub fn durable(&self) -> ApplyMarker {
        self.markers.lock().durable.clone()
    }

    /// The open database; it stays readable after an install, until the last user is gone.
    pub(crate) fn rocks(&self) -> Arc<Rocks> {
        Arc::clone(&self.live.read())
    }

    /// The first damage that was found since it was opened. What is on disk must not be trusted any more.
    pub fn damage(&self) -> Option<String> {
        self.rocks().damage()
    }

    /// Remembers that bytes on disk are not what was written, for whoever asks [`Self::damage`].
    pub fn report_damage(&self, what: &str) {
        self.rocks().report_damage(what);
    }

    /// Stops compactions, which need room before they free any, or lets them go on.
    pub fn save_space(&self, save: bool) {
        self.rocks().save_space(save);
    }

    /// Failed flushes and compactions since it was opened.
    pub fn background_errors(&self) -> u64 {
        self.rocks().background_errors()
    }

    /// The blob of this name, as last put.
    pub fn get_blob(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.rocks().get(Table::Meta, &key::blob(name))?)
    }

    /// Puts a blob and the applied marker, together. Visible at once, durable after [`Self::flush`].
    ///
    /// # Errors
    ///
    /// Any error poisons the database.
    pub fn put_blob(&self, name: &str, value: &[u8], marker: &ApplyMarker) -> Result<(), StorageError> {
        self.write(marker, |batch| {
            batch.put(Table::Meta, &key::blob(name), value);
            Ok(())
        })
    }

    /// Writes the applied marker alone, for an entry that changed nothing else.
    ///
    /// # Errors
    ///
    /// Any error poisons the database.
    pub fn advance(&self, marker: &ApplyMarker) -> Result<(), StorageError> {
        self.write(marker, |_| Ok(()))
    }

    /// Writes what `fill` puts into the batch, together with the applied marker. Visible at once, durable after
    /// [`Self::flush`].
    ///
    /// # Errors
    ///
    /// Any error poisons the database.
    pub(crate) fn write(
        &self,
        marker: &ApplyMarker,
        fill: impl FnOnce(&mut Batch<'_>) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let mut markers = self.markers.lock();
        self.check()?;
        self.poison_on(write_with(&self.rocks(), marker, fill))?;
        markers.applied = marker.clone();
        Ok(())
    }

    /// Makes everything written durable (fsync of files and directory) and returns how far that is.
    ///
    /// # Errors
    ///
    /// Any error poisons the database.
    pub fn flush(&self) -> Result<ApplyMarker, StorageError> {
        let mut markers = self.markers.lock();
        self.flush_locked(&mut markers)
    }

    fn flush_locked(&self, markers: &mut Markers) -> Result<ApplyMarker, StorageError> {
        self.check()?;
        self.poison_on(self.rocks().flush().map_err(StorageError::from))?;
        markers.durable = markers.applied.clone();
        Ok(markers.applied.clone())
    }

    /// Flushes and creates a copy in `target`, which must not exist but whose parent must, on the same file system.
    /// Returns the marker that the copy holds. Files are hard links; the copy costs milliseconds.
    ///
    /// # Errors
    ///
    /// A failed flush poisons; a failed copy does not.
    pub fn checkpoint(&self, target: &Path) -> Result<ApplyMarker, StorageError> {
        let mut markers = self.markers.lock();
        let begun = Instant::now();
        let marker = self.flush_locked(&mut markers)?;
        let flushed = begun.elapsed();
        self.rocks().checkpoint(target)?;
        live::sync_parent(target)?;
        let linked = begun.elapsed().checked_sub(flushed).unwrap_or_default();
        let (flush_us, link_us) = (flushed.as_micros() as u64, linked.as_micros() as u64);
        tracing::info!(index = marker.index, flush_us, link_us, "linked the files of the state");
        Ok(marker)
    }

    /// Replaces the state by the checkpoint in `received`, which is moved and must be on the same file system. It
    /// must hold the applied index `expected_index`. On return the new state is durable.
    ///
    /// # Errors
    ///
    /// [`StorageError::WrongSnapshot`], or an error while opening the files: the old state stays, `received` is
    /// removed. An error while switching poisons.
    pub fn install(&self, received: &Path, expected_index: u64) -> Result<ApplyMarker, StorageError> {
        let mut markers = self.markers.lock();
        self.check()?;
        let path = live::move_in(&self.dir, received)?;
        crash_point("install-moved");
        let (rocks, marker) = match self.open_received(&path, expected_index) {
            Ok(opened) => opened,
            Err(error) => {
                drop(std::fs::remove_dir_all(&path));
                return Err(error);
            }
        };
        crash_point("install-opened");
        self.poison_on(live::switch(&self.dir, &path))?;
        crash_point("install-switched");
        let old = std::mem::replace(&mut *self.live.write(), Arc::new(rocks));
        old.give_up();
        *markers = Markers { applied: marker.clone(), durable: marker.clone() };
        Ok(marker)
    }

    fn open_received(&self, path: &Path, expected: u64) -> Result<(Rocks, ApplyMarker), StorageError> {
        let rocks = Rocks::open(path, &self.shared)?;
        let marker = read_marker(&rocks)?.unwrap_or_default();
        if marker.index != expected {
            return Err(StorageError::WrongSnapshot { expected, found: marker.index });
        }
        Ok((rocks, marker))
    }

    /// Closes the database and removes everything in its directory.
    pub fn destroy(self) -> Result<(), StorageError> {
        let Self { dir, live, .. } = self;
        drop(live);
        std::fs::remove_dir_all(&dir).map_err(StorageError::io(&dir))?;
        live::sync_parent(&dir)
    }

    /// Bytes of the files on disk.
    pub fn disk_bytes(&self) -> u64 {
        self.rocks().disk_bytes()
    }

    fn check(&self) -> Result<(), StorageError> {
        if self.poisoned.load(Ordering::Acquire) { Err(StorageError::Poisoned) } else { Ok(()) }
    }

    /// Closes the database to writes if `result` is an error.
    fn poison_on<T>(&self, result: Result<T, StorageError>) -> Result<T, StorageError> {
        if result.is_err() {
            self.poisoned.store(true, Ordering::Release);
        }
        result
    }
}

fn write_with(
    rocks: &Rocks,
    marker: &ApplyMarker,
    fill: impl FnOnce(&mut Batch<'_>) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let mut batch = rocks.batch()?;
    fill(&mut batch)?;
    batch.put(Table::Meta, &key::MARKER, &marker.encode());
    Ok(rocks.write(batch)?)
}

fn read_marker(rocks: &Rocks) -> Result<Option<ApplyMarker>, StorageError> {
    rocks.get(Table::Meta, &key::MARKER)?.map(|value| ApplyMarker::decode(&value)).transpose()
}

/// Checks a checkpoint before it may become a state: every block has its checksum, every chunk its format, and the
/// applied index is `expected`. Reads all of it; nothing is changed.
///
/// # Errors
///
/// [`StorageError::WrongSnapshot`], or what was found damaged.
pub fn verify_checkpoint(dir: &Path, expected: u64, shared: &Shared) -> Result<(), StorageError> {
    let rocks = Rocks::open_read_only(dir, shared)?;
    let found = read_marker(&rocks)?.unwrap_or_default().index;
    if found != expected {
        return Err(StorageError::WrongSnapshot { expected, found });
    }
    let mut intact = true;
    rocks.verify(|table, _, value| {
        intact = table != Table::Chunk || blocks::fold(value).is_ok();
        if intact { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    if intact { Ok(()) } else { Err(StorageError::damaged("chunk")) }
}

/// Puts a damaged state out of the way, for somebody to look at: `dir` is then an empty state. Only the latest one is
/// kept, as `damaged-NNNNNN`. The state must not be open for writing.
///
/// # Errors
///
/// [`StorageError::Io`]; the old state stays, or the empty one is there.
pub fn set_aside(dir: &Path) -> Result<(), StorageError> {
    live::set_aside(dir)
}
