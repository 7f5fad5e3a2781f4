//! Reads a recording: gzip, and in it request after request.

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use hyper::Request;
use hyper::header::{HeaderName, HeaderValue};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Bytes of one body, and of one line of a head.
const BODY_BYTES_MAX: u64 = 32 << 20;
const LINE_BYTES_MAX: u64 = 64 << 10;

/// One request of a recording.
#[derive(Debug)]
pub(super) struct Recorded {
    /// Since the first request.
    pub(super) offset_ms: u64,
    /// What the server answered then.
    pub(super) status: u16,
    pub(super) request: Request<Bytes>,
}

/// Reads all requests of a file.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<Recorded>> {
    let file = BufReader::new(File::open(path)?);
    parse(&mut BufReader::new(MultiGzDecoder::new(file)))
}

fn parse(reader: &mut impl BufRead) -> anyhow::Result<Vec<Recorded>> {
    let mut requests = Vec::new();
    loop {
        let line = read_line(reader)?;
        if line.is_empty() && reader.fill_buf()?.is_empty() {
            return Ok(requests);
        }
        let number = requests.len() + 1;
        if line.starts_with('#') {
            continue;
        }
        let recorded = parse_request(&line, reader).with_context(|| format!("request {number}"))?;
        requests.push(recorded);
    }
}

fn parse_request(mark: &str, reader: &mut impl BufRead) -> anyhow::Result<Recorded> {
    let fields: Vec<&str> = mark.split(' ').collect();
    let &[">>>", offset, _connection, status] = fields.as_slice() else {
        bail!("expected `>>> OFFSET_MS CONNECTION STATUS`, found {mark:?}");
    };
    let (offset_ms, status) = (offset.parse()?, status.parse()?);
    let first = read_line(reader)?;
    let parts: Vec<&str> = first.split(' ').collect();
    let &[method, target, "HTTP/1.1"] = parts.as_slice() else { bail!("no request line: {first:?}") };
    let mut request = Request::builder().method(method).uri(target).body(Bytes::new())?;
    let mut length = 0;
    loop {
        let line = read_line(reader)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').with_context(|| format!("no header: {line:?}"))?;
        let name: HeaderName = name.parse()?;
        if name == "content-length" {
            length = value.trim().parse()?;
        }
        request.headers_mut().append(name, HeaderValue::from_str(value.trim())?);
    }
    ensure!(length <= BODY_BYTES_MAX, "a body of {length} bytes");
    let mut body = Vec::new();
    let read = reader.by_ref().take(length).read_to_end(&mut body)?;
    ensure!(read as u64 == length, "the body ends after {read} of {length} bytes");
    ensure!(read_line(reader)?.is_empty(), "no newline after the body");
    *request.body_mut() = Bytes::from(body);
    Ok(Recorded { offset_ms, status, request })
}

/// A line without its end, LF or CRLF; empty at the end of the file.
fn read_line(reader: &mut impl BufRead) -> anyhow::Result<String> {
    let mut line = Vec::new();
    reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
    ensure!((line.len() as u64) < LINE_BYTES_MAX, "a line is too long");
    let line = String::from_utf8(line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "# a comment\n\
        >>> 0 1 204\nGET /ping HTTP/1.1\r\nHost: server\r\nAccept-Encoding: gzip\r\n\r\n\n\
        >>> 7000 1 204\nPOST /write?db=k8s HTTP/1.1\r\nHost: server\r\nContent-Length: 9\r\nContent-Type: \r\n\r\nm v=1i 10\n";

    #[test]
    fn requests_come_back_as_they_were() {
        let requests = parse(&mut TWO.as_bytes()).unwrap();
        assert_eq!(requests.len(), 2);
        assert_eq!(requests[0].request.uri(), "/ping");
        assert_eq!((requests[1].offset_ms, requests[1].status), (7000, 204));
        assert_eq!(requests[1].request.headers()["content-type"], "");
        assert_eq!(requests[1].request.body().as_ref(), b"m v=1i 10");
    }

    #[test]
    fn a_damaged_recording_is_refused_with_the_number_of_the_request() {
        for damaged in [
            &TWO[..TWO.len() - 4],
            &TWO.replace(">>> 7000", ">> 7000"),
            &TWO.replace("Length: 9", "Length: 8"),
        ] {
            let text = format!("{:#}", parse(&mut damaged.as_bytes()).unwrap_err());
            assert!(text.starts_with("request 2: "), "{text}");
        }
    }
}
