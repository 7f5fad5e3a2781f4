//! Where encoders write: a buffer that is cut into segments, compressed on the way if the client takes gzip.

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

/// Bytes in the buffer at which it is moved on.
const SEGMENT_BYTES: usize = 64 << 10;

/// An answer in the making. Nothing fails here: memory is the only sink.
#[derive(Debug)]
pub(crate) struct Output {
    /// Encoders append here and call [`Output::advance`] now and then.
    pub(crate) buffer: Vec<u8>,
    gzip: Option<GzEncoder<Vec<u8>>>,
    segments: Vec<Bytes>,
    kept_bytes: usize,
}

impl Output {
    pub(crate) fn new(gzip: bool) -> Self {
        // The fastest level: JSON of numbers shrinks tenfold with it, and the others cost more time than they save.
        let gzip = gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
        Self { buffer: Vec::new(), gzip, segments: Vec::new(), kept_bytes: 0 }
    }

    /// Moves the buffer on once it is large. To be called between rows.
    pub(crate) fn advance(&mut self) {
        if self.buffer.len() >= SEGMENT_BYTES {
            self.cut();
        }
    }

    /// Bytes kept in memory.
    pub(crate) fn kept_bytes(&self) -> usize {
        self.kept_bytes + self.buffer.len()
    }

    fn cut(&mut self) {
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

    /// Ends the answer.
    pub(crate) fn finish(mut self) -> Vec<Bytes> {
        self.cut();
        if let Some(gzip) = self.gzip.take() {
            let segment = gzip.finish().unwrap_or_default();
            self.keep(segment);
        }
        self.segments
    }
}
