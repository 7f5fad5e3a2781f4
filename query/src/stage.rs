//! One SELECT level, planned: sources, leaves, calls, output columns. Subqueries nest stages.
//!
//! The plan makes stages, `select` runs them. A **leaf** is what is read from sources; a **call** is one aggregate or
//! transformation over a leaf or another call; an output column is an expression over calls and auxiliary columns.

use crate::aggregate::{Pick, Reducer};
use crate::condition::RowCondition;
use crate::fold::FoldKind;
use crate::fragment::Fragment;
use crate::influxql::ast::BinaryOp;
use crate::math::Function;
use crate::result::Cell;
use crate::transform::Transform;
use crate::window::Window;
use model::FieldType;
use std::sync::Arc;

/// One level of a SELECT.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) sources: Vec<StageSource>,
    /// GROUP BY tags, sorted, each once; those of outer levels included.
    pub(crate) dimensions: Arc<[Arc<str>]>,
    pub(crate) window: Window,
    pub(crate) ascending: bool,
    pub(crate) leaves: Vec<Leaf>,
    /// Empty for a raw SELECT, whose rows are those of leaf 0.
    pub(crate) calls: Vec<Call>,
    pub(crate) outputs: Vec<Output>,
    /// Types of the slots that outputs refer to: calls, then auxiliary columns.
    pub(crate) slots: Vec<Option<FieldType>>,
    pub(crate) absent: Absent,
    pub(crate) rows: RowLimits,
    /// Functions that do not take their column: 1.x finds out when it reads.
    pub(crate) faults: Vec<Fault>,
}

/// A function does not take its column. Told if a source gives it something to read.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) leaf: usize,
    /// In the words of 1.x, one a source of the stage: what is told if that source gives it something.
    pub(crate) texts: Vec<Option<String>>,
    /// Whether the function is applied to each source by itself; else to all of them together, of which the first decides.
    pub(crate) each: bool,
}

/// What a source gives to a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Given {
    /// Type of the points; `None` if there cannot be any.
    pub(crate) points: Option<FieldType>,
    /// Type in which 1.x joins the sources, of which it drops those that have another one than the first; `None` where
    /// there is nothing to join.
    pub(crate) joined: Option<FieldType>,
}

impl Stage {
    /// Whether something is wrong with it or with a subquery.
    pub(crate) fn has_fault(&self) -> bool {
        let in_source = |source: &StageSource| match source {
            StageSource::Measurement(_) => false,
            StageSource::Subquery(subquery) => subquery.stages.iter().any(|(_, inner)| inner.has_fault()),
        };
        !self.faults.is_empty() || self.sources.iter().any(in_source)
    }

    /// Duration of the shard groups that rows without a function come from one after the other; 0 is one for all time.
    pub(crate) fn shard_ns(&self) -> i64 {
        match self.sources.as_slice() {
            [StageSource::Measurement(fragment)] if self.calls.is_empty() => fragment.shard_ns,
            _ => 0,
        }
    }

    /// Whether its rows come from calls that make points a window, not from points as they are.
    pub(crate) fn gives_windows(&self) -> bool {
        self.calls.iter().any(|call| matches!(call, Call::Aggregate(_)))
    }
}

/// Which rows and series are given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RowLimits {
    /// 0 is none.
    pub(crate) limit: usize,
    pub(crate) offset: usize,
    /// 0 is none.
    pub(crate) slimit: usize,
    pub(crate) soffset: usize,
}

/// Where a stage reads.
#[derive(Debug)]
pub(crate) enum StageSource {
    /// A measurement; one fragment op a leaf.
    Measurement(Fragment),
    /// A subquery.
    Subquery(SubquerySource),
}

/// A subquery as a source.
#[derive(Debug)]
pub(crate) struct SubquerySource {
    /// Planned once for each time range that leaves ask for.
    pub(crate) stages: Vec<((i64, i64), Stage)>,
    /// Rows that pass; fields are those of `condition_columns`.
    pub(crate) condition: RowCondition,
    /// Where the condition's fields are.
    pub(crate) condition_columns: Vec<InnerColumn>,
    /// One a leaf.
    pub(crate) leaves: Vec<InnerLeaf>,
}

impl SubquerySource {
    /// Whether leaf `i` makes 1.x prepare the subquery: it does not without the column that leads a call.
    pub(crate) fn prepares(&self, i: usize, leaf: &Leaf) -> bool {
        leaf.kind == LeafKind::Raw || self.leaves.get(i).is_some_and(|columns| columns.driver.is_some())
    }
}

