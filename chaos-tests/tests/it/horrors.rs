//! Queries made to take a node down, thrown at one node of a cluster that is being written to. Each must end in time
//! with an answer, memory must stay bounded, and no write may be refused.

use crate::support::turn;
use chaos_tests::client::percent_encode;
use chaos_tests::history::DATABASE;
use chaos_tests::report::{Failures, say, shorten};
use chaos_tests::workload::paced::PacedLoad;
use chaos_tests::{Client, ClientError, Cluster, Request, Response, Settings};
use std::fmt::Write;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// More than this above what the node held before is no bounded memory.
const GROWTH_MAX_BYTES: u64 = 512 << 20;
/// What a query may take on these nodes.
const QUERY_TIMEOUT: Duration = Duration::from_secs(4);
/// How much later than its timeout an answer may come while everything else runs, too.
const LATE_MAX: Duration = Duration::from_secs(6);
/// The same for the end of a killed query.
const KILLED_WITHIN: Duration = Duration::from_secs(1);
/// Queries thrown at the node at once.
const AT_ONCE: usize = 6;
/// Series of the measurement that horrors are about.
const SERIES: usize = 4_000;

#[test]
fn no_query_takes_a_node_down() {
    let _turn = turn("horrors: queries made to take a node down, under a write load");
    let config = vec![("query.timeout", format!("\"{}s\"", QUERY_TIMEOUT.as_secs()))];
    let mut cluster = Cluster::start(&Settings { config, ..Settings::default() });
    fill(&mut cluster.client(0));
    let load = PacedLoad::start(&cluster.addresses(), 10);
    let before = cluster.process(0).resident_bytes();
    let started = Instant::now();
    let mut failures = Failures::default();
    let mut highest = 0;
    let horrors = horrors();
    let count = horrors.len();
    let mut waiting = horrors.into_iter();
    let mut askers = Vec::new();
    loop {
        while askers.len() < AT_ONCE
            && let Some((name, q)) = waiting.next()
        {
            let address = cluster.http(0).to_owned();
            askers.push(std::thread::spawn(move || {
                let begun = Instant::now();
                let answer = throw(&address, &q);
                (name, begun.elapsed(), answer)
            }));
        }
        if askers.is_empty() {
            break;
        }
        let (ended, running): (Vec<_>, Vec<_>) = askers.into_iter().partition(JoinHandle::is_finished);
        askers = running;
        for asker in ended {
            let (name, took, answer) = asker.join().expect("the asker ended");
            judge(&name, took, answer, &mut failures);
        }
        highest = highest.max(cluster.process(0).resident_bytes().saturating_sub(before));
        std::thread::sleep(Duration::from_millis(20));
    }
    say(&format!(
        "  {count} horrors ended within {:.1} s, memory grew by at most {} MiB",
        started.elapsed().as_secs_f64(),
        highest >> 20
    ));
    kill_one(&cluster, &mut failures);
    let history = load.finish();
    say(&format!("  {}", history.summary()));
    assert!(history.refusals.is_empty(), "writes were refused: {:?}", history.refusals);
    assert!(highest < GROWTH_MAX_BYTES, "memory grew by {} MiB", highest >> 20);
    history.check(&mut cluster.client(1), &mut failures);
    assert!((0..cluster.size()).all(|node| cluster.is_ready(node)));
    failures.assert_none("horrors");
}

/// A measurement of many series with a wide row, and one that has a point a minute for years.
fn fill(client: &mut Client) {
    for name in ["horror", DATABASE] {
        let created = client.query("", &format!("CREATE DATABASE {name}"));
        assert!(created.as_ref().is_ok_and(|a| a.status == 200), "{created:?}");
    }
    let mut lines = String::new();
    for n in 0..SERIES {
        for back in 0..3 {
            let time = 1_750_000_000 - 60 * back;
            let (host, rack, text) = (n % 500, n / 500, "x".repeat(100));
            let tags = format!("host=h{host},rack=r{rack},pod=pod-{n}-abcdefghijklmnop");
            writeln!(lines, "wide,{tags} v={n},w={back}i,t=\"{text}\",b=true {time}000000000")
                .expect("a string");
        }
        if lines.len() > 1 << 20 || n + 1 == SERIES {
            let written = client.write("horror", lines.as_bytes());
            assert!(written.as_ref().is_ok_and(|a| a.status == 204), "{written:?}");
            lines.clear();
        }
    }
    for n in 0..200_000 {
        writeln!(lines, "long v={} {}000000000", n % 97, 1_750_000_000 - 60 * n).expect("a string");
    }
    let written = client.write("horror", lines.as_bytes());
    assert!(written.as_ref().is_ok_and(|a| a.status == 204), "{written:?}");
}

/// A query by POST, its text in the body: some have megabytes.
fn throw(address: &str, q: &str) -> Result<Response, ClientError> {
    let body = format!("db=horror&q={}", percent_encode(q));
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    let mut client = Client::new(address.to_owned()).with_timeout(Duration::from_secs(60));
    let request =
        Request { method: "POST", target: "/query", headers: &headers, body: Some(body.as_bytes()) };
    client.send(&request)
}

