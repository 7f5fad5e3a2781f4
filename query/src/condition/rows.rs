//! The residual condition made ready to run: an upper bound for the index, a decision a series, a decision a row.
//!
//! A name is a field if the measurement has a field of that name (or the clause says so with `::type`), else it counts
//! as a tag, which is `''` for series without it. A comparison of tags only is decided once a series.

use crate::error::QueryError;
use crate::influxql::ast::{BinaryExpr, BinaryOp, Call, DataType, Expr, VarRef};
use crate::math::{self, Division};
use crate::result::Cell;
use model::{FieldType, TagPredicate};
use regex::Regex;
use std::sync::Arc;

/// What a name in a condition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// A field of the measurement.
    Field(FieldType),
    /// Everything else.
    Tag,
}

/// A condition over one measurement (or one subquery), compiled.
#[derive(Debug, Clone)]
pub struct RowCondition {
    root: Node,
    /// Fields that rows are tested on; [`RowExpr::Field`] is an index into it.
    pub fields: Vec<VarRef>,
}

/// What a condition leaves to do for one series.
#[derive(Debug, Clone)]
pub enum SeriesFilter {
    /// Every row passes.
    All,
    /// No row passes.
    Nothing,
    /// Each row has to be tested.
    Rows(RowExpr),
}

/// An expression over the fields of one row; tags were replaced by their values.
#[derive(Debug, Clone)]
pub enum RowExpr {
    /// A literal.
    Constant(Cell),
    /// A field: index into [`RowCondition::fields`].
    Field(usize),
    /// A tag by name; replaced by [`RowCondition::bind`].
    Tag(Arc<str>),
    /// A regular expression as right side of `=~` and `!~`.
    Regex(Regex),
    /// `lhs op rhs`.
    Binary(BinaryOp, Box<(RowExpr, RowExpr)>),
    /// A math function.
    Math(math::Function, Vec<RowExpr>),
}

/// Where a row is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// Null is a field that a point lacks.
    Series,
    /// Null is a value like that of arithmetic: beside a boolean it is false. Functions have no value, and tags that are
    /// missing are empty text.
    Subquery,
}

#[derive(Debug, Clone)]
enum Node {
    Constant(bool),
    And(Box<(Node, Node)>),
    Or(Box<(Node, Node)>),
    Tags(TagPredicate),
    /// Two tags compared; `true` wants them equal.
    TagPair(Arc<str>, Arc<str>, bool),
    Row(RowExpr),
}

impl RowCondition {
    /// Compiles a residual condition; `None` passes everything. `kind` says what a name is.
    ///
    /// # Errors
    ///
    /// [`QueryError::Statement`] for a regular expression that does not compile.
    pub fn compile(residual: Option<&Expr>, kind: &dyn Fn(&str) -> FieldKind) -> Result<Self, QueryError> {
        let mut compiler = Compiler { kind, fields: Vec::new() };
        let root = match residual {
            None => Node::Constant(true),
            Some(expr) => compiler.node(expr)?,
        };
        Ok(Self { root, fields: compiler.fields })
    }

    /// Which series can have a row that passes: never too few.
    pub fn tag_predicate(&self) -> TagPredicate {
        self.root.tag_predicate()
    }

    /// Whether the condition can be decided by tags alone.
    pub fn is_series_only(&self) -> bool {
        self.fields.is_empty()
    }

    /// What is left for a series with these tags; `tag` gives `""` for one it lacks.
    pub fn bind<'a>(&self, tag: &impl Fn(&str) -> &'a str) -> SeriesFilter {
        self.root.bind(tag, Origin::Series)
    }

    /// What is left for the rows of a subquery that have these tags.
    pub fn bind_in_subquery<'a>(&self, tag: &impl Fn(&str) -> &'a str) -> SeriesFilter {
        self.root.bind(tag, Origin::Subquery)
    }
}

