//! Where encoders write: a buffer that is cut into segments, compressed on the way if the client takes gzip.

use super::room::{AnswerBytes, NoRoom};
use crate::coordinator::Registration;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::sync::Arc;

/// Bytes in the buffer at which it is moved on.
const SEGMENT_BYTES: usize = 64 << 10;

/// Why an answer was not written to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It is larger than an answer may be.
    Full,
    /// All answers of the node together are.
    Overloaded,
    /// Its statement was killed.
    Killed,
}

/// An answer in the making. Memory is the only sink; encoders stop when [`Output::is_stopped`] says so.
#[derive(Debug)]
pub(crate) struct Output {
    /// Encoders append here and call [`Output::advance`] now and then.
    pub(crate) buffer: Vec<u8>,
    gzip: Option<GzEncoder<Vec<u8>>>,
    segments: Vec<Bytes>,
    kept_bytes: usize,
    /// What the answer takes, where that is limited.
    room: Option<AnswerBytes>,
    /// The statement whose result is being written.
    registration: Option<Arc<dyn Registration>>,
    stop: Option<Stop>,
}

impl Output {
    /// An answer whose bytes are kept within some room.
    pub(crate) fn within(gzip: bool, room: AnswerBytes) -> Self {
        Self { room: Some(room), ..Self::new(gzip) }
    }

    /// An answer that is sent as it is written.
    pub(crate) fn new(gzip: bool) -> Self {
        // The fastest level: JSON of numbers shrinks tenfold with it, and the others cost more time than they save.
        let gzip = gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
        Self {
            buffer: Vec::new(),
            gzip,
            segments: Vec::new(),
            kept_bytes: 0,
            room: None,
            registration: None,
            stop: None,
        }
    }

    /// Moves the buffer on once it is large. To be called between rows.
    pub(crate) fn advance(&mut self) {
        if self.buffer.len() >= SEGMENT_BYTES {
            self.cut();
        }
    }

    /// From now on writes the result of this statement.
    pub(crate) fn begin(&mut self, registration: Option<Arc<dyn Registration>>) {
        self.registration = registration;
    }

    /// Why the result is not to be written any further.
    pub(crate) fn stop(&self) -> Option<Stop> {
        self.stop
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.is_some()
    }

    /// Takes into account that an encoder keeps `bytes` of its own; true if it is to stop.
    pub(crate) fn keep_beside(&mut self, bytes: usize) -> bool {
        if self.stop.is_none() {
            let kept = self.kept_bytes + self.buffer.len() + bytes;
            self.stop = match self.room.as_mut().map(|room| room.set(kept)) {
                Some(Err(NoRoom::Full)) => Some(Stop::Full),
                Some(Err(NoRoom::Overloaded)) => Some(Stop::Overloaded),
                Some(Ok(())) | None => None,
            };
            if self.registration.as_ref().is_some_and(|statement| statement.is_killed()) {
                self.stop = Some(Stop::Killed);
            }
        }
        self.is_stopped()
    }

    fn cut(&mut self) {
        self.keep_beside(0);
        match &mut self.gzip {
            None => {
                let segment = std::mem::take(&mut self.buffer);
                self.keep(segment);
            }
            Some(gzip) => {
                // Writing into a Vec cannot fail.
                let written = gzip.write_all(&self.buffer);
                debug_assert!(written.is_ok());
                self.buffer.clear();
                if gzip.get_ref().len() >= SEGMENT_BYTES {
                    let segment = std::mem::take(gzip.get_mut());
                    self.keep(segment);
                }
            }
        }
    }

    fn keep(&mut self, segment: Vec<u8>) {
        if !segment.is_empty() {
            self.kept_bytes += segment.len();
            self.segments.push(Bytes::from(segment));
        }
    }

    /// Takes what has been written so far, so that the client can read all of it.
    pub(crate) fn flush(&mut self) -> Vec<Bytes> {
        self.cut();
        if let Some(gzip) = &mut self.gzip {
            let flushed = gzip.flush();
            debug_assert!(flushed.is_ok());
            let segment = std::mem::take(gzip.get_mut());
            self.keep(segment);
        }
        self.kept_bytes = 0;
        std::mem::take(&mut self.segments)
    }

    /// Ends the answer. What its bytes take counts until the room is dropped.
    pub(crate) fn finish(mut self) -> (Vec<Bytes>, Option<AnswerBytes>) {
        self.cut();
        if let Some(gzip) = self.gzip.take() {
            let segment = gzip.finish().unwrap_or_default();
            self.keep(segment);
        }
        (self.segments, self.room)
    }
}