/// Any answer will do that comes in time and is one of ours.
fn judge(name: &str, took: Duration, answer: Result<Response, ClientError>, failures: &mut Failures) {
    match answer {
        Ok(answer) if matches!(answer.status, 200 | 400 | 413 | 422 | 503) => {
            let text = answer.text();
            if took > QUERY_TIMEOUT + LATE_MAX {
                failures.add(format!("{name}: took {:.1} s: {}", took.as_secs_f64(), shorten(&text)));
            }
            let shown: String = text.chars().take(140).collect();
            say(&format!("    {:>5.2} s {} {name}: {}", took.as_secs_f64(), answer.status, shown.trim_end()));
        }
        other => failures.add(format!("{name}: {}", shorten(&format!("{other:?}")))),
    }
}

/// A query that would run until its timeout is killed from another node, and ends at once.
fn kill_one(cluster: &Cluster, failures: &mut Failures) {
    let address = cluster.http(0).to_owned();
    let asker = std::thread::spawn(move || {
        let answer = throw(&address, &slow_query(1));
        (Instant::now(), answer)
    });
    let mut other = cluster.client(1);
    let deadline = Instant::now() + QUERY_TIMEOUT;
    let id = loop {
        let listed = other.query("", "SHOW QUERIES").expect("an answer").json();
        let rows = listed["results"][0]["series"][0]["values"].as_array().cloned().unwrap_or_default();
        let slow = rows.iter().find(|row| row[1].as_str().is_some_and(|q| q.contains("moving_average")));
        if let Some(id) = slow.and_then(|row| row[0].as_i64()) {
            break id;
        }
        if Instant::now() > deadline || asker.is_finished() {
            return failures.add("the slow query was not seen".to_owned());
        }
    };
    let killed_at = Instant::now();
    let killed = other.query("", &format!("KILL QUERY {id}")).expect("an answer");
    if killed.text().contains("error") {
        failures.add(format!("KILL QUERY: {}", killed.text()));
    }
    let (ended, answer) = asker.join().expect("the asker ended");
    let text = answer.map_or_else(|error| error.to_string(), |answer| answer.text());
    if !text.contains("query interrupted") {
        failures.add(format!("the killed query: {}", shorten(&text)));
    }
    let took = ended.saturating_duration_since(killed_at);
    if took > KILLED_WITHIN {
        failures.add(format!("the killed query ended after {:.1} s", took.as_secs_f64()));
    }
}

/// Expressions by row, many of them.
fn slow_query(add: usize) -> String {
    let terms: Vec<String> = (0..600).map(|n| format!("v*{n} > {}", 1_000_000_000 + n + add)).collect();
    format!(
        "SELECT moving_average(v, 5) FROM long, long, long, long, long, long WHERE {}",
        terms.join(" OR ")
    )
}

fn horrors() -> Vec<(String, String)> {
    let long_ago = "time > '2015-01-01T00:00:00Z' AND time < '2025-06-15T15:06:40Z'";
    let mut all: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, q: String| all.push((name.to_owned(), q));
    windows(&mut add, long_ago);
    texts(&mut add);
    expressions(&mut add);
    for (name, q) in [
        ("everything", "SELECT * FROM /.*/".to_owned()),
        ("everything twice", "SELECT * FROM wide, wide, long, long, wide".to_owned()),
        ("everything by all tags", "SELECT * FROM wide GROUP BY *".to_owned()),
        ("huge limits", "SELECT * FROM wide LIMIT 9223372036854775807 OFFSET 9223372036854775807".to_owned()),
        (
            "huge slimits",
            "SELECT v FROM wide GROUP BY * SLIMIT 9223372036854775807 SOFFSET 9223372036854775807".to_owned(),
        ),
        ("moving_average of all", "SELECT moving_average(v, 9223372036854775807) FROM long".to_owned()),
        ("top of all", "SELECT top(v, 9223372036854775807) FROM wide".to_owned()),
        ("top by tags", "SELECT top(v, host, rack, pod, 9223372036854775807) FROM wide".to_owned()),
        ("sample of all", "SELECT sample(v, 9223372036854775807) FROM wide".to_owned()),
        ("percentile", "SELECT percentile(v, 100), percentile(w, 9223372036854775807) FROM wide".to_owned()),
        ("series", "SHOW SERIES; SHOW TAG VALUES WITH KEY =~ /.*/; SHOW SERIES EXACT CARDINALITY".to_owned()),
        ("slow rows", slow_query(0)),
    ] {
        add(name, q);
    }
    all
}

