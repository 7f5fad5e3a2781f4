//! From a body to commands for each group: locate, parse, check, encode. Pure; the same body and surroundings give the
//! same commands. Nothing is allocated for a point whose series and fields are known.

use super::batches::{Batches, Target};
use super::cardinality::{Cardinality, SeriesLimits, Verdict};
use super::check::{self, Drops};
use super::directory::SeriesDirectory;
use super::fields::{Fields, Resolved, shown};
use super::locate::{Located, Locator};
use api::coordinator::{WriteError, WriteRequest};
use bytes::Bytes;
use model::GroupId;
use model::batch::BatchHeader;
use model::catalog::{Database, NewField, RetentionPolicy};
use model::line_protocol::{self, Complaints, LineReader};
use model::time::ShardOrigin;

/// What preparing needs to know besides the body.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'c> {
    /// The database written to, as this node knows it.
    pub database: &'c Database,
    /// Slot → group.
    pub slots: &'c [GroupId],
    /// For lines without a time, and for what is too old.
    pub now_ns: i64,
    /// From when new shard groups are counted.
    pub shard_origin: ShardOrigin,
    /// The series of the database.
    pub series: &'c dyn SeriesDirectory,
    /// How many of them there may be.
    pub limits: SeriesLimits,
}

/// What became of a body.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing of it can be stored.
    Refused(WriteError),
    /// These fields need an id first; then prepare again.
    UnknownFields(Vec<NewField>),
    /// New points disagree on the type of a field: nothing of the body is stored, but these fields have their types from now
    /// on, so that the same body fares better when it is sent again.
    Disagreement(Vec<NewField>),
    /// Commands to submit.
    Ready(Prepared),
}

/// A body ready to be submitted.
#[derive(Debug, Default)]
pub struct Prepared {
    /// Commands by group; those of one group one after the other.
    pub commands: Vec<(GroupId, Vec<Bytes>)>,
    /// Points in them.
    pub points: usize,
    /// Points left out.
    pub dropped: usize,
    /// What to answer with 400 after the good points are stored.
    pub complaint: Option<String>,
    /// The points in the commands as line protocol with times in ns, if somebody has subscribed to them.
    pub copies: Option<Vec<u8>>,
}

/// What is done with points of series that no group knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NewSeries {
    Taken,
    Refused,
}

/// Why a body is not prepared to its end.
enum Stop {
    Refused(WriteError),
    /// As [`Outcome::Disagreement`].
    Disagreement(Vec<NewField>),
    /// It has more new series than there is room for: all of them must be left out, the first ones too.
    SeriesLimit,
}

/// Prepares a body. The order of the checks is InfluxDB 1.x's: parse, consistency, policy, then each point.
pub fn prepare(request: &WriteRequest, around: &Surroundings<'_>) -> Outcome {
    let mut outcome = run(request, around, NewSeries::Taken);
    if matches!(outcome, Err(Stop::SeriesLimit)) {
        outcome = run(request, around, NewSeries::Refused);
    }
    match outcome {
        Ok(outcome) => outcome,
        Err(Stop::Refused(error)) => Outcome::Refused(error),
        Err(Stop::Disagreement(fields)) => Outcome::Disagreement(fields),
        Err(Stop::SeriesLimit) => Outcome::Refused(WriteError::Internal("series limit".to_owned())),
    }
}

fn run(request: &WriteRequest, around: &Surroundings<'_>, new_series: NewSeries) -> Result<Outcome, Stop> {
    let mut complaints = Complaints::default();
    let mut router: Option<Router<'_>> = None;
    let mut reader = LineReader::new(request.precision_ns);
    let mut locator = Locator::new(&request.body, around);
    loop {
        let lines = locator.next(&mut reader);
        if lines.is_empty() {
            break;
        }
        for line in lines {
            let read = line.key().map(|key| (key, reader.values(line.text, line.key_len as usize)));
            let (key, time) = match read {
                Ok((key, Ok(time))) => (key, time),
                Ok((_, Err(reason))) => {
                    complaints.add(line.text, &reason);
                    continue;
                }
                Err(reason) => {
                    complaints.add(line.text, reason);
                    continue;
                }
            };
            let router = match &mut router {
                Some(router) => router,
                None => router.insert(Router::open(request, around, new_series)?),
            };
            router.add(line, key, time, reader.fields())?;
        }
    }
    match (router, complaints.into_text()) {
        (Some(router), complaints) => Ok(router.finish(complaints)),
        (None, Some(text)) => Err(Stop::Refused(WriteError::Rejected(text))),
        (None, None) => Ok(Router::open(request, around, new_series)?.finish(None)),
    }
}

