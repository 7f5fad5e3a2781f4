//! Items of select lists: columns, arithmetic, calls.

use super::grammar::{Grammar, Scope, duration};
use super::schema::Kind;
use super::time_text::SECOND;
use super::tree::Tree;
use crate::sequence;

const NUMBERS: &[Kind] = &[Kind::Float, Kind::Integer];
const ALL: &[Kind] = &[Kind::Float, Kind::Integer, Kind::String, Kind::Boolean];
const ORDERED: &[Kind] = &[Kind::Float, Kind::Integer, Kind::Boolean];

/// Functions of one column, and the types they take. Of extreme numbers only those whose result does not depend on the
/// order of adding.
const OVER_COLUMN: &[(&str, &[Kind], bool)] = &[
    ("count", ALL, true),
    ("first", ALL, true),
    ("last", ALL, true),
    ("min", ORDERED, true),
    ("max", ORDERED, true),
    ("mode", ALL, true),
    ("spread", NUMBERS, true),
    ("median", NUMBERS, true),
    ("sum", NUMBERS, false),
    ("mean", NUMBERS, false),
    ("stddev", NUMBERS, false),
    ("distinct", ALL, true),
];

const MATH: &[&str] = &[
    "abs", "ceil", "floor", "round", "sqrt", "exp", "ln", "log2", "log10", "sin", "cos", "tan", "asin",
    "acos", "atan",
];

/// What an item is called and holds, as far as an outer SELECT may want to know.
pub(super) type Column = Option<(String, Kind)>;