impl Node {
    fn tag_predicate(&self) -> TagPredicate {
        match self {
            Self::Constant(true) | Self::TagPair(..) | Self::Row(_) => TagPredicate::All,
            Self::Constant(false) => TagPredicate::Nothing,
            Self::Tags(predicate) => predicate.clone(),
            Self::And(sides) => match (sides.0.tag_predicate(), sides.1.tag_predicate()) {
                (TagPredicate::All, other) | (other, TagPredicate::All) => other,
                (TagPredicate::Nothing, _) | (_, TagPredicate::Nothing) => TagPredicate::Nothing,
                (TagPredicate::And(mut parts), TagPredicate::And(more)) => {
                    parts.extend(more);
                    TagPredicate::And(parts)
                }
                (TagPredicate::And(mut parts), other) => {
                    parts.push(other);
                    TagPredicate::And(parts)
                }
                (a, b) => TagPredicate::And(vec![a, b]),
            },
            Self::Or(sides) => match (sides.0.tag_predicate(), sides.1.tag_predicate()) {
                (TagPredicate::All, _) | (_, TagPredicate::All) => TagPredicate::All,
                (TagPredicate::Nothing, other) | (other, TagPredicate::Nothing) => other,
                (TagPredicate::Or(mut parts), other) => {
                    parts.push(other);
                    TagPredicate::Or(parts)
                }
                (a, b) => TagPredicate::Or(vec![a, b]),
            },
        }
    }

    fn bind<'a>(&self, tag: &impl Fn(&str) -> &'a str, origin: Origin) -> SeriesFilter {
        let decided = |yes| if yes { SeriesFilter::All } else { SeriesFilter::Nothing };
        match self {
            Self::Constant(yes) => decided(*yes),
            Self::Tags(predicate) => decided(predicate.matches(tag)),
            Self::TagPair(a, b, equal) => {
                // 1.x compares only values of series that exist, so two missing tags are not equal.
                let (a, b) = (tag(a), tag(b));
                let exists = origin == Origin::Subquery || !a.is_empty();
                decided((exists && a == b) == *equal)
            }
            Self::Row(expr) => SeriesFilter::Rows(expr.bind(tag, origin)),
            Self::And(sides) => match (sides.0.bind(tag, origin), sides.1.bind(tag, origin)) {
                (SeriesFilter::Nothing, _) | (_, SeriesFilter::Nothing) => SeriesFilter::Nothing,
                (SeriesFilter::All, other) | (other, SeriesFilter::All) => other,
                (SeriesFilter::Rows(a), SeriesFilter::Rows(b)) => {
                    SeriesFilter::Rows(RowExpr::Binary(BinaryOp::And, Box::new((a, b))))
                }
            },
            Self::Or(sides) => match (sides.0.bind(tag, origin), sides.1.bind(tag, origin)) {
                (SeriesFilter::All, _) | (_, SeriesFilter::All) => SeriesFilter::All,
                (SeriesFilter::Nothing, other) | (other, SeriesFilter::Nothing) => other,
                (SeriesFilter::Rows(a), SeriesFilter::Rows(b)) => {
                    SeriesFilter::Rows(RowExpr::Binary(BinaryOp::Or, Box::new((a, b))))
                }
            },
        }
    }
}

impl RowExpr {
    /// Whether a row passes. `field` gives the row's value of a field by index, null if it has none.
    pub fn passes(&self, field: &impl Fn(usize) -> Cell) -> bool {
        matches!(self.evaluate(field, Origin::Series), Cell::Boolean(true))
    }

    /// Whether a row of a subquery passes.
    pub fn passes_in_subquery(&self, column: &impl Fn(usize) -> Cell) -> bool {
        matches!(self.evaluate(column, Origin::Subquery), Cell::Boolean(true))
    }

