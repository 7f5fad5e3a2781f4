//! One node of three left: it is read, and says how old its answers may be, unless the client wants more or less.

use crate::support::turn_beside_others;
use chaos_tests::client::percent_encode;
use chaos_tests::workload::create_database;
use chaos_tests::{Client, Cluster, Request, Response, Settings};
use std::time::{Duration, Instant};

const Q: &str = "SELECT v FROM m";

fn read(client: &mut Client, more: &str, headers: &[(&str, &str)]) -> Response {
    let target = format!("/query?db=d&epoch=ns&q={}{more}", percent_encode(Q));
    client.send(&Request { method: "GET", target: &target, headers, body: None }).expect("answered")
}

fn stale_ms(answer: &Response) -> Option<u64> {
    answer.header("X-Steadfast-Stale-Ms").map(|text| text.parse().expect("a number"))
}

fn has_the_point(answer: &Response) -> bool {
    let values = answer.json()["results"][0]["series"][0]["values"].clone();
    answer.status == 200 && values == serde_json::json!([[1, 7]])
}

#[test]
fn one_node_of_three_is_read_and_says_how_old_it_is() {
    let _turn = turn_beside_others("consistency: one node of three is left");
    let mut cluster = Cluster::start(&Settings::default());
    let mut client = cluster.client(0);
    create_database(&mut client, "d");
    assert_eq!(client.write("d", b"m v=7i 1").expect("written").status, 204);
    for more in ["", "&consistency=strong", "&consistency=lease", "&max_staleness=1ms"] {
        let answer = read(&mut client, more, &[]);
        assert!(has_the_point(&answer), "{more}: {}", answer.text());
        assert_eq!(stale_ms(&answer), None, "{more}: a quorum confirmed it");
    }
    let stale = [("X-Steadfast-Consistency", "stale"), ("X-Steadfast-Max-Staleness", "60s")];
    let answer = read(&mut client, "", &stale);
    assert!(has_the_point(&answer), "{}", answer.text());
    assert!(stale_ms(&answer).is_some_and(|ms| ms < 60_000), "{:?}", answer.headers);
    assert_eq!(read(&mut client, "&consistency=weak", &[]).status, 400);

    cluster.kill(1);
    cluster.kill(2);
    let lonely = Instant::now();
    for q in ["SHOW MEASUREMENTS", Q] {
        let answer = client.query("d", q).expect("answered");
        assert_eq!(answer.status, 200, "{q}: {}", answer.text());
        assert!(stale_ms(&answer).is_some_and(|ms| ms < 60_000), "{q}: {:?}", answer.headers);
        assert!(answer.text().contains("stale answer"), "{}", answer.text());
    }
    // The first one waited as long as an election takes; who asks again need not.
    let begun = Instant::now();
    let answer = read(&mut client, "", &[]);
    assert!(has_the_point(&answer) && stale_ms(&answer).is_some(), "{}", answer.text());
    assert!(begun.elapsed() < Duration::from_secs(3), "every statement waits for an election");
    let begun = Instant::now();
    let answer = read(&mut client, "&consistency=stale", &[]);
    assert!(has_the_point(&answer), "{}", answer.text());
    let waited = begun.elapsed();
    assert!(waited < Duration::from_secs(1), "what was asked for stale waited {waited:?} for a quorum");

    for more in ["&consistency=strong", "&consistency=lease", "&max_staleness=10ms"] {
        let answer = read(&mut client, more, &[]);
        assert_eq!(answer.status, 503, "{more}: {}", answer.text());
        assert!(answer.json()["error"].as_str().is_some_and(|text| text.starts_with("group ")));
    }
    // What is not known to have been current at all may be of any age.
    cluster.kill(0);
    cluster.launch(0);
    let until = Instant::now() + Duration::from_secs(30);
    let answer = loop {
        let target = format!("/query?db=d&epoch=ns&consistency=stale&q={}", percent_encode(Q));
        match cluster.client(0).get(&target) {
            Ok(answer) if has_the_point(&answer) => break answer,
            _ => assert!(Instant::now() < until, "no answer after the restart"),
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(answer.text().contains("ms or more ago"), "{}", answer.text());
    assert_eq!(read(&mut cluster.client(0), "&consistency=stale&max_staleness=1h", &[]).status, 503);
    assert!(lonely.elapsed() < Duration::from_secs(60));
}
