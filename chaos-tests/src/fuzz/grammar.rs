//! Random InfluxQL: what all parts of the grammar share.
//!
//! Statements that would hurt the server they are compared with are not made: windows are counted against a bounded range
//! of time, and a statement that groups by time always has an upper bound.

use super::schema::{Kind, Measurement, Schema, identifier, string_literal};
use super::time_text::{self, SECOND};
use super::tree::Tree;
use crate::workload::random::Random;

/// What may be named in a SELECT: the columns of its sources.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    pub(super) fields: Vec<(String, Kind)>,
    pub(super) tags: Vec<String>,
    /// See [`Measurement::extreme`].
    pub(super) extreme: bool,
}

/// A generator of statements over one schema.
#[derive(Debug)]
pub struct Grammar<'a> {
    pub(super) random: Random,
    pub(super) schema: &'a Schema,
    /// Bind parameters of the statement in the making: name and JSON.
    pub(super) params: Vec<(String, String)>,
    /// Whether the statement in the making may group by time, and within which bounds.
    pub(super) window_range: Option<(i64, i64)>,
    /// Whether the statement in the making has a lower bound of time. Without one, a function that looks back to the window
    /// before empties the answer of 1.6.7: the time of that window overflows.
    pub(super) bounded_below: bool,
}

const UNITS: &[(i64, &str)] = &[
    (604_800 * SECOND, "w"),
    (86_400 * SECOND, "d"),
    (3_600 * SECOND, "h"),
    (60 * SECOND, "m"),
    (SECOND, "s"),
    (1_000_000, "ms"),
    (1_000, "u"),
    (1, "ns"),
];

/// A duration literal.
pub(super) fn duration(ns: i64) -> String {
    let (unit, name) = UNITS.iter().find(|(unit, _)| ns % unit == 0).unwrap_or(&UNITS[7]);
    format!("{}{name}", ns / unit)
}

impl<'a> Grammar<'a> {
    /// A generator that a seed repeats.
    pub fn new(seed: u64, schema: &'a Schema) -> Self {
        Self {
            random: Random::new(seed),
            schema,
            params: Vec::new(),
            window_range: None,
            bounded_below: true,
        }
    }

    /// The bind parameters of the last statement as a JSON object; `None` without any.
    pub fn take_params(&mut self) -> Option<String> {
        let params = std::mem::take(&mut self.params);
        let members: Vec<String> = params.iter().map(|(name, json)| format!("\"{name}\":{json}")).collect();
        (!members.is_empty()).then(|| format!("{{{}}}", members.join(",")))
    }

