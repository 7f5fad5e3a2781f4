//! Protobuf as it stands on the wire: the fields of a message, one after the other, nothing copied. Samples are read
//! with this and not into structs of their own, because a message of two bytes would become one of fifty.

/// What is wrong with a message. `Display` is the text of Go's generated readers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum WireError {
    /// It ends inside a field.
    #[error("unexpected EOF")]
    Cut,
    /// A number of more than 64 bits.
    #[error("proto: integer overflow")]
    Overflow,
    /// A field number that cannot be.
    #[error("proto: illegal tag {0} (wire type {1})")]
    IllegalTag(u64, u8),
    /// A field that is known came as something else.
    #[error("proto: wrong wireType for field {0}")]
    WrongType(&'static str),
}

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    pub(super) fn bytes(self, field: &'static str) -> Result<&'a [u8], WireError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Varint(_) | Self::Fixed64(_) | Self::Fixed32(_) => Err(WireError::WrongType(field)),
        }
    }

    pub(super) fn double(self, field: &'static str) -> Result<f64, WireError> {
        match self {
            Self::Fixed64(bits) => Ok(f64::from_bits(bits)),
            Self::Varint(_) | Self::Bytes(_) | Self::Fixed32(_) => Err(WireError::WrongType(field)),
        }
    }

    pub(super) fn int64(self, field: &'static str) -> Result<i64, WireError> {
        match self {
            Self::Varint(value) => Ok(value as i64),
            Self::Fixed64(_) | Self::Bytes(_) | Self::Fixed32(_) => Err(WireError::WrongType(field)),
        }
    }
}

/// The fields of a message: number and value, in their order. Ends after an error.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn field(&mut self) -> Result<(u64, Value<'a>), WireError> {
        let key = self.varint()?;
        let (number, kind) = (key >> 3, (key & 7) as u8);
        if number == 0 {
            return Err(WireError::IllegalTag(number, kind));
        }
        let value = match kind {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.fixed()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| WireError::Cut)?;
                let (bytes, rest) = self.0.split_at_checked(length).ok_or(WireError::Cut)?;
                self.0 = rest;
                Value::Bytes(bytes)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.fixed()?)),
            _ => return Err(WireError::IllegalTag(number, kind)),
        };
        Ok((number, value))
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(WireError::Cut)?;
        self.0 = rest;
        Ok(*bytes)
    }

    fn varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(WireError::Cut)?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(WireError::Overflow)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_in_order_and_an_error_is_the_end() {
        let message = b"\x08\x96\x01\x12\x02ab\x19\0\0\0\0\0\0\xf0\x3f\x25\x01\0\0\0";
        let fields: Vec<_> = Fields::of(message).collect();
        assert_eq!(fields[0], Ok((1, Value::Varint(150))));
        assert_eq!(fields[1], Ok((2, Value::Bytes(b"ab"))));
        assert_eq!(fields[2].clone().and_then(|(_, value)| value.double("x")), Ok(1.0));
        assert_eq!(fields[3], Ok((4, Value::Fixed32(1))));
        for (message, error) in [
            (&b"\x0a\x05ab"[..], "unexpected EOF"),
            (b"\x08\x80", "unexpected EOF"),
            (b"\x11\0", "unexpected EOF"),
            (b"\0\0", "proto: illegal tag 0 (wire type 0)"),
            (b"\x0b", "proto: illegal tag 1 (wire type 3)"),
            (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "proto: integer overflow"),
        ] {
            let errors: Vec<String> =
                Fields::of(message).filter_map(|field| field.err().map(|error| error.to_string())).collect();
            assert_eq!(errors, [error], "{message:?}");
        }
    }
}
