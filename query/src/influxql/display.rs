//! Canonical text: what InfluxDB 1.x's `String()` prints, in continuous queries, warnings and error texts.
//!
//! It parses back to the same tree, with three losses that 1.x has too: numbers keep three decimals, a whole number
//! with a point loses it in `fill()`, and passwords are left out.

mod statement;

use super::ast::{
    Call, DataType, Expr, Fill, FillNumber, MeasurementName, SelectField, SelectStatement, SortField, Source,
    VarRef, WildcardKind,
};
use super::duration;
use super::lexer::is_ident_char;
use super::token::Token;
use std::fmt::{self, Display, Formatter, Write};

/// A name as InfluxQL writes it: in double quotes if it has to be.
#[derive(Debug, Clone, Copy)]
pub struct Ident<'a>(pub &'a str);

impl Display for Ident<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if needs_quotes(self.0) { quoted(f, self.0, '"') } else { f.write_str(self.0) }
    }
}

/// A string as InfluxQL writes it: in single quotes.
#[derive(Debug, Clone, Copy)]
pub struct Quoted<'a>(pub &'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        quoted(f, self.0, '\'')
    }
}

/// A regular expression as InfluxQL writes it: between slashes, its own slashes escaped.
#[derive(Debug, Clone, Copy)]
pub struct Slashed<'a>(pub &'a str);

impl Display for Slashed<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.0.replace('/', "\\/"))
    }
}

/// A path as 1.x prints it in errors: every part but the last is quoted, the last if it has to be.
pub(super) fn quote_segments(segments: &[String]) -> String {
    let mut out = String::new();
    let last = segments.len().saturating_sub(1);
    for (i, segment) in segments.iter().enumerate() {
        let quote = needs_quotes(segment) && !segment.is_empty()
            || i < last && !segment.is_empty()
            || (i == 0 || i == last) && segment.is_empty();
        // Writing to a String cannot fail.
        if quote {
            quoted(&mut out, segment, '"').ok();
        } else {
            out.push_str(segment);
        }
        if i < last {
            out.push('.');
        }
    }
    out
}

fn needs_quotes(name: &str) -> bool {
    Token::of_word(name) != Token::Ident
        || name.is_empty()
        || name.starts_with(|c: char| c.is_ascii_digit())
        || !name.chars().all(is_ident_char)
}

fn quoted(f: &mut impl Write, text: &str, quote: char) -> fmt::Result {
    f.write_char(quote)?;
    for c in text.chars() {
        match c {
            '\n' => f.write_str("\\n")?,
            '\\' => f.write_str("\\\\")?,
            c if c == quote => write!(f, "\\{c}")?,
            c => f.write_char(c)?,
        }
    }
    f.write_char(quote)
}

/// Items with a comma and a space between them.
fn comma_separated<T: Display>(f: &mut Formatter<'_>, items: impl IntoIterator<Item = T>) -> fmt::Result {
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        item.fmt(f)?;
    }
    Ok(())
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::VarRef(var_ref) => var_ref.fmt(f),
            Self::Call(call) => call.fmt(f),
            Self::Binary(binary) => write!(f, "{} {} {}", binary.lhs, binary.op, binary.rhs),
            Self::Paren(inner) => write!(f, "({inner})"),
            Self::Wildcard(kind) => f.write_str(match kind {
                WildcardKind::All => "*",
                WildcardKind::Field => "*::field",
                WildcardKind::Tag => "*::tag",
            }),
            Self::Regex(pattern) => Slashed(pattern).fmt(f),
            Self::Distinct(name) => write!(f, "DISTINCT {}", Ident(name)),
            Self::Integer(value) => value.fmt(f),
            Self::Unsigned(value) => value.fmt(f),
            Self::Number(value) => write!(f, "{value:.3}"),
            Self::String(text) => Quoted(text).fmt(f),
            Self::Boolean(value) => value.fmt(f),
            Self::Duration(ns) => f.write_str(&duration::format(*ns)),
            Self::Time(ns) => match jiff::Timestamp::from_nanosecond(i128::from(*ns)) {
                Ok(time) => write!(f, "'{time}'"),
                Err(_) => ns.fmt(f),
            },
            Self::List(names) => {
                f.write_str("(")?;
                comma_separated(f, names.iter().map(|name| Ident(name)))?;
                f.write_str(")")
            }
            Self::BoundParameter(name) => write!(f, "${}", Ident(name)),
        }
    }
}