/// Checks points and places them into the groups' batches.
struct Router<'c> {
    around: &'c Surroundings<'c>,
    policy: &'c RetentionPolicy,
    /// For lines that bring no time: now, cut to the request's precision.
    default_time: i64,
    new_series: NewSeries,
    fields: Fields<'c>,
    cardinality: Cardinality<'c>,
    batches: Batches,
    drops: Drops,
    points: usize,
    copies: Option<Vec<u8>>,
}

impl<'c> Router<'c> {
    /// Checks what concerns the request as a whole.
    fn open(
        request: &WriteRequest,
        around: &'c Surroundings<'c>,
        new_series: NewSeries,
    ) -> Result<Self, Stop> {
        if !matches!(request.consistency.as_str(), "" | "any" | "one" | "quorum" | "all") {
            return Err(Stop::Refused(WriteError::Rejected("invalid consistency level".to_owned())));
        }
        let Some(policy) = around.database.policy_for_write(&request.policy) else {
            let named = Some(&*request.policy).filter(|name| !name.is_empty());
            let name = named.or_else(|| around.database.default_policy_name()).unwrap_or_default();
            return Err(Stop::Refused(WriteError::PolicyNotFound(name.to_owned())));
        };
        let header = BatchHeader {
            database: around.database.id,
            policy: policy.id,
            shard_duration_ns: policy.shard_duration_ns,
            shard_origin: around.shard_origin,
        };
        let groups = around.slots.iter().map(|group| group.0 as usize).max().unwrap_or(1);
        Ok(Self {
            around,
            policy,
            default_time: model::time::floor_to(around.now_ns, request.precision_ns.max(1)),
            new_series,
            fields: Fields::new(&around.database.fields),
            cardinality: Cardinality::new(around.limits, around.series),
            batches: Batches::new(header, request.body.len(), groups),
            drops: Drops::default(),
            points: 0,
            copies: (!policy.subscriptions.is_empty()).then(Vec::new),
        })
    }

    fn add(
        &mut self,
        line: &Located<'_>,
        key: &[u8],
        time: Option<i64>,
        fields: &[line_protocol::Field<'_>],
    ) -> Result<(), Stop> {
        let time = time.unwrap_or(self.default_time);
        if self.policy.duration_ns != 0 && time < self.around.now_ns.saturating_sub(self.policy.duration_ns) {
            self.drops.beyond_retention += 1;
            return Ok(());
        }
        // A series that is known has passed these checks.
        if line.series.is_none() && !self.welcomes(line, key)? {
            return Ok(());
        }
        let Ok(resolved) = self.fields.resolve(&key[..line.measurement_len()], fields) else {
            return Err(Stop::Disagreement(self.fields.take_unknown()));
        };
        match resolved {
            Resolved::Known => {
                let target = Target { group: line.group, hash: line.hash, series: line.series, key };
                let ids = self.fields.ids();
                self.batches.push(target, time, fields, ids);
                if let Some(copies) = &mut self.copies {
                    let stored = ids.iter().filter_map(|(place, _)| fields.get(*place));
                    line_protocol::print(copies, key, stored, time);
                }
                self.points += 1;
            }
            Resolved::Unknown => {}
            Resolved::Dropped(reason) => self.drops.add(reason),
        }
        Ok(())
    }

    /// Whether a series that no group knows may be created; counts the point as dropped if not.
    fn welcomes(&mut self, line: &Located<'_>, key: &[u8]) -> Result<bool, Stop> {
        let (measurement, tags) = key.split_at(line.measurement_len());
        if check::has_time_tag(tags) {
            self.drops.add_tag(check::forbidden_time_tag(&shown(measurement)));
            return Ok(false);
        }
        match self.cardinality.judge(line.hash, key, line.measurement_len()) {
            Verdict::TooManyValues(reason) => self.drops.add_value(reason),
            Verdict::TooManySeries if self.new_series == NewSeries::Taken => return Err(Stop::SeriesLimit),
            Verdict::Welcome if self.new_series == NewSeries::Taken => return Ok(true),
            Verdict::Welcome | Verdict::TooManySeries => {
                self.drops.add_series(self.around.limits.series_max);
            }
        }
        Ok(false)
    }

    fn finish(mut self, parse_complaint: Option<String>) -> Outcome {
        let unknown = self.fields.take_unknown();
        if !unknown.is_empty() {
            return Outcome::UnknownFields(unknown);
        }
        Outcome::Ready(Prepared {
            commands: self.batches.into_commands(),
            points: self.points,
            dropped: self.drops.total(),
            complaint: self.drops.complaint(parse_complaint),
            copies: self.copies,
        })
    }
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