    pub(super) fn measurement(&mut self) -> &'a Measurement {
        &self.schema.measurements[self.random.below(self.schema.measurements.len() as u64) as usize]
    }

    /// A name as written, now and then as a bind parameter.
    pub(super) fn name(&mut self, name: &str) -> String {
        if self.random.chance(1) {
            let json = format!("{{\"identifier\":{}}}", json_string(name));
            return self.bind(json);
        }
        identifier(&mut self.random, name)
    }

    /// A value as a literal, now and then as a bind parameter.
    pub(super) fn literal(&mut self, kind: Kind) -> String {
        let (text, json) = match kind {
            Kind::Float => {
                let number = self.random.between(-400, 400) as f64 / 8.0;
                // A JSON number without a point is an integer.
                (format!("{number:.3}"), format!("{number:.3}"))
            }
            Kind::Integer => {
                let number = self.random.between(-60, 60).to_string();
                (number.clone(), number)
            }
            Kind::Boolean => {
                let text = self.random.pick(&["true", "false"]).to_owned();
                (text.clone(), text)
            }
            Kind::String => {
                let text =
                    self.random.pick(&["", "a", "b", "x y", "10", "true", "q\"q", "it's", "ü", "nope"]);
                (string_literal(text), json_string(text))
            }
        };
        if self.random.chance(2) { self.bind(json) } else { text }
    }

    fn bind(&mut self, json: String) -> String {
        let name = format!("p{}", self.params.len());
        self.params.push((name.clone(), json));
        format!("${name}")
    }

    /// A regular expression over names or values.
    pub(super) fn regex(&mut self, names: &[String]) -> String {
        let random = &mut self.random;
        let fixed = [
            "/.*/",
            "/./",
            "/^[a-m]/",
            "/[n-z]$/",
            "/(?i)A/",
            "/nope/",
            "/^$/",
            "/a|b/",
            "/^(a|b)$/",
            "/\\//",
            "/^.$/",
        ];
        if names.is_empty() || random.chance(60) {
            return random.pick(&fixed).to_owned();
        }
        let name = random.one_of(names).clone();
        let mut escaped = String::new();
        for c in name.chars() {
            if "\\.+*?()|[]{}^$/".contains(c) {
                escaped.push('\\');
            }
            escaped.push(c);
        }
        match random.below(3) {
            0 => format!("/^{escaped}$/"),
            1 => format!("/{escaped}/"),
            _ => format!("/^({escaped}|nope)$/"),
        }
    }

    /// A time near the points.
    pub(super) fn time(&mut self) -> i64 {
        let (from, to) = self.schema.times;
        let margin = (to - from) / 10;
        let time = self.random.between(from - margin, to + margin);
        // Round ones more often than others: they meet the borders of windows and of points.
        match self.random.below(3) {
            0 => time,
            1 => time - time.rem_euclid(SECOND),
            _ => time - time.rem_euclid(60 * SECOND),
        }
    }

    /// A time literal.
    pub(super) fn time_literal(&mut self, time: i64) -> String {
        match self.random.below(8) {
            0 | 1 => time.to_string(),
            2 | 3 => format!("'{}'", time_text::rfc3339(time)),
            4 => format!("'{}'", time_text::spaced(time)),
            5 => format!("'{}'", time_text::date(time)),
            6 => duration(time - time.rem_euclid(1_000_000)),
            _ => {
                let shift = self.random.between(0, 3_600) * SECOND;
                let (sign, shifted) =
                    if self.random.chance(50) { ("+", time - shift) } else { ("-", time + shift) };
                format!("'{}' {sign} {}", time_text::rfc3339(shifted), duration(shift))
            }
        }
    }

    /// An interval of which a range has 300 windows at most.
    pub(super) fn interval(&mut self, range: (i64, i64)) -> i64 {
        const SECONDS: &[i64] =
            &[1, 3, 7, 10, 60, 90, 300, 780, 3_600, 21_600, 43_200, 86_400, 172_800, 604_800];
        let width = range.1.saturating_sub(range.0).max(1);
        let fitting: Vec<i64> =
            SECONDS.iter().map(|s| s * SECOND).filter(|i| width / i <= 300 && width * 4 > *i).collect();
        if fitting.is_empty() { 604_800 * SECOND } else { *self.random.one_of(&fitting) }
    }

    /// `tree` that may be left out, so many times of a hundred.
    pub(super) fn maybe(&mut self, percent: u64, part: impl FnOnce(&mut Self) -> Tree) -> Tree {
        if self.random.chance(percent) { Tree::optional(part(self)) } else { Tree::nothing() }
    }

    /// A small number after a keyword.
    pub(super) fn counted(&mut self, keyword: &str) -> Tree {
        let number = *self.random.one_of(&[0, 1, 1, 2, 3, 5, 10, 100]);
        format!(" {keyword} {number}").into()
    }

    /// LIMIT and OFFSET.
    pub(super) fn limits(&mut self) -> Tree {
        let limit = self.maybe(12, |g| g.counted("LIMIT"));
        let offset = self.maybe(6, |g| g.counted("OFFSET"));
        Tree::Sequence(vec![limit, offset])
    }
}

pub(super) fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
