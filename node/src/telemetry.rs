//! Logs: `tracing` events to standard error, as text for people or as JSON for collectors. Called once, by `main`.

use crate::config::{LogConfig, LogFormat};
use std::io::IsTerminal;
use tracing::error;
use tracing_subscriber::EnvFilter;

/// Installs the global subscriber and logs panics from then on.
///
/// # Errors
///
/// When `log.level` is no filter or a subscriber is already installed.
pub fn init(config: &LogConfig) -> anyhow::Result<()> {
    let filter = parse_filter(&config.level).map_err(|e| anyhow::anyhow!("log.level: {e}"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let installed = match config.format {
        LogFormat::Human => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    installed.map_err(|e| anyhow::anyhow!("cannot start logging: {e}"))?;
    log_panics();
    Ok(())
}

/// Reads a level (`info`) or a list of directives (`info,raft=debug`).
///
/// # Errors
///
/// The text of what is wrong with it.
pub(crate) fn parse_filter(text: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(text).map_err(|e| e.to_string())
}

/// A panic of a background thread must not only be a line on a terminal that nobody reads.
fn log_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let payload = panic.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let text =
            text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no text)");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        error!(place, text, "panic");
        before(panic);
    }));
}
