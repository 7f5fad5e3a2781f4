//! The stop signal: SIGTERM and SIGINT, and for children of `steadfast dev` the end of their standard input.
//!
//! `main` creates one [`Shutdown`] and hands its receiver to whatever runs. The first signal asks for a graceful
//! stop; the second one, or a graceful stop that takes too long without a parent to watch it, ends the process.

use std::io::Read;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::info;

/// How long an orphaned node may take for its graceful stop. Nobody is left who could kill it.
const ORPHAN_GRACE: Duration = Duration::from_secs(20);

/// The sending end of the stop signal.
#[derive(Debug, Clone)]
pub struct Shutdown {
    sender: watch::Sender<bool>,
}

impl Shutdown {
    /// Listens for SIGTERM and SIGINT from now on. Must be called inside a runtime.
    ///
    /// # Errors
    ///
    /// When the signal handlers can't be installed.
    pub fn listen() -> std::io::Result<Self> {
        let (sender, _) = watch::channel(false);
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = Self { sender };
        let own = shutdown.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => own.signalled("SIGTERM"),
                    _ = interrupt.recv() => own.signalled("SIGINT"),
                }
            }
        });
        Ok(shutdown)
    }

    /// A receiver that turns true when it is time to stop.
    pub fn receiver(&self) -> watch::Receiver<bool> {
        self.sender.subscribe()
    }

    /// Asks for a graceful stop.
    pub fn stop(&self) {
        self.sender.send_replace(true);
    }

    /// Stops when standard input ends. `steadfast dev` holds the other end of that pipe, so its nodes stop with it,
    /// however it dies.
    pub fn stop_on_stdin_close(&self) {
        let own = self.clone();
        // A plain thread: a blocking task of the runtime would keep the process from ending while it reads.
        std::thread::spawn(move || {
            let mut sink = [0; 256];
            while matches!(std::io::stdin().read(&mut sink), Ok(n) if n > 0) {}
            info!("standard input ended");
            own.stop();
            std::thread::sleep(ORPHAN_GRACE);
            std::process::exit(1);
        });
    }

    fn signalled(&self, name: &str) {
        if *self.sender.borrow() {
            info!(signal = name, "second signal, not waiting any longer");
            std::process::exit(130);
        }
        info!(signal = name, "stopping");
        self.stop();
    }
}

/// Waits until `stop` is true or its sender is gone.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone: nobody could ask for the stop any more.
    let _gone = stop.wait_for(|stop| *stop).await.is_err();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stop_reaches_every_receiver_also_late_ones() {
        let shutdown = Shutdown::listen().expect("signal handlers");
        let mut early = shutdown.receiver();
        shutdown.stop();
        stopped(&mut early).await;
        stopped(&mut shutdown.receiver()).await;
    }
}
