//! A directory of one test, kept when the test fails.

use crate::report;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A fresh directory below the system's temporary one. Dropping it removes it, unless the thread is panicking: then the
/// logs and the data are the evidence, and the path is printed.
#[derive(Debug)]
pub struct WorkDir {
    path: PathBuf,
}

impl WorkDir {
    /// Creates the directory; `name` appears in its path.
    pub fn new(name: &str) -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("steadfast-{name}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path)
            .unwrap_or_else(|error| panic!("cannot create {}: {error}", path.display()));
        Self { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        if std::thread::panicking() {
            report::say(&format!("kept for inspection: {}", self.path.display()));
        } else if let Err(error) = std::fs::remove_dir_all(&self.path) {
            report::say(&format!("could not remove {}: {error}", self.path.display()));
        }
    }
}
