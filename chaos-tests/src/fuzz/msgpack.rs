//! MessagePack as JSON text, to compare answers: Go writes maps in an order of chance.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// All values of a body, one a line; `None` if it is not `MessagePack`.
pub(super) fn as_text(body: &[u8]) -> Option<String> {
    let mut reader = Reader { left: body };
    let mut text = String::new();
    while !reader.left.is_empty() {
        text.push_str(&reader.value(0)?.to_string());
        text.push('\n');
    }
    Some(text)
}

struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, left) = self.left.split_at_checked(n)?;
        self.left = left;
        Some(taken)
    }

    fn number(&mut self, bytes: usize) -> Option<u64> {
        Some(self.take(bytes)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// A signed number of so many bytes.
    fn signed(&mut self, bytes: usize) -> Option<i64> {
        let unused = 64 - 8 * bytes as u32;
        Some((self.number(bytes)? << unused).cast_signed() >> unused)
    }

    fn value(&mut self, depth: u32) -> Option<Value> {
        if depth > 16 {
            return None;
        }
        let kind = self.number(1)? as u8;
        Some(match kind {
            0x00..=0x7f => kind.into(),
            0x80..=0x8f => self.map(usize::from(kind & 0x0f), depth)?,
            0x90..=0x9f => self.array(usize::from(kind & 0x0f), depth)?,
            0xa0..=0xbf => self.string(usize::from(kind & 0x1f))?,
            0xc2 | 0xc3 => (kind == 0xc3).into(),
            0xc0 => Value::Null,
            0xc4 | 0xd9 => self.sized(1)?,
            0xc5 | 0xda => self.sized(2)?,
            0xc6 | 0xdb => self.sized(4)?,
            0xc7 => {
                let length = self.number(1)? as usize;
                self.extension(length)?
            }
            0xca => f64::from(f32::from_bits(self.number(4)? as u32)).into(),
            0xcb => f64::from_bits(self.number(8)?).into(),
            0xcc..=0xcf => self.number(1 << (kind - 0xcc))?.into(),
            0xd0..=0xd3 => self.signed(1 << (kind - 0xd0))?.into(),
            0xd4..=0xd8 => self.extension(1 << (kind - 0xd4))?,
            0xdc | 0xdd => {
                let length = self.number(if kind == 0xdc { 2 } else { 4 })? as usize;
                self.array(length, depth)?
            }
            0xde | 0xdf => {
                let length = self.number(if kind == 0xde { 2 } else { 4 })? as usize;
                self.map(length, depth)?
            }
            0xe0..=0xff => kind.cast_signed().into(),
            0xc1 | 0xc8 | 0xc9 => return None,
        })
    }

    fn sized(&mut self, bytes: usize) -> Option<Value> {
        let length = self.number(bytes)? as usize;
        self.string(length)
    }

    fn string(&mut self, length: usize) -> Option<Value> {
        Some(String::from_utf8_lossy(self.take(length)?).into())
    }

    /// A type and bytes: times.
    fn extension(&mut self, length: usize) -> Option<Value> {
        let kind = self.number(1)?;
        Some(format!("{kind}:{:?}", self.take(length)?).into())
    }

    fn array(&mut self, length: usize, depth: u32) -> Option<Value> {
        (0..length).map(|_| self.value(depth + 1)).collect::<Option<Vec<_>>>().map(Value::from)
    }

    fn map(&mut self, length: usize, depth: u32) -> Option<Value> {
        // Sorted here, as the order of members may be kept.
        let mut map = BTreeMap::new();
        for _ in 0..length {
            let key = self.value(depth + 1)?;
            let key = key.as_str()?.to_owned();
            map.insert(key, self.value(depth + 1)?);
        }
        Some(map.into_iter().collect::<Map<_, _>>().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_maps_does_not_matter() {
        let one = [0x82, 0xa1, b'a', 0x01, 0xa1, b'b', 0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0];
        let other = [0x82, 0xa1, b'b', 0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0, 0xa1, b'a', 0x01];
        assert_eq!(as_text(&one).unwrap(), "{\"a\":1,\"b\":1.5}\n");
        assert_eq!(as_text(&one), as_text(&other));
        assert_eq!(as_text(&[0x92, 0xd1, 0xff, 0xfe, 0xff]).unwrap(), "[-2,-1]\n");
        assert_eq!(as_text(&one[..9]), None);
    }
}
