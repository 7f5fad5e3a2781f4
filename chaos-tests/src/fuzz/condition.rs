//! WHERE clauses.

use super::grammar::{Grammar, Scope};
use super::schema::{Kind, string_literal};
use super::time_text::SECOND;
use super::tree::Tree;
use crate::sequence;

/// Some time less than a thousand weeks ago for as long as this is compiled.
const THOUSAND_WEEKS_AGO: i64 = 1_500_000_000 * SECOND;

impl Grammar<'_> {
    /// A tree of comparisons of tags and fields.
    pub(super) fn condition(&mut self, scope: &Scope, depth: u32) -> Tree {
        if depth == 0 || self.random.chance(55) {
            return self.comparison(scope);
        }
        let (lhs, rhs) = (self.condition(scope, depth - 1), self.condition(scope, depth - 1));
        let op = self.random.pick(&[" AND ", " OR "]);
        let both = sequence![lhs.clone(), op, rhs.clone()];
        let whole = if self.random.chance(50) { sequence!["(", both, ")"] } else { both };
        Tree::or(whole, vec![lhs, rhs])
    }

    fn comparison(&mut self, scope: &Scope) -> Tree {
        match self.random.below(100) {
            0..38 if !scope.tags.is_empty() => self.of_tag(scope),
            0..80 => self.of_field(scope),
            80..86 => {
                let (lhs, rhs) = (self.arithmetic(scope, 1), self.arithmetic(scope, 1));
                let op = self.random.pick(&[" > ", " <= ", " = ", " != "]);
                sequence![lhs, op, rhs]
            }
            86..89 => {
                let (name, value) = (self.random.pick(&["nope", "\"no pe\""]), self.literal(Kind::String));
                format!("{name} {} {value}", self.random.pick(&["=", "!="])).into()
            }
            89..91 => format!("nope =~ {}", self.regex(&[])).into(),
            91..93 => self.random.pick(&["true", "false", "1 = 1", "1 > 2", "'a' = 'a'", "v"]).into(),
            93..95 => self.time_comparison(),
            _ => {
                let (a, b) = (self.column_name(scope), self.column_name(scope));
                format!("{a} {} {b}", self.random.pick(&["=", "!=", "<", ">="])).into()
            }
        }
    }

    fn column_name(&mut self, scope: &Scope) -> String {
        let names = scope.fields.iter().map(|f| &f.0).chain(&scope.tags);
        let names: Vec<String> = names.cloned().collect();
        if names.is_empty() {
            return "nope".to_owned();
        }
        let name = self.random.one_of(&names).clone();
        self.name(&name)
    }

    fn of_tag(&mut self, scope: &Scope) -> Tree {
        let tag = self.random.one_of(&scope.tags).clone();
        let values: Vec<String> = self.tag_values(&tag);
        let name = self.name(&tag);
        let cast = self.random.pick(&["", "", "", "", "", "::tag"]);
        if self.random.chance(35) {
            let op = self.random.pick(&["=~", "!~"]);
            return format!("{name}{cast} {op} {}", self.regex(&values)).into();
        }
        let value = if values.is_empty() || self.random.chance(20) {
            let kind = if self.random.chance(85) { Kind::String } else { Kind::Integer };
            self.literal(kind)
        } else {
            string_literal(self.random.one_of::<String>(&values))
        };
        let op = self.random.pick(&["=", "=", "=", "!=", "!=", "<>", "<"]);
        if self.random.chance(8) {
            return format!("{value} {op} {name}{cast}").into();
        }
        format!("{name}{cast} {op} {value}").into()
    }

    /// Values of a tag in any measurement.
    pub(super) fn tag_values(&mut self, tag: &str) -> Vec<String> {
        let tags = self.schema.measurements.iter().flat_map(|m| &m.tags);
        tags.filter(|t| t.0 == tag).flat_map(|t| t.1.clone()).collect()
    }

    fn of_field(&mut self, scope: &Scope) -> Tree {
        let all = [Kind::Float, Kind::Integer, Kind::String, Kind::Boolean];
        let (name, kind, _) = self.column(scope, &all);
        let literal_kind = match kind {
            Kind::Float | Kind::Integer if self.random.chance(30) => {
                *self.random.one_of(&[Kind::Float, Kind::Integer])
            }
            kind if self.random.chance(93) => kind,
            _ => *self.random.one_of(&all),
        };
        if kind == Kind::String && self.random.chance(40) {
            let op = self.random.pick(&["=~", "!~"]);
            return format!("{name} {op} {}", self.regex(&[])).into();
        }
        let op = match kind {
            Kind::Float | Kind::Integer => self.random.pick(&["=", "!=", "<", "<=", ">", ">=", "<>"]),
            Kind::String | Kind::Boolean => self.random.pick(&["=", "!=", "=", "!=", "<"]),
        };
        let literal = self.literal(literal_kind);
        if self.random.chance(10) {
            format!("{literal} {op} {name}").into()
        } else {
            format!("{name} {op} {literal}").into()
        }
    }

    /// A comparison of time, sound most of the time.
    fn time_comparison(&mut self) -> Tree {
        let time = self.time();
        let literal = self.time_literal(time);
        match self.random.below(20) {
            0 => "time != 0".into(),
            1 => "time > 'nonsense'".into(),
            2 => format!("time < {}", self.literal(Kind::Float)).into(),
            3 => "time < now()".into(),
            // Never as the bound that counts: it is shown as the time of a row.
            4 if time > THOUSAND_WEEKS_AGO => format!("time > now() - 1000w AND time >= {literal}").into(),
            4 => "time < now() - 1000w".into(),
            5 => format!("{literal} < time").into(),
            6 => format!("time = {literal}").into(),
            7..13 => format!("time >= {literal}").into(),
            _ => format!("time < {literal}").into(),
        }
    }

    /// WHERE with time bounds. Those of a statement that groups by time stay when it shrinks.
    pub(super) fn where_clause(&mut self, scope: &Scope, bounds: Option<(i64, i64)>) -> Tree {
        let mut parts = Vec::new();
        if let Some((from, to)) = bounds {
            let below = self.time_literal(to);
            parts.push(format!("time {} {below}", self.random.pick(&["<", "<", "<="])).into());
            let above = self.time_literal(from);
            let above = format!(" AND time {} {above}", self.random.pick(&[">=", ">=", ">"]));
            if self.bounded_below || self.window_range.is_none() {
                parts.push(above.into());
            }
        }
        if self.random.chance(45) {
            let condition = self.condition(scope, 2);
            let joined = if parts.is_empty() { condition } else { sequence![" AND (", condition, ")"] };
            parts.push(if bounds.is_some() { Tree::optional(joined) } else { joined });
        } else if parts.is_empty() && self.random.chance(25) {
            parts.push(self.time_comparison());
        }
        match (parts.is_empty(), bounds.is_some()) {
            (true, _) => Tree::nothing(),
            (false, true) => sequence![" WHERE ", Tree::Sequence(parts)],
            (false, false) => Tree::optional(sequence![" WHERE ", Tree::Sequence(parts)]),
        }
    }
}
