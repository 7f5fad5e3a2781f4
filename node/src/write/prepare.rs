//! From a body to one command per group: parse, check, place, encode. Pure; the same body and surroundings give the same
//! commands.

use super::check::{self, Drops};
use api::coordinator::{WriteError, WriteRequest};
use bytes::Bytes;
use model::batch::{BatchHeader, BatchWriter, Row, RowSeries};
use model::catalog::{Database, NewField, RetentionPolicy};
use model::limits::COMMAND_BYTES_MAX;
use model::line_protocol::{self, Line, Lines};
use model::{FieldType, GroupId, SeriesId, placement};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A command is closed when it reaches this many bytes: far below the hard limit, so that a group's leader never holds
/// up its heartbeats for one entry.
const COMMAND_BYTES_AIM: usize = COMMAND_BYTES_MAX / 8;

/// Lines parsed before they are placed: the parsed form of tiny lines takes 25 times their bytes.
const LINES_AT_ONCE: usize = 10_000;

/// What preparing needs to know besides the body.
pub(super) struct Surroundings<'a> {
    /// The database written to, as this node knows it.
    pub(super) database: &'a Database,
    /// Slot → group.
    pub(super) slots: &'a [GroupId],
    /// For lines without a time, and for what is too old.
    pub(super) now_ns: i64,
    /// The id of a series in a group, if the group has it.
    pub(super) lookup: &'a dyn Fn(GroupId, &[u8]) -> Option<SeriesId>,
}

/// What became of a body.
pub(super) enum Outcome {
    /// Nothing of it can be stored.
    Refused(WriteError),
    /// These fields need an id first; then prepare again.
    UnknownFields(Vec<NewField>),
    /// Commands to submit.
    Ready(Prepared),
}

/// A body ready to be submitted.
#[derive(Default)]
pub(super) struct Prepared {
    /// Commands in order, each for one group.
    pub(super) commands: Vec<(GroupId, Bytes)>,
    /// Points in them.
    pub(super) points: usize,
    /// Points left out.
    pub(super) dropped: usize,
    /// What to answer with 400 after the good points are stored.
    pub(super) complaint: Option<String>,
}

/// Prepares a body. The order of the checks is InfluxDB 1.x's: parse, consistency, policy, then each point.
pub(super) fn prepare(request: &WriteRequest, around: &Surroundings<'_>) -> Outcome {
    let mut rest: &[u8] = &request.body;
    let mut complaints: Option<String> = None;
    let mut router: Option<Router<'_>> = None;
    while !rest.is_empty() {
        let (lines, read) = line_protocol::parse_some(rest, request.precision_ns, LINES_AT_ONCE);
        rest = rest.get(read.max(1)..).unwrap_or_default();
        if let Some(text) = lines.error_text() {
            match &mut complaints {
                None => complaints = Some(text),
                // A body of nothing but bad lines must not cost more text than one piece may have.
                Some(before) if before.len() < line_protocol::ERROR_TEXT_BYTES_MAX => {
                    before.push('\n');
                    before.push_str(&text);
                }
                Some(_) => {}
            }
        }
        for line in &lines.lines {
            let router = match &mut router {
                Some(router) => router,
                None => match Router::open(request, around) {
                    Ok(opened) => router.insert(opened),
                    Err(error) => return Outcome::Refused(error),
                },
            };
            if let Err(error) = router.add(&lines, line) {
                return Outcome::Refused(error);
            }
        }
    }
    match (router, complaints) {
        (Some(router), complaints) => router.finish(complaints),
        (None, Some(text)) => Outcome::Refused(WriteError::Rejected(text)),
        (None, None) => match Router::open(request, around) {
            Ok(router) => router.finish(None),
            Err(error) => Outcome::Refused(error),
        },
    }
}

/// Places points into the groups' batches.
struct Router<'a> {
    around: &'a Surroundings<'a>,
    policy: &'a RetentionPolicy,
    header: BatchHeader,
    /// For lines that bring no time: now, cut to the request's precision.
    default_time: i64,
    batches: BTreeMap<GroupId, GroupBatch>,
    unknown: HashMap<(Arc<str>, Arc<str>), FieldType>,
    drops: Drops,
    done: Prepared,
}

/// The batch of one group that is being filled. `new` maps keys of series the group lacks to their place.
struct GroupBatch {
    writer: BatchWriter,
    new: HashMap<Box<[u8]>, RowSeries>,
}

impl<'a> Router<'a> {
    /// Checks what concerns the request as a whole.
    fn open(request: &WriteRequest, around: &'a Surroundings<'a>) -> Result<Self, WriteError> {
        if !matches!(request.consistency.as_str(), "" | "any" | "one" | "quorum" | "all") {
            return Err(WriteError::Rejected("invalid consistency level".to_owned()));
        }
        match around.database.policy_for_write(&request.policy) {
            Some(policy) => Ok(Self::new(around, policy, request.precision_ns)),
            None => Err(WriteError::PolicyNotFound(request.policy.clone())),
        }
    }

