//! The state of one data group: series, index, heads in memory, sealed chunks on disk.
//!
//! The raft crate applies log entries and asks for flushes and snapshots; queries read through
//! [`ShardStore::reader`]. It must know nothing of terms, queries and the network, and nothing here may depend on
//! a clock, on chance or on configuration: replicas at the same index are equal.
//!
//! ```text
//! apply ─▶ State in memory: series, index, partitions with heads      (RwLock, short sections)
//! flush ─▶ freeze the heads ─▶ seal into chunks ─▶ one batch with the marker ─▶ RocksDB flush
//! ```
//!
//! **Only a flush writes points to RocksDB** (compaction puts the same ones elsewhere), so what is on disk is exactly the state at the durable marker: a crash forgets
//! everything later, and raft applies the log again from there. Applies go on while a flush seals; reads see active
//! head, frozen head and chunks together.
//!
//! Locks, in the order they are taken: the turn (one flush, checkpoint, install, checksum or step of compaction at a
//! time), `applying` (one entry at a time), `state`.

mod checksum;
mod compact;
mod delete;
mod erase;
mod fields;
mod flush;
mod head;
mod index;
mod memory;
mod new_keys;
mod open;
mod partition;
mod reader;
mod records;
mod scan;
mod seal;
mod series;
mod state;
#[cfg(test)]
mod tests;
mod turn;
mod write;

pub use checksum::{Checksum, ChecksumJob};
pub use compact::CompactionStep;
pub use memory::ShardMemory;
pub use reader::Stop;
pub use series::KeyHash;

use crate::error::StorageError;
use crate::marker::ApplyMarker;
use crate::rocks::{Rocks, Shared};
use crate::state_db::StateDb;
use model::scan::GroupReader;
use model::{DatabaseId, Delete, RetentionPolicyId, SeriesId};
use parking_lot::{Mutex, RwLock};
use state::State;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The state of one data group. Cheap to clone; all clones are the same store. Methods block; call them from threads
/// that may.
#[derive(Debug, Clone)]
pub struct ShardStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    db: StateDb,
    state: RwLock<State>,
    /// Held for a whole entry: a freeze never falls into the middle of one.
    applying: Mutex<()>,
    turn: turn::Turn,
    /// What is known of the last windows on disk; used by whoever has the turn.
    tails: Mutex<seal::Tails>,
    /// How far the compaction of old days is; used by whoever has the turn.
    compactor: Mutex<compact::Compactor>,
    poisoned: AtomicBool,
    head_bytes: AtomicU64,
}

/// Sizes and positions of a store, for metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardStats {
    /// Series that were ever seen and whose database exists.
    pub series: u64,
    /// Series that have points now.
    pub series_indexed: u64,
    /// Points in memory that are not sealed; overwritten ones count twice.
    pub head_points: u64,
    /// Bytes they take in memory.
    pub head_bytes: u64,
    /// Bytes of files on disk.
    pub disk_bytes: u64,
    /// Slices of time that exist, over all policies.
    pub partitions: u64,
    /// Index of the last applied entry.
    pub applied: u64,
    /// Index that a crash would go back to.
    pub durable: u64,
}

