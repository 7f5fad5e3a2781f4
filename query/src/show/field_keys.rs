//! SHOW FIELD KEYS: the one SHOW statement that minds the retention policy, because fields are known by their points.

use super::sources::{Names, locate};
use super::{Readers, ShowContext, limited, table};
use crate::error::QueryError;
use crate::influxql::ast::ShowFieldKeys;
use crate::result::{Cell, Series};
use model::{FieldType, TimeRange};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) fn show(
    statement: &ShowFieldKeys,
    context: &ShowContext<'_>,
    readers: &Readers<'_>,
) -> Result<Vec<Series>, QueryError> {
    let mut found: BTreeMap<Arc<str>, BTreeSet<(Arc<str>, FieldType)>> = BTreeMap::new();
    // 1.x looks for all names in all policies that FROM names.
    let names = Names::of(&statement.sources)?;
    for source in locate(&statement.sources, context)? {
        for (measurement, table) in &source.database.fields.measurements {
            if !names.contains(measurement) {
                continue;
            }
            readers.check()?;
            let present = readers.fields(source.database.id, source.policy.id, measurement, TimeRange::ALL);
            let fields = table.fields.iter().filter(|(_, def)| present.contains(&def.id));
            let fields = fields.map(|(name, def)| (Arc::clone(name), def.field_type));
            found.entry(Arc::clone(measurement)).or_default().extend(fields);
        }
    }
    let mut series = Vec::new();
    for (measurement, fields) in found {
        let cells: Vec<Cell> = limited(fields, statement.limit, statement.offset)
            .flat_map(|(name, field_type)| [Cell::String(name), Cell::String(field_type.name().into())])
            .collect();
        if !cells.is_empty() {
            series.push(table(&measurement, &["fieldKey", "fieldType"], cells));
        }
    }
    Ok(series)
}
