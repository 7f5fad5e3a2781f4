//! Preparing a body the long way: every line is parsed to its last byte, every key made canonical and looked up by
//! itself. What [`super::prepare`] does must come to the same.

use super::super::check::{self, Drops};
use super::super::fields::Disagreement;
use api::coordinator::{WriteError, WriteRequest};
use bytes::Bytes;
use model::batch::{BatchHeader, BatchWriter, Row, RowSeries};
use model::catalog::{Catalog, NewField};
use model::line_protocol::{self, Lines};
use model::{FieldType, GroupId, SeriesId, placement};
use std::collections::BTreeMap;

/// As [`super::Outcome`].
#[derive(Debug)]
pub(super) enum Outcome {
    Refused(WriteError),
    Disagreement(Vec<NewField>),
    UnknownFields(Vec<NewField>),
    Ready { commands: Vec<(GroupId, Bytes)>, points: usize, dropped: usize, complaint: Option<String> },
}

/// The canonical keys of the good lines.
pub(super) fn canonical_keys(body: &str) -> Vec<Vec<u8>> {
    line_protocol::parse(body.as_bytes(), 1).lines.iter().map(|line| line.key.to_vec()).collect()
}

/// Prepares a body for a database whose default policy is written to. No batch grows beyond one command.
pub(super) fn prepare(
    request: &WriteRequest,
    catalog: &Catalog,
    now_ns: i64,
    id: &dyn Fn(&[u8]) -> Option<SeriesId>,
) -> Outcome {
    let parsed = line_protocol::parse(&request.body, request.precision_ns);
    let texts: Vec<&str> = parsed.errors.iter().map(|error| error.text.as_str()).collect();
    let parse_complaint = (!texts.is_empty()).then(|| texts.join("\n"));
    if let Some(text) = parse_complaint.clone().filter(|_| parsed.lines.is_empty()) {
        return Outcome::Refused(WriteError::Rejected(text));
    }
    let mut drops = Drops::default();
    let mut unknown = BTreeMap::new();
    let mut batches = Batches::new();
    let mut points = 0;
    let clash = store(&parsed, catalog, now_ns, id, &mut drops, &mut unknown, &mut batches, &mut points);
    let fields = unknown.into_iter().map(|((measurement, field), field_type): ((String, String), _)| {
        NewField { measurement: measurement.into(), field: field.into(), field_type }
    });
    let fields: Vec<NewField> = fields.collect();
    if clash.is_err() {
        return Outcome::Disagreement(fields);
    }
    if !fields.is_empty() {
        return Outcome::UnknownFields(fields);
    }
    let commands = batches.into_iter().map(|(group, (batch, _))| (group, raft::command::write(batch)));
    Outcome::Ready {
        commands: commands.collect(),
        points,
        dropped: drops.total(),
        complaint: drops.complaint(parse_complaint),
    }
}

type Batches = BTreeMap<GroupId, (BatchWriter, BTreeMap<Vec<u8>, RowSeries>)>;

#[expect(clippy::too_many_arguments, reason = "a reference says everything in one place")]
fn store(
    parsed: &Lines<'_>,
    catalog: &Catalog,
    now_ns: i64,
    id: &dyn Fn(&[u8]) -> Option<SeriesId>,
    drops: &mut Drops,
    unknown: &mut BTreeMap<(String, String), FieldType>,
    batches: &mut Batches,
    points: &mut usize,
) -> Result<(), Disagreement> {
    let database = &catalog.databases[0];
    let policy = database.default_policy().unwrap();
    let header = BatchHeader {
        database: database.id,
        policy: policy.id,
        shard_duration_ns: policy.shard_duration_ns,
        shard_origin: catalog.shard_origin(),
    };
    for line in &parsed.lines {
        let time = line.time.unwrap_or(now_ns);
        if policy.duration_ns != 0 && time < now_ns - policy.duration_ns {
            drops.beyond_retention += 1;
            continue;
        }
        let measurement = String::from_utf8_lossy(&line.measurement()).into_owned();
        if line.tags().any(|(tag, _)| &*tag == b"time") {
            drops.add_tag(check::forbidden_time_tag(&measurement));
            continue;
        }
        let mut rows = Vec::new();
        let mut complete = true;
        let (mut conflict, mut new) = (None, Vec::new());
        for field in parsed.fields_of(line).iter().filter(|field| &*field.name != b"time") {
            let name = String::from_utf8_lossy(&field.name).into_owned();
            let is = field.value.field_type();
            match database.fields.get(&measurement, &name) {
                Some(def) if def.field_type == is => rows.push((def.id, field.value.clone())),
                Some(def) => {
                    conflict = Some(check::type_conflict(&measurement, &name, is, def.field_type));
                    break;
                }
                None => {
                    complete = false;
                    new.push((name, is));
                }
            }
        }
        let key = |name: &String| (measurement.clone(), name.clone());
        let disagrees = new.iter().any(|(name, is)| unknown.get(&key(name)).is_some_and(|seen| seen != is));
        let is_noted = conflict.is_none() && (!disagrees || database.fields.measurements.is_empty());
        for (name, is) in new.iter().filter(|_| is_noted) {
            let seen = *unknown.entry(key(name)).or_insert(*is);
            if seen != *is && database.fields.measurements.is_empty() {
                return Err(Disagreement);
            }
        }
        if let Some(reason) = conflict {
            drops.add(reason);
        } else if complete && rows.is_empty() {
            drops.add(check::only_time_field(&measurement));
        } else if complete {
            let slot = placement::slot(&database.name, &line.key);
            let group = catalog.slots[usize::from(slot)];
            let (batch, new) =
                batches.entry(group).or_insert_with(|| (BatchWriter::new(header), BTreeMap::new()));
            let series = match id(&line.key) {
                Some(id) => RowSeries::Known(id),
                None => *new.entry(line.key.to_vec()).or_insert_with(|| batch.add_series(&line.key)),
            };
            for (field, value) in rows {
                batch.push(&Row { series, time, field, value });
            }
            *points += 1;
        }
    }
    Ok(())
}
