//! Logs: `tracing` events to standard error, as text for people or as JSON for collectors; and the audit log, to a file of
//! its own. Called once, by `main`.

use crate::config::{LogConfig, LogFormat};
use anyhow::Context;
use std::fs::File;
use std::io::{IsTerminal, Stderr};
use std::sync::Arc;
use tracing::{Level, error};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{DefaultFields, Format};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

/// The target of the audit log's events.
const AUDIT: &str = "audit";

/// Installs the global subscriber and logs panics from then on.
///
/// # Errors
///
/// When `log.level` is no filter, `log.audit_file` cannot be opened, or a subscriber is already installed.
pub fn init(config: &LogConfig) -> anyhow::Result<()> {
    let filter = parse_filter(&with_audit(&config.level)).map_err(|e| anyhow::anyhow!("log.level: {e}"))?;
    let events: Box<dyn Layer<Registry> + Send + Sync> = match config.format {
        LogFormat::Human => stderr().boxed(),
        LogFormat::Json => stderr().json().flatten_event(true).boxed(),
    };
    let installed = if config.audit_file.is_empty() {
        // One filter for everything: what it leaves out costs nothing where it would be written.
        tracing_subscriber::registry().with(events).with(filter).try_init()
    } else {
        let path = &config.audit_file;
        let file = File::options().create(true).append(true).open(path);
        let file = file.with_context(|| format!("cannot open log.audit_file {path}"))?;
        let audit = tracing_subscriber::fmt::layer().json().flatten_event(true).with_ansi(false);
        let audit = audit.with_writer(Arc::new(file));
        let audit = audit.with_filter(Targets::new().with_target(AUDIT, Level::INFO));
        tracing_subscriber::registry().with(events.with_filter(filter)).with(audit).try_init()
    };
    installed.map_err(|e| anyhow::anyhow!("cannot start logging: {e}"))?;
    log_panics();
    Ok(())
}

/// Writes events as text to standard error.
fn stderr() -> tracing_subscriber::fmt::Layer<Registry, DefaultFields, Format, fn() -> Stderr> {
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr as fn() -> Stderr);
    layer.with_ansi(std::io::stderr().is_terminal())
}

/// The level with the audit log in it, unless it says something about that itself.
fn with_audit(level: &str) -> String {
    if level.contains(AUDIT) { level.to_owned() } else { format!("{level},{AUDIT}=info") }
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
