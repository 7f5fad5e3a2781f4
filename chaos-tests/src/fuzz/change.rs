//! Statements that change what is stored, and statements that are none.

use super::grammar::Grammar;
use super::schema::{identifier, quoted, string_literal};
use super::tree::Tree;
use crate::sequence;

impl Grammar<'_> {
    /// DELETE, DROP and the statements about databases and policies.
    pub(super) fn change(&mut self) -> Tree {
        match self.random.below(100) {
            0..25 => self.delete("DELETE"),
            25..40 => self.delete("DROP SERIES"),
            40..43 => {
                let name = self.measurement().name.clone();
                format!("DROP MEASUREMENT {}", self.name(&name)).into()
            }
            43..65 => self.policy(),
            65..80 => self.alter(),
            80..88 => {
                let policy = self.random.pick(&["x1", "x2", "nope"]);
                format!("DROP RETENTION POLICY {policy} ON {}", quoted(&self.schema.database)).into()
            }
            88..96 => self.database(),
            _ => sequence!["DROP DATABASE ", self.random.pick(&["scratch", "nope"])],
        }
    }

    fn delete(&mut self, what: &str) -> Tree {
        let from = self.from(70);
        let (one, other) = (self.tag_is(), self.tag_is());
        let condition = match self.random.below(3) {
            0 => format!("({one} AND {other})"),
            1 => format!("({one} OR {other})"),
            _ => one,
        };
        let time = self.time();
        let literal = self.time_literal(time);
        let clause = match self.random.below(10) {
            0..4 if what == "DELETE" => format!(" WHERE time < {literal}").into(),
            4..6 if what == "DELETE" => format!(" WHERE time >= {literal} AND {condition}").into(),
            _ => Tree::from(format!(" WHERE {condition}")),
        };
        sequence![what, from, clause]
    }

    /// A sound comparison of a tag, whose name is a field nowhere. What 1.6.7 deletes for others is a matter of how far it
    /// gets before it meets the fault.
    fn tag_is(&mut self) -> String {
        let measurements = &self.schema.measurements;
        let is_field = |name: &str| measurements.iter().any(|m| m.fields.iter().any(|f| f.0 == name));
        let tags: Vec<_> =
            measurements.iter().flat_map(|m| &m.tags).filter(|tag| !is_field(&tag.0)).collect();
        if tags.is_empty() || self.random.chance(5) {
            return "nope = 'a'".to_owned();
        }
        let (tag, values) = (*self.random.one_of(&tags)).clone();
        let name = self.name(&tag);
        if self.random.chance(20) {
            return format!("{name} {} {}", self.random.pick(&["=~", "!~"]), self.regex(&values));
        }
        let value = if self.random.chance(10) { String::new() } else { self.random.one_of(&values).clone() };
        format!("{name} {} {}", self.random.pick(&["=", "!="]), string_literal(&value))
    }

    fn lifetime(&mut self) -> String {
        self.random
            .pick(&["INF", "0s", "1h", "30m", "2d", "26w", "90000m", "1h30m", "100w", "10ns"])
            .to_owned()
    }

    fn policy(&mut self) -> Tree {
        let name = self.random.pick(&["x1", "x2", "x 3"]);
        let name = identifier(&mut self.random, name);
        let (duration, shard) = (self.lifetime(), self.lifetime());
        let replicas = self.random.pick(&["1", "1", "1", "3", "0"]);
        let shard = self.maybe(40, |_| format!(" SHARD DURATION {shard}").into());
        let database = if self.random.chance(95) { quoted(&self.schema.database) } else { "nope".to_owned() };
        sequence![
            format!(
                "CREATE RETENTION POLICY {name} ON {database} DURATION {duration} REPLICATION {replicas}"
            ),
            shard
        ]
    }

    fn alter(&mut self) -> Tree {
        let name = self.random.pick(&["x1", "x2", "nope"]);
        let mut parts = Vec::new();
        for _ in 0..=self.random.below(2) {
            let part = match self.random.below(3) {
                0 => format!(" DURATION {}", self.lifetime()),
                1 => format!(" SHARD DURATION {}", self.lifetime()),
                _ => format!(" REPLICATION {}", 1 + self.random.below(3)),
            };
            parts.push(Tree::from(part));
        }
        sequence![
            format!("ALTER RETENTION POLICY {name} ON {}", quoted(&self.schema.database)),
            Tree::Sequence(parts)
        ]
    }

    fn database(&mut self) -> Tree {
        let name = self.random.pick(&["scratch", "scratch", "\"a/b\"", "\"\"", "\".\""]);
        let duration = self.lifetime();
        let with = self.maybe(50, |g| {
            let shard = g.lifetime();
            let duration = g.maybe(60, |_| format!(" DURATION {duration}").into());
            let shard = g.maybe(30, |_| format!(" SHARD DURATION {shard}").into());
            sequence![" WITH", duration, shard, " NAME x"]
        });
        sequence!["CREATE DATABASE ", name, with]
    }

    /// A statement with a few characters or words changed: mostly a parse error, whose text must be the same.
    pub(super) fn broken(&mut self) -> Tree {
        self.window_range = None;
        // Without windows: a cut WHERE would leave them without bounds.
        let sound = match self.random.below(10) {
            0..5 => self.select_without_windows(),
            5..8 => self.show(),
            _ => self.change(),
        };
        let text = sound.text();
        let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        let at = self.random.below(words.len() as u64) as usize;
        match self.random.below(6) {
            0 => drop(words.remove(at)),
            1 => words.truncate(at),
            2 => words.insert(at, self.random.pick(JUNK).to_owned()),
            3 => self.random.pick(JUNK).clone_into(&mut words[at]),
            4 => {
                let other = self.random.below(words.len() as u64) as usize;
                words.swap(at, other);
            }
            _ => {
                let mut chars: Vec<char> = text.chars().collect();
                let at = self.random.below(chars.len() as u64) as usize;
                let junk = self
                    .random
                    .pick(&["'", "\"", "/", "(", ")", ",", ";", "\\", "é", "\n", "-", "*", "$", ".", ":"]);
                chars.splice(at..at + self.random.below(2) as usize, junk.chars());
                return chars.into_iter().collect::<String>().into();
            }
        }
        words.join(" ").into()
    }
}

const JUNK: &[&str] = &[
    "SELECT", "FROM", "WHERE", "GROUP BY", "LIMIT", "-1", "1.5", "'x'", "\"x\"", "/x/", "ON", "AND", ";",
    "time", "tz('x')", "fill(", "::", "::uint", "$p", "10m", "10x", "<>", "=~", "!", "DESC", "true", "now()",
    "(", ")", "--", "*", ".", "..",
];
