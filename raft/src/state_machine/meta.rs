//! The state of the meta group: the whole catalog, in memory, written to the state database at a flush.

use super::checksums::{ChecksumAt, Checksums};
use super::{GroupState, StateError};
use crate::command::{MetaCommand, Outcome};
use arc_swap::ArcSwap;
use bytes::Bytes;
use model::catalog::Catalog;
use parking_lot::Mutex;
use std::path::Path;
use std::sync::Arc;
use storage::{ApplyMarker, Shared, StateDb};
use tokio::sync::watch;

/// Name of the one blob.
const CATALOG: &str = "catalog";

/// The catalog as everybody on this node reads it.
#[derive(Debug)]
pub(crate) struct CatalogCell {
    current: ArcSwap<Catalog>,
    version: watch::Sender<u64>,
}

impl CatalogCell {
    pub(crate) fn new(catalog: Catalog) -> Self {
        let (version, _) = watch::channel(catalog.version);
        Self { current: ArcSwap::from_pointee(catalog), version }
    }

    pub(crate) fn load(&self) -> Arc<Catalog> {
        self.current.load_full()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    fn store(&self, catalog: Catalog) {
        let version = catalog.version;
        self.current.store(Arc::new(catalog));
        self.version.send_replace(version);
    }
}

/// The meta group's state.
#[derive(Debug)]
pub(crate) struct MetaState {
    db: StateDb,
    catalog: Arc<CatalogCell>,
    checksums: Arc<Checksums>,
    /// What the catalog in memory is at. Held while catalog and marker change or are written.
    applied: Mutex<ApplyMarker>,
}

impl MetaState {
    /// Opens the state database and reads the catalog.
    pub(crate) fn open(dir: &Path, shared: &Shared, checksums: Arc<Checksums>) -> Result<Self, StateError> {
        let db = StateDb::open(dir, shared)?;
        let catalog = read_catalog(&db)?;
        let applied = Mutex::new(db.applied());
        Ok(Self { db, catalog: Arc::new(CatalogCell::new(catalog)), checksums, applied })
    }

    pub(crate) fn catalog(&self) -> Arc<CatalogCell> {
        Arc::clone(&self.catalog)
    }

    /// Puts catalog and marker into the database; the next flush makes them durable.
    fn put(&self, applied: &ApplyMarker) -> Result<(), StateError> {
        let bytes = proto::encode_catalog(&self.catalog.load());
        Ok(self.db.put_blob(CATALOG, &bytes, applied)?)
    }
}

fn read_catalog(db: &StateDb) -> Result<Catalog, StateError> {
    match db.get_blob(CATALOG)? {
        Some(bytes) => Ok(proto::decode_catalog(&bytes)?),
        None => Ok(Catalog::default()),
    }
}

impl GroupState for MetaState {
    fn applied(&self) -> ApplyMarker {
        self.applied.lock().clone()
    }

    fn durable(&self) -> ApplyMarker {
        self.db.durable()
    }

    fn apply(&self, command: &Bytes, marker: ApplyMarker) -> Result<Outcome, StateError> {
        let mut applied = self.applied.lock();
        let command = MetaCommand::decode(command)
            .map_err(|source| StateError::Command { index: marker.index, source })?;
        let outcome = match command {
            MetaCommand::Catalog(command) => {
                let mut next = Catalog::clone(&self.catalog.load());
                let applied = next.apply(&command);
                self.catalog.store(next);
                applied.map_or_else(|error| Outcome::Refused(error.to_string()), |()| Outcome::Done)
            }
            MetaCommand::Checksum(token) => {
                let value = u64::from(crc32fast::hash(&proto::encode_catalog(&self.catalog.load())));
                self.checksums.insert(token, ChecksumAt { index: marker.index, value });
                Outcome::Done
            }
        };
        *applied = marker;
        Ok(outcome)
    }

    fn advance(&self, marker: ApplyMarker) -> Result<(), StateError> {
        *self.applied.lock() = marker;
        Ok(())
    }

    fn memory_bytes(&self) -> u64 {
        0
    }

    fn flush(&self) -> Result<ApplyMarker, StateError> {
        let applied = self.applied.lock();
        self.put(&applied)?;
        Ok(self.db.flush()?)
    }

    fn checkpoint(&self, target: &Path) -> Result<ApplyMarker, StateError> {
        let applied = self.applied.lock();
        self.put(&applied)?;
        Ok(self.db.checkpoint(target)?)
    }

    fn install(&self, received: &Path, index: u64) -> Result<ApplyMarker, StateError> {
        let mut applied = self.applied.lock();
        let marker = self.db.install(received, index)?;
        self.catalog.store(read_catalog(&self.db)?);
        applied.clone_from(&marker);
        Ok(marker)
    }
}
