//! Why a single point is dropped, in InfluxDB 1.x's words (`tsdb/shard.go`, `coordinator/points_writer.go`).

use model::FieldType;

/// What was dropped from one body.
#[derive(Debug, Default)]
pub(super) struct Drops {
    /// Only the first reason is told, as 1.x does.
    first_reason: Option<String>,
    points: usize,
    /// Points older than the policy keeps.
    pub(super) beyond_retention: usize,
}

impl Drops {
    /// Counts a dropped point.
    pub(super) fn add(&mut self, reason: String) {
        self.first_reason.get_or_insert(reason);
        self.points += 1;
    }

    /// Points dropped for any reason.
    pub(super) fn total(&self) -> usize {
        self.points + self.beyond_retention
    }

    /// The text of the 400 answer: a dropped point outweighs a line that did not parse.
    pub(super) fn complaint(&self, parse_complaint: Option<String>) -> Option<String> {
        if let Some(reason) = &self.first_reason {
            return Some(partial(reason, self.points));
        }
        if self.beyond_retention > 0 {
            return Some(partial("points beyond retention policy", self.beyond_retention));
        }
        parse_complaint.map(|text| partial(&text, 0))
    }
}

fn partial(reason: &str, dropped: usize) -> String {
    format!("partial write: {reason} dropped={dropped}")
}

/// A tag may not be called `time`: the point would be unreachable.
pub(super) fn forbidden_time_tag(key: &[u8], measurement: &str) -> Option<String> {
    let found = memchr::memmem::find(key, b",time=").is_some_and(|at| at == 0 || key[at - 1] != b'\\');
    found.then(|| format!("invalid tag key: input tag \"time\" on measurement \"{measurement}\" is invalid"))
}

/// A point whose only field is `time`.
pub(super) fn only_time_field(measurement: &str) -> String {
    format!("invalid field name: input field \"time\" on measurement \"{measurement}\" is invalid")
}

/// A field that came with another type than its first writer gave it.
pub(super) fn type_conflict(measurement: &str, field: &str, is: FieldType, was: FieldType) -> String {
    format!(
        "field type conflict: input field \"{field}\" on measurement \"{measurement}\" is type {}, already exists as type {}",
        is.name(),
        was.name()
    )
}
