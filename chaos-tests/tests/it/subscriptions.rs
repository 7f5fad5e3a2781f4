//! Subscriptions: real servers get what is written, and a write does not notice when one of them is gone.

use crate::support::{turn, wait_until};
use chaos_tests::client::percent_encode;
use chaos_tests::{Client, Cluster, Oracle, Settings};

fn answer(address: &str, database: &str, q: &str) -> String {
    let target = format!("/query?db={database}&epoch=ns&q={}", percent_encode(q));
    let answer = Client::new(address).post(&target, b"").expect("an answer");
    answer.text().trim_end().to_owned()
}

/// The sum of a counter over all nodes.
fn counter(cluster: &Cluster, name: &str) -> u64 {
    let of = |node| {
        let page = cluster.admin(node).get("/metrics").expect("metrics").text();
        let line = page.lines().find(|line| line.split(' ').next() == Some(name)).expect(name).to_owned();
        line.rsplit(' ').next().and_then(|value| value.parse::<u64>().ok()).expect(name)
    };
    (0..cluster.size()).map(of).sum()
}

fn write(cluster: &Cluster, node: usize, target: &str, body: &str) -> u16 {
    cluster.client(node).post(target, body.as_bytes()).expect("an answer").status
}

#[test]
fn what_is_written_reaches_the_subscribers() {
    let _turn = turn("subscriptions: real receivers");
    let receivers = [Oracle::start(), Oracle::start()];
    let cluster = Cluster::start(&Settings::default());
    let [all, other] = [0, 1].map(|i| format!("http://{}", receivers[i].address()));
    for receiver in &receivers {
        answer(receiver.address(), "", "CREATE DATABASE d; CREATE DATABASE turns WITH NAME rp");
    }
    let statement = |q: &str| answer(cluster.http(0), "d", q);
    statement("CREATE DATABASE d; CREATE DATABASE turns WITH NAME rp");
    statement(&format!("CREATE SUBSCRIPTION s ON d.autogen DESTINATIONS ALL '{all}', '{other}'"));
    // As Kapacitor does, with a destination that nobody listens at.
    let kapacitor = format!(
        r#"CREATE SUBSCRIPTION "kapacitor-3f2e" ON "turns"."rp" DESTINATIONS ANY '{all}', 'http://127.0.0.1:9', '{other}'"#
    );
    assert_eq!(statement(&kapacitor), r#"{"results":[{"statement_id":0}]}"#);
    let shown = format!(
        r#"{{"name":"turns","columns":["retention_policy","name","mode","destinations"],"values":[["rp","kapacitor-3f2e","ANY",["{all}","http://127.0.0.1:9","{other}"]]]}}"#
    );
    assert!(answer(cluster.http(2), "", "SHOW SUBSCRIPTIONS").contains(&shown), "{shown}");

    // Strange names, all types, another precision, no time, and lines that are not stored.
    let lines = "m,b=2,a=1 f=1.5,i=-3i,t=true,s=\"x \\\"y\\\\\" 1\nm\\ x,k\\,=v\\= f\\ g=1e300 2";
    assert_eq!(write(&cluster, 0, "/write?db=d&precision=s", lines), 204);
    assert_eq!(write(&cluster, 1, "/write?db=d", "m f=2 3\nnonsense\nm f=\"text\" 4\nm f=5 5"), 400);
    assert_eq!(write(&cluster, 2, "/write?db=d", "now f=1"), 204);
    for i in 0..60 {
        let line = format!("c,n={} v={i} {i}", i % 3);
        assert_eq!(write(&cluster, i % 3, "/write?db=turns&rp=rp", &line), 204);
    }

    let question = "SELECT * FROM /.*/; SHOW SERIES; SHOW FIELD KEYS";
    let ours = statement(question);
    for receiver in &receivers {
        wait_until("the same points at a subscriber", 20, || {
            answer(receiver.address(), "d", question) == ours
        });
    }
    let count = |address: &str| {
        let text = answer(address, "turns", "SELECT count(v) FROM c");
        text.rsplit(',').next().and_then(|n| n.trim_end_matches([']', '}']).parse::<u64>().ok()).unwrap_or(0)
    };
    let counts = || [count(receivers[0].address()), count(receivers[1].address())];
    wait_until("each point at one of the subscribers", 20, || counts().iter().sum::<u64>() == 60);
    assert!(counts().iter().all(|count| *count > 0), "in turn: {:?}", counts());
    // A gone destination of ANY is passed over, so nothing is lost.
    assert_eq!(counter(&cluster, "steadfast_subscription_points_failed_total"), 0);

    // Nobody takes the points of a subscription: writes are answered all the same.
    statement("DROP SUBSCRIPTION s ON d.autogen");
    statement(
        "CREATE SUBSCRIPTION gone ON d.autogen DESTINATIONS ALL 'http://127.0.0.1:9', 'udp://127.0.0.1:9'",
    );
    assert_eq!(write(&cluster, 0, "/write?db=d", "late f=1 1"), 204);
    wait_until("a failure is counted", 20, || {
        counter(&cluster, "steadfast_subscription_points_failed_total") == 1
    });
    wait_until("nothing waits", 20, || counter(&cluster, "steadfast_subscription_queued_bytes") == 0);
    assert_eq!(
        answer(receivers[0].address(), "d", "SELECT * FROM late"),
        r#"{"results":[{"statement_id":0}]}"#
    );
    assert_eq!(counter(&cluster, "steadfast_subscription_points_dropped_total"), 0);
}
