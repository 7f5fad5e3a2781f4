//! Types of expressions, as InfluxDB 1.x derives and names them.

use crate::error::QueryError;
use crate::influxql::ast::{BinaryExpr, BinaryOp, Call, DataType, Expr};
use crate::math::{self, Division};
use crate::result::Cell;
use model::FieldType;

/// The type of a column or an expression.
pub(super) fn data_type(field_type: FieldType) -> DataType {
    match field_type {
        FieldType::Float => DataType::Float,
        FieldType::Integer => DataType::Integer,
        FieldType::Unsigned => DataType::Unsigned,
        FieldType::String => DataType::String,
        FieldType::Boolean => DataType::Boolean,
    }
}

/// The type of a field, `None` for tags and what is unknown.
pub(super) fn field_type(data_type: Option<DataType>) -> Option<FieldType> {
    match data_type? {
        DataType::Float => Some(FieldType::Float),
        DataType::Integer => Some(FieldType::Integer),
        DataType::Unsigned => Some(FieldType::Unsigned),
        DataType::String => Some(FieldType::String),
        DataType::Boolean => Some(FieldType::Boolean),
        DataType::AnyField | DataType::Tag => None,
    }
}

/// The type that wins when sources disagree: float, integer, unsigned, string, boolean, tag.
pub(super) fn stronger(a: Option<DataType>, b: Option<DataType>) -> Option<DataType> {
    if rank(b) < rank(a) { b } else { a }
}

fn rank(data_type: Option<DataType>) -> u8 {
    match data_type {
        Some(DataType::Float) => 1,
        Some(DataType::Integer) => 2,
        Some(DataType::Unsigned) => 3,
        Some(DataType::String) => 4,
        Some(DataType::Boolean) => 5,
        Some(DataType::Tag) => 6,
        Some(DataType::AnyField) => 7,
        None => 8,
    }
}

fn name(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Float => "float",
        DataType::Integer => "integer",
        DataType::Unsigned => "unsigned",
        DataType::String => "string",
        DataType::Boolean => "boolean",
        DataType::Tag => "tag",
        DataType::AnyField => "field",
    }
}

/// Whether `test` holds for a part of the expression.
pub(super) fn any(expr: &Expr, test: &mut impl FnMut(&Expr) -> bool) -> bool {
    if test(expr) {
        return true;
    }
    match expr {
        Expr::Call(call) => call.args.iter().any(|a| any(a, test)),
        Expr::Binary(binary) => any(&binary.lhs, test) || any(&binary.rhs, test),
        Expr::Paren(inner) => any(inner, test),
        _ => false,
    }
}

/// The type of an expression whose references are typed; `None` is unknown.
pub(super) fn type_of(expr: &Expr) -> Result<Option<DataType>, QueryError> {
    type_seen(expr, Some(DataType::Float))
}

/// The type that an outer level sees of a select item; what does not go together is unknown, and so are math functions of
/// something unknown.
pub(super) fn type_of_item(expr: &Expr) -> Option<DataType> {
    type_as_item(expr).ok().flatten()
}

/// As [`type_of_item`], with what does not go together as an error.
pub(super) fn type_as_item(expr: &Expr) -> Result<Option<DataType>, QueryError> {
    type_seen(expr, None)
}

/// `of_unknown` is the type of a math function of something unknown.
fn type_seen(expr: &Expr, of_unknown: Option<DataType>) -> Result<Option<DataType>, QueryError> {
    match expr {
        Expr::VarRef(reference) => Ok(reference.data_type.filter(|t| *t != DataType::AnyField)),
        Expr::Call(call) => type_of_call(call, of_unknown),
        Expr::Binary(binary) => type_of_binary(binary, of_unknown),
        Expr::Paren(inner) => type_seen(inner, of_unknown),
        Expr::Number(_) => Ok(Some(DataType::Float)),
        Expr::Integer(_) => Ok(Some(DataType::Integer)),
        Expr::Unsigned(_) => Ok(Some(DataType::Unsigned)),
        Expr::String(_) => Ok(Some(DataType::String)),
        Expr::Boolean(_) => Ok(Some(DataType::Boolean)),
        Expr::Wildcard(_)
        | Expr::Regex(_)
        | Expr::Distinct(_)
        | Expr::Duration(_)
        | Expr::Time(_)
        | Expr::List(_)
        | Expr::BoundParameter(_) => Ok(None),
    }
}

