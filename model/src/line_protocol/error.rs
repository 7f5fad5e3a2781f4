//! Why a line cannot be read, and the bad lines of a body. The texts are those of InfluxDB 1.x, Go's own number errors
//! included.

use crate::series;

/// Bytes of error text kept for one body. InfluxDB 1.x has no limit; a body of ordinary size never comes near this one.
const ERROR_TEXT_BYTES_MAX: usize = 16 << 20;

/// A line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineError {
    /// `unable to parse '<line>': <reason>`; bytes of the line that are not UTF-8 show as U+FFFD.
    pub text: String,
}

/// The bad lines of one body: their texts up to 16 MiB, and the number of those left out.
#[derive(Debug, Default)]
pub struct Complaints {
    errors: Vec<LineError>,
    bytes: usize,
    left_out: usize,
}

impl Complaints {
    /// Notes a bad line.
    pub fn add(&mut self, line: &[u8], reason: &Reason) {
        if self.bytes >= ERROR_TEXT_BYTES_MAX {
            self.left_out += 1;
            return;
        }
        let text = format!("unable to parse '{}': {reason}", series::text(line));
        self.bytes += text.len();
        self.errors.push(LineError { text });
    }

    /// The bad lines; the last one may say how many more there were.
    pub fn into_errors(mut self) -> Vec<LineError> {
        if self.left_out > 0 {
            let text = format!("unable to parse {} more lines", self.left_out);
            self.errors.push(LineError { text });
        }
        self.errors
    }

    /// Their texts, joined with newlines as 1.x does; `None` if every line is good.
    pub fn into_text(self) -> Option<String> {
        let errors = self.into_errors();
        if errors.is_empty() {
            return None;
        }
        let texts: Vec<&str> = errors.iter().map(|error| error.text.as_str()).collect();
        Some(texts.join("\n"))
    }
}

/// The reason that follows `unable to parse '<line>': `.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The line starts with a comma.
    #[error("missing measurement")]
    MissingMeasurement,
    /// Nothing follows the series key.
    #[error("missing fields")]
    MissingFields,
    /// A comma is not followed by a tag key.
    #[error("missing tag key")]
    MissingTagKey,
    /// A tag key is not followed by `=` and a value.
    #[error("missing tag value")]
    MissingTagValue,
    /// A tag value holds an unescaped `=`.
    #[error("invalid tag format")]
    InvalidTagFormat,
    /// Two tags have one key.
    #[error("duplicate tags")]
    DuplicateTags,
    /// The series key, with or without the field name, is too long.
    #[error("max key length exceeded: {0} > {max}", max = crate::limits::KEY_BYTES_MAX)]
    KeyTooLong(usize),
    /// `=` without a name before it.
    #[error("missing field key")]
    MissingFieldKey,
    /// `=` without a value behind it.
    #[error("missing field value")]
    MissingFieldValue,
    /// The names, `=` and commas do not alternate.
    #[error("invalid field format")]
    InvalidFieldFormat,
    /// A name whose `=` is escaped, so that no value is left.
    #[error("invalid value: field-key={0}")]
    FieldWithoutValue(Box<str>),
    /// A string without an end.
    #[error("unbalanced quotes")]
    UnbalancedQuotes,
    /// Starts like a number and is none.
    #[error("invalid number")]
    InvalidNumber,
    /// Looks like a float and is none, or is beyond the greatest one.
    #[error("invalid float")]
    InvalidFloat,
    /// An integer of more than 64 bits.
    #[error("unable to parse integer {0}: strconv.ParseInt: parsing \"{0}\": value out of range")]
    IntegerOutOfRange(Box<str>),
    /// Neither a number nor a string nor a boolean.
    #[error("invalid boolean")]
    InvalidBoolean,
    /// The timestamp holds something else than digits.
    #[error("bad timestamp")]
    BadTimestamp,
    /// The timestamp is a lone minus sign.
    #[error("strconv.ParseInt: parsing \"{0}\": invalid syntax")]
    TimestampSyntax(Box<str>),
    /// The timestamp has more than 64 bits.
    #[error("strconv.ParseInt: parsing \"{0}\": value out of range")]
    TimestampOutOfRange(Box<str>),
    /// The time lies outside what a point can have.
    #[error("time outside range {min} - {max}", min = crate::time::TIME_MIN, max = crate::time::TIME_MAX)]
    TimeOutsideRange,
    /// Something follows the timestamp.
    #[error("point is invalid")]
    PointIsInvalid,
}