impl Display for VarRef {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Ident(&self.name).fmt(f)?;
        match self.data_type {
            Some(data_type) => write!(f, "::{data_type}"),
            None => Ok(()),
        }
    }
}

impl Display for DataType {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Float => "float",
            Self::Integer => "integer",
            Self::Unsigned => "unsigned",
            Self::String => "string",
            Self::Boolean => "boolean",
            Self::AnyField => "field",
            Self::Tag => "tag",
        })
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // The one keyword that is a function, too.
        if self.name == "distinct" {
            f.write_str("distinct(")?;
        } else {
            write!(f, "{}(", Ident(&self.name))?;
        }
        comma_separated(f, &self.args)?;
        f.write_str(")")
    }
}

impl Display for SelectStatement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("SELECT ")?;
        comma_separated(f, &self.fields)?;
        if let Some(target) = &self.target {
            write!(f, " INTO {target}")?;
        }
        from(f, &self.sources)?;
        condition(f, self.condition.as_ref())?;
        group_by(f, &self.dimensions)?;
        match self.fill {
            Fill::Null => {}
            Fill::None => f.write_str(" fill(none)")?,
            Fill::Number(FillNumber::Integer(value)) => write!(f, " fill({value})")?,
            Fill::Number(FillNumber::Float(value)) => write!(f, " fill({value})")?,
            Fill::Previous => f.write_str(" fill(previous)")?,
            Fill::Linear => f.write_str(" fill(linear)")?,
        }
        order_by(f, &self.order)?;
        limit(f, "LIMIT", self.limit)?;
        limit(f, "OFFSET", self.offset)?;
        limit(f, "SLIMIT", self.slimit)?;
        limit(f, "SOFFSET", self.soffset)?;
        match &self.time_zone {
            Some(name) => write!(f, " TZ('{name}')"),
            None => Ok(()),
        }
    }
}

impl Display for SelectField {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.expr.fmt(f)?;
        match &self.alias {
            Some(alias) => write!(f, " AS {}", Ident(alias)),
            None => Ok(()),
        }
    }
}

impl Display for SortField {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if !self.name.is_empty() {
            write!(f, "{} ", self.name)?;
        }
        f.write_str(if self.ascending { "ASC" } else { "DESC" })
    }
}

impl Display for Source {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Measurement(name) => name.fmt(f),
            Self::Subquery(inner) => write!(f, "({inner})"),
        }
    }
}

impl Display for MeasurementName {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if !self.database.is_empty() {
            write!(f, "{}.", Ident(&self.database))?;
        }
        if !self.policy.is_empty() {
            Ident(&self.policy).fmt(f)?;
        }
        if !self.database.is_empty() || !self.policy.is_empty() {
            f.write_str(".")?;
        }
        match &self.regex {
            Some(pattern) => Slashed(pattern).fmt(f),
            None if self.is_target && self.name.is_empty() => f.write_str(":MEASUREMENT"),
            None => Ident(&self.name).fmt(f),
        }
    }
}

fn from(f: &mut Formatter<'_>, sources: &[Source]) -> fmt::Result {
    if sources.is_empty() {
        return Ok(());
    }
    f.write_str(" FROM ")?;
    comma_separated(f, sources)
}

fn condition(f: &mut Formatter<'_>, condition: Option<&Expr>) -> fmt::Result {
    match condition {
        Some(condition) => write!(f, " WHERE {condition}"),
        None => Ok(()),
    }
}

fn group_by(f: &mut Formatter<'_>, dimensions: &[Expr]) -> fmt::Result {
    if dimensions.is_empty() {
        return Ok(());
    }
    f.write_str(" GROUP BY ")?;
    comma_separated(f, dimensions)
}

fn order_by(f: &mut Formatter<'_>, order: &[SortField]) -> fmt::Result {
    if order.is_empty() {
        return Ok(());
    }
    f.write_str(" ORDER BY ")?;
    comma_separated(f, order)
}

/// ` KEYWORD n`; nothing for 0.
fn limit(f: &mut Formatter<'_>, keyword: &str, n: u64) -> fmt::Result {
    if n == 0 { Ok(()) } else { write!(f, " {keyword} {n}") }
}

/// ` ON database`; nothing for an empty one.
fn on(f: &mut Formatter<'_>, database: &str) -> fmt::Result {
    if database.is_empty() { Ok(()) } else { write!(f, " ON {}", Ident(database)) }
}
