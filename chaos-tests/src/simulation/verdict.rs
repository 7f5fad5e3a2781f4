//! Whether a run is worth something: which faults really took effect, counted. A run that exercised nothing fails, and so
//! does a campaign in which some kind of fault never did anything.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// How the verdict on a run that proves nothing begins.
pub const IDLE: &str = "the run exercised too little";

/// What every campaign must have seen, each at least once.
pub const WANTED: &[&str] = &[
    "crashes",
    "crashes_of_leaders",
    "crashes_after_votes",
    "power_losses_of_all",
    "bytes_lost_unsynced",
    "entries_applied_again",
    "pauses_of_leaders",
    "partitions",
    "one_way_partitions",
    "bridges",
    "messages_held",
    "calls_lost",
    "calls_doubled",
    "messages_late",
    "calls_broken",
    "clock_jumps",
    "slow_disk_waits",
    "leaders_elected",
    "leaderships_transferred",
    "snapshots_installed",
    "purges",
    "volumes_replaced",
    "points_stored",
    "points_unknown",
    "registers_set",
    "deletions",
    "reads_checked",
    "stale_reads",
];

/// What every campaign with an operator must have seen.
pub const WANTED_OF_MEMBERS: &[&str] =
    &["joins", "drains", "removals", "moves_ordered", "replicas_moved", "nodes_given_up", "factors_set"];

/// What every campaign of foundings must have seen.
pub const WANTED_OF_FOUNDINGS: &[&str] = &[
    "foundings",
    "late_starts",
    "crashes",
    "power_losses_of_all",
    "pauses",
    "partitions",
    "one_way_partitions",
    "messages_held",
    "messages_late",
    "calls_lost",
    "calls_doubled",
    "calls_broken",
    "volumes_lost_before_founding",
    "volumes_lost_after_founding",
    "volumes_replaced",
];

/// What a single run must have seen, and how often.
const WANTED_OF_EACH: &[(&str, u64)] = &[
    ("points_stored", 20),
    ("reads_checked", 15),
    ("faults", 3),
    ("leaders_elected", 2),
    ("messages", 1_000),
];

/// What took effect, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects(BTreeMap<String, u64>);

impl Effects {
    /// Counts something.
    pub fn count(&mut self, what: &str) {
        self.add(what, 1);
    }

    /// Counts something so often.
    pub fn add(&mut self, what: &str, times: u64) {
        *self.0.entry(what.to_owned()).or_default() += times;
    }

    /// Adds what another run saw.
    pub fn merge(&mut self, other: &Self) {
        for (what, times) in &other.0 {
            self.add(what, *times);
        }
    }

    fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// Why one run proves nothing, if so.
    pub fn idle_run(&self) -> Option<String> {
        let idle = WANTED_OF_EACH.iter().find(|(what, least)| self.of(what) < *least)?;
        Some(format!("{IDLE}: {} is {}, not at least {}", idle.0, self.of(idle.0), idle.1))
    }

    /// Kinds of effects that a campaign wanted and never saw.
    pub fn never_seen(&self, wanted: &[&'static str]) -> Vec<&'static str> {
        wanted.iter().copied().filter(|what| self.of(what) == 0).collect()
    }

    /// As JSON.
    pub fn to_json(&self) -> Value {
        Value::Object(self.0.iter().map(|(what, times)| (what.clone(), json!(times))).collect::<Map<_, _>>())
    }

    /// From JSON.
    pub fn from_json(value: &Value) -> Self {
        let pairs = value.as_object().into_iter().flatten();
        Self(pairs.filter_map(|(what, times)| Some((what.clone(), times.as_u64()?))).collect())
    }

    /// As text: one line for people.
    pub fn to_line(&self) -> String {
        let parts: Vec<String> = self.0.iter().map(|(what, times)| format!("{what} {times}")).collect();
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_run_and_a_missing_kind_are_named() {
        let mut effects = Effects::default();
        assert!(effects.idle_run().unwrap().contains("points_stored"));
        for (what, least) in WANTED_OF_EACH {
            effects.add(what, *least);
        }
        assert_eq!(effects.idle_run(), None);
        assert!(effects.never_seen(WANTED).contains(&"bridges"));
        for what in WANTED {
            effects.count(what);
        }
        assert_eq!(effects.never_seen(WANTED), Vec::<&str>::new());
        assert!(effects.never_seen(WANTED_OF_FOUNDINGS).contains(&"foundings"));
        assert_eq!(Effects::from_json(&effects.to_json()), effects);
    }
}
