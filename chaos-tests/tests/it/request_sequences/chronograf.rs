//! Chronograf: all parameters in the URL, times in ms, no body. Its pages ask several statements at once and match the
//! answers by their index.

use super::Step;

fn ask(db: &str, q: &str) -> Step {
    let parameters = [("db", db), ("epoch", "ms"), ("q", q), ("rp", "")];
    Step::post("/query", &parameters).header("Content-Type", "application/json")
}

fn annotate(line: &str) -> Step {
    let parameters = [("consistency", ""), ("db", "chronograf"), ("precision", "ns"), ("rp", "")];
    Step::post("/write", &parameters).body(line)
}

/// The page of the hosts asks these at once.
const HOSTS: &str = r#"SHOW TAG VALUES WITH KEY = "host" WHERE TIME > now() - 10m; SELECT mean("usage_user") FROM cpu WHERE "cpu" = 'cpu-total' AND time > now() - 10m GROUP BY host; SELECT mean("load1") FROM "system" WHERE time > now() - 10m GROUP BY host; SELECT max("n_cpus") FROM "system" WHERE time > now() - 10m GROUP BY host; SELECT mean("Percent_Processor_Time") FROM win_cpu WHERE time > now() - 10m GROUP BY host; SELECT mean("Processor_Queue_Length") FROM win_system WHERE time > now() - 10s GROUP BY host; SHOW TAG VALUES WITH KEY = "host""#;

