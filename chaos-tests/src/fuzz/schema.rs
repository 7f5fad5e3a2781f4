//! Random schemas: what is stored, so that statements can ask for it by name.

use super::time_text::SECOND;
use crate::workload::random::Random;

/// The value types that InfluxDB 1.6 knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 64-bit float.
    Float,
    /// 64-bit signed integer.
    Integer,
    /// Text.
    String,
    /// True or false.
    Boolean,
}

/// One measurement.
#[derive(Debug, Clone)]
pub struct Measurement {
    /// Its name, unescaped.
    pub name: String,
    /// Fields: name, type, percent of points that have it.
    pub fields: Vec<(String, Kind, u64)>,
    /// Tag keys and their values.
    pub tags: Vec<(String, Vec<String>)>,
    /// Numbers from the ends of their ranges, whose sums depend on the order of adding.
    pub extreme: bool,
}

/// What one database of a round holds.
#[derive(Debug, Clone)]
pub struct Schema {
    /// Its name.
    pub database: String,
    /// Policies that hold points; the first is the default.
    pub policies: Vec<Policy>,
    /// Measurements.
    pub measurements: Vec<Measurement>,
    /// Times of the points lie between these (ns).
    pub times: (i64, i64),
}

/// A retention policy.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// Duration of a shard group as InfluxQL text.
    pub shard: &'static str,
}

/// A policy beside those of the schema that no statement names: it has one point with every field of each measurement.
pub const EVERY_FIELD: &str = "every field";

const MEASUREMENTS: &[&str] = &[
    "m",
    "cpu",
    "mem",
    "a b",
    "x,y",
    "q\"uote",
    "ünï",
    "select",
    "m0",
    "back\\slash",
    "a=b",
    "Cpu",
    "disk/io",
];
const TAG_KEYS: &[&str] = &["host", "region", "a b", "é", "k=v", "az", "limit", "v", "q'k"];
const TAG_VALUES: &[&str] = &[
    "a", "b", "c", "A", "10", "-1.5", "true", "x y", "c,d", "e=f", "ü", "q\"q", "it's", "b\\s", "/p/q",
    "日本", ".*", "a.b",
];
const FIELDS: &[(&str, Kind)] = &[
    ("v", Kind::Float),
    ("f", Kind::Float),
    ("i", Kind::Integer),
    ("n", Kind::Integer),
    ("s", Kind::String),
    ("t", Kind::String),
    ("b", Kind::Boolean),
    ("value", Kind::Float),
    ("x y", Kind::Integer),
    ("host", Kind::String),
    ("ö", Kind::Float),
    ("q\"f", Kind::Boolean),
];

/// Where points may lie (seconds): now and then before the epoch, across it, at a change of summer time, in the future.
const BASES: &[i64] =
    &[1_577_836_800, 1_600_000_000, -1_800, -315_619_200, 1_552_176_000, 1_572_100_000, 4_102_444_800, 0];
/// How far apart points may lie (seconds), and the shard durations that go with it.
const SPANS: &[(i64, &str)] = &[(10, "1h"), (600, "1h"), (7_200, "1h"), (86_400, "6h"), (1_814_400, "7d")];

impl Schema {
    /// A schema of 2 to 5 measurements in a database of this name.
    pub fn random(random: &mut Random, database: &str) -> Self {
        let (span, shard) = *random.one_of(SPANS);
        let from = *random.one_of(BASES) * SECOND;
        let mut policies = vec![Policy { name: "autogen".to_owned(), shard: "" }];
        if random.chance(60) {
            policies.push(Policy { name: random.pick(&["r1", "long term", "default"]).to_owned(), shard });
        }
        let mut measurements: Vec<Measurement> = Vec::new();
        for _ in 0..2 + random.below(4) {
            let name = random.pick(MEASUREMENTS).to_owned();
            if measurements.iter().all(|m| m.name != name) {
                measurements.push(Measurement::random(random, name));
            }
        }
        Self { database: database.to_owned(), policies, measurements, times: (from, from + span * SECOND) }
    }

    /// The statements that create it.
    pub fn statements(&self) -> Vec<String> {
        let database = quoted(&self.database);
        let mut all = vec![
            format!("CREATE DATABASE {database}"),
            format!(
                "CREATE RETENTION POLICY \"{EVERY_FIELD}\" ON {database} DURATION INF REPLICATION 1 SHARD DURATION 1h"
            ),
        ];
        for policy in self.policies.iter().skip(1) {
            let (name, shard) = (quoted(&policy.name), policy.shard);
            all.push(format!(
                "CREATE RETENTION POLICY {name} ON {database} DURATION INF REPLICATION 1 SHARD DURATION {shard}"
            ));
        }
        all
    }
}

impl Measurement {
    fn random(random: &mut Random, name: String) -> Self {
        let extreme = random.chance(15);
        let mut fields: Vec<(String, Kind, u64)> = Vec::new();
        for _ in 0..=random.below(5) {
            let (name, usual) = *random.one_of(FIELDS);
            if fields.iter().any(|f| f.0 == name) {
                continue;
            }
            let others = [Kind::Float, Kind::Integer, Kind::String, Kind::Boolean];
            let kind = if random.chance(10) { *random.one_of(&others) } else { usual };
            fields.push((name.to_owned(), kind, *random.one_of(&[100, 100, 100, 60, 15])));
        }
        let mut tags: Vec<(String, Vec<String>)> = Vec::new();
        for _ in 0..random.below(4) {
            let key = random.pick(TAG_KEYS).to_owned();
            if tags.iter().all(|t| t.0 != key) {
                let values = (0..=random.below(3)).map(|_| random.pick(TAG_VALUES).to_owned());
                tags.push((key, values.collect()));
            }
        }
        Self { name, fields, tags, extreme }
    }
}

/// Words that are no names unless quoted.
const KEYWORDS: &[&str] = &[
    "select", "limit", "default", "from", "where", "group", "by", "key", "name", "tag", "field", "time",
    "all", "values",
];

/// A name as InfluxQL writes it: always in double quotes.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// A name as InfluxQL writes it, bare where that is possible and a coin says so.
pub fn identifier(random: &mut Random, name: &str) -> String {
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let plain = first && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain && !KEYWORDS.contains(&name) && random.chance(70) { name.to_owned() } else { quoted(name) }
}

/// A string literal.
pub fn string_literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n"))
}
