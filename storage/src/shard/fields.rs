//! The fields of a group: their types, and which measurement each belongs to.

use hashbrown::HashMap;
use model::{DatabaseId, FieldId, FieldType};
use std::sync::Arc;

/// A field as far as this group has seen it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) field_type: FieldType,
    pub(super) measurement: Arc<str>,
}

/// The name of a field: ids are given by database.
pub(super) type FieldName = (DatabaseId, FieldId);

/// All fields that have had a point.
#[derive(Debug, Default)]
pub(super) struct Fields {
    known: HashMap<FieldName, Field>,
    by_measurement: HashMap<DatabaseId, HashMap<Arc<str>, Vec<FieldId>>>,
}

impl Fields {
    pub(super) fn get(&self, name: FieldName) -> Option<&Field> {
        self.known.get(&name)
    }

    /// Adds a field that is not known.
    pub(super) fn insert(&mut self, name: FieldName, field: Field) {
        let measurements = self.by_measurement.entry(name.0).or_default();
        measurements.entry(Arc::clone(&field.measurement)).or_default().push(name.1);
        self.known.insert(name, field);
    }

    /// The fields of a measurement.
    pub(super) fn of_measurement(&self, database: DatabaseId, measurement: &str) -> &[FieldId] {
        let fields = self.by_measurement.get(&database).and_then(|of| of.get(measurement));
        fields.map_or(&[], |fields| fields)
    }

    /// All fields, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&FieldName, &Field)> {
        self.known.iter()
    }

    /// Forgets the fields of a database and answers their names.
    pub(super) fn forget(&mut self, database: DatabaseId) -> Vec<FieldName> {
        self.by_measurement.remove(&database);
        self.known.extract_if(|(of, _), _| *of == database).map(|(name, _)| name).collect()
    }
}
