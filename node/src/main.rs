//! The binary `steadfast`: parse, load, run, exit code.

use clap::Parser;
use node::cli::{Cli, Command, ServeArgs, print_config};
use node::shutdown::Shutdown;
use node::{config, ctl, dev, load, start, telemetry};
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// What the runtime may take to drop what still hangs after a graceful stop.
const LAST_GRACE: Duration = Duration::from_secs(2);

/// How jemalloc behaves, which RocksDB brings along and all of the process allocates with: few arenas, because each keeps
/// memory of its own and a node has many threads that mostly wait; what is free goes back to the system after a second,
/// by a thread of its own, also when the node is idle.
#[expect(
    unsafe_code,
    reason = "jemalloc reads its options from a symbol of this name and type, a pointer to a C string"
)]
#[unsafe(export_name = "malloc_conf")]
pub static MALLOC_CONF: &[u8; 70] =
    b"background_thread:true,narenas:4,dirty_decay_ms:1000,muzzy_decay_ms:0\0";

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
        Command::Ctl(args) => return Ok(ctl::run(*args).await),
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
