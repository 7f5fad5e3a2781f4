//! Ids for the fields of points, from the catalog. A measurement is looked up there once a body; after that its fields
//! are a few comparisons away, and nothing is allocated for a field that is known.

use super::check;
use hashbrown::HashMap;
use model::catalog::{FieldTable, Measurement, NewField};
use model::line_protocol::Field;
use model::series::{self, unescape};
use model::{FieldId, FieldType};
use std::borrow::Cow;
use std::sync::Arc;

/// What became of a point's fields.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Resolved {
    /// All that can be stored have an id: see [`Fields::ids`].
    Known,
    /// Some have none yet. They are noted.
    Unknown,
    /// The point cannot be stored, for this reason.
    Dropped(String),
}

/// New points of a body disagree on a field's type, where nothing was ever written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Disagreement;

/// Measurement and field.
type FieldOf = (Arc<str>, Arc<str>);

/// The fields of one database while one body is prepared.
#[derive(Debug)]
pub(super) struct Fields<'c> {
    table: &'c FieldTable,
    /// By escaped measurement.
    measurements: HashMap<Box<[u8]>, Option<&'c Measurement>>,
    ids: Vec<(usize, FieldId)>,
    unknown: HashMap<FieldOf, FieldType>,
}

impl<'c> Fields<'c> {
    pub(super) fn new(table: &'c FieldTable) -> Self {
        Self { table, measurements: HashMap::new(), ids: Vec::new(), unknown: HashMap::new() }
    }

    /// Finds the ids of a point's fields. `measurement` is escaped.
    ///
    /// # Errors
    ///
    /// Nothing of the body can be stored.
    pub(super) fn resolve(
        &mut self,
        measurement: &[u8],
        fields: &[Field<'_>],
    ) -> Result<Resolved, Disagreement> {
        self.ids.clear();
        let known = self.measurement(measurement);
        let mut complete = true;
        for (place, field) in fields.iter().enumerate().filter(|(_, f)| &*f.name != b"time") {
            let name = series::shown(&field.name);
            let field_type = field.value.field_type();
            match known.and_then(|m| m.fields.get(&*name)) {
                Some(def) if def.field_type == field_type => self.ids.push((place, def.id)),
                Some(def) => {
                    let reason = check::type_conflict(&shown(measurement), &name, field_type, def.field_type);
                    return Ok(Resolved::Dropped(reason));
                }
                None => complete = false,
            }
        }
        if !complete {
            // Only now: a point that is dropped gives no field its type.
            self.note_unknown(measurement, known, fields)?;
        }
        Ok(match complete {
            false => Resolved::Unknown,
            true if self.ids.is_empty() => Resolved::Dropped(check::only_time_field(&shown(measurement))),
            true => Resolved::Known,
        })
    }

    /// Which fields of the point resolved last have which id.
    pub(super) fn ids(&self) -> &[(usize, FieldId)] {
        &self.ids
    }

    /// The fields that nobody wrote before, in a fixed order, so that ids follow names and not a hash map's mood.
    pub(super) fn take_unknown(&mut self) -> Vec<NewField> {
        let fields = std::mem::take(&mut self.unknown).into_iter();
        let mut fields: Vec<NewField> = fields
            .map(|((measurement, field), field_type)| NewField { measurement, field, field_type })
            .collect();
        fields.sort_by(|a, b| (&a.measurement, &a.field).cmp(&(&b.measurement, &b.field)));
        fields
    }

    fn measurement(&mut self, escaped: &[u8]) -> Option<&'c Measurement> {
        if let Some(known) = self.measurements.get(escaped) {
            return *known;
        }
        let known = self.table.measurements.get(&*shown(escaped));
        self.measurements.insert(Box::from(escaped), known);
        known
    }

    /// Notes the new fields of a point. Points of one body may disagree on a new field's type: the first one sets it and the
    /// others are dropped, as 1.x does; only where nothing was ever written does 1.x store nothing of the body, but the types of
    /// the fields so far.
    fn note_unknown(
        &mut self,
        measurement: &[u8],
        known: Option<&Measurement>,
        fields: &[Field<'_>],
    ) -> Result<(), Disagreement> {
        let measurement: Arc<str> = Arc::from(&*shown(measurement));
        let mut new: Vec<(FieldOf, FieldType)> = Vec::new();
        for field in fields.iter().filter(|f| &*f.name != b"time") {
            let name = series::shown(&field.name);
            if known.is_some_and(|m| m.fields.contains_key(&*name)) {
                continue;
            }
            let (name, is) = ((Arc::clone(&measurement), Arc::from(&*name)), field.value.field_type());
            let disagrees = self.unknown.get(&name).is_some_and(|seen| *seen != is);
            let with_itself = new.iter().any(|(other, seen)| *other == name && *seen != is);
            if self.table.measurements.is_empty() && (disagrees || with_itself) {
                self.unknown.extend(new);
                return Err(Disagreement);
            }
            if disagrees {
                return Ok(());
            }
            new.push((name, is));
        }
        for (name, is) in new {
            self.unknown.entry(name).or_insert(is);
        }
        Ok(())
    }
}

/// A measurement of a canonical key as text.
pub(super) fn shown(measurement: &[u8]) -> Cow<'_, str> {
    as_text(unescape(measurement, b", "))
}

/// A tag or a value of a canonical key as text.
pub(super) fn shown_tag(part: &[u8]) -> Cow<'_, str> {
    as_text(unescape(part, b",= "))
}

fn as_text(bytes: Cow<'_, [u8]>) -> Cow<'_, str> {
    match bytes {
        Cow::Borrowed(plain) => series::shown(plain),
        Cow::Owned(plain) => Cow::Owned(series::shown(&plain).into_owned()),
    }
}