    /// The value for a row.
    fn evaluate(&self, field: &impl Fn(usize) -> Cell, origin: Origin) -> Cell {
        match self {
            Self::Constant(cell) => cell.clone(),
            Self::Field(index) => field(*index),
            // Bound expressions have no tags and a lone pattern has no value.
            Self::Tag(_) | Self::Regex(_) => Cell::Null,
            Self::Binary(op, sides) => {
                let lhs = sides.0.evaluate(field, origin);
                if let (Cell::String(text), Self::Regex(regex)) = (&lhs, &sides.1) {
                    match op {
                        BinaryOp::EqRegex => return Cell::Boolean(regex.is_match(text)),
                        BinaryOp::NotEqRegex => return Cell::Boolean(!regex.is_match(text)),
                        _ => {}
                    }
                }
                let rhs = sides.1.evaluate(field, origin);
                if sides.0.is_missing(&lhs, origin) || sides.1.is_missing(&rhs, origin) {
                    return math::binary_of_field(*op, &lhs, &rhs, Division::Integer);
                }
                math::binary(*op, &lhs, &rhs, Division::Integer)
            }
            Self::Math(..) if origin == Origin::Subquery => Cell::Null,
            Self::Math(function, args) => {
                let args: Vec<Cell> = args.iter().map(|a| a.evaluate(field, origin)).collect();
                function.apply(&args)
            }
        }
    }

    /// Whether its value is that of a field or tag that is not there.
    fn is_missing(&self, value: &Cell, origin: Origin) -> bool {
        let missing = match self {
            Self::Field(_) => origin == Origin::Series,
            Self::Constant(_) => true,
            Self::Tag(_) | Self::Regex(_) | Self::Binary(..) | Self::Math(..) => false,
        };
        missing && *value == Cell::Null
    }

    fn bind<'a>(&self, tag: &impl Fn(&str) -> &'a str, origin: Origin) -> Self {
        let bound = |expr: &Self| expr.bind(tag, origin);
        match self {
            Self::Tag(name) => Self::Constant(match tag(name) {
                "" if origin == Origin::Series => Cell::Null,
                value => Cell::String(value.into()),
            }),
            Self::Binary(op, sides) => Self::Binary(*op, Box::new((bound(&sides.0), bound(&sides.1)))),
            Self::Math(function, args) => Self::Math(*function, args.iter().map(bound).collect()),
            Self::Constant(_) | Self::Field(_) | Self::Regex(_) => self.clone(),
        }
    }
}

struct Compiler<'k> {
    kind: &'k dyn Fn(&str) -> FieldKind,
    fields: Vec<VarRef>,
}