impl Grammar<'_> {
    /// A column of the wanted types, mostly.
    pub(super) fn column(&mut self, scope: &Scope, wanted: &[Kind]) -> (String, Kind, String) {
        let fitting: Vec<(String, Kind)> =
            scope.fields.iter().filter(|(_, kind)| wanted.contains(kind)).cloned().collect();
        let (name, kind) = match self.random.below(100) {
            0..92 if !fitting.is_empty() => self.random.one_of(&fitting).clone(),
            0..96 if !scope.fields.is_empty() => self.random.one_of(&scope.fields).clone(),
            96..99 if !scope.tags.is_empty() => (self.random.one_of(&scope.tags).clone(), Kind::String),
            _ => ("nope".to_owned(), Kind::Float),
        };
        (self.name(&name), kind, name)
    }

    /// An item of a select list without aggregates.
    pub(super) fn raw_item(&mut self, scope: &Scope) -> (Tree, Column) {
        match self.random.below(100) {
            0..45 => {
                let (text, kind, name) = self.column(scope, ALL);
                (text.into(), Some((name, kind)))
            }
            45..55 if !scope.tags.is_empty() => {
                let tag = self.random.one_of(&scope.tags).clone();
                let cast = self.random.pick(&["", "", "", "::tag", "::field", "::string"]);
                (format!("{}{cast}", self.name(&tag)).into(), Some((tag, Kind::String)))
            }
            55..63 => (self.random.pick(&["*", "*", "*::field", "*::tag"]).into(), None),
            63..69 => {
                let names: Vec<String> = scope.fields.iter().map(|f| f.0.clone()).collect();
                (self.regex(&names).into(), None)
            }
            69..77 => {
                let (text, kind, name) = self.column(scope, ALL);
                let cast = self.random.pick(&["float", "integer", "string", "boolean", "field", "tag"]);
                (Tree::or(format!("{text}::{cast}"), vec![text.into()]), Some((name, kind)))
            }
            _ => (self.arithmetic(scope, 2), None),
        }
    }

    /// Arithmetic over columns.
    pub(super) fn arithmetic(&mut self, scope: &Scope, depth: u32) -> Tree {
        if depth == 0 || self.random.chance(25) {
            return match self.random.below(8) {
                0 => self.literal(Kind::Integer).into(),
                1 => self.literal(Kind::Float).into(),
                _ => self.column(scope, NUMBERS).0.into(),
            };
        }
        match self.random.below(10) {
            0 | 1 => self.math_call(scope, depth),
            2 => {
                let inner = self.arithmetic(scope, depth - 1);
                Tree::or(sequence!["(", inner.clone(), ")"], vec![inner])
            }
            3 => {
                let inner = self.arithmetic(scope, 0);
                Tree::or(sequence!["-", inner.clone()], vec![inner])
            }
            _ => {
                let (lhs, rhs) = (self.arithmetic(scope, depth - 1), self.arithmetic(scope, depth - 1));
                self.binary(lhs, rhs)
            }
        }
    }

    fn binary(&mut self, lhs: Tree, rhs: Tree) -> Tree {
        let op = self.random.pick(&["+", "-", "*", "/", "%", "+", "-", "*", "/", "&", "|", "^"]);
        Tree::or(sequence![lhs.clone(), format!(" {op} "), rhs.clone()], vec![lhs, rhs])
    }

    fn math_call(&mut self, scope: &Scope, depth: u32) -> Tree {
        let inner = self.arithmetic(scope, depth - 1);
        let call = match self.random.below(12) {
            0 => sequence!["log(", inner.clone(), ", ", self.literal(Kind::Integer), ")"],
            1 => sequence!["pow(", inner.clone(), ", ", self.literal(Kind::Integer), ")"],
            2 => sequence!["atan2(", inner.clone(), ", ", self.column(scope, NUMBERS).0, ")"],
            _ => sequence![self.random.pick(MATH), "(", inner.clone(), ")"],
        };
        Tree::or(call, vec![inner])
    }

    /// An item of a select list with an aggregate.
    pub(super) fn call_item(&mut self, scope: &Scope) -> (Tree, Column) {
        match self.random.below(100) {
            0..72 => self.call(scope),
            72..76 => {
                let (call, _) = self.call(scope);
                let name = self.random.pick(MATH);
                (Tree::or(sequence![name, "(", call.clone(), ")"], vec![call]), None)
            }
            76..86 => {
                let (call, _) = self.call(scope);
                let kind = *self.random.one_of(NUMBERS);
                let number: Tree = self.literal(kind).into();
                let (lhs, rhs) =
                    if self.random.chance(50) { (call.clone(), number) } else { (number, call.clone()) };
                (Tree::or(self.binary(lhs, rhs), vec![call]), None)
            }
            86..98 => {
                let (lhs, rhs) = (self.call(scope).0, self.call(scope).0);
                (self.binary(lhs, rhs), None)
            }
            _ => self.raw_item(scope),
        }
    }

    fn call(&mut self, scope: &Scope) -> (Tree, Column) {
        match self.random.below(100) {
            0..60 => self.aggregate(scope),
            60..82 => self.transformation(scope),
            82..92 => self.best(scope),
            _ => self.special(scope),
        }
    }

    /// Whether a function may be asked of the scope, see [`OVER_COLUMN`].
    fn allowed(scope: &Scope, exact: bool) -> bool {
        exact || !scope.extreme
    }

    /// A function of one column.
    pub(super) fn aggregate(&mut self, scope: &Scope) -> (Tree, Column) {
        let usable: Vec<_> = OVER_COLUMN.iter().filter(|f| Self::allowed(scope, f.2)).collect();
        let (name, kinds, _) = **self.random.one_of(&usable);
        let argument = match self.random.below(40) {
            0 => "*".to_owned(),
            1 => {
                let names: Vec<String> = scope.fields.iter().map(|f| f.0.clone()).collect();
                self.regex(&names)
            }
            _ => {
                let (text, kind, _) = self.column(scope, kinds);
                let written = self.spelled(name);
                let kind = if matches!(name, "count") { Kind::Integer } else { kind };
                let kind = if matches!(name, "mean" | "median" | "stddev") { Kind::Float } else { kind };
                return (format!("{written}({text})").into(), Some((name.to_owned(), kind)));
            }
        };
        (format!("{}({argument})", self.spelled(name)).into(), None)
    }

    /// Function names are known in any case.
    fn spelled(&mut self, name: &str) -> String {
        if self.random.chance(3) { name.to_uppercase() } else { name.to_owned() }
    }

    /// derivative and its like, over a column or an aggregate.
    fn transformation(&mut self, scope: &Scope) -> (Tree, Column) {
        let over_windows = self.window_range.is_some();
        let inner: Tree = if self.random.chance(if over_windows { 90 } else { 8 }) {
            self.aggregate(scope).0
        } else {
            self.column(scope, NUMBERS).0.into()
        };
        let exact = [
            "difference",
            "non_negative_difference",
            "elapsed",
            "derivative",
            "non_negative_derivative",
            "cumulative_sum",
            "moving_average",
        ];
        let usable = if scope.extreme { 3 } else { exact.len() };
        if over_windows && !self.bounded_below {
            return self.aggregate(scope);
        }
        let name = self.random.pick(&exact[..usable]);
        let unit = duration(
            self.random.pick(&[&1, &1_000, &SECOND, &(60 * SECOND), &(-SECOND), &(90 * SECOND)]).to_owned(),
        );
        let second: Tree = match name {
            "moving_average" => format!(", {}", *self.random.one_of(&[2, 2, 3, 5, 1, 100])).into(),
            "derivative" | "non_negative_derivative" | "elapsed" => {
                self.maybe(45, |_| format!(", {unit}").into())
            }
            _ => Tree::nothing(),
        };
        let whole = sequence![name, "(", inner.clone(), second, ")"];
        let kind = if name == "elapsed" { Kind::Integer } else { Kind::Float };
        (Tree::or(whole, vec![inner]), Some((name.to_owned(), kind)))
    }

    /// top and bottom.
    fn best(&mut self, scope: &Scope) -> (Tree, Column) {
        let name = self.random.pick(&["top", "bottom"]);
        let (column, kind, _) = self.column(scope, NUMBERS);
        let count = *self.random.one_of(&[1, 2, 3, 5, 10, 0]);
        let mut tags = Vec::new();
        while !scope.tags.is_empty() && tags.len() < 2 && self.random.chance(30) {
            let tag = self.random.one_of(&scope.tags).clone();
            tags.push(Tree::optional(format!(", {}", self.name(&tag))));
        }
        (
            sequence![name, "(", column, Tree::Sequence(tags), format!(", {count})")],
            Some((name.to_owned(), kind)),
        )
    }

    /// Functions with arguments of their own.
    fn special(&mut self, scope: &Scope) -> (Tree, Column) {
        let (column, kind, _) = self.column(scope, NUMBERS);
        let named = |name: &str, kind| Some((name.to_owned(), kind));
        match self.random.below(10) {
            0..4 => {
                let percent = self.random.pick(&["50", "90", "99.9", "0", "100", "1", "12.5", "101", "-1"]);
                (format!("percentile({column}, {percent})").into(), named("percentile", kind))
            }
            4..6 if Self::allowed(scope, false) => {
                let unit = self.maybe(50, |g| {
                    let unit = g.random.pick(&["1s", "1m", "10ms", "1h", "0s"]);
                    format!(", {unit}").into()
                });
                (sequence!["integral(", column, unit, ")"], named("integral", Kind::Float))
            }
            6 => (format!("sample({column}, 1000)").into(), named("sample", kind)),
            7 if Self::allowed(scope, false) && self.window_range.is_some() && self.bounded_below => {
                let name = self.random.pick(&["holt_winters", "holt_winters_with_fit"]);
                let inner = self.random.pick(&["max", "first", "sum", "count"]);
                let (n, season) = (self.random.below(5), self.random.below(4));
                (format!("{name}({inner}({column}), {n}, {season})").into(), named(name, Kind::Float))
            }
            _ => (format!("count(distinct({column}))").into(), named("count", Kind::Integer)),
        }
    }
}
