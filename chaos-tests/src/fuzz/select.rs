//! SELECT statements.

use super::expression::Column;
use super::grammar::{Grammar, Scope, duration};
use super::schema::Kind;
use super::time_text::SECOND;
use super::tree::Tree;
use crate::sequence;

/// Deepest nesting of subqueries.
const DEPTH_MAX: u32 = 2;

const ZONES: &[&str] =
    &["America/New_York", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "UTC", "America/St_Johns"];

/// What a SELECT computes.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Raw,
    Calls,
    /// One selector with columns beside it.
    Selector,
    /// Anything beside anything: mostly an error.
    Mixed,
}

impl Grammar<'_> {
    /// A whole SELECT.
    pub(super) fn select(&mut self) -> Tree {
        self.window_range = None;
        self.bounded_below = self.random.chance(85);
        if self.random.chance(45) {
            let (a, b) = (self.time(), self.time());
            self.window_range = Some((a.min(b), a.max(b).max(a.min(b) + SECOND)));
        }
        let (tree, _, _) = self.select_at(0);
        tree
    }

    /// A SELECT that cannot group by time, whatever is cut from it.
    pub(super) fn select_without_windows(&mut self) -> Tree {
        self.window_range = None;
        self.bounded_below = true;
        self.select_at(0).0
    }

    /// One level; the columns and tags that an outer level sees.
    fn select_at(&mut self, depth: u32) -> (Tree, Vec<(String, Kind)>, Vec<String>) {
        let (sources, scope) = self.sources(depth);
        let windows = self.window_range.is_some() && (depth == 0 || self.random.chance(50));
        let shape = match self.random.below(100) {
            0..40 if !windows => Shape::Raw,
            0..75 => Shape::Calls,
            75..93 => Shape::Selector,
            _ => Shape::Mixed,
        };
        let (items, columns) = self.items(&scope, shape, depth);
        let bounds = self.window_range.filter(|_| depth == 0 || self.random.chance(30));
        let narrowed = bounds.or_else(|| {
            let plain = self.window_range.is_none() && self.random.chance(25);
            plain.then(|| (self.time(), self.time()))
        });
        let where_clause = match bounds {
            Some(bounds) => self.where_clause(&scope, Some(bounds)),
            None => match (narrowed, self.where_clause(&scope, None)) {
                (Some(bounds), _) => Tree::optional(self.where_clause(&scope, Some(bounds))),
                (None, clause) => clause,
            },
        };
        let (group_by, kept) = self.group_by(&scope, windows && shape != Shape::Raw);
        let fill = if shape == Shape::Raw { 2 } else { 40 };
        let fill = self.maybe(fill, |g| {
            let kind = g.random.pick(&["none", "null", "0", "previous", "linear", "-1.5", "7"]);
            format!(" fill({kind})").into()
        });
        let order = self.maybe(15, |g| {
            g.random.pick(&[" ORDER BY time DESC", " ORDER BY time", " ORDER BY DESC"]).into()
        });
        let limits = self.limits();
        let slimit = self.maybe(6, |g| g.counted("SLIMIT"));
        let soffset = self.maybe(3, |g| g.counted("SOFFSET"));
        let zone = self.maybe(if self.bounded_below { 8 } else { 0 }, |g| {
            format!(" tz('{}')", g.random.pick(ZONES)).into()
        });
        let tree = sequence![
            "SELECT ",
            items,
            " FROM ",
            sources,
            where_clause,
            group_by,
            fill,
            order,
            limits,
            slimit,
            soffset,
            zone
        ];
        (tree, columns, kept)
    }

    fn items(&mut self, scope: &Scope, shape: Shape, depth: u32) -> (Tree, Vec<(String, Kind)>) {
        let mut items = Vec::new();
        let mut columns: Vec<(String, Kind)> = Vec::new();
        let mut count = 1 + self.random.below(3);
        if shape == Shape::Calls && self.random.chance(50) {
            count = 1;
        }
        for i in 0..count {
            let (tree, column): (Tree, Column) = match shape {
                Shape::Raw => self.raw_item(scope),
                Shape::Calls => self.call_item(scope),
                Shape::Selector if i == 0 => self.selector(scope),
                Shape::Selector => self.raw_item(scope),
                Shape::Mixed if self.random.chance(50) => self.call_item(scope),
                Shape::Mixed => self.raw_item(scope),
            };
            let aliased = self.random.chance(if depth > 0 && column.is_none() { 70 } else { 15 });
            let mut parts = vec![tree];
            if aliased {
                let alias = self.random.pick(&["x", "y", "z", "v", "time", "\"a b\"", "mean", "host"]);
                parts.push(Tree::optional(format!(" AS {alias}")));
                columns.push((alias.trim_matches('"').to_owned(), column.map_or(Kind::Float, |c| c.1)));
            } else {
                columns.extend(column);
            }
            items.push(Tree::Sequence(parts));
        }
        // An outer level cannot ask for a column of this name: 1.x takes it for the time.
        columns.retain(|column| column.0 != "time");
        (Tree::List(", ", items), columns)
    }

    fn selector(&mut self, scope: &Scope) -> (Tree, Column) {
        let name = self.random.pick(&["first", "last", "min", "max"]);
        let (column, kind, _) = self.column(scope, &[Kind::Float, Kind::Integer, Kind::Boolean]);
        (format!("{name}({column})").into(), Some((name.to_owned(), kind)))
    }

    fn sources(&mut self, depth: u32) -> (Tree, Scope) {
        let mut scope = Scope::default();
        let mut sources = Vec::new();
        let count = if self.random.chance(88) { 1 } else { 2 };
        for _ in 0..count {
            if depth < DEPTH_MAX && self.random.chance(22) {
                let (inner, fields, tags) = self.select_at(depth + 1);
                scope.fields.extend(fields);
                scope.tags.extend(tags);
                scope.extreme |= self.schema.measurements.iter().any(|m| m.extreme);
                sources.push(sequence!["(", inner, ")"]);
                continue;
            }
            sources.push(self.measurements(&mut scope));
        }
        scope.tags.sort();
        scope.tags.dedup();
        (Tree::List(", ", sources), scope)
    }

    /// A measurement or a pattern of them.
    fn measurements(&mut self, scope: &mut Scope) -> Tree {
        let path = self.path();
        if self.random.chance(10) {
            for measurement in &self.schema.measurements {
                add(scope, measurement);
            }
            let names: Vec<String> = self.schema.measurements.iter().map(|m| m.name.clone()).collect();
            return sequence![path, self.regex(&names)];
        }
        if self.random.chance(2) {
            return sequence![path, self.random.pick(&["nope", "_series", "\"\""])];
        }
        let measurement = self.measurement();
        add(scope, measurement);
        sequence![path, self.name(&measurement.name)]
    }

    /// Database and policy before a measurement.
    fn path(&mut self) -> Tree {
        if self.random.chance(80) {
            return Tree::nothing();
        }
        let policy = self.random.one_of(&self.schema.policies).name.clone();
        let (database, policy) = (self.name(&self.schema.database), self.name(&policy));
        let path = match self.random.below(12) {
            0..4 => format!("{policy}."),
            4..8 => format!("{database}.{policy}."),
            8..10 => format!("{database}.."),
            10 => "nope.".to_owned(),
            _ => format!("nope.{policy}."),
        };
        Tree::optional(path)
    }

    /// GROUP BY, and the tags that it keeps.
    fn group_by(&mut self, scope: &Scope, windows: bool) -> (Tree, Vec<String>) {
        let mut dimensions = Vec::new();
        let mut kept = Vec::new();
        if let Some(range) = self.window_range.filter(|_| windows) {
            let interval = self.interval(range);
            // Without a lower bound an offset makes 1.6.7 fill from the beginning of time.
            let offset = match self.random.below(if self.bounded_below { 10 } else { 1 }) {
                _ if !self.bounded_below => String::new(),
                0 => format!(", {}", duration(interval / 3 / SECOND * SECOND)),
                1 => format!(", -{}", duration(7 * SECOND)),
                2 => format!(", {}", duration(interval * 3 + SECOND)),
                _ => String::new(),
            };
            dimensions.push(format!("time({}{offset})", duration(interval)).into());
        }
        if self.random.chance(40) {
            for _ in 0..=self.random.below(2) {
                let dimension = match self.random.below(20) {
                    0 | 1 => {
                        kept.extend(scope.tags.iter().cloned());
                        "*".to_owned()
                    }
                    2 => {
                        kept.extend(scope.tags.iter().cloned());
                        self.regex(&scope.tags)
                    }
                    3 => "nope".to_owned(),
                    4 => self.column(scope, &[Kind::String]).0,
                    _ if scope.tags.is_empty() => continue,
                    _ => {
                        let tag = self.random.one_of(&scope.tags).clone();
                        kept.push(tag.clone());
                        self.name(&tag)
                    }
                };
                dimensions.push(Tree::from(dimension));
            }
        }
        let clause = if dimensions.is_empty() {
            Tree::nothing()
        } else {
            Tree::optional(sequence![" GROUP BY ", Tree::List(", ", dimensions)])
        };
        (clause, kept)
    }
}

fn add(scope: &mut Scope, measurement: &super::schema::Measurement) {
    scope.fields.extend(measurement.fields.iter().map(|f| (f.0.clone(), f.1)));
    scope.tags.extend(measurement.tags.iter().map(|t| t.0.clone()));
    scope.extreme |= measurement.extreme;
}
