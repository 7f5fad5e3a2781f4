//! Those who mean harm, at a real process: heads that never end, connections without number, floods of headers, bodies
//! that inflate, statements that explode, guessed passwords. Each gets its answer or its end, the memory stays within bounds,
//! and everybody else is served.

use crate::support::{turn, wait_until};
use chaos_tests::client::{Connection, percent_encode};
use chaos_tests::{Client, ClientError, Cluster, Request, Response, Settings};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that the node allows.
const CONNECTIONS_MAX: usize = 64;
/// Memory that all of this may add, and has no business to: bodies and queries have a budget of 64 MiB each here.
const GROWTH_MAX: u64 = 300 << 20;

fn connect(cluster: &Cluster) -> Connection {
    Connection::open(cluster.http(0), Duration::from_secs(60)).expect("a connection")
}

/// The most memory that the node has had, bytes.
fn peak_memory(cluster: &mut Cluster) -> u64 {
    let path = format!("/proc/{}/status", cluster.process(0).pid());
    let status = std::fs::read_to_string(path).expect("a status");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("VmHWM");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).expect("kB") * 1_024
}

/// A write and a query of somebody who means well.
#[track_caller]
fn assert_served(cluster: &Cluster, what: &str) {
    let mut client = cluster.client(0).with_timeout(TIMEOUT);
    let written = client.write("d", b"good v=1 1");
    assert!(written.as_ref().is_ok_and(|answer| answer.status == 204), "{what}: {written:?}");
    let read = client.query("d", "SELECT v FROM good");
    assert!(read.as_ref().is_ok_and(|answer| answer.text().contains("[1,1]")), "{what}: {read:?}");
}

#[test]
fn those_who_mean_harm_do_none() {
    let _turn = turn("hostile: slow heads, floods, bombs");
    let config = vec![
        ("http.header_timeout", "\"1s\"".to_owned()),
        ("http.max_connections", CONNECTIONS_MAX.to_string()),
        ("write.inflight_bytes", "\"64MiB\"".to_owned()),
        ("query.memory_total", "\"64MiB\"".to_owned()),
        ("query.memory_per_query", "\"64MiB\"".to_owned()),
        ("query.timeout", "\"5s\"".to_owned()),
        ("raft.groups", "2".to_owned()),
    ];
    let mut cluster = Cluster::start(&Settings { nodes: 1, config, ..Settings::default() });
    assert_eq!(cluster.client(0).query("", "CREATE DATABASE d").expect("an answer").status, 200);
    assert_served(&cluster, "before");
    let before = peak_memory(&mut cluster);

    slow_heads(&cluster);
    assert_served(&cluster, "slow heads");
    header_floods(&cluster);
    assert_served(&cluster, "header floods");
    bodies_that_inflate(&cluster);
    let after = peak_memory(&mut cluster);
    assert!(after < before + GROWTH_MAX, "from {} to {} MiB", before >> 20, after >> 20);
    assert_served(&cluster, "bombs");
    statements_that_explode(&cluster);
    assert_served(&cluster, "statements");
    names_are_no_paths(&cluster);
    assert_served(&cluster, "names");

    let after = peak_memory(&mut cluster);
    assert!(after < before + GROWTH_MAX, "from {} to {} MiB", before >> 20, after >> 20);
}

