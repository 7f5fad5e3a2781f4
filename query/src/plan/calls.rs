//! The select list: calls over leaves, auxiliary columns, and output columns over both.

use super::columns::added_columns;
use super::leaves::LeafSpec;
use super::link::fill_value;
use super::symbols::Symbols;
use super::technical;
use super::types::{field_type, type_of, type_of_item};
use super::validate::fail;
use crate::aggregate::{Pick, Reducer};
use crate::error::QueryError;
use crate::fold::FoldKind;
use crate::influxql::ast::{self, DataType, Expr, SelectField, VarRef};
use crate::result::Cell;
use crate::stage::{
    Aggregate, AggregateKind, Call, Fault, FillKind, Given, Leaf, LeafKind, Output, RowLimits,
};
use crate::transform::{HoltWinters, Transform};
use crate::window::Window;
use model::FieldType;
use model::time::{SECOND_NS, TIME_MAX, TIME_MIN};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Builds the calls of one stage.
pub(super) struct CallBuilder<'a> {
    pub(super) window: &'a Window,
    pub(super) ascending: bool,
    /// Of the stage.
    pub(super) range: (i64, i64),
    pub(super) dimensions: &'a Arc<[Arc<str>]>,
    pub(super) fill: Option<&'a FillKind>,
    pub(super) rows: RowLimits,
    /// For sample().
    pub(super) seed: u64,
    pub(super) leaves: Vec<LeafSpec>,
    /// Whether the call in the making has a type.
    pub(super) built: bool,
    /// Functions that do not take their column: the first one of each leaf.
    pub(super) faults: Vec<Fault>,
    /// What each source has for a column.
    pub(super) sources: SourceTypes<'a>,
}

/// What each source has for the column that leads a call.
pub(super) type SourceTypes<'a> = &'a dyn Fn(&VarRef) -> Vec<SourceType>;

/// What a source has for the column that leads a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SourceType {
    /// Nothing that could be read.
    Lacks,
    /// A subquery without the column.
    SubqueryLacks,
    /// A subquery with the column, whose type is not known: 1.x takes that for no points of floats.
    Untyped,
    /// Points of this type.
    Of(FieldType),
}

impl SourceType {
    /// What comes to a leaf. Where a function is applied to each source by itself, `each`, sources are joined by its
    /// result, and a subquery without the column is one of floats.
    fn given(self, each: Option<&str>) -> Given {
        let (points, read) = match self {
            Self::Lacks => (None, None),
            Self::SubqueryLacks => (None, each.map(|_| FieldType::Float)),
            Self::Untyped => (None, Some(FieldType::Float)),
            Self::Of(points) => (Some(points), Some(points)),
        };
        let joined = read.map(|read| match each {
            Some("count") => FieldType::Integer,
            Some("mean") => FieldType::Float,
            _ => read,
        });
        Given { points, joined }
    }
}

/// A select list made ready.
pub(super) struct SelectList {
    pub(super) calls: Vec<Call>,
    pub(super) outputs: Vec<Output>,
    pub(super) slots: Vec<Option<FieldType>>,
}

/// Where a call stands.
#[derive(Clone, Copy)]
struct Place<'e> {
    /// The statement's only call, and a selector: it keeps the time and the row of its point.
    selector: bool,
    /// Auxiliary columns, for a selector.
    aux: &'e [VarRef],
    range: (i64, i64),
}

