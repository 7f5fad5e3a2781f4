//! What a crash leaves of a node's disk: everything that was synced, and of the rest nothing.
//!
//! Table files, manifests and the small files of an identity are synced by those who write them before anybody counts on
//! them. The write-ahead log of the Raft log is not: its files are cut back to where they ended when the writer last
//! synced. The states of the groups have no write-ahead log at all, so what was not flushed is not in their files; they
//! are copied while the node still has them open, because closing would flush.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How far the files of a log were synced.
#[derive(Debug, Clone, Default)]
pub struct Synced(BTreeMap<PathBuf, u64>);

impl Synced {
    /// Everything that is in `log_dir` now was synced.
    pub fn note(&mut self, log_dir: &Path) -> io::Result<()> {
        self.0.clear();
        for entry in fs::read_dir(log_dir)? {
            let entry = entry?;
            if is_wal(&entry.path()) {
                self.0.insert(entry.path(), entry.metadata()?.len());
            }
        }
        Ok(())
    }

    /// Copies what a crash leaves of `from` to `to`; answers how many bytes are lost.
    pub fn crash(&self, from: &Path, to: &Path) -> io::Result<u64> {
        let mut lost = 0;
        // Tables first and last: one that a compaction replaces in between is wanted by the old manifest or the new one.
        self.copy(from, to, true, &mut lost)?;
        lost = 0;
        self.copy(from, to, false, &mut lost)?;
        self.copy(from, to, true, &mut lost)?;
        Ok(lost)
    }

    fn copy(&self, from: &Path, to: &Path, tables: bool, lost: &mut u64) -> io::Result<()> {
        fs::create_dir_all(to)?;
        let mut entries = fs::read_dir(from)?.collect::<io::Result<Vec<_>>>()?;
        // CURRENT names a manifest, so it is read before a newer one is.
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (path, target) = (entry.path(), to.join(entry.file_name()));
            if entry.file_type()?.is_dir() {
                self.copy(&path, &target, tables, lost)?;
            } else if path.extension().is_some_and(|extension| extension == "sst") {
                if tables && !target.exists() {
                    ignore_missing(fs::hard_link(&path, &target))?;
                }
            } else if !tables {
                ignore_missing(fs::copy(&path, &target).map(drop))?;
                if is_wal(&path) && path.parent().is_some_and(|dir| dir.ends_with("raftlog")) {
                    let size = fs::metadata(&target)?.len();
                    let kept = self.0.get(&path).copied().unwrap_or(0).min(size);
                    fs::File::options().write(true).open(&target)?.set_len(kept)?;
                    *lost += size - kept;
                }
            }
        }
        Ok(())
    }
}

fn is_wal(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "log")
}

/// Whoever lists a directory may find that a file is gone when it comes to it.
fn ignore_missing(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_takes_what_was_not_synced_of_the_log_only() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("a"), dir.path().join("b"));
        let (log, state) = (from.join("raftlog"), from.join("groups/g1/state"));
        for dir in [&log, &state] {
            fs::create_dir_all(dir).unwrap();
        }
        fs::write(log.join("000004.log"), b"synced").unwrap();
        fs::write(state.join("000007.sst"), b"table").unwrap();
        let mut synced = Synced::default();
        synced.note(&log).unwrap();
        fs::write(log.join("000004.log"), b"synced, and not").unwrap();
        fs::write(log.join("000009.log"), b"new").unwrap();
        assert_eq!(synced.crash(&from, &to).unwrap(), 12);
        assert_eq!(fs::read(to.join("raftlog/000004.log")).unwrap(), b"synced");
        assert_eq!(fs::read(to.join("raftlog/000009.log")).unwrap(), b"");
        assert_eq!(fs::read(to.join("groups/g1/state/000007.sst")).unwrap(), b"table");
    }
}
