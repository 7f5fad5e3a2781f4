//! Sends requests over all servers, as Heapster words them: one kept-alive connection to each server for each worker.
//!
//! A request whose connection dies (or that is not answered in time) has an unknown outcome; it goes again to the next
//! server, because writing the same points twice is the same as once. An answer is final, whatever it says: a collector
//! would drop the points, so a refused batch is what a run must show.

use super::report::{Report, error_text};
use crate::cli::LoadArgs;
use crate::http_client::{ClientError, Connection, Response};
use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// How long a server may take for an answer. Far above any server's own write timeout: only a hanging server gets there.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after no server could be reached.
const ROUND_PAUSE: Duration = Duration::from_millis(250);

/// A request and what it stands for.
#[derive(Debug)]
pub(super) struct Batch {
    /// Points in it.
    pub(super) lines: u64,
    /// Points of each measurement, in the order of [`super::metrics::measurements`]; empty for a replay.
    pub(super) counts: Vec<u64>,
    /// The answer a recording had; any 2xx is as good.
    pub(super) expected: u16,
    request: Request<Bytes>,
}

impl Batch {
    /// A `/write` of Heapster.
    pub(super) fn write(target: &str, auth: &str, body: String, lines: u64, counts: Vec<u64>) -> Self {
        let request = request("POST", target, Some(Bytes::from(body)), auth).unwrap_or_default();
        Self { lines, counts, expected: 204, request }
    }

    /// Any request of a recording.
    pub(super) fn recorded(request: Request<Bytes>, lines: u64, expected: u16) -> Self {
        Self { lines, counts: Vec::new(), expected, request }
    }

    /// Its body.
    pub(super) fn body(&self) -> &[u8] {
        self.request.body()
    }
}

/// A request with the headers Heapster sends, in its order.
pub(super) fn request(
    method: &str,
    target: &str,
    body: Option<Bytes>,
    auth: &str,
) -> anyhow::Result<Request<Bytes>> {
    let mut builder = Request::builder()
        .method(method)
        .uri(target)
        .header("Host", "server")
        .header("User-Agent", "heapster/v1.6.0-beta.1");
    if let Some(body) = &body {
        builder = builder.header("Content-Length", body.len());
    }
    builder = builder.header("Authorization", format!("Basic {}", STANDARD.encode(auth)));
    if body.is_some() {
        builder = builder.header("Content-Type", "");
    }
    let request = builder.header("Accept-Encoding", "gzip").body(body.unwrap_or_default());
    request.with_context(|| format!("{target} cannot be requested"))
}

/// What may stand in a query string as it is; a space is a `+`, as Go writes it.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b' ');

/// Encodes a value of a query string.
pub(super) fn form_encoded(text: &str) -> String {
    percent_encode(text.as_bytes(), FORM).to_string().replace(' ', "+")
}

/// What all workers share.
#[derive(Debug)]
pub(super) struct Sender {
    urls: Vec<String>,
    concurrency: u16,
    give_up: Duration,
    next: Arc<AtomicUsize>,
    report: Arc<Report>,
}

/// The workers of a started sender.
#[derive(Debug)]
pub(super) struct Workers(JoinSet<()>);

impl Workers {
    /// Waits until the queue is empty and closed.
    pub(super) async fn finish(mut self) -> anyhow::Result<()> {
        while let Some(worker) = self.0.join_next().await {
            worker.context("a sending worker failed")?;
        }
        Ok(())
    }
}

impl Sender {
    pub(super) fn new(args: &LoadArgs, report: Arc<Report>) -> Self {
        Self {
            urls: args.url.clone(),
            concurrency: args.concurrency,
            give_up: args.give_up,
            next: Arc::new(AtomicUsize::new(0)),
            report,
        }
    }

    /// Starts the workers on a queue.
    pub(super) fn start(&self, batches: mpsc::Receiver<Batch>) -> Workers {
        let batches = Arc::new(Mutex::new(batches));
        let mut workers = JoinSet::new();
        for _ in 0..self.concurrency {
            let mut worker = self.worker();
            let batches = Arc::clone(&batches);
            workers.spawn(async move {
                loop {
                    // The lock is held while waiting: only one worker can take the next batch anyway.
                    let batch = batches.lock().await.recv().await;
                    let Some(batch) = batch else { break };
                    worker.deliver(&batch).await;
                }
            });
        }
        Workers(workers)
    }

    /// Sends one request that is not counted; `None` when no server could be reached in time.
    pub(super) async fn send(&self, request: &Request<Bytes>) -> Option<Response> {
        self.worker().send(request).await.ok()
    }

    fn worker(&self) -> Worker {
        Worker {
            connections: self.urls.iter().map(|url| Connection::new(url)).collect(),
            give_up: self.give_up,
            next: Arc::clone(&self.next),
            report: Arc::clone(&self.report),
        }
    }
}

struct Worker {
    connections: Vec<Connection>,
    give_up: Duration,
    next: Arc<AtomicUsize>,
    report: Arc<Report>,
}

impl Worker {
    async fn deliver(&mut self, batch: &Batch) {
        let began = Instant::now();
        let answer = self.send(&batch.request).await;
        let took = began.elapsed();
        match answer {
            Ok(answer) if answer.is_success() => self.report.acknowledged(batch, took),
            Ok(answer) if answer.status == batch.expected => self.report.refused_as_recorded(batch, took),
            Ok(answer) => {
                let text: String = answer.text().trim_end().chars().take(300).collect();
                self.report.refused(batch, took, format!("{} {text}", answer.status));
            }
            Err(error) => {
                let text = format!("given up: {}", error_text(&error));
                self.report.refused(batch, took, text);
            }
        }
    }

    /// Goes round the servers until one answers.
    async fn send(&mut self, request: &Request<Bytes>) -> Result<Response, ClientError> {
        let deadline = Instant::now() + self.give_up;
        let mut at = self.next.fetch_add(1, Ordering::Relaxed);
        let mut failures = 0;
        loop {
            let servers = self.connections.len();
            let answer =
                self.connections[at % servers].send(request.clone().map(Full::new), ANSWER_TIMEOUT).await;
            match answer {
                Ok(answer) => return Ok(answer),
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(error) => self.report.resent(&error),
            }
            at += 1;
            failures += 1;
            if failures % servers == 0 {
                sleep(ROUND_PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_encoded_as_go_does() {
        let text = form_encoded("CREATE DATABASE k8s WITH NAME \"default\"");
        assert_eq!(text, "CREATE+DATABASE+k8s+WITH+NAME+%22default%22");
        assert_eq!(form_encoded("a+b&c=d/ü"), "a%2Bb%26c%3Dd%2F%C3%BC");
    }

    #[test]
    fn a_write_has_heapsters_headers_in_its_order() {
        let request =
            request("POST", "/write?db=k8s", Some(Bytes::from_static(b"a v=1")), "root:root").unwrap();
        let headers: Vec<String> =
            request.headers().iter().map(|(k, v)| format!("{k}: {}", v.to_str().unwrap())).collect();
        let expected = [
            "host: server",
            "user-agent: heapster/v1.6.0-beta.1",
            "content-length: 5",
            "authorization: Basic cm9vdDpyb290",
            "content-type: ",
            "accept-encoding: gzip",
        ];
        assert_eq!(headers, expected);
    }
}