impl CallBuilder<'_> {
    /// Plans all items of a select list.
    pub(super) fn select_list(&mut self, fields: &[SelectField]) -> Result<SelectList, QueryError> {
        let mut items = Vec::new();
        for field in fields {
            items.push(field.expr.clone());
            items.extend(added_columns(&field.expr).into_iter().map(|f| f.expr));
        }
        let symbols = Symbols::of(&items);
        let mut slots = Vec::new();
        for call in &symbols.calls {
            slots.push(type_of(&Expr::Call(call.clone())).ok().flatten().and_then(column_type));
        }
        slots.extend(symbols.references.iter().map(|r| field_type(r.data_type)));
        let outputs = items.iter().map(|e| symbols.output(e)).collect::<Result<_, _>>()?;
        let mut calls = Vec::new();
        if symbols.calls.is_empty() {
            self.raw_leaf(&symbols.references);
        }
        let selector = matches!(symbols.calls.as_slice(), [only] if is_selector(&only.name));
        for call in &symbols.calls {
            let place = Place { selector, aux: &symbols.references, range: self.range };
            self.built = type_of_item(&Expr::Call(call.clone())).is_some();
            calls.push(self.call(call, place)?);
        }
        Ok(SelectList { calls, outputs, slots })
    }

    fn raw_leaf(&mut self, references: &[VarRef]) {
        let rows = self.rows;
        let exists = references.iter().any(|r| field_type(r.data_type).is_some())
            || references.iter().any(|r| r.data_type == Some(DataType::Tag));
        let leaf = Leaf {
            dimensions: Arc::clone(self.dimensions),
            range: self.range,
            kind: if exists { LeafKind::Raw } else { LeafKind::Nothing },
            row_limit: (rows.limit > 0).then(|| rows.limit.saturating_add(rows.offset)),
            shard_limit: self.shard_limit(),
            built: exists,
            given: Arc::default(),
        };
        self.leaves.push(LeafSpec { leaf, driver: None, aux: references.to_vec() });
    }

    fn call(&mut self, call: &ast::Call, place: Place<'_>) -> Result<Call, QueryError> {
        let name = call.name.as_str();
        match name {
            "derivative"
            | "non_negative_derivative"
            | "difference"
            | "non_negative_difference"
            | "elapsed"
            | "moving_average" => {
                let transform = self.rate(call);
                let looking_back = Place { range: self.looking_back(place.range), ..place };
                Ok(Call::Transform(Box::new(self.transform_input(call, looking_back)?), transform))
            }
            _ if let Some(technical) = technical::of(call) => {
                let looking_back = Place { range: self.looking_back(place.range), ..place };
                let input = self.transform_input(call, looking_back)?;
                Ok(Call::Transform(Box::new(input), Transform::Technical(technical)))
            }
            "cumulative_sum" => {
                Ok(Call::Transform(Box::new(self.transform_input(call, place)?), Transform::CumulativeSum))
            }
            "holt_winters" | "holt_winters_with_fit" => {
                let forecast = HoltWinters {
                    horizon: integer(call, 1),
                    season: integer(call, 2),
                    with_fit: name == "holt_winters_with_fit",
                    interval: self.window.interval,
                };
                let input = self.transform_input(call, place)?;
                Ok(Call::Transform(Box::new(input), Transform::HoltWinters(forecast)))
            }
            "count" if matches!(call.args.first(), Some(Expr::Call(_))) => {
                let Some(Expr::Call(distinct)) = call.args.first() else { return Ok(Call::Leaf(0)) };
                let input = self.call(distinct, place)?;
                Ok(self.aggregate(call, input, AggregateKind::Reduce(Reducer::Count), place))
            }
            _ => self.over_field(call, place),
        }
    }

    /// An aggregate over a field.
    fn over_field(&mut self, call: &ast::Call, place: Place<'_>) -> Result<Call, QueryError> {
        let Some(Expr::VarRef(driver)) = call.args.first() else {
            return fail(format!("expected field argument in {}()", call.name));
        };
        let sources = (self.sources)(driver);
        let wanted = self.wanted(driver, &sources);
        // With tags they are a max() or min() for each combination first.
        let tagged = matches!(call.name.as_str(), "top" | "bottom") && call.args.len() > 2;
        let each = match call.name.as_str() {
            "top" if tagged => Some("max"),
            "bottom" if tagged => Some("min"),
            name @ ("count" | "min" | "max" | "sum" | "first" | "last" | "mean") => Some(name),
            _ => None,
        };
        let given: Arc<[Given]> = sources.iter().map(|source| source.given(each)).collect();
        if wanted.is_some() {
            let (leaf, name) = (self.leaves.len(), call.name.as_str());
            let types: Vec<_> = given.iter().map(|given| given.points).collect();
            self.check_type(leaf, (name, each.is_some()), &types, &|of| match (tagged, of) {
                (true, FieldType::String) => (each.unwrap_or(name), "Interrupt"),
                (true, _) => (name, "ReduceBoolean"),
                (false, _) => (name, "Interrupt"),
            });
        }
        let wanted = wanted.filter(|wanted| takes(&call.name, *wanted));
        let aux = if place.selector { place.aux } else { &[] };
        let kind = self.aggregate_kind(call, aux.is_empty());
        let leaf_kind = match (wanted, &kind) {
            (None, _) => LeafKind::Nothing,
            (Some(wanted), Kind::Fold(fold)) => LeafKind::Fold(*fold, wanted),
            (Some(wanted), Kind::Pick(pick)) => LeafKind::Points(wanted, Some(*pick)),
            (Some(wanted), Kind::Top(Some(pick), _)) => LeafKind::Points(wanted, Some(*pick)),
            (Some(wanted), Kind::Top(None, _) | Kind::Reduce(_) | Kind::Integral(_)) => {
                LeafKind::Points(wanted, None)
            }
        };
        let mut dimensions = Arc::clone(self.dimensions);
        if let Kind::Top(Some(_), _) = kind {
            dimensions = with_tags(&dimensions, call);
        }
        // top() and bottom() without tags look at as many points only as the LIMIT lets 1.x read.
        let shard_limit = if matches!(kind, Kind::Top(None, _)) { self.shard_limit() } else { None };
        let (range, built) = (place.range, self.built);
        let leaf = Leaf { dimensions, range, kind: leaf_kind, row_limit: None, shard_limit, built, given };
        self.leaves.push(LeafSpec { leaf, driver: Some(driver.clone()), aux: aux.to_vec() });
        let input = Call::Leaf(self.leaves.len() - 1);
        let kind = match kind {
            Kind::Fold(_) => AggregateKind::Folded,
            Kind::Pick(pick) => AggregateKind::Reduce(Reducer::Pick(pick)),
            Kind::Top(_, reducer) | Kind::Reduce(reducer) => AggregateKind::Reduce(reducer),
            Kind::Integral(unit) => AggregateKind::Integral { unit },
        };
        Ok(self.aggregate(call, input, kind, place))
    }

    fn aggregate(&self, call: &ast::Call, input: Call, kind: AggregateKind, place: Place<'_>) -> Call {
        let name = call.name.as_str();
        // These have points, or times, of their own and no empty windows.
        let own_time = matches!(name, "top" | "bottom" | "sample" | "integral");
        let at_window_start = !own_time && (!place.selector || !self.window.is_none());
        let fill = match self.fill {
            Some(fill) if at_window_start && name != "distinct" => {
                let result = type_of(&Expr::Call(call.clone())).ok().and_then(field_type);
                Some((filling(fill, name, result), result))
            }
            _ => None,
        };
        Call::Aggregate(Box::new(Aggregate { input, kind, range: place.range, at_window_start, fill }))
    }

    /// What a function makes of a field.
    fn aggregate_kind(&self, call: &ast::Call, without_aux: bool) -> Kind {
        let fold = |fold, pick| match pick {
            Some(pick) if !without_aux => Kind::Pick(pick),
            _ => Kind::Fold(fold),
        };
        let last = call.args.len().saturating_sub(1);
        let tagged = |pick| (call.args.len() > 2).then_some(pick);
        match call.name.as_str() {
            "count" => fold(FoldKind::Count, None),
            "sum" => fold(FoldKind::Sum, None),
            "mean" => fold(FoldKind::Mean, None),
            "spread" => fold(FoldKind::Spread, None),
            "min" => fold(FoldKind::Min, Some(Pick::Min)),
            "max" => fold(FoldKind::Max, Some(Pick::Max)),
            "first" => fold(FoldKind::First, Some(Pick::First)),
            "last" => fold(FoldKind::Last, Some(Pick::Last)),
            "top" => Kind::Top(tagged(Pick::Max), Reducer::Top(integer(call, last))),
            "bottom" => Kind::Top(tagged(Pick::Min), Reducer::Bottom(integer(call, last))),
            "sample" => Kind::Reduce(Reducer::Sample(integer(call, 1), self.seed)),
            "percentile" => Kind::Reduce(Reducer::Percentile(match call.args.get(1) {
                Some(Expr::Number(percent)) => *percent,
                Some(Expr::Integer(percent)) => *percent as f64,
                _ => f64::NAN,
            })),
            "distinct" => Kind::Reduce(Reducer::Distinct),
            "integral" => Kind::Integral(unit(call).unwrap_or(SECOND_NS)),
            "mode" => Kind::Reduce(Reducer::Mode),
            "stddev" => Kind::Reduce(Reducer::Stddev),
            _ => Kind::Reduce(Reducer::Median),
        }
    }

    fn rate(&self, call: &ast::Call) -> Transform {
        let interval = if self.window.is_none() { SECOND_NS } else { self.window.interval };
        match call.name.as_str() {
            "derivative" => {
                Transform::Derivative { unit: unit(call).unwrap_or(interval), non_negative: false }
            }
            "non_negative_derivative" => {
                Transform::Derivative { unit: unit(call).unwrap_or(interval), non_negative: true }
            }
            "difference" => Transform::Difference { non_negative: false },
            "non_negative_difference" => Transform::Difference { non_negative: true },
            "elapsed" => Transform::Elapsed { unit: unit(call).unwrap_or(1) },
            _ => Transform::MovingAverage { points: integer(call, 1) },
        }
    }

    /// The input of a transformation: a nested call, or the points of a field.
    fn transform_input(&mut self, call: &ast::Call, place: Place<'_>) -> Result<Call, QueryError> {
        let inner = Place { selector: false, aux: &[], ..place };
        match call.args.first() {
            Some(Expr::Call(nested)) => {
                let input = self.call(nested, inner)?;
                let result = type_of_item(&Expr::Call(nested.clone())).and_then(column_type);
                if let Some(result) = result {
                    let leaf = self.leaves.len().saturating_sub(1);
                    let given =
                        self.leaves.get(leaf).map(|spec| Arc::clone(&spec.leaf.given)).unwrap_or_default();
                    // A function that keeps the type of its points may get others than were asked for.
                    let keeps = type_of_item(&without_types(nested)).is_none();
                    let types: Vec<_> = given
                        .iter()
                        .map(|given| given.joined.map(|joined| if keeps { joined } else { result }))
                        .collect();
                    self.check_type(leaf, (&call.name, false), &types, &|of| {
                        let iterator = match (nested.name.as_str(), of) {
                            ("distinct", _) => "Interval",
                            ("sample", FieldType::String) => "ReduceString",
                            ("sample", FieldType::Boolean) => "ReduceBoolean",
                            _ => "Interrupt",
                        };
                        (call.name.as_str(), iterator)
                    });
                }
                Ok(input)
            }
            Some(Expr::VarRef(driver)) => {
                let sources = (self.sources)(driver);
                let wanted = self.wanted(driver, &sources);
                let given: Arc<[Given]> = sources.iter().map(|source| source.given(None)).collect();
                if wanted.is_some() {
                    let types: Vec<_> = given.iter().map(|given| given.points).collect();
                    let name = call.name.as_str();
                    self.check_type(self.leaves.len(), (name, false), &types, &|_| (name, "Interrupt"));
                }
                let kind = wanted
                    .filter(|wanted| takes(&call.name, *wanted))
                    .map_or(LeafKind::Nothing, |wanted| LeafKind::Points(wanted, None));
                let dimensions = Arc::clone(self.dimensions);
                let (range, built) = (place.range, self.built);
                let leaf = Leaf { dimensions, range, kind, row_limit: None, shard_limit: None, built, given };
                self.leaves.push(LeafSpec { leaf, driver: Some(driver.clone()), aux: Vec::new() });
                Ok(Call::Leaf(self.leaves.len() - 1))
            }
            _ => fail(format!("expected field argument in {}()", call.name)),
        }
    }

    /// The type a column is read as. Where sources disagree so that 1.x knows none, it reads what it finds if the function has
    /// a type all the same; the first source decides.
    fn wanted(&self, driver: &VarRef, sources: &[SourceType]) -> Option<FieldType> {
        let found = || {
            sources.iter().find_map(|source| match source {
                SourceType::Of(found) => Some(*found),
                SourceType::Untyped => Some(FieldType::Float),
                SourceType::Lacks | SourceType::SubqueryLacks => None,
            })
        };
        driver_type(driver).or_else(|| if self.built && driver.data_type.is_none() { found() } else { None })
    }

    /// Notes that a function does not take its column, in the words of 1.x, which names its iterators. `types` are those of
    /// the sources; with `each` the function is applied to every one of them by itself. `words` are the names of function
    /// and iterator for a type.
    fn check_type<'n>(
        &mut self,
        leaf: usize,
        (name, each): (&str, bool),
        types: &[Option<FieldType>],
        words: &dyn Fn(FieldType) -> (&'n str, &'static str),
    ) {
        if self.faults.iter().any(|fault| fault.leaf == leaf) {
            return;
        }
        let text = |of: FieldType| {
            let (name, iterator) = words(of);
            let name = match name {
                "non_negative_derivative" => "derivative",
                "non_negative_difference" => "difference",
                "cumulative_sum" => "cumulative sum",
                "moving_average" => "moving average",
                "holt_winters" | "holt_winters_with_fit" => "elapsed",
                other => other,
            };
            let spaced = technical::is_technical(name).then(|| name.replace('_', " "));
            let name = spaced.as_deref().unwrap_or(name);
            format!("unsupported {name} iterator type: *query.{}{iterator}Iterator", of.name())
        };
        let texts: Vec<_> = types.iter().map(|of| of.filter(|of| !takes(name, *of)).map(text)).collect();
        if texts.iter().any(Option::is_some) {
            self.faults.push(Fault { leaf, texts, each });
        }
    }

    /// See [`Leaf::shard_limit`].
    fn shard_limit(&self) -> Option<usize> {
        let RowLimits { limit, offset, .. } = self.rows;
        (limit > 0 || offset > 0).then(|| limit.saturating_add(offset).saturating_add(1))
    }

    /// The range with one window more on the side that comes first, so that the first window has one before it.
    fn looking_back(&self, range: (i64, i64)) -> (i64, i64) {
        if self.ascending {
            (range.0.saturating_sub(self.window.interval).max(TIME_MIN), range.1)
        } else {
            (range.0, range.1.saturating_add(self.window.interval).min(TIME_MAX))
        }
    }
}

