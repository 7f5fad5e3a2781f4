//! Recorded requests of real collectors.
//!
//! A recording is gzip; in it stands for each request a line `>>> OFFSET_MS CONNECTION STATUS`, the request as it went
//! over the wire, and a newline. Before a request may stand lines that begin with `#`.

use crate::client::{Client, ClientError, Request, Response};
use flate2::read::MultiGzDecoder;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// One recorded request.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Method, upper case.
    pub method: String,
    /// Path and query string.
    pub target: String,
    /// Headers in their order, without `Host` and `Content-Length`.
    pub headers: Vec<(String, String)>,
    /// Body; empty when there was none.
    pub body: Vec<u8>,
    /// What the real server answered.
    pub status: u16,
}

/// All recordings in `directory`, by name, each with its file.
///
/// Panics when there is none: a comparison that does not take place must not pass.
pub fn read_all(directory: &Path) -> Vec<(PathBuf, Vec<Recorded>)> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "gz")).collect();
    files.sort();
    assert!(!files.is_empty(), "no recordings (*.gz) in {}", directory.display());
    files.into_iter().map(|file| (file.clone(), read(&file))).collect()
}

fn read(file: &Path) -> Vec<Recorded> {
    let mut bytes = Vec::new();
    let opened =
        std::fs::File::open(file).and_then(|zipped| MultiGzDecoder::new(zipped).read_to_end(&mut bytes));
    assert!(opened.is_ok(), "cannot read {}: {opened:?}", file.display());
    let mut requests = Vec::new();
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        if let Some((_, after)) = split_line(rest).filter(|(line, _)| line.starts_with('#')) {
            rest = after;
            continue;
        }
        let parsed = parse_one(rest);
        let Some((request, after)) = parsed else {
            panic!("{} is damaged after {} requests", file.display(), requests.len())
        };
        requests.push(request);
        rest = after;
    }
    requests
}

/// The first request of `bytes` and what follows it.
fn parse_one(bytes: &[u8]) -> Option<(Recorded, &[u8])> {
    let (marker, rest) = split_line(bytes)?;
    let status = marker.strip_prefix(">>> ")?.split(' ').nth(2)?.parse().ok()?;
    let (first, mut rest) = split_line(rest)?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    let mut length = 0;
    loop {
        let (line, after) = split_line(rest)?;
        rest = after;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("Content-Length") {
            length = value.parse().ok()?;
        } else if !name.eq_ignore_ascii_case("Host") {
            headers.push((name.to_owned(), value.to_owned()));
        }
    }
    let (body, after) = rest.split_at_checked(length)?;
    let after = after.strip_prefix(b"\n").unwrap_or(after);
    Some((Recorded { method, target, headers, body: body.to_vec(), status }, after))
}

fn split_line(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let line = std::str::from_utf8(&bytes[..end]).ok()?;
    Some((line.trim_end_matches('\r'), &bytes[end + 1..]))
}

impl Recorded {
    /// Sends it again, with the headers it had.
    pub fn send(&self, client: &mut Client) -> Result<Response, ClientError> {
        let headers: Vec<(&str, &str)> = self.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let body = if self.method == "POST" { Some(self.body.as_slice()) } else { None };
        client.send(&Request { method: &self.method, target: &self.target, headers: &headers, body })
    }

    /// The database it names, if it is a write.
    pub fn database(&self) -> Option<&str> {
        let (path, parameters) = self.target.split_once('?')?;
        let named = parameters.split('&').find_map(|parameter| parameter.strip_prefix("db="));
        named.filter(|name| path == "/write" && !name.is_empty())
    }

    /// The newest timestamp of its lines, in ns. Collectors put one at the end of each line.
    pub fn newest_ns(&self) -> Option<i64> {
        let text = String::from_utf8_lossy(&self.body);
        text.lines().filter_map(|line| line.rsplit_once(' ')?.1.parse().ok()).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_read_request_by_request() {
        let bytes = b">>> 0 1 204\nPOST /write?consistency=&db=k8s&rp=default HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\
            Content-Type: \r\n\r\nm v=1 17\n>>> 5 1 200\nGET /ping HTTP/1.1\r\nHost: x\r\n\r\n\n";
        let (write, rest) = parse_one(bytes).unwrap();
        assert_eq!(
            (write.method.as_str(), write.status, write.body.as_slice()),
            ("POST", 204, b"m v=1 17".as_slice())
        );
        assert_eq!(write.headers, [("Content-Type".to_owned(), String::new())]);
        assert_eq!((write.database(), write.newest_ns()), (Some("k8s"), Some(17)));
        let (ping, rest) = parse_one(rest).unwrap();
        assert_eq!((ping.target.as_str(), ping.database(), rest), ("/ping", None, b"".as_slice()));
    }
}
