//! What runs in a cluster, seen and ended from any node, and what nodes tell about themselves.

use crate::support::{ask, turn};
use chaos_tests::workload::heapster;
use chaos_tests::{Client, Cluster, Settings};
use serde_json::Value;
use std::time::Duration;

/// The first result of an answer.
fn result(client: &mut Client, database: &str, q: &str) -> Value {
    let answer = ask(client, database, "", q).unwrap_or_else(|error| panic!("{q}: {error}"));
    assert_eq!(answer.status, 200, "{q}: {}", answer.text());
    answer.json()["results"][0].clone()
}

#[test]
fn statements_of_all_nodes_are_listed_and_an_absent_node_is_told_of() {
    let _turn = turn("running: SHOW QUERIES and KILL QUERY over nodes");
    let mut cluster = Cluster::start(&Settings::default());
    heapster::fill(&mut cluster.client(0), 2);
    let listed = result(&mut cluster.client(2), "k8s", "SHOW QUERIES");
    assert!(listed.get("messages").is_none(), "{listed}");
    let series = &listed["series"][0];
    assert_eq!(series["columns"], serde_json::json!(["qid", "query", "database", "duration", "status"]));
    let own = &series["values"][0];
    assert_eq!((&own[1], &own[2], &own[4]), (&"SHOW QUERIES".into(), &"k8s".into(), &"running".into()));
    for id in ["999", "99000000001"] {
        let killed = result(&mut cluster.client(1), "", &format!("KILL QUERY {id} ON \"localhost:1\""));
        assert_eq!(killed["error"], format!("no such query id: {id}"));
    }
    let of = |id: &Value| id.as_i64().unwrap_or(0) / 1_000_000_000;
    let node = of(&result(&mut cluster.client(0), "", "SHOW QUERIES")["series"][0]["values"][0][0]);
    cluster.freeze(0);
    let mut other = cluster.client(1).with_timeout(Duration::from_secs(5));
    let listed = result(&mut other, "", "SHOW QUERIES");
    let text = listed["messages"][0]["text"].as_str().unwrap_or_default();
    assert!(text.contains(&format!("node {node} unreachable")), "{listed}");
    let killed = result(&mut other, "", &format!("KILL QUERY {node}000000001"));
    assert!(killed["error"].as_str().is_some_and(|e| e.contains("unreachable")), "{killed}");
    cluster.thaw(0);
    nodes_tell_of_themselves(&cluster);
}

fn nodes_tell_of_themselves(cluster: &Cluster) {
    let mut client = cluster.client(1);
    let groups = result(&mut client, "", "SHOW SHARD GROUPS");
    assert_eq!(groups["series"][0]["name"], "shard groups");
    assert_eq!(groups, result(&mut cluster.client(2), "", "SHOW SHARD GROUPS"), "every node says the same");
    let shards = result(&mut client, "", "SHOW SHARDS");
    assert_eq!(shards, result(&mut cluster.client(2), "", "SHOW SHARDS"), "every node says the same");
    let k8s = shards["series"].as_array().expect("databases").iter().find(|s| s["name"] == "k8s");
    let rows = k8s.expect("k8s")["values"].as_array().expect("shards").clone();
    assert!(rows.len() > 1, "series are spread over groups: {rows:?}");

    let plan =
        result(&mut client, "k8s", "EXPLAIN SELECT mean(value) FROM \"cpu/usage_rate\" WHERE type = 'node'");
    let lines: Vec<&str> =
        plan["series"][0]["values"].as_array().expect("lines").iter().filter_map(|l| l[0].as_str()).collect();
    assert_eq!(
        lines[..3],
        ["EXPRESSION: mean(value::integer)", "NUMBER OF SHARDS: 1", "NUMBER OF SERIES: 4"]
    );
    let tree =
        result(&mut client, "k8s", "EXPLAIN ANALYZE SELECT max(value), nodename FROM \"cpu/usage_rate\"");
    assert_eq!(tree["series"][0]["values"][1][0], "└── select", "{tree}");
    let nothing = result(&mut client, "k8s", "EXPLAIN SELECT v FROM nope");
    assert_eq!(nothing["series"][0]["values"], serde_json::json!([[""]]));

    let stats = result(&mut client, "", "SHOW STATS FOR 'database'");
    let k8s = stats["series"].as_array().expect("databases").iter().find(|s| s["tags"]["database"] == "k8s");
    assert!(k8s.expect("k8s")["values"][0][1].as_i64().unwrap_or(0) > 100, "{stats}");
    for (module, count) in [("build", 1), ("system", 1), ("nope", 0)] {
        let told = result(&mut client, "", &format!("SHOW DIAGNOSTICS FOR '{module}'"));
        assert_eq!(told["series"].as_array().map_or(0, Vec::len), count, "{told}");
    }
    let vars = client.get("/debug/vars").expect("an answer").json();
    let bind = format!("httpd:{}", cluster.http(1));
    for (key, value) in [
        ("database:k8s", "numSeries"),
        (&bind, "queryReq"),
        ("queryExecutor", "queriesExecuted"),
        ("write", "pointReq"),
    ] {
        assert!(vars[key]["values"][value].is_i64(), "{key} {value}: {}", vars[key]);
    }
    assert!(vars["memstats"]["HeapAlloc"].as_u64().is_some_and(|bytes| bytes > 1 << 20));
    let counted = client.get("/debug/requests?seconds=0").expect("an answer").text();
    assert_eq!(counted, "{\n\n}\n");
    let metrics = client.get("/metrics").expect("an answer").text();
    assert!(metrics.contains("steadfast_queries_running"), "{metrics}");

    drop_one_shard(cluster, &rows);
}

fn drop_one_shard(cluster: &Cluster, shards: &[Value]) {
    let mut client = cluster.client(0);
    let count = |client: &mut Client| {
        let counted = result(client, "k8s", "SELECT count(value) FROM /.*/");
        let series = counted["series"].as_array().cloned().unwrap_or_default();
        series.iter().map(|s| s["values"][0][1].as_i64().unwrap_or(0)).sum::<i64>()
    };
    let before = count(&mut client);
    let dropped = result(&mut client, "", &format!("DROP SHARD {}", shards[0][0]));
    assert!(dropped.get("error").is_none(), "{dropped}");
    assert!(count(&mut client) < before);
    let left = result(&mut cluster.client(2), "", "SHOW SHARDS");
    let k8s = left["series"].as_array().expect("databases").iter().find(|s| s["name"] == "k8s").cloned();
    assert_eq!(k8s.expect("k8s")["values"].as_array().map_or(0, Vec::len), shards.len() - 1);
    assert!(result(&mut client, "", "DROP SHARD 9999").get("error").is_none());
}
