//! The five value types of InfluxDB 1.x and columns of them.

use std::sync::Arc;

/// Type of a field. The discriminants are on disk and on the wire: never change or reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum FieldType {
    /// 64-bit float; NaN and infinities are never stored.
    Float = 1,
    /// Signed 64-bit integer.
    Integer = 2,
    /// Bytes, UTF-8 or not.
    String = 3,
    /// True or false.
    Boolean = 4,
    /// Unsigned 64-bit integer.
    Unsigned = 5,
}

impl FieldType {
    /// The type with this persisted code.
    pub fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Float,
            2 => Self::Integer,
            3 => Self::String,
            4 => Self::Boolean,
            5 => Self::Unsigned,
            _ => return None,
        })
    }

    /// The persisted code.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// InfluxDB's name of the type, as in SHOW FIELD KEYS and error texts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::Integer => "integer",
            Self::String => "string",
            Self::Boolean => "boolean",
            Self::Unsigned => "unsigned",
        }
    }
}

/// One value of a field, owned.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldValue {
    /// See [`FieldType::Float`].
    Float(f64),
    /// See [`FieldType::Integer`].
    Integer(i64),
    /// See [`FieldType::String`]. Bytes that are not UTF-8 are kept as they came.
    String(Box<[u8]>),
    /// See [`FieldType::Boolean`].
    Boolean(bool),
    /// See [`FieldType::Unsigned`].
    Unsigned(u64),
}

impl FieldValue {
    /// The type of the value.
    pub fn field_type(&self) -> FieldType {
        match self {
            Self::Float(_) => FieldType::Float,
            Self::Integer(_) => FieldType::Integer,
            Self::String(_) => FieldType::String,
            Self::Boolean(_) => FieldType::Boolean,
            Self::Unsigned(_) => FieldType::Unsigned,
        }
    }
}

/// A column of values of one type, as handed out by a scan. Strings are decoded for reading: bytes that are not
/// UTF-8 show as U+FFFD, as InfluxDB's JSON shows them.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Floats.
    Float(Vec<f64>),
    /// Integers.
    Integer(Vec<i64>),
    /// Strings.
    String(Vec<Arc<str>>),
    /// Booleans.
    Boolean(Vec<bool>),
    /// Unsigned integers.
    Unsigned(Vec<u64>),
}

impl Values {
    /// An empty column of this type.
    pub fn new(field_type: FieldType) -> Self {
        match field_type {
            FieldType::Float => Self::Float(Vec::new()),
            FieldType::Integer => Self::Integer(Vec::new()),
            FieldType::String => Self::String(Vec::new()),
            FieldType::Boolean => Self::Boolean(Vec::new()),
            FieldType::Unsigned => Self::Unsigned(Vec::new()),
        }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::Float(v) => v.len(),
            Self::Integer(v) => v.len(),
            Self::String(v) => v.len(),
            Self::Boolean(v) => v.len(),
            Self::Unsigned(v) => v.len(),
        }
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of the values.
    pub fn field_type(&self) -> FieldType {
        match self {
            Self::Float(_) => FieldType::Float,
            Self::Integer(_) => FieldType::Integer,
            Self::String(_) => FieldType::String,
            Self::Boolean(_) => FieldType::Boolean,
            Self::Unsigned(_) => FieldType::Unsigned,
        }
    }
}

/// One value of a field, borrowed from a line or a log entry where it can be.
#[derive(Debug, Clone, PartialEq)]
pub enum ValueRef<'a> {
    /// See [`FieldType::Float`].
    Float(f64),
    /// See [`FieldType::Integer`].
    Integer(i64),
    /// See [`FieldType::String`]; unescaped.
    String(std::borrow::Cow<'a, [u8]>),
    /// See [`FieldType::Boolean`].
    Boolean(bool),
    /// See [`FieldType::Unsigned`].
    Unsigned(u64),
}

impl ValueRef<'_> {
    /// The type of the value.
    pub fn field_type(&self) -> FieldType {
        match self {
            Self::Float(_) => FieldType::Float,
            Self::Integer(_) => FieldType::Integer,
            Self::String(_) => FieldType::String,
            Self::Boolean(_) => FieldType::Boolean,
            Self::Unsigned(_) => FieldType::Unsigned,
        }
    }
}
