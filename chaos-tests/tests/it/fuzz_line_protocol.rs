//! Random and mutated line protocol is answered and stored as by a real influxd.
//!
//! `make fuzz-line-protocol BODIES=20000 SEED=7` runs longer; `testdata/differences.md` lists what may differ.

use crate::support::{number_from_environment, turn};
use chaos_tests::fuzz::{Plan, Servers, line_campaign};
use chaos_tests::report::say;
use chaos_tests::{Cluster, Oracle, Settings};

#[test]
fn random_line_protocol_is_taken_as_influxd_takes_it() {
    let _turn = turn("fuzz_line_protocol: random bodies beside a real influxd");
    let plan = Plan {
        seed: number_from_environment("STEADFAST_FUZZ_SEED", 1),
        statements: number_from_environment("STEADFAST_FUZZ_BODIES", 1_000),
        first_round: 0,
        shown_max: 20,
    };
    let (oracle, cluster) = (Oracle::start(), Cluster::start(&Settings::default()));
    let outcome = line_campaign::run(&plan, &mut Servers::new(&oracle, &cluster));
    say(&format!("  {} bodies; explained: {:?}", outcome.asked, outcome.explained));
    let text = outcome.differences.join("\n");
    assert!(outcome.differences.is_empty(), "{} differ:\n{text}", outcome.differences.len());
}
