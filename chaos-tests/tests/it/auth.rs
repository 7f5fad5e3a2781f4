//! Users: a change that one node has answered holds on all of them at once, and is kept over restarts.

use crate::support::turn;
use chaos_tests::client::percent_encode;
use chaos_tests::{Cluster, Settings};

/// Status and body of a statement at a node, with credentials in the URL.
fn run(cluster: &Cluster, node: usize, who: &str, q: &str) -> (u16, String) {
    let (name, password) = who.split_once(':').expect("name:password");
    let (q, name, password) = (percent_encode(q), percent_encode(name), percent_encode(password));
    let target = format!("/query?db=d&q={q}&u={name}&p={password}");
    let answer = cluster.client(node).post(&target, b"").expect("an answer");
    (answer.status, answer.text().trim_end().to_owned())
}

/// The status of a write at a node.
fn write(cluster: &Cluster, node: usize, who: &str) -> u16 {
    let (name, password) = who.split_once(':').expect("name:password");
    let target = format!("/write?db=d&u={name}&p={password}");
    cluster.client(node).post(&target, b"m v=1 1").expect("an answer").status
}

#[track_caller]
fn done(answer: (u16, String)) {
    assert_eq!((answer.0, &*answer.1), (200, r#"{"results":[{"statement_id":0}]}"#));
}

#[test]
fn a_change_of_users_holds_on_all_nodes_at_once() {
    let _turn = turn("auth: users on three nodes");
    // It is wrong more often than a person is.
    let config = vec![("auth.enabled", "true".to_owned()), ("auth.failed_logins", "0".to_owned())];
    let mut cluster = Cluster::start(&Settings { config, ..Settings::default() });
    let everywhere = |cluster: &Cluster, check: &dyn Fn(usize) -> u16, expected: u16, what: &str| {
        for node in 0..cluster.size() {
            assert_eq!(check(node), expected, "node {node}: {what}");
        }
    };
    assert_eq!(run(&cluster, 1, "adm:ap", "SHOW DATABASES").0, 403, "there is no admin yet");
    done(run(&cluster, 0, ":", "CREATE USER adm WITH PASSWORD 'ap' WITH ALL PRIVILEGES"));
    everywhere(&cluster, &|node| run(&cluster, node, ":", "SHOW DATABASES").0, 401, "an admin exists");
    everywhere(&cluster, &|node| run(&cluster, node, "adm:ap", "SHOW USERS").0, 200, "it may ask");

    done(run(&cluster, 1, "adm:ap", "CREATE DATABASE d"));
    for round in 0..5 {
        let at = |step: usize| (round + step) % cluster.size();
        let select = |node| run(&cluster, node, "u:p", "SELECT v FROM m").0;
        done(run(&cluster, at(0), "adm:ap", "CREATE USER u WITH PASSWORD 'p'"));
        done(run(&cluster, at(1), "adm:ap", "CREATE USER u WITH PASSWORD 'p'"));
        everywhere(&cluster, &select, 403, "nothing is granted");
        done(run(&cluster, at(1), "adm:ap", "GRANT ALL ON d TO u"));
        everywhere(&cluster, &select, 200, "all is granted");
        everywhere(&cluster, &|node| write(&cluster, node, "u:p"), 204, "all is granted");
        done(run(&cluster, at(2), "adm:ap", "REVOKE WRITE ON d FROM u"));
        everywhere(&cluster, &|node| write(&cluster, node, "u:p"), 403, "writing was revoked");
        everywhere(&cluster, &select, 200, "reading was not");
        done(run(&cluster, at(0), "adm:ap", "SET PASSWORD FOR u = 'other'"));
        everywhere(&cluster, &select, 401, "the password is another one");
        everywhere(&cluster, &|node| run(&cluster, node, "u:other", "SHOW DATABASES").0, 200, "the new one");
        done(run(&cluster, at(1), "adm:ap", "DROP USER u"));
        everywhere(&cluster, &|node| run(&cluster, node, "u:other", "SHOW DATABASES").0, 401, "it is gone");
    }

    done(run(&cluster, 2, "adm:ap", "CREATE USER \"a b\" WITH PASSWORD 'p&=?'"));
    for node in 0..cluster.size() {
        cluster.kill(node);
    }
    cluster.start_all();
    everywhere(&cluster, &|node| run(&cluster, node, "a b:p&=?", "SHOW DATABASES").0, 200, "users are kept");
    cluster.assert_equal_checksums();
    for node in 0..cluster.size() {
        let log = std::fs::read_to_string(cluster.log(node)).expect("a log");
        assert!(!log.contains("p&=?") && !log.contains("argon2"), "node {node} has logged a password");
    }
}
