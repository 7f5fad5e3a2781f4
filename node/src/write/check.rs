//! Why a single point is dropped, in InfluxDB 1.x's words (`tsdb/shard.go`, `coordinator/points_writer.go`).

use model::FieldType;

/// What was dropped from one body. Only one reason is told, as 1.x does, which looks through the points for one kind after
/// the other: limits, then tags, then fields; of several the first one.
#[derive(Debug, Default)]
pub(super) struct Drops {
    series_limit: Option<String>,
    values_limit: Option<String>,
    tag_reason: Option<String>,
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

    /// Counts a point dropped for a tag.
    pub(super) fn add_tag(&mut self, reason: String) {
        self.tag_reason.get_or_insert(reason);
        self.points += 1;
    }

    /// Counts a point of a series that would be one too many.
    pub(super) fn add_series(&mut self, limit: u64) {
        self.series_limit.get_or_insert_with(|| format!("max-series-per-database limit exceeded: ({limit})"));
        self.points += 1;
    }

    /// Counts a point with a tag value that would be one too many.
    pub(super) fn add_value(&mut self, reason: String) {
        self.values_limit.get_or_insert(reason);
        self.points += 1;
    }

    /// Points dropped for any reason.
    pub(super) fn total(&self) -> usize {
        self.points + self.beyond_retention
    }

    /// The text of the 400 answer: a dropped point outweighs a line that did not parse.
    pub(super) fn complaint(&self, parse_complaint: Option<String>) -> Option<String> {
        let reasons = [&self.series_limit, &self.values_limit, &self.tag_reason, &self.first_reason];
        if let Some(reason) = reasons.into_iter().flatten().next() {
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

/// A tag of a measurement has as many values as it may have, and this is another one. Quoted as Go's `%q` does.
pub(super) fn values_exceeded(values: u64, limit: u64, measurement: &str, tag: &str, value: &str) -> String {
    format!(
        "max-values-per-tag limit exceeded ({values}/{limit}): measurement={measurement:?} tag={tag:?} value={value:?}"
    )
}

/// Whether one of a series' tags (`,tag=value…`, canonical) is called `time`.
pub(super) fn has_time_tag(tags: &[u8]) -> bool {
    memchr::memmem::find_iter(tags, b",time=").any(|at| at == 0 || tags[at - 1] != b'\\')
}

/// A tag may not be called `time`: the point would be unreachable.
pub(super) fn forbidden_time_tag(measurement: &str) -> String {
    format!("invalid tag key: input tag \"time\" on measurement \"{measurement}\" is invalid")
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
