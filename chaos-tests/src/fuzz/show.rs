//! SHOW statements.

use super::grammar::{Grammar, Scope};
use super::tree::Tree;
use crate::sequence;

impl Grammar<'_> {
    /// Any SHOW whose answer does not depend on the server's own state.
    pub(super) fn show(&mut self) -> Tree {
        let scope = self.whole_scope();
        match self.random.below(100) {
            0..3 => "SHOW DATABASES".into(),
            3..8 => sequence!["SHOW RETENTION POLICIES", self.on()],
            8..24 => self.show_measurements(&scope),
            24..40 => self.show_plain("SHOW SERIES", &scope, true),
            40..54 => {
                let shown = self.show_plain("SHOW TAG KEYS", &scope, true);
                let slimit = self.maybe(5, |g| g.counted("SLIMIT"));
                sequence![shown, slimit]
            }
            54..70 => self.show_tag_values(&scope),
            70..80 => self.show_plain("SHOW FIELD KEYS", &scope, false),
            _ => self.show_cardinality(&scope),
        }
    }

    fn whole_scope(&self) -> Scope {
        let mut scope = Scope::default();
        for measurement in &self.schema.measurements {
            scope.fields.extend(measurement.fields.iter().map(|f| (f.0.clone(), f.1)));
            scope.tags.extend(measurement.tags.iter().map(|t| t.0.clone()));
        }
        scope
    }

    fn on(&mut self) -> Tree {
        self.maybe(30, |g| {
            let database = if g.random.chance(90) { g.schema.database.clone() } else { "nope".to_owned() };
            format!(" ON {}", g.name(&database)).into()
        })
    }

    pub(super) fn from(&mut self, percent: u64) -> Tree {
        self.maybe(percent, |g| {
            let mut sources = Vec::new();
            for _ in 0..=g.random.below(2) {
                if g.random.chance(30) {
                    let names: Vec<String> = g.schema.measurements.iter().map(|m| m.name.clone()).collect();
                    sources.push(g.regex(&names).into());
                    continue;
                }
                let name = g.measurement().name.clone();
                let name = g.name(&name);
                let policy = g.random.one_of(&g.schema.policies).name.clone();
                let policy = g.name(&policy);
                let prefix = if g.random.chance(10) { format!("{policy}.") } else { String::new() };
                sources.push(Tree::from(format!("{prefix}{name}")));
            }
            sequence![" FROM ", Tree::List(", ", sources)]
        })
    }

    /// WHERE of SHOW: about tags, now and then about what it may not be about.
    fn tags_where(&mut self, scope: &Scope) -> Tree {
        self.maybe(35, |g| {
            let mut narrow = scope.clone();
            if g.random.chance(85) {
                narrow.fields.clear();
            }
            sequence![" WHERE ", g.condition(&narrow, 1)]
        })
    }

    fn show_plain(&mut self, what: &str, scope: &Scope, conditional: bool) -> Tree {
        let (on, from) = (self.on(), self.from(45));
        let condition = if conditional { self.tags_where(scope) } else { Tree::nothing() };
        let order =
            self.maybe(4, |g| g.random.pick(&[" ORDER BY time", " ORDER BY DESC", " ORDER BY key"]).into());
        sequence![what, on, from, condition, order, self.limits()]
    }

    fn show_measurements(&mut self, scope: &Scope) -> Tree {
        let on = self.on();
        let with = self.maybe(40, |g| {
            let names: Vec<String> = g.schema.measurements.iter().map(|m| m.name.clone()).collect();
            if g.random.chance(50) {
                return format!(" WITH MEASUREMENT =~ {}", g.regex(&names)).into();
            }
            let name = g.random.one_of(&names).clone();
            format!(" WITH MEASUREMENT = {}", g.name(&name)).into()
        });
        let condition = self.tags_where(scope);
        sequence!["SHOW MEASUREMENTS", on, with, condition, self.limits()]
    }

    fn with_key(&mut self, scope: &Scope) -> Tree {
        let key = |g: &mut Self| {
            let tags = &scope.tags;
            let known = if tags.is_empty() || g.random.chance(8) {
                "nope".to_owned()
            } else {
                g.random.one_of(tags).clone()
            };
            g.name(&known)
        };
        match self.random.below(8) {
            0..4 => format!(" WITH KEY = {}", key(self)).into(),
            4 => format!(" WITH KEY != {}", key(self)).into(),
            5 => format!(" WITH KEY =~ {}", self.regex(&scope.tags)).into(),
            6 => format!(" WITH KEY !~ {}", self.regex(&scope.tags)).into(),
            _ => format!(" WITH KEY IN ({}, {})", key(self), key(self)).into(),
        }
    }

    fn show_tag_values(&mut self, scope: &Scope) -> Tree {
        let (on, from, with) = (self.on(), self.from(40), self.with_key(scope));
        let condition = self.tags_where(scope);
        sequence!["SHOW TAG VALUES", on, from, with, condition, self.limits()]
    }

    fn show_cardinality(&mut self, scope: &Scope) -> Tree {
        let what = self.random.pick(&["SERIES", "MEASUREMENT", "TAG KEY", "TAG VALUES", "FIELD KEY"]);
        // 1.x estimates where it is not told to count, and deleted series stay in its sketches.
        let exact = " EXACT";
        let (on, from) = (self.on(), self.from(45));
        let with = if what == "TAG VALUES" { self.with_key(scope) } else { Tree::nothing() };
        let condition = self.tags_where(scope);
        let group = self.maybe(10, |g| format!(" GROUP BY {}", g.column(scope, &[]).0).into());
        sequence![format!("SHOW {what}{exact} CARDINALITY"), on, from, with, condition, group, self.limits()]
    }
}
