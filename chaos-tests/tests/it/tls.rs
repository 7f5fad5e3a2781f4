//! TLS on all ports of real nodes: clients, peers, strangers, and certificates that change under load.

use crate::support::{turn, wait_until};
use chaos_tests::certificates::{Authority, Identity, trusting};
use chaos_tests::client::Connection;
use chaos_tests::{Client, Cluster, Oracle, Settings, WorkDir};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// The files that all nodes of a cluster share, as the pods of a StatefulSet share a secret.
struct Secret(WorkDir);

impl Secret {
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file");
    }

    fn identity(&self, identity: &Identity) {
        self.write("tls.crt", &identity.cert);
        self.write("tls.key", &identity.key);
    }

    fn authorities(&self, authorities: &[&Authority]) {
        let pem: Vec<String> = authorities.iter().map(|authority| authority.pem()).collect();
        self.write("ca.crt", &pem.concat());
    }

    fn config(&self) -> Vec<(&'static str, String)> {
        let path = |name: &str| format!("{:?}", self.path(name).display().to_string());
        let mut config = vec![("peer.tls_ca", path("ca.crt")), ("subscriptions.ca_certs", path("ca.crt"))];
        for (cert, key) in [
            ("http.tls_cert", "http.tls_key"),
            ("admin.tls_cert", "admin.tls_key"),
            ("peer.tls_cert", "peer.tls_key"),
        ] {
            config.extend([(cert, path("tls.crt")), (key, path("tls.key"))]);
        }
        config
    }
}

/// Writes from one thread, each request over a new connection, with points that count themselves.
fn write_on(client: &(impl Fn() -> Client + Sync), stop: &AtomicBool, written: &AtomicU64) {
    while !stop.load(Ordering::Relaxed) {
        let n = written.load(Ordering::Relaxed);
        let answer = client().write("d", format!("m v={n}i {n}").as_bytes());
        let status = answer.as_ref().map(|answer| answer.status).unwrap_or_default();
        assert_eq!(status, 204, "after {n} requests: {answer:?}");
        written.fetch_add(1, Ordering::Relaxed);
    }
}

/// Whether the peers' port of a node answers HTTP/2 over TLS to somebody.
fn peers_answer(address: &str, tls: &std::sync::Arc<rustls::ClientConfig>) -> bool {
    let Ok(mut connection) = Connection::open_with(address, Duration::from_secs(5), Some(tls)) else {
        return false;
    };
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    connection.send_bytes(preface).is_ok() && connection.receive_bytes(9).is_ok()
}

fn reloaded(cluster: &Cluster, node: usize, times: f64) -> bool {
    cluster.metric_with(node, "steadfast_certificate_reloads_total", "{port=\"peer\"}") >= times
}

