//! One connection that speaks HTTP/1.1, also badly.

use super::{ClientError, Request, Response};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a connection goes over.
#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Secure(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Secure(stream) => &stream.sock,
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Secure(stream) => stream.read(buffer),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes),
            Self::Secure(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }
}

/// An open connection. `send` and `receive` are separate, so that a test may send half a request, or several at once.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    timeout: Duration,
    deadline: Instant,
    received: Vec<u8>,
    used: usize,
}

impl Connection {
    /// Connects to `address`; `timeout` bounds the connect, and each request from its `send` to its whole answer.
    pub fn open(address: &str, timeout: Duration) -> Result<Self, ClientError> {
        Self::open_with(address, timeout, None)
    }

    /// The same with TLS, if there is a configuration for it.
    pub fn open_with(
        address: &str,
        timeout: Duration,
        tls: Option<&Arc<ClientConfig>>,
    ) -> Result<Self, ClientError> {
        let resolved = address.to_socket_addrs().map_err(ClientError::Connect)?.next();
        let Some(resolved) = resolved else { return Err(ClientError::Malformed("address without a host")) };
        let stream = TcpStream::connect_timeout(&resolved, timeout).map_err(ClientError::Connect)?;
        stream.set_nodelay(true).map_err(ClientError::Connect)?;
        let stream = match tls {
            None => Stream::Plain(stream),
            Some(tls) => Stream::Secure(Box::new(secured(stream, address, timeout, tls)?)),
        };
        Ok(Self { stream, timeout, deadline: Instant::now() + timeout, received: Vec::new(), used: 0 })
    }

    /// False when the server has closed the connection since the last answer. Like every HTTP client's check it can
    /// miss a close that is on its way.
    pub fn is_usable(&self) -> bool {
        let mut byte = [0; 1];
        let socket = self.stream.socket();
        if socket.set_nonblocking(true).is_err() {
            return false;
        }
        let idle = matches!(socket.peek(&mut byte), Err(error) if error.kind() == ErrorKind::WouldBlock);
        idle && socket.set_nonblocking(false).is_ok()
    }

    /// Sends a whole request.
    ///
    /// A server that refuses a body may answer and close before it has read it all: a failure to send the body is
    /// therefore left to [`Connection::receive`], which finds the early answer or the dead connection.
    pub fn send(&mut self, request: &Request<'_>, host: &str) -> Result<(), ClientError> {
        self.deadline = Instant::now() + self.timeout;
        let mut head = format!("{} {} HTTP/1.1\r\nHost: {host}\r\n", request.method, request.target);
        for (name, value) in request.headers {
            head.extend([*name, ": ", *value, "\r\n"]);
        }
        if let Some(body) = request.body {
            head.extend(["Content-Length: ", &body.len().to_string(), "\r\n"]);
        }
        head.push_str("\r\n");
        self.send_bytes(head.as_bytes())?;
        if let Some(body) = request.body {
            // See above.
            drop(self.send_bytes(body));
        }
        Ok(())
    }