impl ShardStore {
    /// Opens the store in `dir`, creating it if there is none, and rebuilds the index in memory.
    ///
    /// # Errors
    ///
    /// [`StorageError::Damaged`] when a record does not have its format; nothing was changed.
    pub fn open(dir: &Path, shared: &Shared) -> Result<Self, StorageError> {
        let db = StateDb::open(dir, shared)?;
        let state = open::load(db.rocks(), db.applied())?;
        let inner = Inner {
            db,
            state: RwLock::new(state),
            applying: Mutex::new(()),
            turn: turn::Turn::default(),
            tails: Mutex::new(seal::Tails::default()),
            compactor: Mutex::new(compact::Compactor::default()),
            poisoned: AtomicBool::new(false),
            head_bytes: AtomicU64::new(0),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The marker of the last applied entry, in memory.
    pub fn applied(&self) -> ApplyMarker {
        self.inner.state.read().marker.clone()
    }

    /// The marker of the last flush: where a crash goes back to. The log may be purged up to its index.
    pub fn durable(&self) -> ApplyMarker {
        self.inner.db.durable()
    }

    /// Applies a write: the bytes of a [`model::batch`]. Rows that cannot be (unknown series, another type than the field
    /// has, time out of range) are left out, on every replica alike. Answers `false`, and nothing of it is stored, if its
    /// database or policy was dropped.
    ///
    /// # Errors
    ///
    /// Any error poisons the store: the entry may be applied in part.
    pub fn apply_write(&self, batch: &[u8], marker: ApplyMarker) -> Result<bool, StorageError> {
        self.inner.apply(marker, |inner| write::apply(inner, batch))
    }

    /// Records that an entry without data was applied.
    ///
    /// # Errors
    ///
    /// [`StorageError::Poisoned`].
    pub fn advance(&self, marker: ApplyMarker) -> Result<(), StorageError> {
        self.inner.apply(marker, |_| Ok(()))
    }

    /// Drops a database with everything in it. Later writes to it, or to the policies named, are not taken.
    ///
    /// # Errors
    ///
    /// [`StorageError::Poisoned`].
    pub fn drop_database(
        &self,
        database: DatabaseId,
        policies: &[RetentionPolicyId],
        marker: ApplyMarker,
    ) -> Result<(), StorageError> {
        self.inner.apply(marker, |inner| {
            inner.state.write().drop_database(database, policies);
            Ok(())
        })
    }

    /// Drops a retention policy with its points. Later writes to it are not taken.
    ///
    /// # Errors
    ///
    /// [`StorageError::Poisoned`].
    pub fn drop_policy(&self, policy: RetentionPolicyId, marker: ApplyMarker) -> Result<(), StorageError> {
        self.inner.apply(marker, |inner| {
            inner.state.write().drop_policy(policy);
            Ok(())
        })
    }

    /// Drops the partitions of a policy that end at or before `time`, whole.
    ///
    /// # Errors
    ///
    /// [`StorageError::Poisoned`].
    pub fn drop_before(
        &self,
        policy: RetentionPolicyId,
        time: i64,
        marker: ApplyMarker,
    ) -> Result<(), StorageError> {
        self.inner.apply(marker, |inner| {
            inner.state.write().drop_before(policy, time);
            Ok(())
        })
    }

    /// Deletes points by tags and times. Series without points leave the index until they are written to again.
    ///
    /// # Errors
    ///
    /// Any error poisons the store: the entry may be applied in part.
    pub fn delete(&self, delete: &Delete, marker: ApplyMarker) -> Result<(), StorageError> {
        self.inner.apply(marker, |inner| erase::apply(inner, delete))
    }

    /// Where the oldest partition of a policy ends, ns: [`Self::drop_before`] of an earlier time drops nothing. `None`
    /// when the policy has no points.
    pub fn first_partition_end(&self, policy: RetentionPolicyId) -> Option<i64> {
        let state = self.inner.state.read();
        state.policies.get(&policy)?.partitions.values().next().map(|partition| partition.end)
    }

    /// The id of a series by its canonical key, if the group has given it one. It stays valid while the database
    /// exists, also when the series has no points any more.
    pub fn lookup_series(&self, database: DatabaseId, key: &[u8]) -> Option<SeriesId> {
        let hash = KeyHash::of(database, key);
        self.inner.state.read().series.lookup(hash)
    }

    /// The same for many series, taking the lock once: appends an answer for each hash, in their order.
    pub fn lookup_hashes(&self, hashes: &[KeyHash], found: &mut Vec<Option<SeriesId>>) {
        let state = self.inner.state.read();
        found.extend(hashes.iter().map(|hash| state.series.lookup(*hash)));
    }

    /// Number of series of a database that have points here. A series whose points are all gone does not count. O(1).
    pub fn series_count(&self, database: DatabaseId) -> u64 {
        self.inner.state.read().index.series_count(database)
    }

    /// Number of values of a tag key among the series of a measurement that have points here. O(1).
    pub fn tag_value_count(&self, database: DatabaseId, measurement: &str, key: &str) -> u64 {
        let state = self.inner.state.read();
        state.index.measurement(database, measurement).map_or(0, |known| known.value_count(key))
    }

    /// Whether a series of the measurement that has points here has this value of a tag key. O(1).
    pub fn has_tag_value(&self, database: DatabaseId, measurement: &str, key: &str, value: &str) -> bool {
        let state = self.inner.state.read();
        state.index.measurement(database, measurement).is_some_and(|known| known.has_value(key, value))
    }

    /// What queries read. Always the newest state; each call is consistent in itself. The store stays open, and its
    /// directory locked, while a reader exists.
    pub fn reader(&self) -> Arc<dyn GroupReader> {
        Arc::new(reader::ShardReader::new(Arc::clone(&self.inner), None))
    }

    /// A reader that gives up, with answers that lack something, when `stop` says so: who asked must look, too.
    pub fn reader_until(&self, stop: Stop) -> Arc<dyn GroupReader> {
        Arc::new(reader::ShardReader::new(Arc::clone(&self.inner), Some(stop)))
    }

    /// Seals all heads and makes everything applied durable (fsync). Applies and reads go on meanwhile. Answers how
    /// far the state on disk is now.
    ///
    /// # Errors
    ///
    /// Any error poisons the store.
    pub fn flush(&self) -> Result<ApplyMarker, StorageError> {
        let _turn = turn::take(&self.inner);
        self.inner.flush()
    }

    /// Flushes and creates a copy of the state in `target`, which must not exist but whose parent must, on the same
    /// file system. Answers the marker of the copy.
    ///
    /// # Errors
    ///
    /// A failed flush poisons the store, a failed copy does not.
    pub fn checkpoint(&self, target: &Path) -> Result<ApplyMarker, StorageError> {
        let _turn = turn::take(&self.inner);
        self.inner.flush()?;
        self.inner.db.checkpoint(target)
    }

    /// Replaces the whole state by the checkpoint in `received`, which is moved and must be on the same file system
    /// and hold the applied index `expected_index`. Durable on return; readers see either all of the old state or
    /// all of the new one.
    ///
    /// # Errors
    ///
    /// [`StorageError::WrongSnapshot`] or an error while opening: the old state stays and `received` is removed.
    /// An error after the switch poisons the store.
    pub fn install(&self, received: &Path, expected_index: u64) -> Result<ApplyMarker, StorageError> {
        let _turn = turn::take(&self.inner);
        let _one = self.inner.applying.lock();
        self.inner.check()?;
        let marker = self.inner.db.install(received, expected_index)?;
        let loaded = open::load(self.inner.db.rocks(), marker.clone());
        let state = self.inner.poison_on(loaded)?;
        *self.inner.tails.lock() = seal::Tails::default();
        *self.inner.compactor.lock() = compact::Compactor::default();
        let old = std::mem::replace(&mut *self.inner.state.write(), state);
        self.inner.head_bytes.store(0, Ordering::Release);
        drop(old);
        Ok(marker)
    }

    /// The first damage that was found on disk since the store was opened: it must not be read any more.
    pub fn damage(&self) -> Option<String> {
        self.inner.db.damage()
    }

    /// Remembers damage that a reader came upon, for whoever asks [`Self::damage`].
    pub fn report_damage(&self, what: &str) {
        self.inner.db.report_damage(what);
    }

    /// Stops compactions, which need room before they free any, or lets them go on.
    pub fn save_space(&self, save: bool) {
        self.inner.db.save_space(save);
    }

    /// Failed flushes and compactions since it was opened.
    pub fn background_errors(&self) -> u64 {
        self.inner.db.background_errors()
    }

    /// Bytes of unsealed points and new series in memory; a flush is due when they are many. Takes no lock.
    pub fn head_bytes(&self) -> u64 {
        self.inner.head_bytes.load(Ordering::Acquire)
    }

    /// How many databases and how many policies were ever dropped here.
    pub fn dropped_count(&self) -> (usize, usize) {
        let state = self.inner.state.read();
        (state.dropped_databases.len(), state.dropped_policies.len())
    }

    /// Whether a database was dropped here.
    pub fn has_dropped_database(&self, database: DatabaseId) -> bool {
        self.inner.state.read().dropped_databases.contains(&database)
    }

    /// Whether a policy was dropped here.
    pub fn has_dropped_policy(&self, policy: RetentionPolicyId) -> bool {
        self.inner.state.read().dropped_policies.contains(&policy)
    }

    /// Whether dropped partitions still take up room on the disk; the next flush frees it.
    pub fn holds_dropped(&self) -> bool {
        self.inner.state.read().holds_dropped()
    }

    /// The database that holds the state now.
    pub(crate) fn rocks(&self) -> Arc<Rocks> {
        self.inner.db.rocks()
    }

    /// Sizes and positions.
    pub fn stats(&self) -> ShardStats {
        let disk_bytes = self.inner.db.disk_bytes();
        let durable = self.durable().index;
        self.inner.state.read().stats(disk_bytes, durable)
    }
}

impl Inner {
    /// Runs one entry's changes and then moves the marker.
    fn apply<T>(
        &self,
        marker: ApplyMarker,
        change: impl FnOnce(&Self) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let _one = self.applying.lock();
        self.check()?;
        let done = self.poison_on(change(self))?;
        let mut state = self.state.write();
        state.marker = marker;
        self.head_bytes.store(state.unflushed_bytes(), Ordering::Release);
        Ok(done)
    }

    fn check(&self) -> Result<(), StorageError> {
        if self.poisoned.load(Ordering::Acquire) { Err(StorageError::Poisoned) } else { Ok(()) }
    }

    /// Closes the store to writes if `result` is an error.
    fn poison_on<T>(&self, result: Result<T, StorageError>) -> Result<T, StorageError> {
        if let Err(error) = &result {
            self.note(error);
            self.poisoned.store(true, Ordering::Release);
        }
        result
    }

    /// Remembers damage that a call came upon.
    fn note(&self, error: &StorageError) {
        if error.is_damage() {
            self.db.report_damage(&error.to_string());
        }
    }
}
