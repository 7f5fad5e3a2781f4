//! The checks of the select list that InfluxDB 1.x makes before it looks at data, with its texts.

use super::functions;
use crate::error::QueryError;
use crate::influxql::ast::{Call, Expr, Fill};
use crate::math;

/// Walks a select list and remembers what its parts have to agree on.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact about the statement that one rule asks for"
)]
pub(super) struct Validator {
    limit: u64,
    /// GROUP BY time, own or inherited.
    pub(super) has_interval: bool,
    inherited_interval: bool,
    fill: Fill,
    /// Function calls, without those nested in count(distinct()).
    pub(super) calls: usize,
    /// Cleared by everything that is no selector.
    pub(super) only_selectors: bool,
    has_distinct: bool,
    has_auxiliary: bool,
    top_or_bottom: Option<String>,
    fields: usize,
    /// False inside binary expressions.
    pub(super) wildcards_allowed: bool,
}

pub(super) fn fail<T>(text: impl Into<String>) -> Result<T, QueryError> {
    Err(QueryError::Statement(text.into()))
}

/// Checks the number of arguments.
pub(super) fn arity(call: &Call, expected: usize) -> Result<(), QueryError> {
    let got = call.args.len();
    if got == expected {
        return Ok(());
    }
    fail(format!("invalid number of arguments for {}, expected {expected}, got {got}", call.name))
}

impl Validator {
    pub(super) fn new(limit: u64, has_interval: bool, inherited_interval: bool, fill: Fill) -> Self {
        Self {
            limit,
            has_interval,
            inherited_interval,
            fill,
            calls: 0,
            only_selectors: true,
            has_distinct: false,
            has_auxiliary: false,
            top_or_bottom: None,
            fields: 0,
            wildcards_allowed: true,
        }
    }

    /// GROUP BY time written in this very statement.
    pub(super) fn has_own_interval(&self) -> bool {
        self.has_interval && !self.inherited_interval
    }

    /// Checks one item of the select list.
    pub(super) fn field(&mut self, expr: &Expr) -> Result<(), QueryError> {
        self.fields += 1;
        self.wildcards_allowed = true;
        self.expr(expr)
    }

    /// Checks what the items have to agree on.
    pub(super) fn finish(&self) -> Result<(), QueryError> {
        if self.fields == 0 {
            return fail("at least 1 non-time field must be queried");
        }
        if let Some(name) = &self.top_or_bottom
            && self.calls > 1
        {
            return fail(format!("selector function {name}() cannot be combined with other functions"));
        }
        if self.calls == 0 {
            match self.fill {
                Fill::None => return fail("fill(none) must be used with a function"),
                Fill::Linear => return fail("fill(linear) must be used with a function"),
                Fill::Null | Fill::Number(_) | Fill::Previous => {}
            }
            if self.has_interval && !self.inherited_interval {
                return fail("GROUP BY requires at least one aggregate function");
            }
        }
        if self.has_distinct && (self.calls != 1 || self.has_auxiliary) {
            return fail("aggregate function distinct() cannot be combined with other functions or fields");
        }
        if self.has_auxiliary && !self.only_selectors {
            return fail("mixing aggregate and non-aggregate queries is not supported");
        }
        if self.has_auxiliary && self.calls > 1 {
            return fail("mixing multiple selector functions with tags or fields is not supported");
        }
        Ok(())
    }

    pub(super) fn expr(&mut self, expr: &Expr) -> Result<(), QueryError> {
        match expr {
            Expr::VarRef(_) => {
                self.has_auxiliary = true;
                Ok(())
            }
            Expr::Wildcard(_) | Expr::Regex(_) => {
                self.has_auxiliary = true;
                if self.wildcards_allowed {
                    return Ok(());
                }
                fail(match expr {
                    Expr::Wildcard(_) => "unable to use wildcard in a binary expression",
                    _ => "unable to use regex in a binary expression",
                })
            }
            Expr::Call(call) => self.call(call),
            Expr::Distinct(_) => {
                self.calls += 1;
                self.distinct_at_top();
                Ok(())
            }
            Expr::Binary(binary) => {
                self.wildcards_allowed = false;
                match (is_literal(&binary.lhs), is_literal(&binary.rhs)) {
                    (true, true) => fail("cannot perform a binary expression on two literals"),
                    (true, false) => self.expr(&binary.rhs),
                    (false, true) => self.expr(&binary.lhs),
                    (false, false) => {
                        self.expr(&binary.lhs)?;
                        self.expr(&binary.rhs)
                    }
                }
            }
            Expr::Paren(inner) => self.expr(inner),
            Expr::Integer(_)
            | Expr::Unsigned(_)
            | Expr::Number(_)
            | Expr::String(_)
            | Expr::Boolean(_)
            | Expr::Duration(_)
            | Expr::Time(_)
            | Expr::List(_)
            | Expr::BoundParameter(_) => fail("field must contain at least one variable"),
        }
    }

