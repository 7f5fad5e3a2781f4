//! Reading the log: from the newest entries in memory where it can, else from disk.

use std::ops::Range;

use bytes::Bytes;
use model::GroupId;
use rocksdb::{DBRawIterator, ReadOptions};

use super::cache::ReadPlan;
use super::error::LogError;
use super::{LogDb, keys};

/// What a group's log holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogBounds {
    /// The last purged index and its marker.
    pub purged: Option<(u64, Bytes)>,
    /// The last entry; `None` if all were purged or there never was one.
    pub last: Option<(u64, Bytes)>,
}

impl LogDb {
    /// Reads entries of a group in order, without a gap: those of `range` that exist, up to and including the entry
    /// that reaches `max_bytes`, so at least one if there is any. May block on the disk; see [`LogDb::read_cached`].
    ///
    /// # Errors
    ///
    /// [`LogError::Read`] if stored entries are unreadable or missing, [`LogError::Poisoned`].
    pub fn read(
        &self,
        group: GroupId,
        range: Range<u64>,
        max_bytes: usize,
    ) -> Result<Vec<(u64, Bytes)>, LogError> {
        self.check()?;
        let log = self.group(group);
        let (ReadPlan { disk, cached }, entries) = {
            // The iterator is made under the lock: it then sees what the plan saw, whatever is written meanwhile.
            let log = log.lock();
            let plan = log.plan(range, max_bytes);
            let entries = (!plan.disk.is_empty()).then(|| self.entries(group, &plan.disk));
            (plan, entries)
        };
        let Some(entries) = entries else { return Ok(cached) };
        self.counters.observe_disk_read();
        let mut found = read_disk(group, disk.clone(), max_bytes, entries)?;
        if found.len() as u64 == disk.end - disk.start {
            let mut bytes: usize = found.iter().map(|(_, entry)| entry.len()).sum();
            for (index, entry) in cached {
                if bytes >= max_bytes {
                    break;
                }
                bytes += entry.len();
                found.push((index, entry));
            }
        }
        Ok(found)
    }

    /// Reads like [`LogDb::read`], but only if memory holds the whole answer: never blocks. `None` if it does not.
    ///
    /// # Errors
    ///
    /// [`LogError::Poisoned`].
    pub fn read_cached(
        &self,
        group: GroupId,
        range: Range<u64>,
        max_bytes: usize,
    ) -> Result<Option<Vec<(u64, Bytes)>>, LogError> {
        self.check()?;
        let plan = self.group(group).lock().plan(range, max_bytes);
        Ok(plan.disk.is_empty().then_some(plan.cached))
    }

    /// The purged marker and the last entry of a group, durable or not. May block on the disk.
    ///
    /// # Errors
    ///
    /// As for [`LogDb::read`].
    pub fn bounds(&self, group: GroupId) -> Result<LogBounds, LogError> {
        self.check()?;
        let (purged, last) = {
            let log = self.group(group);
            let log = log.lock();
            (log.purged(), log.last())
        };
        let last = match last {
            Some(last) => self.read(group, last..last + 1, 1)?.pop(),
            None => None,
        };
        Ok(LogBounds { purged, last })
    }

    fn entries(&self, group: GroupId, range: &Range<u64>) -> DBRawIterator<'_> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(keys::entry(group, range.end));
        let mut entries = self.db.raw_iterator_opt(options);
        entries.seek(keys::entry(group, range.start));
        entries
    }
}

/// Reads `range`, all of which must exist, until `max_bytes` are reached.
fn read_disk(
    group: GroupId,
    range: Range<u64>,
    max_bytes: usize,
    mut entries: DBRawIterator<'_>,
) -> Result<Vec<(u64, Bytes)>, LogError> {
    let mut found = Vec::new();
    let mut bytes = 0;
    for index in range {
        if bytes >= max_bytes && !found.is_empty() {
            break;
        }
        let item = entries.item().filter(|(key, _)| keys::parse_entry(key) == Some((group, index)));
        let Some((_, value)) = item else {
            let cause =
                entries.status().err().map_or("the entry is missing".to_owned(), rocksdb::Error::into_string);
            return Err(LogError::Read { group, index, cause: cause.into() });
        };
        bytes += value.len();
        found.push((index, Bytes::copy_from_slice(value)));
        entries.next();
    }
    Ok(found)
}
