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

    /// Publishes a catalog. An older one is left out: a replica that was opened anew goes through the past once more,
    /// and nobody else should.
    fn publish(&self, catalog: &Arc<Catalog>) {
        let newer = self.version.send_if_modified(|version| {
            let newer = catalog.version >= *version;
            if newer {
                *version = catalog.version;
                self.current.store(Arc::clone(catalog));
            }
            newer
        });
        tracing::trace!(version = catalog.version, newer, "catalog");
    }
}

/// The meta group's state.
#[derive(Debug)]
pub(crate) struct MetaState {
    db: StateDb,
    /// Where everybody reads.
    published: Arc<CatalogCell>,
    checksums: Arc<Checksums>,
    applied: Mutex<Applied>,
}

/// The catalog in memory and what it is at; they change, and are written, together.
#[derive(Debug)]
struct Applied {
    catalog: Arc<Catalog>,
    marker: ApplyMarker,
}

impl MetaState {
    /// Opens the state database, reads the catalog and publishes it.
    pub(crate) fn open(
        dir: &Path,
        shared: &Shared,
        checksums: Arc<Checksums>,
        published: Arc<CatalogCell>,
    ) -> Result<Self, StateError> {
        let db = StateDb::open(dir, shared)?;
        let catalog = read_catalog(&db)?;
        published.publish(&catalog);
        let applied = Mutex::new(Applied { catalog, marker: db.applied() });
        Ok(Self { db, published, checksums, applied })
    }

    /// Puts catalog and marker into the database; the next flush makes them durable.
    fn put(&self, applied: &Applied) -> Result<(), StateError> {
        let bytes = proto::encode_catalog(&applied.catalog);
        Ok(self.db.put_blob(CATALOG, &bytes, &applied.marker)?)
    }
}

fn read_catalog(db: &StateDb) -> Result<Arc<Catalog>, StateError> {
    match db.get_blob(CATALOG)? {
        Some(bytes) => Ok(Arc::new(proto::decode_catalog(&bytes)?)),
        None => Ok(Arc::default()),
    }
}

impl GroupState for MetaState {
    fn applied(&self) -> ApplyMarker {
        self.applied.lock().marker.clone()
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
                let mut next = Catalog::clone(&applied.catalog);
                let done = next.apply(&command);
                applied.catalog = Arc::new(next);
                self.published.publish(&applied.catalog);
                done.map_or_else(|error| Outcome::Refused(error.to_string()), |()| Outcome::Done)
            }
            MetaCommand::Checksum(token) => {
                let value = u64::from(crc32fast::hash(&proto::encode_catalog(&applied.catalog)));
                self.checksums.insert(token, ChecksumAt { index: marker.index, value });
                Outcome::Done
            }
        };
        applied.marker = marker;
        Ok(outcome)
    }

    fn advance(&self, marker: ApplyMarker) -> Result<(), StateError> {
        self.applied.lock().marker = marker;
        Ok(())
    }

    fn damage(&self) -> Option<String> {
        self.db.damage()
    }

    fn report_damage(&self, what: &str) {
        self.db.report_damage(what);
    }

    fn background_errors(&self) -> u64 {
        self.db.background_errors()
    }

    fn save_space(&self, save: bool) {
        self.db.save_space(save);
    }

    fn memory_bytes(&self) -> u64 {
        0
    }

    fn holds_dropped(&self) -> bool {
        false
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
        *applied = Applied { catalog: read_catalog(&self.db)?, marker: marker.clone() };
        self.published.publish(&applied.catalog);
        Ok(marker)
    }
}
