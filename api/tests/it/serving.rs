//! The server over real sockets: keep-alive, slow clients, leaving clients, shutdown.

use crate::stub::{Client, Stub};
use api::{ApiConfig, ServeLimits, serve};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const SHORT: Duration = Duration::from_millis(200);

fn limits() -> ServeLimits {
    ServeLimits {
        connections_max: 4,
        header_timeout: SHORT,
        idle_timeout: 4 * SHORT,
        stall_timeout: SHORT,
        shutdown_timeout: 10 * SHORT,
    }
}

struct Server {
    address: SocketAddr,
    stub: Arc<Stub>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn start(stub: Stub, limits: ServeLimits) -> Server {
    let client = Client::with(stub, ApiConfig::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (stop, stopped) = oneshot::channel();
    let router = client.influx_router();
    let shutdown = Box::pin(async move { stopped.await.unwrap_or_default() });
    let task = tokio::spawn(serve(listener, router, limits, None, shutdown));
    Server { address, stub: client.stub, stop, task }
}

/// Sends text and reads until the connection ends or nothing comes for a while.
async fn exchange(stream: &mut TcpStream, text: &str) -> String {
    stream.write_all(text.as_bytes()).await.expect("the server reads");
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(Ok(n)) = tokio::time::timeout(SHORT / 2, stream.read(&mut buffer)).await {
        if n == 0 {
            break;
        }
        answer.extend_from_slice(&buffer[..n]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Whether the server closes the connection within this time.
async fn closed_within(stream: &mut TcpStream, time: Duration) -> bool {
    let mut buffer = [0; 64];
    matches!(tokio::time::timeout(time, stream.read(&mut buffer)).await, Ok(Ok(0) | Err(_)))
}

const PING: &str = "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn a_connection_is_kept_and_answers_are_chunked() {
    let server = start(Stub::default(), limits()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let answer = exchange(&mut stream, PING).await;
    assert!(answer.starts_with("HTTP/1.1 204 No Content\r\n"), "{answer}");
    assert!(answer.contains("\r\nDate: ") && !answer.contains("Content-Length"), "{answer}");
    let answer = exchange(&mut stream, "GET /query?q=SHOW+DATABASES HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(
        answer.contains("\r\nTransfer-Encoding: chunked\r\n") && answer.ends_with("\r\n0\r\n\r\n"),
        "{answer}"
    );
    let answer = exchange(&mut stream, "GET /query HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.contains("\r\nContent-Length: 45\r\n"), "{answer}");
    let answer = exchange(&mut stream, "OPTIONS /query HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\r\nContent-Length: 0\r\n"), "{answer}");
}

#[tokio::test]
async fn quotes_and_brackets_may_stand_in_a_url() {
    let server = start(Stub::default(), limits()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let query = "GET /query?q=SELECT+v+FROM+\"cpu/usage\"+WHERE+v>1+AND+w<2 HTTP/1.1\r\nHost: x\r\n\r\n";
    for _ in 0..2 {
        assert!(exchange(&mut stream, query).await.starts_with("HTTP/1.1 200"));
        let statement = server.stub.executed.lock().unwrap().remove(0);
        assert_eq!(statement, "SELECT v FROM \"cpu/usage\" WHERE v > 1 AND w < 2");
    }
    let body = "POST /query?q=SHOW+USERS HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n";
    stream.write_all(body.as_bytes()).await.unwrap();
    tokio::time::sleep(SHORT / 4).await;
    assert!(exchange(&mut stream, "{\"a\":1}\n").await.starts_with("HTTP/1.1 200"));
    assert!(exchange(&mut stream, PING).await.contains("204"));
}

#[tokio::test]
async fn an_idle_connection_outlives_the_time_for_a_head() {
    let server = start(Stub::default(), limits()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for _ in 0..2 {
        assert!(exchange(&mut stream, PING).await.contains("204"));
        assert!(!closed_within(&mut stream, 2 * SHORT).await, "collectors pause between batches");
    }
    assert!(closed_within(&mut stream, 6 * SHORT).await, "but not for ever");
}

#[tokio::test]
async fn a_slow_head_ends_in_time() {
    let server = start(Stub::default(), limits()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /ping HTTP/1.1\r\nHo").await.unwrap();
    assert!(closed_within(&mut stream, 3 * SHORT).await);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off() {
    let server = start(Stub::default(), ServeLimits { connections_max: 1, ..limits() }).await;
    let mut stuck = TcpStream::connect(server.address).await.unwrap();
    // More than the socket buffers hold.
    let query = "GET /query?q=SELECT+v+FROM+big HTTP/1.1\r\nHost: x\r\n\r\n".repeat(8);
    stuck.write_all(query.as_bytes()).await.unwrap();
    let mut next = TcpStream::connect(server.address).await.unwrap();
    next.write_all(PING.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    let read = tokio::time::timeout(Duration::from_secs(20), next.read_exact(&mut answer)).await;
    assert!(read.is_ok_and(|read| read.is_ok()), "the only place is free again");
    assert_eq!(&answer, b"HTTP/1.1 204");
}

#[tokio::test]
async fn an_aborted_upload_stores_nothing() {
    let server = start(Stub::default(), limits()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(b"POST /write?db=k8s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nm v=1\n")
        .await
        .unwrap();
    tokio::time::sleep(SHORT / 4).await;
    drop(stream);
    tokio::time::sleep(SHORT).await;
    assert!(server.stub.writes.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_write_goes_on_when_its_client_leaves() {
    let server = start(Stub { write_takes: SHORT, ..Stub::default() }, limits()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(b"POST /write?db=k8s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nm v=1")
        .await
        .unwrap();
    tokio::time::sleep(SHORT / 4).await;
    drop(stream);
    tokio::time::sleep(2 * SHORT).await;
    assert_eq!(server.stub.writes.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_query_ends_when_its_client_leaves_but_a_change_does_not() {
    let server = start(Stub::default(), limits()).await;
    let slow = "SELECT+v+FROM+slow";
    for (query, cancelled) in [
        (format!("GET /query?q={slow}"), 1),
        (format!("GET /query?chunked=true&q=SHOW+USERS%3B{slow}"), 2),
        ("POST /query?q=DROP+MEASUREMENT+slow".to_owned(), 2),
    ] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(format!("{query} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
        tokio::time::sleep(SHORT / 4).await;
        drop(stream);
        tokio::time::sleep(3 * SHORT).await;
        assert_eq!(server.stub.cancelled.load(Ordering::SeqCst), cancelled, "{query}");
    }
}

#[tokio::test]
async fn a_refused_body_is_read_so_that_the_client_sees_the_answer() {
    let server = start(Stub::default(), limits()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let body = "m v=1\n".repeat(500_000);
    let head = format!("POST /write?db=nope HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    let answer = exchange(&mut stream, &(head + &body)).await;
    assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
    assert!(answer.ends_with("{\"error\":\"database not found: \\\"nope\\\"\"}\n"), "{answer}");
    assert!(exchange(&mut stream, PING).await.contains("204"), "and the connection goes on");
}

#[tokio::test]
async fn shutdown_lets_running_requests_end() {
    let server = start(Stub { write_takes: 2 * SHORT, ..Stub::default() }, limits()).await;
    let idle = TcpStream::connect(server.address).await.unwrap();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(b"POST /write?db=k8s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nm v=1")
        .await
        .unwrap();
    tokio::time::sleep(SHORT / 2).await;
    server.stop.send(()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    tokio::time::timeout(5 * SHORT, server.task).await.expect("the server ends in time").unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
    drop(idle);
}