/// How an aggregate is computed.
enum Kind {
    Fold(FoldKind),
    Pick(Pick),
    /// With tags: the best point of each combination of tags first.
    Top(Option<Pick>, Reducer),
    Reduce(Reducer),
    Integral(i64),
}

/// The call as if nothing were known of its columns.
fn without_types(call: &ast::Call) -> Expr {
    Expr::Call(call.clone())
        .map_references(&mut |reference| VarRef { name: reference.name.clone(), data_type: None })
}

/// The type of the column that leads a call; tags are strings, which only subqueries give points of.
fn driver_type(driver: &VarRef) -> Option<FieldType> {
    driver.data_type.and_then(column_type)
}

fn column_type(data_type: DataType) -> Option<FieldType> {
    if data_type == DataType::Tag { Some(FieldType::String) } else { field_type(Some(data_type)) }
}

fn is_selector(name: &str) -> bool {
    matches!(name, "first" | "last" | "min" | "max" | "percentile" | "sample" | "top" | "bottom")
}

/// What empty windows of this function get: count() counts nothing as 0.
fn filling(fill: &FillKind, name: &str, result: Option<FieldType>) -> FillKind {
    match fill {
        FillKind::Null if name == "count" => FillKind::Value(Cell::Integer(0)),
        FillKind::Value(number) => FillKind::Value(fill_value(number, result)),
        FillKind::Linear if matches!(result, Some(FieldType::String | FieldType::Boolean)) => FillKind::Null,
        other => other.clone(),
    }
}