/// More connections than there may be, each sending a byte of its head now and then: all are closed in time, so that
/// whoever waits behind them gets a place.
fn slow_heads(cluster: &Cluster) {
    let mut slow: Vec<Connection> = (0..CONNECTIONS_MAX + 16).map(|_| connect(cluster)).collect();
    for connection in &mut slow {
        drop(connection.send_bytes(b"GET /ping HTTP/1.1\r\nX-Slow: "));
    }
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(3) {
        // A byte does not prolong the time for a head.
        for connection in &mut slow {
            drop(connection.send_bytes(b"a"));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_served(cluster, "beside slow heads");
    wait_until("all slow connections are closed", 10, || {
        slow.iter_mut().all(|connection| connection.send_bytes(b"a").is_err() || !connection.is_usable())
    });
}

/// Too many headers, too long ones, too long a URL.
fn header_floods(cluster: &Cluster) {
    let many: Vec<(String, String)> = (0..10_000).map(|n| (format!("X-{n}"), "a".repeat(100))).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (&**name, &**value)).collect();
    let long = "a".repeat(8 << 20);
    let url = format!("/ping?{}", &long[..1 << 20]);
    for (what, headers, target) in [
        ("many", many.as_slice(), "/ping"),
        ("long", &[("X-Long", &*long)][..], "/ping"),
        ("url", &[][..], &*url),
    ] {
        let request = Request { method: "GET", target, headers, body: None };
        let mut client = cluster.client(0).with_timeout(TIMEOUT);
        match client.send(&request) {
            Ok(answer) => assert!(matches!(answer.status, 414 | 431), "{what}: {}", answer.status),
            // The connection was closed before all of it was sent.
            Err(ClientError::Broken(_)) => {}
            Err(error) => panic!("{what}: {error}"),
        }
    }
}

fn gzip(megabytes: usize, filler: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let block = filler.repeat((1 << 20) / filler.len());
    for _ in 0..megabytes {
        encoder.write_all(&block).expect("memory");
    }
    encoder.finish().expect("memory")
}

/// Small bodies that become large ones.
fn bodies_that_inflate(cluster: &Cluster) {
    // The third tells of its last member only, which is small.
    let lying = [gzip(1_000, &[0]), gzip(0, b"x")].concat();
    let bombs = [("zeros", gzip(1_000, &[0])), ("lines", gzip(400, b"m v=1 1\n")), ("lying", lying)];
    for (what, body) in bombs {
        let headers = [("Content-Encoding", "gzip")];
        let request = Request { method: "POST", target: "/write?db=d", headers: &headers, body: Some(&body) };
        let answer = cluster.client(0).with_timeout(TIMEOUT).send(&request).expect("an answer");
        assert!(matches!(answer.status, 400 | 413 | 503), "{what}: {}", answer.status);
    }
    // Snappy says how long it will be: 4 GiB, in five bytes.
    let body = b"\xff\xff\xff\xff\x0f\x00a";
    let answer = cluster.client(0).post("/api/v1/prom/write?db=d", body).expect("an answer");
    assert!(matches!(answer.status, 400 | 413), "snappy: {}", answer.status);
}

/// A statement that is too long for a URL.
fn ask_in_body(cluster: &Cluster, q: &str) -> Result<Response, ClientError> {
    let body = format!("db=d&q={}", percent_encode(q));
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    let request =
        Request { method: "POST", target: "/query", headers: &headers, body: Some(body.as_bytes()) };
    cluster.client(0).with_timeout(TIMEOUT).send(&request)
}

/// Statements that are small and cost much, or that would break whoever walks them.
fn statements_that_explode(cluster: &Cluster) {
    let (open, close) = ("(".repeat(100_000), ")".repeat(100_000));
    let alternatives = vec!["a{50}"; 2_000].join("|");
    for (what, statement) in [
        ("parentheses", format!("SELECT v FROM good WHERE {open}v = 1{close}")),
        ("subqueries", format!("{}good{}", "SELECT v FROM (".repeat(10_000), ")".repeat(10_000))),
        ("regex", r"SELECT v FROM /((a{1000}){1000}){1000}/".to_owned()),
        ("regex alternatives", format!("SELECT v FROM good WHERE host =~ /({alternatives}){{500}}/")),
        ("buckets", "SELECT count(v) FROM good WHERE time > 0 GROUP BY time(1ns) fill(0)".to_owned()),
        ("sum", format!("SELECT v{} FROM good", " + v".repeat(100_000))),
    ] {
        let began = Instant::now();
        let answer = ask_in_body(cluster, &statement).expect(what);
        assert!(began.elapsed() < Duration::from_secs(8), "{what} took {:?}", began.elapsed());
        let text = answer.text();
        assert!(text.contains("error"), "{what}: {} {text:.200}", answer.status);
    }
    let many = "SHOW DATABASES;".repeat(20_000);
    let answer = ask_in_body(cluster, &many);
    assert!(answer.is_ok(), "{answer:?}");
}

/// A name that would lead elsewhere if it were a path.
fn names_are_no_paths(cluster: &Cluster) {
    for name in ["../../../../../../../../tmp/steadfast-escaped", "/tmp/steadfast-escaped", "..", "a/../b"] {
        let q = percent_encode(&format!("CREATE DATABASE \"{name}\""));
        let created = cluster.client(0).post(&format!("/query?q={q}"), b"").expect("an answer");
        let target = format!("/write?db={}", percent_encode(name));
        let written = cluster.client(0).post(&target, b"m v=1 1").expect("an answer");
        assert!(created.status < 500 && written.status < 500, "{name}");
    }
    assert!(!std::path::Path::new("/tmp/steadfast-escaped").exists());
    let inside = std::fs::read_dir(cluster.data_directory(0)).expect("a directory");
    let names: Vec<String> = inside.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    assert!(!names.iter().any(|name| name == "b"), "{names:?}");
    // What is asked for by path below the admin port is a route or nothing.
    for path in ["/admin/v1/../../etc/passwd", "//etc/passwd", "/admin/v1/nodes/..%2f..%2fetc"] {
        let answer = cluster.admin(0).get(path).expect("an answer");
        assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
    }
}

#[test]
fn passwords_are_not_guessed_and_secrets_are_in_no_log() {
    let _turn = turn("hostile: guessed passwords, secrets in logs, audit");
    let secrets = chaos_tests::WorkDir::new("tokens");
    let file = |name: &str, text: &str| {
        let path = secrets.path().join(name);
        std::fs::write(&path, text).expect("a file");
        format!("{:?}", path.display().to_string())
    };
    let audit = secrets.path().join("audit.log");
    let config = vec![
        ("auth.enabled", "true".to_owned()),
        ("auth.failed_logins", "5".to_owned()),
        ("auth.shared_secret", "\"jwt-signing-Secret\"".to_owned()),
        ("admin.token_file", file("operate", "alice 0perate-Secret\n")),
        ("admin.read_token_file", file("read", "l00k-Secret\n")),
        ("log.level", "\"debug\"".to_owned()),
        ("log.audit_file", format!("{:?}", audit.display().to_string())),
        ("raft.groups", "2".to_owned()),
    ];
    let mut cluster = Cluster::start(&Settings { nodes: 1, config, ..Settings::default() });
    let ask = |who: &str, q: &str| {
        let target = format!("/query?q={}{who}", percent_encode(q));
        cluster.client(0).post(&target, b"").expect("an answer")
    };
    let admin = "&u=root&p=admin-Secret";
    assert_eq!(ask("", "CREATE USER root WITH PASSWORD 'admin-Secret' WITH ALL PRIVILEGES").status, 200);
    for q in [
        "CREATE DATABASE d",
        "CREATE USER u WITH PASSWORD 'first-Secret'",
        "SET PASSWORD FOR u = 'second-Secret'",
        "CREATE SUBSCRIPTION s ON d.autogen DESTINATIONS ALL 'http://k:kapacitor-Secret@127.0.0.1:9'",
        "GRANT WRITE ON d TO u",
    ] {
        assert!(!ask(admin, q).text().contains("error"), "{q}");
    }
    let basic = [("Authorization", "Basic dTpzZWNvbmQtU2VjcmV0")];
    let write = |headers: &[(&str, &str)]| {
        let request = Request { method: "POST", target: "/write?db=d", headers, body: Some(b"m v=1 1") };
        cluster.client(0).send(&request).expect("an answer")
    };
    assert_eq!(write(&basic).status, 204);
    assert_eq!(write(&[("Authorization", "Bearer nonsense-Secret")]).status, 401);

    // Guesses: some are answered, then they have to wait. Who knew the password before does not.
    let statuses: Vec<u16> =
        (0..8).map(|n| ask(&format!("&u=u&p=guess-Secret{n}"), "SHOW DATABASES").status).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429, 429]);
    let refused = ask("&u=u&p=guess-Secret9", "SHOW DATABASES");
    assert!(
        refused.header("Retry-After").is_some_and(|s| s.parse::<u64>().is_ok_and(|s| s <= 13)),
        "{refused:?}"
    );
    assert_eq!(write(&basic).status, 204);
    assert_eq!(ask(admin, "SHOW DATABASES").status, 200);

    roles_of_tokens(&cluster, secrets.path());
    cluster.process(0).signal(chaos_tests::process::Signal::Terminate);
    wait_until("the node has ended", 20, || !cluster.process(0).is_running());
    let log = std::fs::read_to_string(cluster.log(0)).expect("a log");
    let told = std::fs::read_to_string(&audit).expect("an audit log");
    assert!(log.lines().count() > 100, "the log is one of debug level");
    for (what, text) in [("log", &log), ("audit", &told)] {
        for secret in ["Secret", "argon2", "dTpzZWNvbmQtU2VjcmV0"] {
            let line = text.lines().find(|line| line.contains(secret));
            assert!(line.is_none(), "{what}: {line:?}");
        }
    }
    for wanted in [
        r#""statement":"CREATE USER u WITH PASSWORD [REDACTED]""#,
        r#""statement":"SET PASSWORD FOR u = [REDACTED]""#,
        "http://[REDACTED]@127.0.0.1:9",
        r#""user":"root""#,
        r#""user":"alice""#,
        "login failed",
        "/admin/v1/nodes/1/undrain",
    ] {
        assert!(told.contains(wanted), "{wanted}\n{told}");
    }
    assert!(told.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{told}");
}

