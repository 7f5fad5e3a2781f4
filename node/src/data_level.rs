//! What level the data directory is written at: a version that cannot read it does not start on it.
//!
//! The file `format.toml` names the feature level of the cluster whose data this is, and the version that wrote it last. It
//! follows the catalog; a directory from before there were levels has none.

use crate::coordinator::NodeCoordinator;
use crate::identity::write_durably;
use model::feature_level::{FEATURE_LEVEL, level_told};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

const FORMAT_FILE: &str = "format.toml";
/// Pause before it is written again after a failure.
const RETRY: Duration = Duration::from_secs(1);
/// The environment variable that makes this version pass for one that knows another feature level, for tests of upgrades
/// with whole processes.
const LEVEL_VARIABLE: &str = "STEADFAST_FAULT_FEATURE_LEVEL";

/// The newest feature level that this node knows.
pub(crate) fn known_level() -> u32 {
    let told = std::env::var(LEVEL_VARIABLE).ok().and_then(|text| text.parse().ok());
    told.unwrap_or(FEATURE_LEVEL)
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Format {
    feature_level: u32,
    version: String,
}

/// Why a node must not start on its data directory.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FormatError {
    /// The file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file says nothing.
    #[error("{path} is damaged: {reason}; it holds feature_level and version of what wrote the data here",
        path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What did not fit.
        reason: String,
    },
    /// It was written by a later version.
    #[error("the data in {dir} is written at feature level {written}, by version {version}; this is version {own}, which \
        knows levels up to {known}: start version {version} or a newer one", dir = dir.display(),
        own = env!("CARGO_PKG_VERSION"))]
    TooNew {
        /// The data directory.
        dir: PathBuf,
        /// Its level.
        written: u32,
        /// Who wrote it last.
        version: String,
        /// What this version knows.
        known: u32,
    },
}

/// Makes sure that this node can read what its data directory holds.
///
/// # Errors
///
/// [`FormatError`] if it cannot, or if that is not known. Nothing was changed.
pub(crate) fn check(dir: &Path, known: u32) -> Result<(), FormatError> {
    let path = dir.join(FORMAT_FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(FormatError::Io { path, source }),
    };
    let damaged = |error: toml::de::Error| FormatError::Damaged { path, reason: error.message().to_owned() };
    let Format { feature_level, version } = toml::from_str(&text).map_err(damaged)?;
    if feature_level > known {
        return Err(FormatError::TooNew { dir: dir.to_owned(), written: feature_level, version, known });
    }
    Ok(())
}

/// Keeps the file as the catalog says, for as long as the node runs.
pub(crate) async fn follow(node: Arc<NodeCoordinator>, dir: PathBuf) {
    let mut versions = node.host.watch_catalog();
    let mut written = None;
    loop {
        let level = level_told(node.host.catalog().feature_level);
        if written != Some(level) {
            let dir = dir.clone();
            match tokio::task::spawn_blocking(move || note(&dir, level)).await {
                Ok(Ok(())) => written = Some(level),
                Ok(Err(error)) => tracing::warn!(%error, "feature level not noted"),
                Err(error) => tracing::error!(%error, "noting the feature level panicked"),
            }
        }
        if written != Some(level) {
            // A disk that was full may have room again.
            sleep(RETRY).await;
        } else if versions.changed().await.is_err() {
            return;
        }
    }
}

/// Writes the file if it says something else.
fn note(dir: &Path, feature_level: u32) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let format = Format { feature_level, version: env!("CARGO_PKG_VERSION").to_owned() };
    let text = toml::to_string(&format)?;
    if std::fs::read_to_string(dir.join(FORMAT_FILE)).is_ok_and(|there| there == text) {
        return Ok(());
    }
    Ok(write_durably(dir, FORMAT_FILE, &text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_a_later_level_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        check(dir.path(), 1).unwrap();
        note(dir.path(), 2).unwrap();
        check(dir.path(), 2).unwrap();
        let refused = check(dir.path(), 1).unwrap_err().to_string();
        assert!(refused.contains("at feature level 2") && refused.contains("up to 1"), "{refused}");
        std::fs::write(dir.path().join(FORMAT_FILE), "feature_level = 'x'").unwrap();
        assert!(matches!(check(dir.path(), 1), Err(FormatError::Damaged { .. })));
    }
}