/// GROUP BY tags and those of top() and bottom().
fn with_tags(dimensions: &Arc<[Arc<str>]>, call: &ast::Call) -> Arc<[Arc<str>]> {
    let mut all: BTreeSet<Arc<str>> = dimensions.iter().cloned().collect();
    for arg in &call.args[1..call.args.len() - 1] {
        if let Expr::VarRef(tag) = arg {
            all.insert(Arc::from(tag.name.as_str()));
        }
    }
    all.into_iter().collect()
}

fn integer(call: &ast::Call, arg: usize) -> usize {
    match call.args.get(arg) {
        Some(Expr::Integer(n)) => usize::try_from(*n).unwrap_or(0),
        _ => 0,
    }
}

fn unit(call: &ast::Call) -> Option<i64> {
    match call.args.get(1) {
        Some(Expr::Duration(ns)) => Some(*ns),
        _ => None,
    }
}

/// Whether the function takes a column of this type.
fn takes(name: &str, column: FieldType) -> bool {
    let number = matches!(column, FieldType::Float | FieldType::Integer | FieldType::Unsigned);
    match name {
        "count" | "first" | "last" | "distinct" | "mode" | "sample" | "elapsed" => true,
        "min" | "max" => column != FieldType::String,
        _ => number,
    }
}