fn windows(add: &mut impl FnMut(&str, String), long_ago: &str) {
    add("1 ms over a month", "SELECT mean(v) FROM wide WHERE time > '2025-05-15T00:00:00Z' AND time < '2025-06-15T15:06:40Z' GROUP BY time(1ms)".to_owned());
    add("1 ms over a month by tags", "SELECT mean(v) FROM wide WHERE time > '2025-05-15T00:00:00Z' AND time < '2025-06-15T15:06:40Z' GROUP BY time(1ms), *".to_owned());
    add("years of zeros", format!("SELECT count(v) FROM long WHERE {long_ago} GROUP BY time(12m) fill(0)"));
    add(
        "years of zeros by tags",
        format!("SELECT count(v), sum(w), max(v) FROM wide WHERE {long_ago} GROUP BY time(12m), * fill(0)"),
    );
    add(
        "no bounds over a subquery",
        "SELECT max(m) FROM (SELECT mean(v) AS m FROM long GROUP BY time(1m)) GROUP BY time(1ms)".to_owned(),
    );
    add("no bounds over a subquery, by tags", "SELECT max(m) FROM (SELECT mean(v) AS m FROM wide GROUP BY time(1m), *) GROUP BY time(1s), * fill(0)".to_owned());
    add(
        "cartesian tags",
        format!("SELECT mean(v) FROM wide WHERE {long_ago} GROUP BY host, rack, pod, time(1h) fill(0)"),
    );
    let tags: Vec<String> = (0..3_000).map(|n| format!("t{n}")).collect();
    add("thousands of tags", format!("SELECT v FROM wide GROUP BY {}, pod", tags.join(",")));
    let hw = |n: &str, s: &str| {
        format!("SELECT holt_winters(mean(v), {n}, {s}) FROM long WHERE {long_ago} GROUP BY time(1h)")
    };
    add("holt_winters far ahead", hw("9223372036854775807", "4"));
    add("holt_winters with long seasons", hw("10", "20000"));
    add("holt_winters with seasons", hw("100000", "900"));
    let mut nested = "SELECT max(v) AS v FROM long GROUP BY time(1m)".to_owned();
    for _ in 0..60 {
        nested = format!("SELECT derivative(max(v)) AS v, max(v) AS m FROM ({nested}) GROUP BY time(1m)");
    }
    add("sixty subqueries, two ranges each", nested);
}

fn texts(add: &mut impl FnMut(&str, String)) {
    let names: Vec<String> = (0..400).map(|n| format!("pod-{n}-[a-z]+.*p")).collect();
    add("a regex of 10 kB", format!("SELECT mean(v) FROM wide WHERE pod =~ /{}/", names.join("|")));
    add(
        "nested quantifiers",
        "SELECT mean(v) FROM wide WHERE pod =~ /((((a*)*)*)*)*(([a-z]+)+)+$/ AND t =~ /(x+x+)+y/".to_owned(),
    );
    add(
        "big repetitions",
        "SELECT mean(v) FROM wide WHERE pod =~ /([^q]{50}){20}/ AND t =~ /([^y]{30}[^z]{30}){16}/".to_owned(),
    );
    let many: Vec<String> = (0..300).map(|n| format!("pod =~ /[^{n}]{{1000}}x/")).collect();
    add("hundreds of big regexes", format!("SELECT mean(v) FROM wide WHERE {}", many.join(" OR ")));
    add(
        "values by a slow regex",
        "SHOW TAG VALUES WITH KEY = pod WHERE value =~ /([^q]{40}){20}|x/".to_owned(),
    );
    add("ten thousand statements", "SELECT last(v) FROM long;".repeat(10_000));
    add("a hundred thousand statements", "SHOW DATABASES;".repeat(100_000));
    add("many columns", format!("SELECT {} FROM long", vec!["v"; 200_000].join(",")));
    add("many sources", format!("SELECT mean(v) FROM {}", vec!["wide"; 20_000].join(",")));
}

fn expressions(add: &mut impl FnMut(&str, String)) {
    let deep = |open: &str, close: &str, n: usize| format!("{}v{}", open.repeat(n), close.repeat(n));
    add("parentheses", format!("SELECT v FROM long WHERE {} > 1", deep("(", ")", 100_000)));
    add("calls", format!("SELECT {} FROM long", deep("abs(", ")", 50_000)));
    add(
        "subqueries",
        format!("{}SELECT v FROM long{}", "SELECT v FROM (".repeat(20_000), ")".repeat(20_000)),
    );
    let or: Vec<String> = (0..100_000).map(|n| format!("host = 'h{n}'")).collect();
    add("an OR chain of 100,000", format!("SELECT v FROM wide WHERE {}", or.join(" OR ")));
    add("an OR chain of 900", format!("SELECT v FROM wide WHERE {}", or[..900].join(" OR ")));
    let and: Vec<String> = (0..900).map(|n| format!("v != {n}.5")).collect();
    add("an AND chain of 900", format!("SELECT v FROM wide WHERE {}", and.join(" AND ")));
    add("a sum of 1,900", format!("SELECT {} FROM long", vec!["v"; 1_900].join("+")));
    add("a sum of a million", format!("SELECT {} FROM long", vec!["1"; 1_000_000].join("+")));
}
