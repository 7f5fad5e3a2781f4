//! Opens the log's RocksDB, checks its format, and finds out what each group has stored.
//!
//! Called once by `LogDb::open`. Everything that can be wrong with the files is found here or when it is read, and is
//! turned into an error that tells the operator what to do.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use model::GroupId;
use rocksdb::{DB, DBRawIterator, ErrorKind, ReadOptions, WriteOptions};

use super::cache::Stored;
use super::error::LogError;
use super::keys::{self, KeyKind};
use super::options::rocksdb_options;
use super::sizes::Sizes;
use super::wal;

/// Opens or creates the log's RocksDB in `dir`.
pub(super) fn open(dir: &Path) -> Result<DB, LogError> {
    let io = |error: std::io::Error| LogError::Open { dir: dir.to_owned(), cause: error.to_string().into() };
    create(dir).map_err(io)?;
    if let Some(file) = wal::damaged(dir).map_err(io)? {
        return Err(damaged(dir, &format!("{} holds records after an unreadable one", file.display())));
    }
    let db = DB::open(&rocksdb_options(), dir).map_err(|error| engine(dir, error))?;
    check_format(dir, &db)?;
    Ok(db)
}

/// Reads what every group has stored.
pub(super) fn stored(dir: &Path, db: &DB) -> Result<HashMap<GroupId, Stored>, LogError> {
    let mut groups: HashMap<GroupId, Stored> = HashMap::new();
    for kind in [KeyKind::Vote, KeyKind::Committed, KeyKind::Purged] {
        let mut records = db.raw_iterator();
        records.seek([kind as u8]);
        while let Some(group) = records.key().and_then(|key| keys::parse_group(kind, key)) {
            let value = records.value().unwrap_or_default();
            set(groups.entry(group).or_default(), kind, value)
                .ok_or_else(|| damaged(dir, &format!("unreadable record {kind:?} of group {group}")))?;
            records.next();
        }
        status(dir, &records)?;
    }
    load_entries(dir, db, &mut groups)?;
    Ok(groups)
}

/// Creates `dir` and makes its name durable.
fn create(dir: &Path) -> std::io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(dir)?;
    match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

fn check_format(dir: &Path, db: &DB) -> Result<(), LogError> {
    match db.get(keys::FORMAT).map_err(|error| engine(dir, error))?.as_deref() {
        Some([keys::VERSION]) => Ok(()),
        Some([found]) => Err(LogError::Format { dir: dir.to_owned(), found: *found, known: keys::VERSION }),
        Some(_) => Err(damaged(dir, "unreadable format record")),
        None => {
            let mut first = db.raw_iterator();
            first.seek_to_first();
            if first.valid() {
                return Err(damaged(dir, "the format record is missing"));
            }
            status(dir, &first)?;
            let mut options = WriteOptions::default();
            options.set_sync(true);
            db.put_opt(keys::FORMAT, [keys::VERSION], &options).map_err(|error| engine(dir, error))
        }
    }
}

/// Reads all entries: the first and last of every group, and how many bytes they are. Damage in the middle of the log is
/// found now, and not when a follower asks for that entry one day. The log is as long as its budget, so that takes
/// less than a second.
fn load_entries(dir: &Path, db: &DB, groups: &mut HashMap<GroupId, Stored>) -> Result<(), LogError> {
    let mut options = ReadOptions::default();
    options.fill_cache(false);
    options.set_readahead_size(1 << 20);
    let mut entries = db.raw_iterator_opt(options);
    entries.seek(keys::entry(GroupId(0), 0));
    let mut before: Option<(GroupId, u64)> = None;
    let mut last = HashMap::new();
    while let Some((group, index)) = entries.key().and_then(keys::parse_entry) {
        let value = entries.value().unwrap_or_default();
        let stored = groups.entry(group).or_default();
        let goes_on = before.is_some_and(|(same, last)| same == group && last + 1 == index);
        let purged = stored.purged.as_ref().map(|(purged, _)| *purged);
        if !goes_on {
            if stored.first.is_some() && purged.is_none_or(|purged| index > purged.saturating_add(1)) {
                return Err(damaged(dir, &format!("entries before {index} of group {group} are missing")));
            }
            // What lies before a gap below the purged index is purged as well.
            stored.sizes = Sizes::default();
            stored.first.get_or_insert(index);
        }
        stored.sizes.push(index, value.len());
        last.insert(group, index);
        before = Some((group, index));
        entries.next();
    }
    status(dir, &entries)?;
    for (group, index) in last {
        let value =
            db.get(keys::entry(group, index)).map_err(|error| engine(dir, error))?.unwrap_or_default();
        groups.entry(group).or_default().last = Some((index, Bytes::from(value)));
    }
    for (group, stored) in groups {
        if let (Some(first), Some((purged, _))) = (stored.first, &stored.purged)
            && first > purged.saturating_add(1)
        {
            return Err(damaged(dir, &format!("entries before {first} of group {group} are missing")));
        }
    }
    Ok(())
}

fn set(stored: &mut Stored, kind: KeyKind, value: &[u8]) -> Option<()> {
    match kind {
        KeyKind::Vote => stored.vote = Some(Bytes::copy_from_slice(keys::parse_value(value)?)),
        KeyKind::Committed => stored.committed = Some(Bytes::copy_from_slice(keys::parse_value(value)?)),
        KeyKind::Purged => {
            let (index, marker) = keys::parse_purged(value)?;
            stored.purged = Some((index, Bytes::copy_from_slice(marker)));
        }
        KeyKind::Entry | KeyKind::Format => {}
    }
    Some(())
}

fn status(dir: &Path, iterator: &DBRawIterator) -> Result<(), LogError> {
    iterator.status().map_err(|error| engine(dir, error))
}

fn engine(dir: &Path, error: rocksdb::Error) -> LogError {
    match error.kind() {
        ErrorKind::Corruption => damaged(dir, error.as_ref()),
        _ => LogError::Open { dir: dir.to_owned(), cause: error.into_string().into() },
    }
}

fn damaged(dir: &Path, cause: &str) -> LogError {
    LogError::Damaged { dir: dir.to_owned(), cause: Arc::from(cause) }
}