    fn new(around: &'a Surroundings<'a>, policy: &'a RetentionPolicy, precision_ns: i64) -> Self {
        let header = BatchHeader {
            database: around.database.id,
            policy: policy.id,
            shard_duration_ns: policy.shard_duration_ns,
        };
        Self {
            around,
            policy,
            header,
            default_time: model::time::floor_to(around.now_ns, precision_ns.max(1)),
            batches: BTreeMap::new(),
            unknown: HashMap::new(),
            drops: Drops::default(),
            done: Prepared::default(),
        }
    }

    fn add(&mut self, lines: &Lines<'_>, line: &Line<'_>) -> Result<(), WriteError> {
        let time = line.time.unwrap_or(self.default_time);
        if self.policy.duration_ns != 0 && time < self.around.now_ns.saturating_sub(self.policy.duration_ns) {
            self.drops.beyond_retention += 1;
            return Ok(());
        }
        let measurement = line.measurement();
        let measurement = String::from_utf8_lossy(&measurement);
        if let Some(reason) = check::forbidden_time_tag(&line.key, &measurement) {
            self.drops.add(reason);
            return Ok(());
        }
        let fields = lines.fields_of(line);
        let Some(rows) = self.resolve(&measurement, fields, time)? else { return Ok(()) };
        let slot = placement::slot(&self.around.database.name, &line.key);
        let group = self.around.slots.get(usize::from(slot)).copied().unwrap_or(GroupId(1));
        self.append(group, &line.key, rows);
        self.done.points += 1;
        Ok(())
    }

    /// Ids for the point's fields. `None` when the point is dropped (counted) or a field has no id yet.
    fn resolve<'l>(
        &mut self,
        measurement: &str,
        fields: &'l [line_protocol::Field<'_>],
        time: i64,
    ) -> Result<Option<Vec<Row<'l>>>, WriteError> {
        let known = self.around.database.fields.measurements.get(measurement);
        let mut rows = Vec::with_capacity(fields.len());
        let mut complete = true;
        for field in fields.iter().filter(|f| &*f.name != b"time") {
            let name: Cow<'_, str> = String::from_utf8_lossy(&field.name);
            let field_type = field.value.field_type();
            match known.and_then(|m| m.fields.get(&*name)) {
                Some(def) if def.field_type == field_type => rows.push(Row {
                    series: RowSeries::New(0),
                    time,
                    field: def.id,
                    value: field.value.clone(),
                }),
                Some(def) => {
                    self.drops.add(check::type_conflict(measurement, &name, field_type, def.field_type));
                    return Ok(None);
                }
                None => {
                    self.note_unknown(measurement, &name, field_type)?;
                    complete = false;
                }
            }
        }
        if rows.is_empty() && complete {
            self.drops.add(check::only_time_field(measurement));
            return Ok(None);
        }
        Ok(complete.then_some(rows))
    }

    /// Two new points of one body that disagree on a new field's type. The first one sets it and the others are dropped,
    /// as 1.x does; only where nothing was ever written does 1.x store nothing of the body.
    fn note_unknown(
        &mut self,
        measurement: &str,
        field: &str,
        field_type: FieldType,
    ) -> Result<(), WriteError> {
        let seen = self.unknown.entry((Arc::from(measurement), Arc::from(field))).or_insert(field_type);
        if *seen == field_type || !self.around.database.fields.measurements.is_empty() {
            return Ok(());
        }
        Err(WriteError::Rejected("field type conflict".to_owned()))
    }

    fn append(&mut self, group: GroupId, key: &[u8], rows: Vec<Row<'_>>) {
        let header = self.header;
        let batch = self.batches.entry(group).or_insert_with(|| GroupBatch::new(header));
        let series = batch.series(key, || (self.around.lookup)(group, key));
        for row in rows {
            batch.writer.push(&Row { series, ..row });
        }
        if batch.writer.encoded_len() >= COMMAND_BYTES_AIM {
            let full = std::mem::replace(batch, GroupBatch::new(header));
            self.done.commands.push((group, full.into_command()));
        }
    }

    fn finish(mut self, parse_complaint: Option<String>) -> Outcome {
        if !self.unknown.is_empty() {
            let fields = self.unknown.into_iter();
            let mut fields: Vec<NewField> = fields
                .map(|((measurement, field), field_type)| NewField { measurement, field, field_type })
                .collect();
            // A fixed order, so that ids follow names and not a hash map's mood.
            fields.sort_by(|a, b| (&a.measurement, &a.field).cmp(&(&b.measurement, &b.field)));
            return Outcome::UnknownFields(fields);
        }
        for (group, batch) in self.batches {
            if !batch.writer.is_empty() {
                self.done.commands.push((group, batch.into_command()));
            }
        }
        self.done.dropped = self.drops.total();
        self.done.complaint = self.drops.complaint(parse_complaint);
        Outcome::Ready(self.done)
    }
}

impl GroupBatch {
    fn new(header: BatchHeader) -> Self {
        Self { writer: BatchWriter::new(header), new: HashMap::new() }
    }

    fn series(&mut self, key: &[u8], lookup: impl FnOnce() -> Option<SeriesId>) -> RowSeries {
        if let Some(place) = self.new.get(key) {
            return *place;
        }
        if let Some(id) = lookup() {
            return RowSeries::Known(id);
        }
        let place = self.writer.add_series(key);
        self.new.insert(key.into(), place);
        place
    }

    fn into_command(self) -> Bytes {
        raft::command::write(self.writer)
    }
}

#[cfg(test)]
mod tests;
