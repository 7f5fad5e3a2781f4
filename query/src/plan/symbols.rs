//! What a select list is made of: its calls and its references, and each item as an expression over their slots.

use crate::condition::scalar;
use crate::error::QueryError;
use crate::influxql::ast::{self, DataType, Expr, VarRef};
use crate::math;
use crate::result::Cell;
use crate::stage::Output;

/// Calls and references of a select list, each once.
#[derive(Default)]
pub(super) struct Symbols {
    pub(super) calls: Vec<ast::Call>,
    pub(super) references: Vec<VarRef>,
}

impl Symbols {
    /// Of these items; references in the order of their names, which is the order of auxiliary columns.
    pub(super) fn of(items: &[Expr]) -> Self {
        let mut symbols = Self::default();
        for item in items {
            symbols.collect(item);
        }
        let rank = |reference: &VarRef| DataType::number(reference.data_type);
        symbols.references.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| rank(a).cmp(&rank(b))));
        symbols
    }

    fn collect(&mut self, expr: &Expr) {
        match expr {
            Expr::VarRef(reference) => {
                add(&mut self.references, reference);
            }
            Expr::Call(call) if math::Function::by_name(&call.name).is_some() => {
                for arg in &call.args {
                    self.collect(arg);
                }
            }
            Expr::Call(call) => {
                add(&mut self.calls, call);
            }
            Expr::Binary(binary) => {
                self.collect(&binary.lhs);
                self.collect(&binary.rhs);
            }
            Expr::Paren(inner) => self.collect(inner),
            _ => {}
        }
    }

    /// An item as an expression over slots: calls first, then references.
    pub(super) fn output(&self, expr: &Expr) -> Result<Output, QueryError> {
        let slot = |found: Option<usize>, base: usize| {
            found.map_or(Output::Constant(Cell::Null), |i| Output::Slot(base + i))
        };
        Ok(match expr {
            Expr::VarRef(reference) => {
                slot(self.references.iter().position(|r| r == reference), self.calls.len())
            }
            Expr::Call(call) => match math::Function::by_name(&call.name) {
                Some(function) => {
                    let args = call.args.iter().map(|a| self.output(a)).collect::<Result<_, _>>()?;
                    Output::Math(function, args)
                }
                None => slot(self.calls.iter().position(|c| c == call), 0),
            },
            Expr::Binary(binary) => {
                let sides = (self.output(&binary.lhs)?, self.output(&binary.rhs)?);
                Output::Binary(binary.op, Box::new(sides))
            }
            Expr::Paren(inner) => self.output(inner)?,
            literal => Output::Constant(scalar(literal).unwrap_or(Cell::Null)),
        })
    }
}

fn add<T: Clone + PartialEq>(list: &mut Vec<T>, item: &T) {
    if !list.contains(item) {
        list.push(item.clone());
    }
}
