//! Which of a group's directories is live: the LIVE file, replaced atomically.

use crate::error::StorageError;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

const LIVE: &str = "LIVE";
const PREFIX: &str = "db-";
/// Of directories that were found damaged and replaced.
const DAMAGED: &str = "damaged-";

/// The directory to open: the one that LIVE names, or the first one of a new group.
pub(super) fn find(dir: &Path) -> Result<PathBuf, StorageError> {
    fs::create_dir_all(dir).map_err(StorageError::io(dir))?;
    let file = dir.join(LIVE);
    let name = match fs::read_to_string(&file) {
        Ok(name) => name,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(numbered(dir, 1)),
        Err(error) => return Err(StorageError::io(&file)(error)),
    };
    let name = name.trim_end();
    let path = dir.join(name);
    if number_of(name).is_none() || !path.is_dir() {
        return Err(StorageError::damaged("LIVE file: it names no directory of a state database"));
    }
    Ok(path)
}

/// Makes `path`, which was opened, the live directory if none was, and removes the others. `has_state` says whether
/// it holds an applied marker: then LIVE must have been there, because it is written before the first flush.
pub(super) fn adopt(dir: &Path, path: &Path, has_state: bool) -> Result<(), StorageError> {
    if !dir.join(LIVE).exists() {
        if has_state {
            return Err(StorageError::damaged("LIVE file: it is lost, but there is state"));
        }
        switch(dir, path)?;
    }
    for (_, other) in directories(dir, PREFIX)? {
        if other != path {
            fs::remove_dir_all(&other).map_err(StorageError::io(&other))?;
        }
    }
    Ok(())
}

/// Makes the files in `received` durable and moves them to the next free directory.
pub(super) fn move_in(dir: &Path, received: &Path) -> Result<PathBuf, StorageError> {
    for entry in fs::read_dir(received).map_err(StorageError::io(received))? {
        let path = entry.map_err(StorageError::io(received))?.path();
        sync(&path)?;
    }
    sync(received)?;
    let last = directories(dir, PREFIX)?.into_iter().map(|(number, _)| number).max().unwrap_or(0);
    let target = numbered(dir, last.saturating_add(1));
    fs::rename(received, &target).map_err(StorageError::io(received))?;
    sync(dir)?;
    sync_parent(received)?;
    Ok(target)
}

/// Points LIVE to `path`, durably and all at once.
pub(super) fn switch(dir: &Path, path: &Path) -> Result<(), StorageError> {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let new = dir.join("LIVE.new");
    let mut file = File::create(&new).map_err(StorageError::io(&new))?;
    file.write_all(format!("{name}\n").as_bytes()).map_err(StorageError::io(&new))?;
    file.sync_all().map_err(StorageError::io(&new))?;
    drop(file);
    fs::rename(&new, dir.join(LIVE)).map_err(StorageError::io(&new))?;
    sync(dir)?;
    sync_parent(dir)
}

/// Makes a new, empty directory the live one, and renames the others to what [`find`] and [`adopt`] leave alone.
pub(super) fn set_aside(dir: &Path) -> Result<(), StorageError> {
    let old = directories(dir, PREFIX)?;
    let last = old.iter().map(|(number, _)| *number).max().unwrap_or(0);
    let fresh = numbered(dir, last.saturating_add(1));
    fs::create_dir(&fresh).map_err(StorageError::io(&fresh))?;
    // From here on a crash leaves the empty state: whoever opens it sees that it is behind its log.
    switch(dir, &fresh)?;
    for (number, path) in old {
        if !has_tables(&path)? {
            // The empty one of an attempt before this: nothing to look at.
            fs::remove_dir_all(&path).map_err(StorageError::io(&path))?;
            continue;
        }
        for (_, earlier) in directories(dir, DAMAGED)? {
            fs::remove_dir_all(&earlier).map_err(StorageError::io(&earlier))?;
        }
        let aside = dir.join(format!("{DAMAGED}{number:06}"));
        fs::rename(&path, &aside).map_err(StorageError::io(&path))?;
    }
    sync(dir)
}

fn has_tables(path: &Path) -> Result<bool, StorageError> {
    let mut entries = fs::read_dir(path).map_err(StorageError::io(path))?.filter_map(Result::ok);
    Ok(entries.any(|entry| entry.path().extension().is_some_and(|extension| extension == "sst")))
}

/// Makes the entry of `path` in its parent durable.
pub(super) fn sync_parent(path: &Path) -> Result<(), StorageError> {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => sync(Path::new(".")),
        Some(parent) => sync(parent),
        None => Ok(()),
    }
}

fn sync(path: &Path) -> Result<(), StorageError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(StorageError::io(path))
}

fn numbered(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{PREFIX}{number:06}"))
}

fn number_of(name: &str) -> Option<u64> {
    number_after(PREFIX, name)
}

fn number_after(prefix: &str, name: &str) -> Option<u64> {
    name.strip_prefix(prefix)?.parse().ok()
}

/// The directories of this prefix, with their numbers.
fn directories(dir: &Path, prefix: &str) -> Result<Vec<(u64, PathBuf)>, StorageError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(StorageError::io(dir))? {
        let path = entry.map_err(StorageError::io(dir))?.path();
        if let Some(number) = path.file_name().and_then(|n| n.to_str()).and_then(|n| number_after(prefix, n))
        {
            found.push((number, path));
        }
    }
    Ok(found)
}
