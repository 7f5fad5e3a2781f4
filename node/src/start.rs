//! Wires one node together and runs it until it is told to stop. Called by `main` for `steadfast serve`.

use crate::config::Config;
use tokio::sync::watch;

/// Runs one node until `stop` becomes true or something it cannot live without fails.
///
/// # Errors
///
/// Whatever kept the node from starting or made it stop.
#[expect(clippy::unused_async, reason = "the signature that main calls")]
pub async fn run(config: Config, stop: watch::Receiver<bool>) -> anyhow::Result<()> {
    drop((config, stop));
    anyhow::bail!("this build has no node in it")
}
