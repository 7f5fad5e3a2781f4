//! Telegraf's outputs `influxdb` and `influxdb_v2`: create the database by a form, write gzip, read the error text to know
//! what to do next.

use super::Step;
use std::fmt::Write as _;

/// What Telegraf collects of two hosts and a Kubernetes cluster: a point each half minute, five minutes long.
pub(super) fn lines(end_s: i64) -> String {
    let mut text = String::new();
    for (n, time) in (0..=10).map(|back| (10 - back, (end_s - 30 * back) * 1_000_000_000)) {
        for (h, host) in ["web-1", "web-2"].into_iter().enumerate() {
            let (a, b) = (n as f64 + h as f64 / 4.0, n * 7 + h as i64);
            writeln!(
                text,
                "cpu,cpu=cpu-total,host={host} usage_user={a},usage_idle={} {time}\n\
                 cpu,cpu=cpu0,host={host} usage_user={},usage_idle=50 {time}\n\
                 mem,host={host} used_percent={},used={}i {time}\n\
                 system,host={host} load1={a},n_cpus={}i,uptime={}i {time}\n\
                 net,host={host},interface=eth0 bytes_sent={}i,bytes_recv={}i {time}\n\
                 docker,host={host} n_containers={b}i,engine_host=\"{host}.local\",ok={} {time}\n\
                 kubernetes_pod_container,host={host},node_name=n{h},pod_name=p-{n} cpu_usage_nanocores={b}i,memory_usage_bytes={}i {time}",
                100.0 - a, a / 2.0, a * 3.0, b * 1_000, h + 2, b * 30, b * b * 1_000, (n % 4) * 999, b % 2 == 0, b << 20,
            )
            .unwrap_or_default();
        }
    }
    text
}

fn create() -> Step {
    Step { method: "POST", target: "/query".to_owned(), ..Step::default() }
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body("q=CREATE+DATABASE+%22telegraf%22")
}

fn write(parameters: &[(&str, &str)], lines: &str) -> Step {
    Step::post("/write", parameters)
        .header("Content-Type", "text/plain; charset=utf-8")
        .header("User-Agent", "Telegraf/1.14.5")
        .gzip(lines)
}

/// The second output. 1.6 does not know it, so influxd is sent what it means.
fn write_v2(bucket: &str, v1: &[(&str, &str)], lines: &str) -> Step {
    let parameters = [("bucket", bucket), ("org", "any"), ("precision", "ns")];
    let step =
        Step::post("/api/v2/write", &parameters).header("Authorization", "Token any:thing").gzip(lines);
    Step { at_influxd: Some(Step::post("/write", v1).target), ..step }
}

pub(super) fn steps(end_s: i64) -> Vec<Step> {
    let telegraf = [("db", "telegraf")];
    let lines = lines(end_s);
    let (first, rest) = lines.split_at(lines.find("\ncpu,cpu=cpu-total,host=web-2").map_or(0, |at| at + 1));
    let ns = end_s * 1_000_000_000;
    let policy = "CREATE RETENTION POLICY \"day\" ON \"telegraf\" DURATION 1d REPLICATION 1";
    vec![
        // Not there yet: the text makes it create the database.
        write(&telegraf, first),
        create(),
        create(),
        write(&telegraf, first),
        write(&[("consistency", "any"), ("db", "telegraf"), ("rp", "autogen")], rest),
        // The same batch again, as after a timeout.
        write(&telegraf, rest),
        // Batches that it drops, by these texts.
        // Created at one node and used at the next.
        Step::post("/query", &[("q", policy)]),
        write(
            &[("db", "telegraf"), ("rp", "day")],
            &format!("cpu,host=old usage_user=1 {}\n", ns - 90_000_000_000_000),
        ),
        write(&[("db", "telegraf"), ("rp", "nope")], first),
        write(
            &telegraf,
            &format!(
                "cpu,cpu=cpu0,host=web-1 usage_user=\"text\" {ns}\nmem,host=web-1 used_percent=1 {ns}\n"
            ),
        ),
        write(&telegraf, &format!("cpu,host=web-1 usage_user=1u {ns}\n")),
        write(&telegraf, "cpu host=web-1\nmem,host= used=1\n"),
        write(&telegraf, ""),
        write(&[("db", "telegraf"), ("consistency", "most")], first),
        write_v2("telegraf", &telegraf, &format!("v2,host=web-1 v=1i {ns}\n")),
        write_v2("telegraf/day", &[("db", "telegraf"), ("rp", "day")], &format!("v2,host=web-2 v=2i {ns}\n")),
        write_v2("nope", &[("db", "nope")], first),
        write_v2("telegraf/nope", &[("db", "telegraf"), ("rp", "nope")], first),
        write_v2("telegraf", &telegraf, "bad\n"),
        Step::post(
            "/query",
            &[("q", "SELECT * FROM v2; SELECT * FROM day.v2; SELECT * FROM day.cpu"), ("db", "telegraf")],
        ),
        Step::post("/query", &[("q", "SELECT count(*) FROM /.*/ GROUP BY *"), ("db", "telegraf")]),
    ]
}