fn type_of_call(call: &Call, of_unknown: Option<DataType>) -> Result<Option<DataType>, QueryError> {
    let args = call.args.iter().map(|a| type_seen(a, of_unknown)).collect::<Result<Vec<_>, _>>()?;
    let first = args.first().copied().flatten();
    Ok(match call.name.as_str() {
        "mean"
        | "median"
        | "integral"
        | "stddev"
        | "derivative"
        | "non_negative_derivative"
        | "moving_average"
        | "exponential_moving_average"
        | "double_exponential_moving_average"
        | "triple_exponential_moving_average"
        | "relative_strength_index"
        | "triple_exponential_derivative"
        | "kaufmans_efficiency_ratio"
        | "kaufmans_adaptive_moving_average"
        | "chande_momentum_oscillator"
        | "holt_winters"
        | "holt_winters_with_fit" => Some(DataType::Float),
        "count" | "elapsed" => Some(DataType::Integer),
        "abs" | "ceil" | "floor" | "round" => first,
        "atan2" | "pow" if first.is_none() && of_unknown.is_some() => {
            // Where the first argument says nothing, 1.6 looks at the second.
            match args.get(1).copied().flatten() {
                Some(other @ (DataType::String | DataType::Boolean | DataType::Tag)) => {
                    let (function, other) = (&call.name, name(other));
                    return Err(QueryError::Statement(format!(
                        "invalid argument type for the second argument in {function}(): {other}"
                    )));
                }
                _ => of_unknown,
            }
        }
        // 1.6 takes the result of other math functions for what their argument is, too, if it knows that.
        name if math::Function::by_name(name).is_some() => first.or(of_unknown),
        _ => first,
    })
}

fn type_of_binary(binary: &BinaryExpr, of_unknown: Option<DataType>) -> Result<Option<DataType>, QueryError> {
    let (lhs, rhs) = (type_seen(&binary.lhs, of_unknown)?, type_seen(&binary.rhs, of_unknown)?);
    check_signs(binary, lhs, rhs)?;
    let (Some(lhs), Some(rhs)) = (lhs, rhs) else { return Ok(lhs.or(rhs)) };
    // What zero and zero make tells the type.
    let result = math::binary(binary.op, &zero(lhs), &zero(rhs), Division::Integer);
    match result {
        Cell::Float(_) => Ok(Some(DataType::Float)),
        Cell::Integer(_) => Ok(Some(DataType::Integer)),
        Cell::Unsigned(_) => Ok(Some(DataType::Unsigned)),
        Cell::Boolean(_) => Ok(Some(DataType::Boolean)),
        Cell::String(_) => Ok(Some(DataType::String)),
        Cell::Null | Cell::Time(_) | Cell::Strings(_) => {
            type_error(binary, &format!("incompatible types: {} and {}", name(lhs), name(rhs)))
        }
    }
}

/// Integer and unsigned columns do not mix without a cast.
fn check_signs(binary: &BinaryExpr, lhs: Option<DataType>, rhs: Option<DataType>) -> Result<(), QueryError> {
    let (unsigned, integer) = match (lhs, rhs) {
        (Some(DataType::Unsigned), Some(DataType::Integer)) => (&binary.lhs, &binary.rhs),
        (Some(DataType::Integer), Some(DataType::Unsigned)) => (&binary.rhs, &binary.lhs),
        _ => return Ok(()),
    };
    let op: BinaryOp = binary.op;
    if super::validate::is_literal(unsigned) {
        return type_error(binary, &format!("cannot use {op} with an integer and unsigned literal"))
            .map(drop);
    }
    if !super::validate::is_literal(integer) {
        let text = format!("cannot use {op} between an integer and unsigned, an explicit cast is required");
        return type_error(binary, &text).map(drop);
    }
    Ok(())
}

fn type_error(binary: &BinaryExpr, message: &str) -> Result<Option<DataType>, QueryError> {
    let expr = Expr::Binary(Box::new(binary.clone()));
    Err(QueryError::Statement(format!("type error: {expr}: {message}")))
}

fn zero(data_type: DataType) -> Cell {
    match data_type {
        DataType::Float => Cell::Float(0.0),
        DataType::Integer => Cell::Integer(0),
        DataType::Unsigned => Cell::Unsigned(0),
        DataType::Boolean => Cell::Boolean(false),
        DataType::String | DataType::Tag => Cell::String("".into()),
        DataType::AnyField => Cell::Null,
    }
}