    /// Sends bytes as they are.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        self.stream.socket().set_write_timeout(Some(self.remaining()?)).map_err(ClientError::Broken)?;
        self.stream.write_all(bytes).map_err(broken)
    }

    /// Reads so many bytes as they are.
    pub fn receive_bytes(&mut self, count: usize) -> Result<Vec<u8>, ClientError> {
        self.take(count)
    }

    /// Reads one answer; the flag says whether the connection can be used again.
    pub fn receive(&mut self, head_only: bool) -> Result<(Response, bool), ClientError> {
        loop {
            let (status, headers) = self.receive_head()?;
            if (100..200).contains(&status) {
                continue;
            }
            let mut response = Response { status, headers, body: Vec::new() };
            let closes =
                response.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
            let no_body = head_only || status == 204 || status == 304;
            let length =
                response.header("Content-Length").and_then(|value| value.trim().parse::<usize>().ok());
            let chunked = response.header("Transfer-Encoding").is_some_and(|value| value.contains("chunked"));
            if no_body {
                return Ok((response, !closes));
            }
            if chunked {
                response.body = self.receive_chunks()?;
            } else if let Some(length) = length {
                response.body = self.take(length)?;
            } else {
                response.body = self.take_until_close()?;
                return Ok((response, false));
            }
            return Ok((response, !closes));
        }
    }

    fn receive_head(&mut self) -> Result<(u16, Vec<(String, String)>), ClientError> {
        let line = self.take_line()?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let Some(status) = status else { return Err(ClientError::Malformed("no status code")) };
        let mut headers = Vec::new();
        loop {
            let line = self.take_line()?;
            if line.is_empty() {
                return Ok((status, headers));
            }
            let Some((name, value)) = line.split_once(':') else {
                return Err(ClientError::Malformed("header without a colon"));
            };
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    fn receive_chunks(&mut self) -> Result<Vec<u8>, ClientError> {
        let mut body = Vec::new();
        loop {
            let line = self.take_line()?;
            let size = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16);
            let Ok(size) = size else { return Err(ClientError::Malformed("chunk without a size")) };
            body.extend(self.take(size)?);
            let end = self.take_line()?;
            if size == 0 || !end.is_empty() {
                return Ok(body);
            }
        }
    }

    fn take_line(&mut self) -> Result<String, ClientError> {
        let mut searched = self.used;
        loop {
            let unseen = &self.received[searched..];
            if let Some(at) = unseen.iter().position(|byte| *byte == b'\n') {
                let end = searched + at;
                let line =
                    String::from_utf8_lossy(&self.received[self.used..end]).trim_end_matches('\r').to_owned();
                self.used = end + 1;
                return Ok(line);
            }
            searched = self.received.len();
            self.fill()?;
        }
    }

    fn take(&mut self, length: usize) -> Result<Vec<u8>, ClientError> {
        while self.received.len() - self.used < length {
            self.fill()?;
        }
        let taken = self.received[self.used..self.used + length].to_vec();
        self.used += length;
        if self.used == self.received.len() {
            self.received.clear();
            self.used = 0;
        }
        Ok(taken)
    }

    fn take_until_close(&mut self) -> Result<Vec<u8>, ClientError> {
        loop {
            match self.fill() {
                Ok(()) => {}
                Err(ClientError::Broken(error)) if error.kind() == ErrorKind::UnexpectedEof => {
                    return Ok(self.received.split_off(self.used));
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn fill(&mut self) -> Result<(), ClientError> {
        let mut buffer = vec![0; 64 * 1_024];
        self.stream.socket().set_read_timeout(Some(self.remaining()?)).map_err(ClientError::Broken)?;
        match self.stream.read(&mut buffer).map_err(broken)? {
            0 => Err(ClientError::Broken(ErrorKind::UnexpectedEof.into())),
            read => {
                self.received.extend_from_slice(&buffer[..read]);
                Ok(())
            }
        }
    }

    fn remaining(&self) -> Result<Duration, ClientError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(ClientError::TimedOut) } else { Ok(left) }
    }
}

/// A session over a fresh connection; the handshake ends within the timeout.
fn secured(
    mut stream: TcpStream,
    address: &str,
    timeout: Duration,
    tls: &Arc<ClientConfig>,
) -> Result<StreamOwned<ClientConnection, TcpStream>, ClientError> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let name = ServerName::try_from(host.to_owned()).map_err(|_| ClientError::Malformed("no host name"))?;
    let refused = |error: rustls::Error| ClientError::Connect(std::io::Error::other(error));
    let mut session = ClientConnection::new(Arc::clone(tls), name).map_err(refused)?;
    stream.set_read_timeout(Some(timeout)).map_err(ClientError::Connect)?;
    while session.is_handshaking() {
        session.complete_io(&mut stream).map_err(ClientError::Connect)?;
    }
    Ok(StreamOwned::new(session, stream))
}

fn broken(error: std::io::Error) -> ClientError {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => ClientError::TimedOut,
        _ => ClientError::Broken(error),
    }
}
