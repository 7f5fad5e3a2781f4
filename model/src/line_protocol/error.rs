//! Why a line cannot be read. `Display` is the text of InfluxDB 1.x, Go's own number errors included.

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
