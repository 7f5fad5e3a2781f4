//! Points that a policy no longer keeps: refused when they come, dropped when they have become old, and their disk freed.

use crate::support::{ask, turn_beside_others, wait_until};
use chaos_tests::workload::load;
use chaos_tests::{Client, Cluster, Settings};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DATABASE: &str = "kept";
const DAY_S: u64 = 86_400;
/// Days of points, the last of them today.
const DAYS: u64 = 30;
const SERIES: u64 = 400;
const POINTS_A_DAY: u64 = 24;

#[test]
fn what_a_policy_no_longer_keeps_is_dropped_on_every_node_and_its_disk_freed() {
    let _turn = turn_beside_others("retention: a policy is shortened");
    let config = vec![("retention.check_interval", "\"1s\"".to_owned())];
    let cluster = Cluster::start(&Settings { config, ..Settings::default() });
    let mut client = cluster.client(0);
    statement(&mut client, "CREATE DATABASE kept WITH DURATION INF SHARD DURATION 1d NAME \"default\"");
    let now_s = now_s();
    for day in 0..DAYS {
        load(&mut client, DATABASE, &lines_of_day(now_s, day));
    }
    cluster.assert_equal_checksums();
    let before: Vec<u64> = (0..cluster.size()).map(|node| state_bytes(&cluster, node)).collect();
    assert_eq!(count(&mut cluster.client(1)), DAYS * SERIES * POINTS_A_DAY);

    statement(&mut client, "ALTER RETENTION POLICY \"default\" ON kept DURATION 2d");
    let kept_at_most = 4 * SERIES * POINTS_A_DAY;
    for node in 0..cluster.size() {
        let mut client = cluster.client(node);
        wait_until("old shard groups are dropped", 30, || count(&mut client) <= kept_at_most);
        assert!(count(&mut client) >= SERIES * POINTS_A_DAY, "what is still kept is gone");
    }
    for (node, before) in before.into_iter().enumerate() {
        wait_until("the disk is freed", 30, || state_bytes(&cluster, node) < before / 2);
    }
    cluster.assert_equal_checksums();

    let old = format!("m,series=0 value=1 {}", (now_s - 10 * DAY_S) * 1_000_000_000);
    let answer = client.write(DATABASE, old.as_bytes()).expect("an answer");
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.text().trim(),
        r#"{"error":"partial write: points beyond retention policy dropped=1"}"#
    );
}

/// The points of the day that was `day` days before the last one, one in an hour and series.
fn lines_of_day(now_s: u64, day: u64) -> Vec<String> {
    let first = now_s - (DAYS - day) * DAY_S;
    let point = |hour: u64, series: u64| {
        let time_s = first + hour * 3_600;
        // Values that no codec makes small, so that freed disk can be seen.
        let value = (time_s + series).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11;
        format!("m,series={series} value={value}i {}", time_s * 1_000_000_000)
    };
    (0..POINTS_A_DAY).flat_map(|hour| (0..SERIES).map(move |series| point(hour, series))).collect()
}

fn statement(client: &mut Client, q: &str) {
    let answer = ask(client, DATABASE, "ms", q).expect("an answer");
    assert!(answer.status == 200 && !answer.text().contains("error"), "{q}: {}", answer.text());
}

fn count(client: &mut Client) -> u64 {
    let answer = ask(client, DATABASE, "ms", "SELECT count(value) FROM m").expect("an answer");
    answer.json()["results"][0]["series"][0]["values"][0][1].as_u64().unwrap_or(0)
}

/// Bytes of the files of all groups' states on a node.
fn state_bytes(cluster: &Cluster, node: usize) -> u64 {
    let mut admin = cluster.admin(node).with_timeout(Duration::from_secs(5));
    let metrics = admin.get("/metrics").expect("metrics").text();
    let values = metrics.lines().filter(|line| line.starts_with("steadfast_group_disk_bytes{"));
    values.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

#[expect(clippy::disallowed_methods, reason = "the servers compare the points with the time of the day")]
fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is after 1970").as_secs()
}
