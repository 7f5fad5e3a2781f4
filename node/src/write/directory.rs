//! What preparing a body asks of the local replicas: which series they know, and how many there are. Every node has a
//! replica of every group, so nobody else need be asked; a replica that is behind only makes a known series look new.

use model::{DatabaseId, GroupId, SeriesId, TagPredicate};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;
use storage::{KeyHash, ShardStore};

/// The series of one database, in all groups.
pub trait SeriesDirectory: Send + Sync + Debug {
    /// Appends the id of each series of a group, or `None` for those it does not know.
    fn lookup(&self, group: GroupId, hashes: &[KeyHash], found: &mut Vec<Option<SeriesId>>);

    /// Number of series that have points.
    fn series_count(&self) -> u64;

    /// Number of different values of a tag among the series of a measurement: exact from `limit` on, below it at
    /// least as many as there are.
    fn value_count(&self, measurement: &str, tag: &str, limit: u64) -> u64;

    /// Whether some series of the measurement has this value of the tag.
    fn has_value(&self, measurement: &str, tag: &str, value: &str) -> bool;
}

/// The local replicas of the data groups.
#[derive(Debug)]
pub struct Replicas {
    /// The database.
    pub database: DatabaseId,
    /// A replica of each group; what a group without one knows is not known.
    pub stores: BTreeMap<GroupId, Arc<ShardStore>>,
}

impl SeriesDirectory for Replicas {
    fn lookup(&self, group: GroupId, hashes: &[KeyHash], found: &mut Vec<Option<SeriesId>>) {
        match self.stores.get(&group) {
            Some(store) => store.lookup_hashes(hashes, found),
            None => found.extend(hashes.iter().map(|_| None)),
        }
    }

    fn series_count(&self) -> u64 {
        self.stores.values().map(|store| store.series_count(self.database)).sum()
    }

    /// A value that series of several groups have counts once, so the sum over the groups is only an upper bound. It
    /// costs nothing and is enough while it lies below the limit; from there on the values are counted one by one.
    fn value_count(&self, measurement: &str, tag: &str, limit: u64) -> u64 {
        let counts = self.stores.values().map(|s| s.tag_value_count(self.database, measurement, tag));
        let bound: u64 = counts.sum();
        if bound < limit {
            return bound;
        }
        let mut values: BTreeSet<Arc<str>> = BTreeSet::new();
        for store in self.stores.values() {
            values.append(&mut store.reader().tag_values(
                self.database,
                measurement,
                tag,
                &TagPredicate::All,
            ));
        }
        values.len() as u64
    }

    fn has_value(&self, measurement: &str, tag: &str, value: &str) -> bool {
        self.stores.values().any(|store| store.has_tag_value(self.database, measurement, tag, value))
    }
}