impl Compiler<'_> {
    fn node(&mut self, expr: &Expr) -> Result<Node, QueryError> {
        match expr {
            Expr::Paren(inner) => self.node(inner),
            Expr::Boolean(yes) => Ok(Node::Constant(*yes)),
            Expr::Binary(binary) => match binary.op {
                BinaryOp::And => Ok(Node::And(Box::new((self.node(&binary.lhs)?, self.node(&binary.rhs)?)))),
                BinaryOp::Or => Ok(Node::Or(Box::new((self.node(&binary.lhs)?, self.node(&binary.rhs)?)))),
                BinaryOp::Eq
                | BinaryOp::NotEq
                | BinaryOp::EqRegex
                | BinaryOp::NotEqRegex
                | BinaryOp::Lt
                | BinaryOp::LtEq
                | BinaryOp::Gt
                | BinaryOp::GtEq => self.comparison(binary),
                // Arithmetic in the place of a comparison filters nothing in 1.x.
                BinaryOp::Add
                | BinaryOp::Sub
                | BinaryOp::Mul
                | BinaryOp::Div
                | BinaryOp::Mod
                | BinaryOp::BitAnd
                | BinaryOp::BitOr
                | BinaryOp::BitXor => Ok(Node::Constant(true)),
            },
            _ => Ok(Node::Constant(false)),
        }
    }

    fn comparison(&mut self, binary: &BinaryExpr) -> Result<Node, QueryError> {
        let (name, value) = match (&binary.lhs, &binary.rhs) {
            (Expr::Binary(_), _) | (_, Expr::Binary(_)) => return self.row(binary),
            (Expr::VarRef(name), value) | (value, Expr::VarRef(name)) => (name, value),
            _ => return self.row(binary),
        };
        if self.is_field(name) {
            return self.row(binary);
        }
        let key: Arc<str> = Arc::from(name.name.as_str());
        match value {
            Expr::VarRef(other) if self.is_field(other) => self.row(binary),
            Expr::VarRef(other) => Ok(match binary.op {
                BinaryOp::Eq => Node::TagPair(key, other.name.as_str().into(), true),
                BinaryOp::NotEq => Node::TagPair(key, other.name.as_str().into(), false),
                _ => Node::Constant(false),
            }),
            Expr::String(text) => Ok(match binary.op {
                BinaryOp::Eq => Node::Tags(TagPredicate::Equal(key, text.as_str().into())),
                BinaryOp::NotEq => Node::Tags(TagPredicate::NotEqual(key, text.as_str().into())),
                _ => Node::Constant(false),
            }),
            Expr::Regex(source) => {
                let regex = compile_regex(source)?;
                Ok(match binary.op {
                    BinaryOp::EqRegex => Node::Tags(TagPredicate::Match(key, regex)),
                    BinaryOp::NotEqRegex => Node::Tags(TagPredicate::NotMatch(key, regex)),
                    _ => Node::Constant(false),
                })
            }
            _ => self.row(binary),
        }
    }

    fn row(&mut self, binary: &BinaryExpr) -> Result<Node, QueryError> {
        Ok(Node::Row(self.binary(binary)?))
    }

    fn binary(&mut self, binary: &BinaryExpr) -> Result<RowExpr, QueryError> {
        let sides = (self.value(&binary.lhs)?, self.value(&binary.rhs)?);
        Ok(RowExpr::Binary(binary.op, Box::new(sides)))
    }

    fn value(&mut self, expr: &Expr) -> Result<RowExpr, QueryError> {
        Ok(match expr {
            Expr::Paren(inner) => self.value(inner)?,
            Expr::Binary(binary) => self.binary(binary)?,
            Expr::VarRef(name) if self.is_field(name) => RowExpr::Field(self.field(name)),
            Expr::VarRef(name) => RowExpr::Tag(name.name.as_str().into()),
            Expr::Regex(source) => RowExpr::Regex(compile_regex(source)?),
            Expr::Call(call) => self.call(call)?,
            Expr::Integer(i) => RowExpr::Constant(Cell::Integer(*i)),
            Expr::Unsigned(u) => RowExpr::Constant(Cell::Unsigned(*u)),
            Expr::Number(n) => RowExpr::Constant(Cell::Float(*n)),
            Expr::String(s) => RowExpr::Constant(Cell::String(s.as_str().into())),
            Expr::Boolean(b) => RowExpr::Constant(Cell::Boolean(*b)),
            Expr::Wildcard(_)
            | Expr::Distinct(_)
            | Expr::Duration(_)
            | Expr::Time(_)
            | Expr::List(_)
            | Expr::BoundParameter(_) => RowExpr::Constant(Cell::Null),
        })
    }

    fn call(&mut self, call: &Call) -> Result<RowExpr, QueryError> {
        // Others than math functions are refused before, but for those that parentheses hide: they have no value.
        let Some(function) = math::Function::by_name(&call.name) else {
            return Ok(RowExpr::Constant(Cell::Null));
        };
        let args = call.args.iter().map(|a| self.value(a)).collect::<Result<_, _>>()?;
        Ok(RowExpr::Math(function, args))
    }

    fn is_field(&self, name: &VarRef) -> bool {
        match name.data_type {
            Some(DataType::Tag) => false,
            None => matches!((self.kind)(&name.name), FieldKind::Field(_)),
            Some(
                DataType::AnyField
                | DataType::Float
                | DataType::Integer
                | DataType::Unsigned
                | DataType::String
                | DataType::Boolean,
            ) => true,
        }
    }

    fn field(&mut self, name: &VarRef) -> usize {
        self.fields.iter().position(|f| f == name).unwrap_or_else(|| {
            self.fields.push(name.clone());
            self.fields.len() - 1
        })
    }
}

/// Compiles a pattern of the language.
pub(crate) fn compile_regex(source: &str) -> Result<Regex, QueryError> {
    crate::influxql::regex::compile(source).map_err(|e| QueryError::Statement(e.to_string()))
}