pub(super) fn steps(end_s: i64) -> Vec<Step> {
    let (from_ms, to_ms) = ((end_s - 300) * 1_000, (end_s + 1) * 1_000);
    let range = format!("time > {from_ms}ms AND time < {to_ms}ms");
    let panel = |q: &str| ask("telegraf", &q.replace(":range:", &range));
    let annotation = format!(
        "annotations,id=1 deleted=false,start_time={from_ms}000000i,modified_time_ns=7i,text=\"deploy\",type=\"\" {to_ms}000000"
    );
    let annotations = format!(
        "SELECT \"start_time\", \"modified_time_ns\", \"text\", \"type\", \"id\" FROM \"annotations\" WHERE \"deleted\"=false AND \
         time >= {from_ms}000000 and \"start_time\" <= {to_ms}000000 ORDER BY time DESC"
    );
    vec![
        Step::get("/ping"),
        ask("", "SHOW DATABASES"),
        ask("", "SHOW RETENTION POLICIES ON \"telegraf\""),
        ask("telegraf", "SHOW MEASUREMENTS ON \"telegraf\" LIMIT 3 OFFSET 1"),
        // The data explorer.
        ask("telegraf", "SHOW TAG KEYS FROM \"autogen\".\"cpu\""),
        ask("telegraf", "SHOW TAG VALUES FROM \"autogen\".\"cpu\" WITH KEY IN (\"host\",\"cpu\")"),
        ask("telegraf", "SHOW FIELD KEYS FROM \"autogen\".\"docker\""),
        ask("telegraf", "SHOW FIELD KEYS FROM \"\".\"docker\""),
        ask("telegraf", "SHOW TAG KEYS FROM \"nope\".\"cpu\""),
        // The hosts.
        ask("telegraf", HOSTS).moving(),
        ask("telegraf", "show series from /^cpu$|^mem$/ where time > now() - 10m"),
        ask("telegraf", "SHOW MEASUREMENTS WHERE \"host\" = 'web-1'"),
        // Panels.
        panel(
            "SELECT mean(\"usage_user\") AS \"mean_usage_user\" FROM \"telegraf\".\"autogen\".\"cpu\" WHERE :range: AND \"cpu\"='cpu-total' GROUP BY time(1m), \"host\" FILL(null)",
        ),
        panel(
            "SELECT non_negative_derivative(max(\"bytes_sent\"),1s) AS \"tx\" FROM \"telegraf\".\"autogen\".\"net\" WHERE :range: AND \"host\"='web-1' GROUP BY time(30s), \"host\" FILL(null)",
        ),
        panel(
            "SELECT count(distinct(node_name)) FROM (SELECT mean(\"memory_usage_bytes\") AS m FROM \"telegraf\".\"autogen\".\"kubernetes_pod_container\" WHERE :range: GROUP BY time(30s), \"node_name\" LIMIT 1) FILL(null)",
        ),
        panel(
            "SELECT count(distinct(\"n\")) FROM (SELECT \"cpu_usage_nanocores\", \"pod_name\" AS \"n\" FROM \"telegraf\".\"autogen\".\"kubernetes_pod_container\") WHERE :range: GROUP BY time(1m) FILL(0)",
        ),
        panel(
            "SELECT mean(\"load1\") AS \"load\", last(\"uptime\") AS \"up\" FROM system WHERE :range: GROUP BY time(1m), host LIMIT 2 SLIMIT 1",
        ),
        panel("SELECT last(\"engine_host\"), last(ok) FROM docker WHERE :range: GROUP BY host"),
        panel(
            "SELECT derivative(mean(\"used\"), 10s) / 8 AS v FROM mem WHERE :range: GROUP BY time(1m), * fill(previous)",
        ),
        panel("SELECT mean(\"nothing\") FROM nothing WHERE :range: GROUP BY time(1m)"),
        panel("SELECT mean(\"usage_user\") FROM cpu WHERE :range: GROUP BY time(1m"),
        panel("SELECT \"usage_user\" FROM cpu WHERE :range: GROUP BY time(1m)"),
        ask("nope", "SELECT \"usage_user\" FROM cpu"),
        // Annotations: the error text makes it create its database.
        annotate(&annotation),
        ask("", "CREATE DATABASE \"chronograf\""),
        annotate(&annotation),
        annotate(&annotation.replace("deploy", "deploy \\\"2\\\"")),
        Step::post("/query", &[("db", "chronograf"), ("epoch", "ns"), ("q", &annotations), ("rp", "")])
            .header("Content-Type", "application/json"),
        annotate(&annotation.replace("deleted=false", "deleted=true")),
        Step::post("/query", &[("db", "chronograf"), ("epoch", "ns"), ("q", &annotations), ("rp", "")]),
        // The admin's pages.
        ask(
            "",
            "CREATE RETENTION POLICY \"two\" ON \"chronograf\" DURATION 2d REPLICATION 1 SHARD DURATION 1h DEFAULT",
        ),
        ask("", "ALTER RETENTION POLICY \"two\" ON \"chronograf\" DURATION 3d REPLICATION 1"),
        ask("", "ALTER RETENTION POLICY \"two\" ON \"chronograf\" DURATION 1m"),
        ask("", "SHOW RETENTION POLICIES ON \"chronograf\""),
        ask("", "DROP RETENTION POLICY \"two\" ON \"chronograf\""),
        ask("", "SHOW RETENTION POLICIES ON \"chronograf\""),
        ask("", "CREATE USER \"ada\" WITH PASSWORD 'secret'"),
        ask("", "CREATE USER \"ada\" WITH PASSWORD 'another'"),
        ask("", "SHOW USERS"),
        ask("", "GRANT READ ON \"telegraf\" TO \"ada\""),
        ask("", "GRANT WRITE ON \"nowhere\" TO \"ada\""),
        ask("", "SHOW GRANTS FOR \"ada\""),
        ask("", "REVOKE READ ON \"telegraf\" FROM \"ada\""),
        ask("", "GRANT ALL PRIVILEGES TO \"ada\""),
        ask("", "SHOW USERS"),
        ask("", "REVOKE ALL PRIVILEGES FROM \"ada\""),
        ask("", "SHOW GRANTS FOR \"ada\""),
        ask("", "SET PASSWORD for \"ada\" = 'third'"),
        ask("", "DROP USER \"ada\""),
        ask("", "SHOW GRANTS FOR \"ada\""),
        ask("", "DROP USER \"ada\""),
        ask("", "SHOW USERS"),
        ask("", "DROP DATABASE \"chronograf\""),
        ask("", "SHOW DATABASES"),
    ]
}
