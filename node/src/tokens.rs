//! The tokens of the admin API: files, so that no secret is in a flag, a variable or a log; read again when they change.

use crate::config::AdminConfig;
use api::{AdminTokens, Role};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// Pause between two looks at the files.
const LOOK: Duration = Duration::from_secs(1);

/// Why tokens cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("cannot read {option} {path}")]
    Unreadable {
        option: &'static str,
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{option} {path} is empty")]
    Empty { option: &'static str, path: String },
}

/// The files, and what they hold.
#[derive(Debug)]
pub(crate) struct TokenFiles {
    files: Vec<(&'static str, Role, String)>,
    tokens: watch::Sender<Arc<AdminTokens>>,
    /// What was last complained of: not once a second.
    complaint: Mutex<String>,
}

impl TokenFiles {
    /// Reads the files that the configuration names. Blocks.
    ///
    /// # Errors
    ///
    /// [`TokenError`] names the file that is wrong.
    pub(crate) fn open(config: &AdminConfig) -> Result<Arc<Self>, TokenError> {
        let files = [
            ("admin.token_file", Role::Operate, &config.token_file),
            ("admin.read_token_file", Role::Read, &config.read_token_file),
        ];
        let named = files.into_iter().filter(|(_, _, path)| !path.is_empty());
        let files: Vec<_> = named.map(|(option, role, path)| (option, role, path.clone())).collect();
        let tokens = watch::Sender::new(Arc::new(read(&files)?));
        Ok(Arc::new(Self { files, tokens, complaint: Mutex::default() }))
    }

    /// The tokens that are accepted now.
    pub(crate) fn tokens(&self) -> watch::Receiver<Arc<AdminTokens>> {
        self.tokens.subscribe()
    }

    /// Follows the files until it is dropped.
    pub(crate) async fn follow(self: Arc<Self>) {
        if self.files.is_empty() {
            return;
        }
        loop {
            sleep(LOOK).await;
            let files = Arc::clone(&self);
            if let Err(error) = tokio::task::spawn_blocking(move || files.look()).await {
                tracing::error!(%error, "looking for new tokens panicked");
            }
        }
    }

    /// Takes up what is new; files that cannot be used leave the old tokens in force. Blocks.
    fn look(&self) {
        match read(&self.files) {
            Ok(tokens) => {
                self.complaint.lock().clear();
                let changed = self.tokens.send_if_modified(|current| {
                    let changed = **current != tokens;
                    if changed {
                        *current = Arc::new(tokens);
                    }
                    changed
                });
                if changed {
                    tracing::info!("new tokens of the admin API");
                }
            }
            Err(error) => {
                let error = format!("{:#}", anyhow::Error::from(error));
                let mut complaint = self.complaint.lock();
                if *complaint != error {
                    tracing::error!(error, "new tokens of the admin API refused; the old ones stay");
                    *complaint = error;
                }
            }
        }
    }
}

fn read(files: &[(&'static str, Role, String)]) -> Result<AdminTokens, TokenError> {
    let mut tokens = AdminTokens::default();
    for &(option, role, ref path) in files {
        let text = std::fs::read_to_string(path).map_err(|source| TokenError::Unreadable {
            option,
            path: path.clone(),
            source,
        })?;
        if tokens.add(role, &text) == 0 {
            return Err(TokenError::Empty { option, path: path.clone() });
        }
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_tokens_are_taken_up_and_an_empty_file_is_not() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("token");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        let defaults = crate::config::load(&crate::config::Sources::default()).unwrap().admin;
        let config = AdminConfig { token_file: path.display().to_string(), ..defaults };
        assert!(matches!(TokenFiles::open(&config), Err(TokenError::Unreadable { .. })));
        write(" \n");
        assert!(matches!(TokenFiles::open(&config), Err(TokenError::Empty { .. })));

        write("one");
        let files = TokenFiles::open(&config).unwrap();
        let first = Arc::clone(&files.tokens().borrow());
        files.look();
        assert!(Arc::ptr_eq(&first, &files.tokens().borrow()), "nothing has changed");
        write("one\ntwo");
        files.look();
        let second = Arc::clone(&files.tokens().borrow());
        assert_ne!(first, second);
        write("");
        files.look();
        std::fs::remove_file(&path).unwrap();
        files.look();
        assert_eq!(second, *files.tokens().borrow(), "nobody is let in, nor out, by a file that is gone");
    }
}
