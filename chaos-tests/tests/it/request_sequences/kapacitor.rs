//! Kapacitor: what it looks at once a minute, its subscriptions, the queries of batch tasks in the spelling of 1.x's printer, and what tasks
//! write back.

use super::Step;
use chaos_tests::workload::queries::at;

/// Nobody listens there; what is sent on is lost, as it is when Kapacitor is down.
const SUBSCRIBE: &str =
    "CREATE SUBSCRIPTION \"kapacitor-1\" ON \"telegraf\".\"autogen\" DESTINATIONS ANY 'http://127.0.0.1:9'";

fn ask(q: &str) -> Step {
    Step::post("/query", &[("db", ""), ("q", q)]).header("User-Agent", "KapacitorInfluxDBClient")
}

fn write(db: &str, rp: &str, lines: &str) -> Step {
    let parameters = [("consistency", ""), ("db", db), ("precision", "ns"), ("rp", rp)];
    Step::post("/write", &parameters).gzip(lines)
}

pub(super) fn steps(end_s: i64) -> Vec<Step> {
    let batch = |q: &str| {
        let times = "time >= '{utc end-5m}' AND time < '{utc end+1s}'";
        ask(&at(&q.replace(":times:", times), end_s * 1_000))
    };
    let ns = end_s * 1_000_000_000;
    vec![
        Step::get("/ping?wait_for_leader=30s"),
        ask("SHOW DATABASES"),
        ask("SHOW RETENTION POLICIES ON telegraf"),
        ask("SHOW SUBSCRIPTIONS"),
        ask(SUBSCRIBE),
        ask(SUBSCRIBE),
        ask(
            "CREATE SUBSCRIPTION \"all\" ON \"telegraf\".\"day\" DESTINATIONS ALL 'udp://127.0.0.1:9', 'http://127.0.0.1:9'",
        ),
        ask("CREATE SUBSCRIPTION \"x\" ON \"telegraf\".\"nope\" DESTINATIONS ANY 'http://127.0.0.1:9'"),
        ask("SHOW SUBSCRIPTIONS"),
        ask("DROP SUBSCRIPTION \"all\" ON \"telegraf\".\"day\""),
        ask("DROP SUBSCRIPTION \"all\" ON \"telegraf\".\"day\""),
        ask("SHOW SUBSCRIPTIONS"),
        batch(
            "SELECT mean(usage_user) AS stat FROM telegraf.autogen.cpu WHERE cpu = 'cpu-total' AND :times: GROUP BY time(1m, 0s), host",
        ),
        batch(
            "SELECT mean(usage_user) FROM telegraf.autogen.cpu WHERE :times: GROUP BY time(1m, 0s), * fill(none)",
        ),
        batch("SELECT count(used) AS count FROM telegraf.autogen.mem WHERE :times: GROUP BY host"),
        batch(
            "SELECT max(load1), min(load1), spread(load1) FROM telegraf.autogen.\"system\" WHERE host =~ /web-.*/ AND :times: GROUP BY time(2m, 30s), host fill(0)",
        ),
        batch("SELECT last(ok) FROM telegraf.autogen.docker WHERE :times: GROUP BY *"),
        batch("SELECT usage_user FROM telegraf.autogen.cpu WHERE :times: GROUP BY * LIMIT 2"),
        batch("SELECT mean(v) FROM telegraf.autogen.nothing WHERE :times: GROUP BY time(1m, 0s)"),
        // influxDBOut.
        write("alerts", "", &format!("alert,id=cpu level=\"WARN\",value=3.5,duration=60i {ns}\n")),
        ask("CREATE DATABASE alerts WITH NAME week"),
        write("alerts", "", &format!("alert,id=cpu level=\"WARN\",value=3.5,duration=60i {ns}\n")),
        write("alerts", "week", &format!("alert,id=cpu level=\"OK\",value=1,duration=0i {}\n", ns + 1)),
        write("alerts", "nope", &format!("alert,id=cpu level=\"OK\" {ns}\n")),
        write("alerts", "week", &format!("alert,id=cpu level=3 {ns}\n")),
        ask("SELECT * FROM alerts.week.alert"),
        ask("SELECT * FROM alerts..alert GROUP BY id"),
        ask("DROP SUBSCRIPTION \"kapacitor-1\" ON \"telegraf\".\"autogen\""),
        ask("SHOW SUBSCRIPTIONS"),
        ask("DROP DATABASE alerts"),
        ask("SELECT * FROM alerts.week.alert"),
    ]
}