/// Where a leaf's columns are in the rows of a subquery.
#[derive(Debug)]
pub(crate) struct InnerLeaf {
    /// `None` when the subquery lacks the column: the leaf is empty. [`InnerColumn::Nothing`] for a column of no type.
    pub(crate) driver: Option<InnerColumn>,
    pub(crate) aux: Vec<InnerColumn>,
}

/// A column of the rows of a subquery.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum InnerColumn {
    /// Index of an output and the type it is read as.
    Field(usize, Option<FieldType>),
    /// A GROUP BY tag of the subquery.
    Tag(Arc<str>),
    /// Nothing.
    Nothing,
}

/// What is read from sources for one call, or for the rows of a raw SELECT.
#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    /// GROUP BY tags of the stage, for top and bottom their own tags too; sorted.
    pub(crate) dimensions: Arc<[Arc<str>]>,
    /// Inclusive; longer than the stage's when a transformation looks back.
    pub(crate) range: (i64, i64),
    pub(crate) kind: LeafKind,
    /// Rows that the limit of a raw SELECT wants, `None` for all.
    pub(crate) row_limit: Option<usize>,
    /// Rows that 1.x reads of a series and a shard group where there is LIMIT or OFFSET: one more than those, so that OFFSET
    /// alone leaves one.
    pub(crate) shard_limit: Option<usize>,
    /// False for a call of unknown type, which 1.x leaves out.
    pub(crate) built: bool,
    /// One a source; empty where that does not matter.
    pub(crate) given: Arc<[Given]>,
}

impl Leaf {
    /// The kind of a leaf of first() or last() with auxiliary columns.
    pub(crate) fn edge(&self) -> Option<Pick> {
        match self.kind {
            LeafKind::Points(_, pick) => pick.filter(|pick| matches!(pick, Pick::First | Pick::Last)),
            LeafKind::Fold(..) | LeafKind::Raw | LeafKind::Nothing => None,
        }
    }

    /// Whether the sources give points that cannot be joined.
    pub(crate) fn is_mixed(&self) -> bool {
        let mut joined = self.given.iter().filter_map(|given| given.joined);
        joined.next().is_some_and(|first| joined.any(|other| other != first))
    }

    /// Type of the points that source `n` gives, `wanted` where it is what was asked for.
    pub(crate) fn points_of(&self, n: usize, wanted: FieldType) -> FieldType {
        self.given.get(n).and_then(|given| given.points).unwrap_or(wanted)
    }
}

/// How a leaf is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum LeafKind {
    /// Folded window by window, read as this type.
    Fold(FoldKind, FieldType),
    /// Rows led by a column of this type, with the auxiliary columns if there are some.
    Points(FieldType, Option<Pick>),
    /// Rows led by the auxiliary columns.
    Raw,
    /// Nothing that exists.
    Nothing,
}

/// A call of the select list.
#[derive(Debug)]
pub(crate) enum Call {
    /// The points of a leaf as they are.
    Leaf(usize),
    /// One or more points a window.
    Aggregate(Box<Aggregate>),
    /// Points from points.
    Transform(Box<Call>, Transform),
}

/// An aggregate over a leaf or over distinct().
#[derive(Debug)]
pub(crate) struct Aggregate {
    pub(crate) input: Call,
    pub(crate) kind: AggregateKind,
    /// Inclusive.
    pub(crate) range: (i64, i64),
    /// Points get the time of their window's start.
    pub(crate) at_window_start: bool,
    /// Whether empty windows are filled, and as which type.
    pub(crate) fill: Option<(FillKind, Option<FieldType>)>,
}

/// How an aggregate gets its points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum AggregateKind {
    /// The leaf folded already.
    Folded,
    /// From the points of the leaf.
    Reduce(Reducer),
    /// Area in value × ns.
    Integral { unit: i64 },
}

/// What an empty window gets.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum FillKind {
    Null,
    /// Already of the column's type.
    Value(Cell),
    Previous,
    Linear,
}

/// What a slot without a point at a row's time gets.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Absent {
    /// Null.
    Null,
    /// The number of fill(), cast to the slot's type where it can be.
    Value(Cell),
    /// What it had in the row before.
    Previous,
}

/// An output column.
#[derive(Debug, Clone)]
pub(crate) enum Output {
    /// A call or an auxiliary column.
    Slot(usize),
    /// A literal.
    Constant(Cell),
    /// `lhs op rhs`.
    Binary(BinaryOp, Box<(Output, Output)>),
    /// A math function.
    Math(Function, Vec<Output>),
}
