//! Bad clients: slow, gone in the middle, idle in masses, or not speaking HTTP at all.

use crate::support::turn;
use chaos_tests::client::Connection;
use chaos_tests::report::say;
use chaos_tests::{Client, Cluster, Settings};
use std::time::{Duration, Instant};

const IDLE_CONNECTIONS: usize = 400;
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer to garbage is waited for; a server may also wait for the rest of it.
const GARBAGE_TIMEOUT: Duration = Duration::from_secs(2);

fn connect(cluster: &Cluster, node: usize) -> Connection {
    Connection::open(cluster.http(node), TIMEOUT).unwrap()
}

/// A good write and its read, which must work whatever others do.
#[track_caller]
fn assert_served(cluster: &Cluster, name: &str) {
    for node in 0..cluster.size() {
        let mut client = Client::new(cluster.http(node)).with_timeout(TIMEOUT);
        let started = Instant::now();
        let answer = client.write("d", format!("good,case={name} v=1 {}", node + 1).as_bytes());
        assert!(answer.as_ref().is_ok_and(|a| a.status == 204), "{name}: node {node}: {answer:?}");
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "{name}: node {node} took {:?}",
            started.elapsed()
        );
    }
}

#[test]
fn bad_clients_harm_nobody() {
    let _turn = turn("bad_input: slow, aborting, idle and garbage clients");
    let cluster = Cluster::start(&Settings::default());
    let created = cluster.client(0).query("", "CREATE DATABASE d").unwrap();
    assert_eq!(created.status, 200);

    let strange = cluster.client(2).write("d", b"ut\xf0\x28f v=1 1\ngood,case=utf8 v=1 1").unwrap();
    assert!(matches!(strange.status, 204 | 400), "{}", strange.text());
    aborted_bodies(&cluster);
    assert_served(&cluster, "aborted");
    garbage(&cluster);
    assert_served(&cluster, "garbage");
    pipelined(&cluster);
    assert_served(&cluster, "pipelined");
    let idle: Vec<Connection> = (0..IDLE_CONNECTIONS).map(|i| connect(&cluster, i % 3)).collect();
    assert_served(&cluster, "idle");
    slow_body(&cluster);
    drop(idle);

    let mut client = cluster.client(1);
    let answer = client
        .query(
            "d",
            "SELECT count(v) FROM good WHERE \"case\" != 'utf8'; SELECT * FROM slow; SELECT * FROM aborted",
        )
        .unwrap();
    let json = answer.json();
    assert_eq!(json["results"][0]["series"][0]["values"][0][1], 15, "five cases at three nodes: {json}");
    assert_eq!(json["results"][1]["series"][0]["values"].as_array().map(Vec::len), Some(2), "{json}");
    assert!(json["results"][2].get("series").is_none(), "half a request was stored: {json}");
    assert!((0..cluster.size()).all(|node| cluster.is_ready(node)));
}

/// Bodies cut off in the middle, after whole lines: nothing of them is stored.
fn aborted_bodies(cluster: &Cluster) {
    for i in 0..30 {
        let mut connection = connect(cluster, i % 3);
        let lines = format!("aborted v=1 {i}\n").repeat(50);
        let head = "POST /write?db=d HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n";
        connection.send_bytes(head.as_bytes()).unwrap();
        connection.send_bytes(lines.as_bytes()).unwrap();
    }
}

/// What is no HTTP is refused or cut off, not waited for until for ever.
fn garbage(cluster: &Cluster) {
    let long_header = format!("GET /ping HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(2_000_000));
    let long_target = format!("GET /query?q={} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(2_000_000));
    let texts: [&[u8]; 8] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\r\n\r\n\r\n\r\n",
        b"HELO mail\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /write?db=d HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /write?db=d HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        long_header.as_bytes(),
        long_target.as_bytes(),
    ];
    for (i, text) in texts.iter().enumerate() {
        let mut connection = Connection::open(cluster.http(i % 3), GARBAGE_TIMEOUT).unwrap();
        // The server may cut the connection while we still send.
        drop(connection.send_bytes(text));
        if let Ok((answer, _)) = connection.receive(false) {
            assert!(answer.status >= 400, "garbage {i} is answered {}", answer.status);
        }
    }
}

/// Several requests sent at once are answered one after the other.
fn pipelined(cluster: &Cluster) {
    let mut connection = connect(cluster, 0);
    let request = |body: &str| {
        format!("POST /write?db=d HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    let both = request("pipelined v=1 1") + &request("bad") + "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n";
    connection.send_bytes(both.as_bytes()).unwrap();
    let statuses = [204, 400, 204].map(|_| connection.receive(false).unwrap().0.status);
    assert_eq!(statuses, [204, 400, 204]);
}

/// A body sent byte by byte is taken, and nobody waits for it.
fn slow_body(cluster: &Cluster) {
    let mut connection = connect(cluster, 0);
    let body = "slow v=1 1\nslow v=2 2";
    let head = format!("POST /write?db=d HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    connection.send_bytes(head.as_bytes()).unwrap();
    for (i, byte) in body.bytes().enumerate() {
        connection.send_bytes(&[byte]).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        if i == 5 {
            assert_served(cluster, "slow");
        }
    }
    let (answer, _) = connection.receive(false).unwrap();
    assert_eq!(answer.status, 204, "{}", answer.text());
    say("  a body of 21 bytes in 2 s was taken");
}
