//! Random statements are answered as a real influxd answers them; first those that once were not.
//!
//! `make fuzz-influxql STATEMENTS=100000 SEED=7` runs longer; `testdata/differences.md` lists what may differ.

use crate::support::{number_from_environment, turn};
use chaos_tests::fuzz::{Plan, Servers, corpus, run};
use chaos_tests::report::say;
use chaos_tests::{Cluster, Oracle, Settings};

const CORPUS: &str = include_str!("testdata/influxql_regressions.txt");

#[test]
fn random_statements_are_answered_as_influxd_answers_them() {
    let _turn = turn("fuzz_influxql: random statements beside a real influxd");
    let plan = Plan {
        seed: number_from_environment("STEADFAST_FUZZ_SEED", 1),
        statements: number_from_environment("STEADFAST_FUZZ_STATEMENTS", 3_000),
        first_round: 0,
        shown_max: 0,
    };
    let (oracle, cluster) = (Oracle::start(), Cluster::start(&Settings::default()));
    let mut servers = Servers::new(&oracle, &cluster);
    let known = corpus::replay(CORPUS, &mut servers);
    assert!(known.is_empty(), "{} statements of the corpus differ:\n{}", known.len(), known.join("\n"));
    let outcome = run(&plan, &mut servers);
    say(&format!("  explained: {:?}; unexplained: {}", outcome.explained, outcome.differences.len()));
    assert!(outcome.with_rows * 4 > outcome.asked, "this compares nothing with nothing: {outcome:?}");
    let text = outcome.differences.join("\n");
    assert!(text.is_empty(), "{} differ:\n{text}", outcome.differences.len());
}
