//! A leader dies or hangs under load: nobody notices, nothing is lost.

use crate::cluster::{Cluster, DATA, eventually, in_seconds, point, points, tuning};
use raft::Role;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

const WRITERS: i64 = 4;

#[test]
fn a_dying_leader_costs_no_write() {
    let mut cluster = Cluster::start(1, tuning());
    let leader = cluster.leader(DATA);
    let survivors: Vec<usize> = (0..3).filter(|place| *place != leader).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let group = cluster.group(survivors[writer as usize % 2], DATA);
            let stop = Arc::clone(&stop);
            cluster.client.spawn(async move {
                let mut acknowledged = Vec::new();
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let time = number * WRITERS + writer;
                    group.submit(point(time, number), in_seconds(15)).await.unwrap();
                    acknowledged.push((time, number));
                }
                acknowledged
            })
        })
        .collect();
    sleep(Duration::from_millis(700));
    cluster.kill(leader);
    sleep(Duration::from_secs(4));
    cluster.start_node(leader);
    sleep(Duration::from_millis(700));
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(cluster.client.block_on(writer).unwrap());
    }
    assert!(acknowledged.len() > 100, "only {} writes", acknowledged.len());
    for place in 0..3 {
        cluster.barrier(place, DATA);
        let there = points(&cluster.group(place, DATA));
        for (time, value) in &acknowledged {
            assert_eq!(there.get(time), Some(value), "node {place} lost {time}");
        }
    }
    cluster.assert_equal_replicas(DATA);
}

#[test]
fn a_hanging_leader_holds_nobody_up() {
    let mut cluster = Cluster::start(1, tuning());
    let leader = cluster.leader(DATA);
    let other = (leader + 1) % 3;
    cluster.write(other, 1, 1);
    cluster.kill(leader);
    // In its place somebody who takes connections and never says a word, as a stopped process does.
    let _mute = std::net::TcpListener::bind(&cluster.nodes[leader].address).unwrap();
    let started = std::time::Instant::now();
    cluster.write(other, 2, 2);
    cluster.barrier(other, DATA);
    assert!(started.elapsed() < Duration::from_secs(10), "took {:?}", started.elapsed());
    assert_eq!(points(&cluster.group(other, DATA)).len(), 2);
}

#[test]
fn a_leader_that_answers_late_is_asked_once() {
    // No answer comes within a millisecond: an fsync on two nodes and three messages lie before it.
    let cluster = Cluster::start(1, raft::Tuning { attempt_timeout: Duration::from_millis(1), ..tuning() });
    let leader = cluster.leader(DATA);
    let other = (leader + 1) % 3;
    let group = cluster.group(other, DATA);
    eventually("word of the leader", || group.leader().filter(|id| *id == cluster.nodes[leader].id));
    let before = (cluster.group(leader, DATA).counters().applied_commands, group.counters().retried);
    for time in 0..20 {
        cluster.write(other, time, time);
    }
    let applied = cluster.group(leader, DATA).counters().applied_commands - before.0;
    assert_eq!((applied, group.counters().retried - before.1), (20, 0), "each command is in the log once");
}

#[test]
fn a_node_whose_disk_failed_says_so_and_still_forwards() {
    let mut cluster = Cluster::start(1, tuning());
    let leader = cluster.leader(DATA);
    let other = (leader + 1) % 3;
    cluster.write(leader, 1, 1);
    cluster.log_faults(leader).fail_after(0);
    // It fails while it leads; whoever is asked, the group goes on without it.
    cluster.write(other, 2, 2);
    let failed = cluster.group(leader, DATA);
    let status = eventually("the failure", || Some(failed.status()).filter(|s| s.failure.is_some()));
    assert_eq!(status.role, Role::Stopped);
    assert!(!failed.is_leader());
    cluster.write(leader, 3, 3);
    drop(failed);
    cluster.kill(leader);
    cluster.start_node(leader);
    cluster.barrier(leader, DATA);
    let all: Vec<i64> = points(&cluster.group(leader, DATA)).into_keys().collect();
    assert_eq!(all, [1, 2, 3]);
    cluster.assert_equal_replicas(DATA);
}
