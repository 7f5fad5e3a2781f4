//! Links between nodes are cut: both ways, one way, and so that one node sees two that do not see each other.

use crate::support::{ask, number_from_environment, turn_beside_others, wait_until};
use chaos_tests::history::DATABASE;
use chaos_tests::network::Network;
use chaos_tests::report::{Failures, say};
use chaos_tests::workload::create_database;
use chaos_tests::workload::paced::PacedLoad;
use chaos_tests::workload::random::Random;
use chaos_tests::{Cluster, Settings};
use std::sync::Arc;
use std::time::Duration;

/// Batches that must be acknowledged while a link is cut: of 40 a second, less an election.
const BATCHES: usize = 120;

/// Which links are cut.
#[derive(Debug, Clone, Copy)]
enum Cut {
    /// A node hears nobody, and nobody hears it.
    Alone(usize),
    /// Two nodes do not hear each other; the third hears both.
    Between(usize, usize),
    /// What the first sends does not arrive at the second.
    OneWay(usize, usize),
}

impl Cut {
    fn random(random: &mut Random) -> Self {
        let a = random.below(3) as usize;
        let b = (a + 1 + random.below(2) as usize) % 3;
        match random.below(3) {
            0 => Self::Alone(a),
            1 => Self::Between(a, b),
            _ => Self::OneWay(a, b),
        }
    }

    fn apply(self, network: &Network) {
        match self {
            Self::Alone(node) => network.isolate(node),
            Self::Between(a, b) => network.cut_both(a, b),
            Self::OneWay(from, to) => network.cut(from, to),
        }
    }
}

#[test]
fn whatever_links_are_cut_nothing_is_lost_and_no_old_answer_looks_fresh() {
    let network = match Network::new(3) {
        Ok(network) => Arc::new(network),
        Err(reason) => {
            return say(&format!("partitions: skipped, there are no network namespaces here: {reason}"));
        }
    };
    let _turn = turn_beside_others("partitions: links between the nodes are cut under load");
    let mut cluster =
        Cluster::start(&Settings { network: Some(Arc::clone(&network)), ..Settings::default() });
    create_database(&mut cluster.client(0), DATABASE);
    let seed = number_from_environment("STEADFAST_PARTITION_SEED", 4);
    let mut random = Random::new(seed);
    let load = PacedLoad::start(&cluster.addresses(), 40);
    wait_until("something to lose", 30, || load.acknowledged() > 50);
    for round in 0..number_from_environment("STEADFAST_PARTITIONS", 4) {
        let cut = Cut::random(&mut random);
        if let Cut::Alone(node) = cut {
            // A Service does not send to a node that is not ready; what it was sent before is not part of this test.
            load.avoid(node, true);
            std::thread::sleep(Duration::from_millis(500));
        }
        cut.apply(&network);
        let before = load.acknowledged();
        wait_until("writes go on", 30, || load.acknowledged() > before + BATCHES);
        say(&format!("  {cut:?}: writes went on"));
        if let Cut::Alone(node) = cut {
            reads_are_fresh_or_say_not(&cluster, node, round);
        }
        network.heal();
        cluster.wait_caught_up();
        for node in 0..3 {
            cluster.wait_ready(node);
            load.avoid(node, false);
        }
    }
    let history = load.finish();
    say(&format!("  seed {seed}: {}", history.summary()));
    assert!(history.refusals.is_empty(), "refused: {:?}", history.refusals);
    assert!(history.slowest < Duration::from_secs(10), "slowest request {:?}", history.slowest);
    let mut failures = Failures::default();
    for node in 0..3 {
        history.check(&mut cluster.client(node), &mut failures);
    }
    failures.assert_none("after the links came back");
    cluster.assert_equal_checksums();
}

/// A point that was acknowledged after the node was cut off is in its answer, or the answer says that it is old.
fn reads_are_fresh_or_say_not(cluster: &Cluster, alone: usize, round: u64) {
    let line = format!("marker value={round}i {}", round + 1);
    let answer = cluster.client((alone + 1) % 3).write(DATABASE, line.as_bytes()).expect("an answer");
    assert_eq!(answer.status, 204, "{}", answer.text());
    let q = format!("SELECT value FROM marker WHERE value = {round}");
    let answer = ask(&mut cluster.client(alone), DATABASE, "ns", &q).expect("an answer");
    let is_there = answer.text().contains(&format!("[{},{round}]", round + 1));
    let is_marked = answer.header("X-Steadfast-Stale-Ms").is_some();
    assert!(is_there || is_marked || answer.status != 200, "an old answer looks fresh: {answer:?}");
    say(&format!("  the node that was cut off answers {}, marked {is_marked}", answer.status));
}
