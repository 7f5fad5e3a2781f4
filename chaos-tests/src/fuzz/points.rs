//! Random points of a schema, as line protocol.

use super::schema::{EVERY_FIELD, Kind, Measurement, Schema};
use crate::workload::random::Random;
use std::collections::BTreeMap;

/// Bodies of one policy.
#[derive(Debug, Clone)]
pub struct Bodies {
    /// The policy's name.
    pub policy: String,
    /// Line protocol, times in nanoseconds.
    pub lines: Vec<String>,
}

const STRINGS: &[&str] = &["", "a", "b", "x y", "10", "true", "q\"q", "b\\s", "ü", "l\nb", "<&>", "0.5", "A"];
const FLOATS: &[f64] =
    &[f64::MAX, f64::MIN_POSITIVE, 1e21, 1e-7, 0.1, 123_456.789, 5e-324, 1e300, 0.333_333_333_333];
const INTEGERS: &[i64] = &[i64::MAX, i64::MAX - 1, 1 << 53, (1 << 53) + 1, 4_611_686_018_427_387_904, 1, 0];

/// Points of all measurements in all policies, and of [`EVERY_FIELD`].
pub fn random_points(random: &mut Random, schema: &Schema) -> Vec<Bodies> {
    let mut written = vec![Written::default(); schema.measurements.len()];
    let mut bodies: Vec<Bodies> = schema
        .policies
        .iter()
        .map(|policy| {
            let mut lines = Vec::new();
            for (n, (measurement, written)) in schema.measurements.iter().zip(&mut written).enumerate() {
                // 1.x has no series to show for a policy that nobody ever wrote to.
                let last_chance = lines.is_empty() && n + 1 == schema.measurements.len();
                if random.chance(85) || last_chance {
                    series(random, schema, measurement, &mut lines, written);
                }
            }
            Bodies { policy: policy.name.clone(), lines }
        })
        .collect();
    bodies.push(every_field(random, schema, &written));
    bodies
}

/// A series of a measurement, and its fields that were written anywhere.
#[derive(Debug, Clone, Default)]
struct Written {
    key: String,
    fields: BTreeMap<String, Kind>,
}

/// A point with all fields of each measurement, written last.
///
/// Where SHOW and DELETE ask InfluxDB 1.6 whether a name is a field, it knows the fields of the shard that it opened
/// last, and no others.
fn every_field(random: &mut Random, schema: &Schema, written: &[Written]) -> Bodies {
    let written = written.iter().filter(|written| !written.fields.is_empty());
    let line = |written: &Written| {
        let fields = written.fields.iter().map(|(name, kind)| {
            format!("{}={}", escaped(name, &[',', ' ', '=']), value(random, *kind, false))
        });
        format!("{} {} {}\n", written.key, fields.collect::<Vec<_>>().join(","), schema.times.0)
    };
    Bodies { policy: EVERY_FIELD.to_owned(), lines: written.map(line).collect() }
}

fn series(
    random: &mut Random,
    schema: &Schema,
    measurement: &Measurement,
    lines: &mut Vec<String>,
    written: &mut Written,
) {
    let span = schema.times.1 - schema.times.0;
    // Series of one measurement share times now and then, as scraped ones do.
    let step = span / (1 + random.between(1, 40));
    for _ in 0..=random.below(7) {
        let mut key = escaped(&measurement.name, &[',', ' ']);
        for (tag, values) in &measurement.tags {
            if random.chance(80) {
                let value = random.one_of(values);
                key.extend([",", &escaped(tag, &[',', ' ', '=']), "=", &escaped(value, &[',', ' ', '='])]);
            }
        }
        let regular = random.chance(60);
        let phase = if random.chance(70) { 0 } else { random.between(0, step.max(1)) };
        for n in 0..random.between(1, 40) {
            let time = if regular {
                schema.times.0 + phase + n * step
            } else {
                random.between(schema.times.0, schema.times.1)
            };
            if time >= schema.times.1 {
                break;
            }
            let fields = fields(random, measurement, &mut written.fields);
            if !fields.is_empty() {
                written.key.clone_from(&key);
                lines.push(format!("{key} {fields} {time}\n"));
            }
        }
    }
}

fn fields(random: &mut Random, measurement: &Measurement, written: &mut BTreeMap<String, Kind>) -> String {
    let mut text = Vec::new();
    for (name, kind, percent) in &measurement.fields {
        if random.chance(*percent) {
            written.insert(name.clone(), *kind);
            text.push(format!(
                "{}={}",
                escaped(name, &[',', ' ', '=']),
                value(random, *kind, measurement.extreme)
            ));
        }
    }
    text.join(",")
}

/// Floats are multiples of an eighth, so that their sums are exact in any order, unless `extreme`.
fn value(random: &mut Random, kind: Kind, extreme: bool) -> String {
    let sign = if random.chance(30) { -1 } else { 1 };
    match kind {
        Kind::Float if extreme => (*random.one_of(FLOATS) * sign as f64).to_string(),
        Kind::Float => ((sign * random.below(800) as i64) as f64 / 8.0).to_string(),
        Kind::Integer if extreme => format!("{}i", *random.one_of(INTEGERS) * sign),
        Kind::Integer => format!("{}i", sign * random.below(60) as i64),
        Kind::Boolean => random.pick(&["true", "false", "t", "F"]).to_owned(),
        Kind::String => format!("\"{}\"", random.pick(STRINGS).replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

/// `name` with a backslash before each of `special`.
pub fn escaped(name: &str, special: &[char]) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        if special.contains(&c) {
            text.push('\\');
        }
        text.push(c);
    }
    text
}
