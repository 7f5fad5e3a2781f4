//! Field types of a database: fixed by the first writer, for the whole database, through the meta group.

use super::{Catalog, CatalogError};
use crate::id::{DatabaseId, FieldId};
use crate::value::FieldType;
use std::collections::BTreeMap;
use std::sync::Arc;

/// All measurements of a database that ever had a field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldTable {
    /// Name → fields.
    pub measurements: BTreeMap<Arc<str>, Measurement>,
    /// Next field id.
    pub next: u32,
}

/// The fields of one measurement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Measurement {
    /// Name → id and type.
    pub fields: BTreeMap<Arc<str>, FieldDef>,
}

/// A field's identity and type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldDef {
    /// Unique within the database.
    pub id: FieldId,
    /// Fixed by the first writer.
    pub field_type: FieldType,
}

/// A field that a writer wants to exist with a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewField {
    /// The measurement, unescaped.
    pub measurement: Arc<str>,
    /// The field, unescaped.
    pub field: Arc<str>,
    /// The type of the value at hand.
    pub field_type: FieldType,
}

impl FieldTable {
    /// The field's id and type, if it is known.
    pub fn get(&self, measurement: &str, field: &str) -> Option<FieldDef> {
        self.measurements.get(measurement)?.fields.get(field).copied()
    }

    /// The field's id and type, given a new id if it is not known yet.
    fn get_or_insert(&mut self, new: &NewField) -> FieldDef {
        let measurement = self.measurements.entry(Arc::clone(&new.measurement)).or_default();
        *measurement.fields.entry(Arc::clone(&new.field)).or_insert_with(|| {
            let id = FieldId(self.next);
            self.next += 1;
            FieldDef { id, field_type: new.field_type }
        })
    }
}

impl Catalog {
    pub(super) fn register_fields(
        &mut self,
        database: DatabaseId,
        fields: &[NewField],
    ) -> Result<(), CatalogError> {
        let Some(db) = self.databases.iter_mut().find(|d| d.id == database) else {
            return Err(CatalogError::DatabaseNotFound { name: format!("#{database}") });
        };
        let table = &mut Arc::make_mut(db).fields;
        for new in fields {
            table.get_or_insert(new);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CatalogCommand, PolicySpec};
    use super::*;

    #[test]
    fn the_first_type_stays() {
        let mut catalog = Catalog::default();
        catalog
            .apply(&CatalogCommand::CreateDatabase { name: "d".into(), policy: PolicySpec::default() })
            .unwrap();
        let field = |t| NewField { measurement: "m".into(), field: "v".into(), field_type: t };
        let id = catalog.databases[0].id;
        catalog.register_fields(id, &[field(FieldType::Integer), field(FieldType::Float)]).unwrap();
        catalog.register_fields(id, &[field(FieldType::String)]).unwrap();
        let def = catalog.databases[0].fields.get("m", "v").unwrap();
        assert_eq!(def, FieldDef { id: FieldId(0), field_type: FieldType::Integer });
        assert_eq!(catalog.databases[0].fields.next, 1);
    }
}