#[test]
fn every_port_speaks_tls_and_a_change_of_authority_costs_no_request() {
    let _turn = turn("tls: clients, peers, strangers, new certificates");
    let secret = Secret(WorkDir::new("secret"));
    let (old, new, foreign) = (Authority::new("peers"), Authority::new("peers"), Authority::new("peers"));
    secret.identity(&old.sign());
    secret.authorities(&[&old]);
    let tls = Some(trusting(&[&old, &new], None));
    let settings = Settings { config: secret.config(), tls, ..Settings::default() };
    let mut cluster = Cluster::start(&settings);
    let answer = cluster.client(0).query("", "CREATE DATABASE d").expect("an answer");
    assert_eq!(answer.status, 200);

    influx_shell_works(&cluster);
    subscribers_are_reached(&cluster, &secret);
    // Who speaks no TLS is told so.
    let plain = Client::new(cluster.http(0)).get("/ping").expect("an answer");
    assert_eq!((plain.status, plain.text().trim()), (400, "Client sent an HTTP request to an HTTPS server."));
    // Only members are answered at the peers' port.
    let peer = cluster.peer(1).to_owned();
    assert!(peers_answer(&peer, &trusting(&[&old], Some(&old.sign()))), "a member");
    assert!(!peers_answer(&peer, &trusting(&[&old], None)), "nobody");
    assert!(!peers_answer(&peer, &trusting(&[&old], Some(&foreign.sign()))), "somebody else");

    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let [one, two] = [1, 2].map(|node| cluster.http(node).to_owned());
    let client = || {
        let turn = written.load(Ordering::Relaxed).is_multiple_of(2);
        Client::new(if turn { &one } else { &two }).with_tls(settings.tls.clone())
    };
    thread::scope(|scope| {
        let writer = scope.spawn(|| write_on(&client, &stop, &written));
        let rotated = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let all = |times: f64, cluster: &Cluster| {
                wait_until("new files are in use", 10, || (0..3).all(|node| reloaded(cluster, node, times)));
            };
            secret.authorities(&[&old, &new]);
            all(1.0, &cluster);
            secret.identity(&new.sign());
            all(2.0, &cluster);
            secret.authorities(&[&new]);
            all(3.0, &cluster);
            // Every connection between the nodes is made anew by one that starts.
            cluster.process(0).signal(chaos_tests::process::Signal::Terminate);
            wait_until("the node has ended", 20, || !cluster.process(0).is_running());
            cluster.kill(0);
            cluster.restart(0);
        }));
        stop.store(true, Ordering::Relaxed);
        writer.join().expect("every write is taken");
        rotated.expect("the rotation");
    });
    assert!(!peers_answer(&peer, &trusting(&[&new], Some(&old.sign()))), "the old authority is forgotten");
    let count = cluster.client(0).query("d", "SELECT count(v) FROM m").expect("an answer").json();
    let count = count["results"][0]["series"][0]["values"][0][1].as_u64();
    assert_eq!(count, Some(written.load(Ordering::Relaxed)));
    cluster.assert_equal_checksums();

    // A broken file is noticed and not used.
    let key = std::fs::read_to_string(secret.path("tls.key")).expect("a key");
    secret.write("tls.key", "nonsense");
    wait_until("the broken key is counted", 10, || {
        cluster.metric_with(2, "steadfast_certificate_files_broken", "{port=\"http\"}") == 1.0
    });
    assert_eq!(cluster.client(2).get("/ping").expect("an answer").status, 204);
    let log = std::fs::read_to_string(cluster.log(2)).expect("a log");
    assert!(log.contains("has no PRIVATE KEY"), "{log}");
    let mut secret_lines = key.lines().filter(|line| !line.starts_with("-----"));
    assert!(!secret_lines.any(|line| log.contains(line)), "a log holds no keys");
}

/// The shell of InfluxDB 1.x, which Debian has.
fn influx_shell_works(cluster: &Cluster) {
    let port = cluster.http(1).rsplit_once(':').map(|(_, port)| port).expect("a port");
    let shell = Command::new("influx")
        .args(["-ssl", "-unsafeSsl", "-host", "127.0.0.1", "-port", port, "-execute", "SHOW DATABASES"])
        .output()
        .expect("the package influxdb-client is installed");
    let text = String::from_utf8_lossy(&shell.stdout);
    assert!(shell.status.success() && text.lines().any(|line| line == "d"), "{shell:?}");
}

/// A real influxd with a certificate of the same authority gets what is written.
fn subscribers_are_reached(cluster: &Cluster, secret: &Secret) {
    let pem = ["tls.crt", "tls.key"].map(|name| std::fs::read_to_string(secret.path(name)).expect("a file"));
    secret.write("influxd.pem", &pem.concat());
    let tls = cluster.tls().expect("the nodes speak TLS");
    let receiver = Oracle::start_secure(&secret.path("influxd.pem"), tls);
    receiver.client().query("", "CREATE DATABASE s").expect("an answer");
    cluster.client(0).query("", "CREATE DATABASE s").expect("an answer");
    let subscription =
        format!("CREATE SUBSCRIPTION s ON s.autogen DESTINATIONS ALL 'https://{}'", receiver.address());
    let answer = cluster.client(0).query("", &subscription).expect("an answer").text();
    assert_eq!(answer.trim(), r#"{"results":[{"statement_id":0}]}"#);
    assert_eq!(cluster.client(1).write("s", b"sent v=1 1").expect("an answer").status, 204);
    wait_until("the point at the subscriber", 10, || {
        let rows = receiver.client().query("s", "SELECT v FROM sent").map(|answer| answer.text());
        rows.is_ok_and(|rows| rows.contains("[1,1]"))
    });
    cluster.client(0).query("", "DROP SUBSCRIPTION s ON s.autogen").expect("an answer");
}
