//! A stream with time limits that depend on what the connection is doing. It also rewrites request lines.

use super::ServeLimits;
use super::request_line::RequestLine;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// Tells the stream whether a request is being handled: from the end of its head until the head of its answer. Handlers
/// have time limits of their own for bodies.
#[derive(Debug, Clone, Default)]
pub(super) struct Activity(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    started: AtomicUsize,
    ended: AtomicUsize,
}

impl Activity {
    /// A request is handled until the guard is dropped.
    pub(super) fn start(&self) -> Running {
        self.0.started.fetch_add(1, Ordering::Relaxed);
        Running(self.clone())
    }

    fn started(&self) -> usize {
        self.0.started.load(Ordering::Relaxed)
    }

    fn is_running(&self) -> bool {
        self.started() > self.0.ended.load(Ordering::Relaxed)
    }
}

/// A request that is being handled.
#[derive(Debug)]
pub(super) struct Running(Activity);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// The stream; reading or writing fails with `TimedOut` when the client takes too long.
#[derive(Debug)]
pub(super) struct TimedStream<S> {
    stream: S,
    limits: ServeLimits,
    activity: Activity,
    /// Requests whose heads are known to be complete.
    heads: usize,
    /// When the first byte of a head came that is not complete yet.
    head_since: Option<Instant>,
    request_line: RequestLine,
    /// Rewritten bytes that found no room in the reader's buffer.
    unread: Vec<u8>,
    last_activity: Instant,
    read_timer: Pin<Box<Sleep>>,
    /// Set while the client takes no bytes.
    write_timer: Option<Pin<Box<Sleep>>>,
}

impl<S> TimedStream<S> {
    pub(super) fn new(stream: S, limits: ServeLimits, activity: Activity) -> Self {
        let now = Instant::now();
        Self {
            stream,
            limits,
            activity,
            heads: 0,
            head_since: None,
            request_line: RequestLine::default(),
            unread: Vec::new(),
            last_activity: now,
            read_timer: Box::pin(sleep_until(now + limits.idle_timeout)),
            write_timer: None,
        }
    }

    /// Notices that a head was completed since the last look, however quickly its request was handled: else the time
    /// limit for that head would end the idle connection later.
    fn notice_heads(&mut self) {
        let started = self.activity.started();
        if started != self.heads {
            self.heads = started;
            self.head_since = None;
            self.last_activity = Instant::now();
        }
    }

    /// When to look again: until then the client must have sent something, or its request is still being handled.
    fn read_deadline(&self, now: Instant) -> Instant {
        if self.activity.is_running() {
            // Nothing else polls this stream when the handler is done and the client sends nothing more.
            return now + self.limits.idle_timeout;
        }
        match self.head_since {
            Some(since) => since + self.limits.header_timeout,
            None => self.last_activity + self.limits.idle_timeout,
        }
    }

    /// Looks at the bytes that were read, from `before` on.
    fn received(&mut self, buf: &mut ReadBuf<'_>, before: usize) {
        if self.activity.is_running() {
            return;
        }
        if self.head_since.is_none() {
            self.head_since = Some(Instant::now());
            self.request_line.begin();
        }
        if let Some(rewritten) = self.request_line.escape(&buf.filled()[before..]) {
            buf.set_filled(before);
            self.unread = rewritten;
            self.give_unread(buf);
        }
    }

    fn give_unread(&mut self, buf: &mut ReadBuf<'_>) {
        let count = self.unread.len().min(buf.remaining());
        buf.put_slice(&self.unread[..count]);
        self.unread.drain(..count);
    }

    /// Ends a write that makes no progress.
    fn stalled<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let stall_timeout = self.limits.stall_timeout;
        let timer =
            self.write_timer.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + stall_timeout)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn wrote(&mut self) {
        self.write_timer = None;
        self.last_activity = Instant::now();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.notice_heads();
        if !self.unread.is_empty() {
            self.give_unread(buf);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, buf) {
            if buf.filled().len() > before {
                self.received(buf, before);
            }
            return Poll::Ready(read);
        }
        loop {
            let now = Instant::now();
            let deadline = self.read_deadline(now);
            if deadline <= now {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.read_timer.as_mut().reset(deadline);
            ready!(self.read_timer.as_mut().poll(cx));
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TimedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(cx, buf) {
            Poll::Ready(written) => {
                self.wrote();
                Poll::Ready(written)
            }
            Poll::Pending => self.stalled(cx),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write_vectored(cx, bufs) {
            Poll::Ready(written) => {
                self.wrote();
                Poll::Ready(written)
            }
            Poll::Pending => self.stalled(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A TCP stream has nothing to flush; a TLS session may hold back what the client does not take.
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(flushed) => Poll::Ready(flushed),
            Poll::Pending => self.stalled(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
