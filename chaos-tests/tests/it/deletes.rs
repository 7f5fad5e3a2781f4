//! DELETE, DROP SERIES and DROP MEASUREMENT, each beside a real influxd: what they answer, what is left, and whether
//! a series comes back. Statements go to one node, questions to the others. SHOW MEASUREMENTS and SHOW TAG VALUES are
//! not asked: influxd's index in memory still lists a measurement and a value that nothing has any more.

use crate::support::{ask, turn_beside_others};
use chaos_tests::{Client, Cluster, Oracle, Settings};

const LINES: [(&str, &str); 2] = [
    (
        "autogen",
        "m,a=1 f=1,g=2 1000\nm,a=1 f=1 2000\nm,a=2 f=3 1000\nm f=9 1500\nn,a=1 f=1 1000\no,b=x v=1i 5",
    ),
    ("r2", "m,a=1 f=7 1000\nm,a=3 f=7 3000"),
];

const STATEMENTS: [&str; 29] = [
    "DELETE FROM m",
    "DELETE FROM m WHERE a='1'",
    "DELETE WHERE time < 1500",
    "DELETE FROM m WHERE f = 1",
    "DELETE FROM m WHERE a='1' AND time = 1000",
    "DELETE FROM m WHERE a != '1'",
    "DELETE FROM /[mo]/",
    "DELETE FROM m, n",
    "DELETE WHERE a=~/1|2/",
    "DELETE FROM nope",
    "DELETE FROM m WHERE nope=''",
    "DELETE FROM m WHERE a='1' OR a='2'",
    "DELETE FROM m WHERE a='1' OR time < 1500",
    "DELETE FROM m WHERE _name='m'",
    "DELETE WHERE _name='n'",
    "DELETE FROM m WHERE time > 1000 AND time < 1000",
    "DELETE FROM m WHERE true",
    "DELETE FROM m WHERE false",
    "DELETE FROM m WHERE a::tag='1'",
    "DELETE FROM m WHERE time > 'x'",
    "DELETE FROM m WHERE a=1",
    "DROP SERIES FROM m",
    "DROP SERIES FROM m WHERE a='1'",
    "DROP SERIES WHERE a='1'",
    "DROP SERIES FROM m WHERE time > 5",
    "DROP SERIES FROM m WHERE nope='x'",
    "DROP SERIES FROM m WHERE _name='n'",
    "DROP MEASUREMENT m",
    "DROP MEASUREMENT nope",
];

const QUESTIONS: [&str; 3] = [
    "SHOW SERIES",
    "SELECT f, a FROM autogen.m, r2.m, n",
    "SELECT count(f), count(g), count(v) FROM autogen.m, r2.m, n, o",
];

#[test]
fn what_is_deleted_and_what_is_left_is_what_influxdb_says() {
    let _turn = turn_beside_others("deletes: beside a real influxd");
    let (oracle, cluster) = (Oracle::start(), Cluster::start(&Settings::default()));
    let (mut told, mut asked) = (oracle.client(), oracle.client());
    let mut nodes: Vec<Client> = (0..cluster.size()).map(|node| cluster.client(node)).collect();
    for (round, statement) in STATEMENTS.iter().enumerate() {
        let database = format!("d{round}");
        let answers = |told: &mut Client, asked: &mut Client| {
            fill(told, &database);
            let mut answers = vec![answer(told, &database, statement)];
            answers.extend(QUESTIONS.iter().map(|q| answer(asked, &database, q)));
            told.post(&format!("/write?db={database}"), b"m,a=1 f=55 7000").expect("an answer");
            answers.extend(QUESTIONS.iter().map(|q| answer(asked, &database, q)));
            answers
        };
        let want = answers(&mut told, &mut asked);
        let (first, rest) = nodes.split_at_mut(1);
        let got = answers(&mut first[0], &mut rest[round % 2]);
        assert_eq!(got, want, "{statement}");
    }
    cluster.assert_equal_checksums();
}

fn fill(client: &mut Client, database: &str) {
    for statement in [
        format!("CREATE DATABASE {database}"),
        format!("CREATE RETENTION POLICY r2 ON {database} DURATION 0s REPLICATION 1"),
    ] {
        assert!(!answer(client, database, &statement).contains("error"), "{statement}");
    }
    for (policy, lines) in LINES {
        let target = format!("/write?db={database}&rp={policy}");
        assert_eq!(client.post(&target, lines.as_bytes()).expect("an answer").status, 204);
    }
}

/// The answer's text; the number that influxd puts before an error of a shard is its own.
fn answer(client: &mut Client, database: &str, q: &str) -> String {
    let text = ask(client, database, "ns", q).expect("an answer").text();
    match (text.find("\"shard "), text.find(": fields")) {
        (Some(from), Some(to)) if from < to => format!("{}{}", &text[..=from], &text[to + 2..]),
        _ => text,
    }
}