    fn call(&mut self, call: &Call) -> Result<(), QueryError> {
        if let Some(function) = math::Function::by_name(&call.name) {
            arity(call, function.arity())?;
            for arg in call.args.iter().filter(|a| !is_literal(a)) {
                self.expr(arg)?;
            }
            return Ok(());
        }
        self.calls += 1;
        functions::check(self, call)
    }

    /// Checks the first argument of a function that works on a field.
    pub(super) fn symbol(&mut self, name: &str, arg: &Expr) -> Result<(), QueryError> {
        match arg {
            Expr::VarRef(_) => Ok(()),
            Expr::Wildcard(_) | Expr::Regex(_) => {
                if !self.wildcards_allowed {
                    let what = if matches!(arg, Expr::Regex(_)) { "regex field" } else { "wildcard" };
                    return fail(format!("unsupported expression with {what}: {name}()"));
                }
                self.only_selectors = false;
                Ok(())
            }
            _ => fail(format!("expected field argument in {name}()")),
        }
    }

    /// Checks a call inside a call.
    pub(super) fn nested(&mut self, arg: &Expr) -> Result<(), QueryError> {
        match arg {
            Expr::Call(call) if call.name == "distinct" => self.distinct_args(&call.args),
            Expr::Distinct(_) => {
                self.only_selectors = false;
                Ok(())
            }
            other => self.expr(other),
        }
    }

    /// Checks `distinct(...)` as an item of its own.
    pub(super) fn distinct_item(&mut self, args: &[Expr]) -> Result<(), QueryError> {
        self.distinct_args(args)?;
        self.distinct_at_top();
        Ok(())
    }

    pub(super) fn distinct_args(&mut self, args: &[Expr]) -> Result<(), QueryError> {
        match args {
            [] => return fail("distinct function requires at least one argument"),
            [Expr::VarRef(_)] => {}
            [_] => return fail("expected field argument in distinct()"),
            _ => return fail("distinct function can only have one argument"),
        }
        self.only_selectors = false;
        Ok(())
    }

    fn distinct_at_top(&mut self) {
        self.has_distinct = true;
        self.only_selectors = false;
    }

    /// Checks top() and bottom(): field, tags, how many.
    pub(super) fn top(&mut self, call: &Call) -> Result<(), QueryError> {
        let name = &call.name;
        if let Some(first) = &self.top_or_bottom {
            return fail(format!("selector function {first}() cannot be combined with other functions"));
        }
        let [field, tags @ .., last] = call.args.as_slice() else {
            let got = call.args.len();
            return fail(format!("invalid number of arguments for {name}, expected at least 2, got {got}"));
        };
        let Expr::Integer(n) = last else {
            return fail(format!("expected integer as last argument in {name}(), found {last}"));
        };
        if *n <= 0 {
            return fail(format!("limit ({n}) in {name} function must be at least 1"));
        }
        if self.limit > 0 && *n as u64 > self.limit {
            let limit = self.limit;
            return fail(format!(
                "limit ({n}) in {name} function can not be larger than the LIMIT ({limit}) in the select statement"
            ));
        }
        if !matches!(field, Expr::VarRef(_)) {
            return fail(format!("expected first argument to be a field in {name}(), found {field}"));
        }
        for tag in tags {
            if !matches!(tag, Expr::VarRef(_)) {
                return fail(format!("only fields or tags are allowed in {name}(), found {tag}"));
            }
            self.has_auxiliary = true;
        }
        self.top_or_bottom = Some(name.clone());
        Ok(())
    }
}

/// Whether an expression is a value.
pub(super) fn is_literal(expr: &Expr) -> bool {
    match expr {
        Expr::Integer(_)
        | Expr::Unsigned(_)
        | Expr::Number(_)
        | Expr::String(_)
        | Expr::Boolean(_)
        | Expr::Duration(_)
        | Expr::Time(_)
        | Expr::Regex(_)
        | Expr::List(_)
        | Expr::BoundParameter(_) => true,
        Expr::VarRef(_)
        | Expr::Call(_)
        | Expr::Binary(_)
        | Expr::Paren(_)
        | Expr::Wildcard(_)
        | Expr::Distinct(_) => false,
    }
}
