//! The binary `steadfast`: parse, load, run, exit code.

use clap::Parser;
use node::cli::{Cli, Command, ServeArgs, print_config};
use node::shutdown::Shutdown;
use node::{config, dev, load, start, telemetry};
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// What the runtime may take to drop what still hangs after a graceful stop.
const LAST_GRACE: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let cli = Cli::parse();
    let finished = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let finished = runtime.block_on(run(cli));
            runtime.shutdown_timeout(LAST_GRACE);
            finished
        }
        Err(error) => Err(error.into()),
    };
    finished.unwrap_or_else(|error| {
        drop(writeln!(std::io::stderr(), "steadfast: {error:#}"));
        ExitCode::FAILURE
    })
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let shutdown = Shutdown::listen()?;
    match cli.command {
        Command::Serve(args) if args.print_config => print_config(&args)?,
        Command::Serve(args) => serve(*args, &shutdown).await?,
        Command::Dev(args) => dev::run(args, shutdown.receiver()).await?,
        Command::Load(args) => return load::run(*args, shutdown.receiver()).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve(args: ServeArgs, shutdown: &Shutdown) -> anyhow::Result<()> {
    let config = config::load(&args.sources())?;
    telemetry::init(&config.log)?;
    if args.exit_on_stdin_close {
        shutdown.stop_on_stdin_close();
    }
    start::run(config, shutdown.receiver()).await
}
