//! Placement of series must not show: any number of groups gives the answer of one.

use super::answer::{Request, answer, same};
use crate::store::Store;
use proptest::prelude::*;
use std::fmt::Write;

const NOW_NS: i64 = 3_000;

/// Every kind of leaf, call and order; floats are small whole numbers, so that sums are exact.
const QUERIES: [&str; 26] = [
    "SELECT f, i, s FROM m",
    "SELECT * FROM m GROUP BY h ORDER BY time DESC LIMIT 3",
    "SELECT f FROM m LIMIT 5 OFFSET 2",
    "SELECT f, h FROM m WHERE i > 0 OR h = 'a'",
    "SELECT count(f), sum(i), min(f), max(i), spread(f) FROM m",
    "SELECT sum(f), mean(i) FROM m WHERE time >= 0 AND time < 1000 GROUP BY time(100ns), k",
    "SELECT first(f), last(i) FROM m WHERE time >= 0 GROUP BY time(250ns) fill(previous)",
    "SELECT max(f), h, s FROM m GROUP BY k",
    "SELECT min(i), * FROM m",
    "SELECT median(f), mode(i), stddev(f) FROM m GROUP BY h",
    "SELECT percentile(f, 80) FROM m WHERE time < 900 GROUP BY time(300ns), k",
    "SELECT distinct(i) FROM m GROUP BY k",
    "SELECT count(distinct(s)) FROM m",
    "SELECT top(f, h, 2), i FROM m",
    "SELECT bottom(f, 3) FROM m GROUP BY k",
    "SELECT integral(f, 1ns) FROM m WHERE time >= 0 AND time < 1000 GROUP BY time(200ns)",
    "SELECT derivative(f) FROM m",
    "SELECT difference(max(i)) FROM m WHERE time >= 100 AND time < 1000 GROUP BY time(100ns), h fill(0)",
    "SELECT cumulative_sum(i) FROM m ORDER BY time DESC",
    "SELECT moving_average(f, 2) FROM m GROUP BY h",
    "SELECT elapsed(s) FROM m",
    "SELECT max(x) FROM (SELECT sum(f) AS x FROM m GROUP BY h, k) GROUP BY k",
    "SELECT x, h FROM (SELECT last(i) AS x FROM m GROUP BY h)",
    "SELECT mean(f) FROM m, m WHERE s =~ /x|y/",
    "SELECT mean(/f|i/) FROM /m/ GROUP BY *",
    "SELECT count(f) FROM m GROUP BY h SLIMIT 2 SOFFSET 1",
];

fn line() -> impl Strategy<Value = String> {
    let tag = prop::sample::select(vec!["", "a", "b", "c", "d"]);
    (tag.clone(), tag, -20_i64..1_000, -9_i32..9, prop::option::of(-4_i64..4), prop::option::of("[xyz]"))
        .prop_map(|(h, k, time, f, i, s)| {
            let mut line = "m".to_owned();
            for (key, value) in [("h", h), ("k", k)] {
                if !value.is_empty() {
                    write!(line, ",{key}={value}").expect("a string takes text");
                }
            }
            write!(line, " f={f}").expect("a string takes text");
            if let Some(i) = i {
                write!(line, ",i={i}i").expect("a string takes text");
            }
            if let Some(s) = s {
                write!(line, ",s=\"{s}\"").expect("a string takes text");
            }
            format!("{line} {time}\n")
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_number_of_groups_answers_as_one(lines in prop::collection::vec(line(), 1..60), groups in 2_usize..6) {
        let stores = [1, groups].map(|groups| {
            let mut store = Store::new(groups);
            store.ddl("CREATE DATABASE d");
            store.write("d", "", 1, &lines.concat());
            store
        });
        for query in QUERIES {
            let request = Request { database: "d", policy: "", query, now_ns: NOW_NS, epoch_ns: 1 };
            let [one, many] = [&stores[0], &stores[1]].map(|s| answer(s, request));
            prop_assert!(same(&one, &many), "{}\n one  {}\n many {}", query, one, many);
            prop_assert!(one.get("error").is_none(), "{}: {}", query, one);
        }
    }
}

#[test]
fn plans_and_partials_go_to_other_threads() {
    fn sendable<T: Send>() {}
    fn shareable<T: Send + Sync>() {}
    shareable::<query::SelectPlan>();
    shareable::<query::Fragment>();
    shareable::<query::Budget>();
    sendable::<query::Partial>();
}
