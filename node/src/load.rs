//! `steadfast load`: a collector in front of any server that speaks the InfluxDB 1.x HTTP API.
//!
//! It is either a simulated Heapster ([`cluster`], [`metrics`]) or a recorded one ([`replay`]); both feed the same
//! bounded queue of requests, which [`sender`] empties over all servers and [`report`] counts. It knows nothing of
//! Steadfast's insides, so it measures a real influxd just as well.

mod cluster;
mod metrics;
mod pace;
mod random;
mod replay;
mod report;
mod sender;
mod verify;

use crate::cli::{LoadArgs, note, say};
use anyhow::{Context, bail};
use cluster::Cluster;
use pace::Pace;
use report::Report;
use sender::{Batch, Sender, request};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// Writes until the work is done or `stop` becomes true, then prints a JSON summary. The exit code is 1 when a batch was
/// refused or given up, or when `--verify` found other counts than were acknowledged.
///
/// # Errors
///
/// When no server can be reached, or the recording can't be read.
pub async fn run(mut args: LoadArgs, stop: watch::Receiver<bool>) -> anyhow::Result<ExitCode> {
    if !args.replay.is_empty() {
        // The order of a recording is part of it: a write must not overtake its CREATE DATABASE.
        args.concurrency = 1;
    }
    let report = Arc::new(Report::new());
    let (queue, batches) = mpsc::channel(usize::from(args.concurrency));
    let sender = Sender::new(&args, Arc::clone(&report));
    let progress = tokio::spawn(report::tell_progress(Arc::clone(&report)));
    let run = if args.replay.is_empty() {
        greet(&args, &sender).await?;
        let workers = sender.start(batches);
        let run = simulate(&args, &queue, stop).await;
        drop(queue);
        workers.finish().await?;
        Some(run)
    } else {
        let workers = sender.start(batches);
        replay::feed(&args, queue, stop).await?;
        workers.finish().await?;
        None
    };
    progress.abort();
    let mut summary = report.summary();
    if let Some(run) = &run {
        summary.add_run(run);
        if args.verify {
            summary.add_verification(verify::check(&args, run, &report).await);
        }
    }
    say(&summary.json());
    Ok(if summary.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a simulation has written.
#[derive(Debug, Clone, Copy)]
struct Run {
    scrapes: u64,
    /// Series written at least once.
    series: u64,
    /// Timestamps of the first and the last scrape, in ns.
    first_ns: i64,
    last_ns: i64,
}

/// What Heapster does before its first write: a ping and its database. Any answer to the ping will do.
async fn greet(args: &LoadArgs, sender: &Sender) -> anyhow::Result<()> {
    let ping = sender.send(&request("GET", "/ping", None, &args.auth)?).await;
    if ping.is_none() {
        bail!("no answer to a ping from any of {} within {} s", args.url.join(", "), args.give_up.as_secs());
    }
    let statement = format!("CREATE DATABASE {} WITH NAME \"default\"", args.db);
    let target = format!("/query?db=&q={}", sender::form_encoded(&statement));
    let answer = sender
        .send(&request("GET", &target, None, &args.auth)?)
        .await
        .context("no answer to CREATE DATABASE")?;
    if !answer.is_success() {
        note(&format!("CREATE DATABASE {}: {} {}", args.db, answer.status, answer.text().trim_end()));
    }
    Ok(())
}

async fn simulate(args: &LoadArgs, queue: &mpsc::Sender<Batch>, stop: watch::Receiver<bool>) -> Run {
    let mut cluster = Cluster::new(args);
    let mut pace = Pace::new(args, cluster.points_per_scrape(), stop);
    let interval_s = args.interval.as_secs_f64();
    let mut run = Run { scrapes: 0, series: 0, first_ns: 0, last_ns: 0 };
    while let Some(ns) = pace.next_scrape().await {
        if run.scrapes == 0 {
            run.first_ns = ns;
        }
        run.last_ns = ns;
        for batch in cluster.scrape(ns, args) {
            if !pace.before_batch(batch.lines).await || queue.send(batch).await.is_err() {
                break;
            }
        }
        run.scrapes += 1;
        cluster.step(interval_s, args.churn);
    }
    run.series = cluster.series_written();
    run
}