/// Tokens with their roles; a new one is accepted without a restart.
fn roles_of_tokens(cluster: &Cluster, directory: &std::path::Path) {
    let send = |method: &str, target: &str, token: &str| {
        let value = format!("Bearer {token}");
        let headers = [("Authorization", &*value)];
        let headers = if token.is_empty() { &[][..] } else { &headers[..] };
        let mut admin: Client = cluster.admin(0);
        admin.send(&Request { method, target, headers, body: None }).expect("an answer")
    };
    let nodes = "/admin/v1/nodes";
    let undrain = "/admin/v1/nodes/1/undrain";
    for (method, target, token, status) in [
        ("GET", nodes, "0perate-Secret", 200),
        ("GET", nodes, "l00k-Secret", 200),
        ("POST", undrain, "l00k-Secret", 403),
        ("POST", undrain, "0perate-Secret", 200),
        ("GET", nodes, "", 401),
        ("GET", "/livez", "", 200),
        ("GET", "/metrics", "", 200),
    ] {
        let answer = send(method, target, token);
        assert_eq!(answer.status, status, "{method} {target}: {}", answer.text());
    }
    assert!(send("GET", nodes, "").text().contains("admin.token_file"), "it says what is accepted");
    std::fs::write(directory.join("operate"), "0perate-Secret\nn3w-Secret\n").expect("a file");
    wait_until("the new token is accepted", 10, || {
        // Each wrong try counts, so not too many of them.
        std::thread::sleep(Duration::from_secs(1));
        send("GET", nodes, "n3w-Secret").status == 200
    });
}
