//! Which points a statement deletes, as every replica of every group is told.
//!
//! The node that was asked makes one from DELETE, DROP SERIES or DROP MEASUREMENT; storage resolves it against the
//! series it has. Regular expressions travel as the text that the `regex` crate reads, so nothing below the query
//! language knows Go's syntax.
//!
//! ```text
//! delete    := version u8 = 1 | database varint | policy + 1 varint, 0 for all | start zigzag | end zigzag
//!            | measurements | predicate
//! measurements := 0 all | 1 text the one of this name | 2 text those that match
//! predicate := 0 all | 1 nothing | 2 text text equal | 3 text text not equal | 4 text text match
//!            | 5 text text no match | 6 count varint, predicates: and | 7 count varint, predicates: or
//! text      := length varint | UTF-8
//! ```

use crate::batch::{put_varint, unzigzag, zigzag};
use crate::id::{DatabaseId, RetentionPolicyId};
use crate::predicate::TagPredicate;
use crate::time::TimeRange;
use regex::{Regex, RegexBuilder};
use std::sync::Arc;

const VERSION: u8 = 1;
/// Deepest predicate that is read: a damaged entry must not use up the stack.
const DEPTH_MAX: usize = 256;
/// Bytes that a compiled regular expression may take; more than the query language lets through.
const REGEX_BYTES_MAX: usize = 32 << 20;

/// Which measurements of a database are meant.
#[derive(Debug, Clone)]
pub enum Measurements {
    /// All of them.
    All,
    /// The one of this name.
    Named(Arc<str>),
    /// Those whose name matches.
    Match(Regex),
}

impl Measurements {
    /// Whether the measurement of this name is meant.
    pub fn contains(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(wanted) => **wanted == *name,
            Self::Match(regex) => regex.is_match(name),
        }
    }
}

/// Points to be deleted: those of some series of a database in a range of time.
#[derive(Debug, Clone)]
pub struct Delete {
    /// The database.
    pub database: DatabaseId,
    /// The only retention policy that loses points, or all of the database.
    pub policy: Option<RetentionPolicyId>,
    /// Of which measurements.
    pub measurements: Measurements,
    /// Of which series.
    pub predicate: TagPredicate,
    /// From when to when.
    pub range: TimeRange,
}

/// Why bytes are not a delete. They came through the log, so this is damage or a newer version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeleteError {
    /// The first byte is not a version known here.
    #[error("delete has version {0}, this node knows {VERSION}")]
    Version(u8),
    /// Cut off, or something that cannot be.
    #[error("delete is cut off or damaged")]
    Damaged,
    /// A regular expression that does not compile.
    #[error("regular expression of a delete: {0}")]
    Regex(String),
}

impl Delete {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_varint(&mut out, u64::from(self.database.0));
        put_varint(&mut out, self.policy.map_or(0, |policy| u64::from(policy.0) + 1));
        put_varint(&mut out, zigzag(self.range.start));
        put_varint(&mut out, zigzag(self.range.end));
        match &self.measurements {
            Measurements::All => out.push(0),
            Measurements::Named(name) => put_texts(&mut out, 1, &[name]),
            Measurements::Match(regex) => put_texts(&mut out, 2, &[regex.as_str()]),
        }
        put_predicate(&mut out, &self.predicate);
        out
    }

    /// Reads one back.
    ///
    /// # Errors
    ///
    /// [`DeleteError`]; all bytes are looked at.
    pub fn decode(bytes: &[u8]) -> Result<Self, DeleteError> {
        let mut input = Input { rest: bytes };
        let version = input.byte()?;
        if version != VERSION {
            return Err(DeleteError::Version(version));
        }
        let database = DatabaseId(input.u32()?);
        let policy = match input.varint()?.checked_sub(1) {
            None => None,
            Some(id) => Some(RetentionPolicyId(u32::try_from(id).map_err(|_| DeleteError::Damaged)?)),
        };
        let range = TimeRange { start: unzigzag(input.varint()?), end: unzigzag(input.varint()?) };
        let measurements = match input.byte()? {
            0 => Measurements::All,
            1 => Measurements::Named(input.text()?.into()),
            2 => Measurements::Match(input.regex()?),
            _ => return Err(DeleteError::Damaged),
        };
        let predicate = input.predicate(DEPTH_MAX)?;
        if !input.rest.is_empty() {
            return Err(DeleteError::Damaged);
        }
        Ok(Self { database, policy, measurements, predicate, range })
    }
}

impl TagPredicate {
    /// Its bytes, as in a delete.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_predicate(&mut out, self);
        out
    }

    /// Reads one back.
    ///
    /// # Errors
    ///
    /// [`DeleteError`]; all bytes are looked at.
    pub fn decode(bytes: &[u8]) -> Result<Self, DeleteError> {
        let mut input = Input { rest: bytes };
        let predicate = input.predicate(DEPTH_MAX)?;
        if input.rest.is_empty() { Ok(predicate) } else { Err(DeleteError::Damaged) }
    }
}

fn put_texts(out: &mut Vec<u8>, code: u8, texts: &[&str]) {
    out.push(code);
    for text in texts {
        put_varint(out, text.len() as u64);
        out.extend_from_slice(text.as_bytes());
    }
}

fn put_predicate(out: &mut Vec<u8>, predicate: &TagPredicate) {
    match predicate {
        TagPredicate::All => out.push(0),
        TagPredicate::Nothing => out.push(1),
        TagPredicate::Equal(key, value) => put_texts(out, 2, &[key, value]),
        TagPredicate::NotEqual(key, value) => put_texts(out, 3, &[key, value]),
        TagPredicate::Match(key, regex) => put_texts(out, 4, &[key, regex.as_str()]),
        TagPredicate::NotMatch(key, regex) => put_texts(out, 5, &[key, regex.as_str()]),
        TagPredicate::And(parts) => put_predicates(out, 6, parts),
        TagPredicate::Or(parts) => put_predicates(out, 7, parts),
    }
}

fn put_predicates(out: &mut Vec<u8>, code: u8, parts: &[TagPredicate]) {
    out.push(code);
    put_varint(out, parts.len() as u64);
    for part in parts {
        put_predicate(out, part);
    }
}

/// What was not read yet.
struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn byte(&mut self) -> Result<u8, DeleteError> {
        let (first, rest) = self.rest.split_first().ok_or(DeleteError::Damaged)?;
        self.rest = rest;
        Ok(*first)
    }

    fn varint(&mut self) -> Result<u64, DeleteError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DeleteError::Damaged)
    }

    fn u32(&mut self) -> Result<u32, DeleteError> {
        u32::try_from(self.varint()?).map_err(|_| DeleteError::Damaged)
    }

    fn text(&mut self) -> Result<&'a str, DeleteError> {
        let len = usize::try_from(self.varint()?).map_err(|_| DeleteError::Damaged)?;
        let (text, rest) = self.rest.split_at_checked(len).ok_or(DeleteError::Damaged)?;
        self.rest = rest;
        std::str::from_utf8(text).map_err(|_| DeleteError::Damaged)
    }

    fn regex(&mut self) -> Result<Regex, DeleteError> {
        let built = RegexBuilder::new(self.text()?).size_limit(REGEX_BYTES_MAX).build();
        built.map_err(|error| DeleteError::Regex(error.to_string()))
    }

    fn predicate(&mut self, depth: usize) -> Result<TagPredicate, DeleteError> {
        Ok(match self.byte()? {
            0 => TagPredicate::All,
            1 => TagPredicate::Nothing,
            2 => TagPredicate::Equal(self.text()?.into(), self.text()?.into()),
            3 => TagPredicate::NotEqual(self.text()?.into(), self.text()?.into()),
            4 => TagPredicate::Match(self.text()?.into(), self.regex()?),
            5 => TagPredicate::NotMatch(self.text()?.into(), self.regex()?),
            6 => TagPredicate::And(self.predicates(depth)?),
            7 => TagPredicate::Or(self.predicates(depth)?),
            _ => return Err(DeleteError::Damaged),
        })
    }

    fn predicates(&mut self, depth: usize) -> Result<Vec<TagPredicate>, DeleteError> {
        let depth = depth.checked_sub(1).ok_or(DeleteError::Damaged)?;
        let count = usize::try_from(self.varint()?).map_err(|_| DeleteError::Damaged)?;
        // Each takes a byte at least, so a length that lies does not reserve memory.
        if count > self.rest.len() {
            return Err(DeleteError::Damaged);
        }
        (0..count).map(|_| self.predicate(depth)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_predicate() -> impl Strategy<Value = TagPredicate> {
        let text = || any::<String>().prop_map(|s| Arc::<str>::from(s.as_str()));
        let regex =
            || prop::sample::select(vec!["a|b", "^$", "x[0-9]+"]).prop_map(|s| Regex::new(s).unwrap());
        let leaf = prop_oneof![
            Just(TagPredicate::All),
            Just(TagPredicate::Nothing),
            (text(), text()).prop_map(|(k, v)| TagPredicate::Equal(k, v)),
            (text(), text()).prop_map(|(k, v)| TagPredicate::NotEqual(k, v)),
            (text(), regex()).prop_map(|(k, r)| TagPredicate::Match(k, r)),
            (text(), regex()).prop_map(|(k, r)| TagPredicate::NotMatch(k, r)),
        ];
        leaf.prop_recursive(4, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(TagPredicate::And),
                prop::collection::vec(inner, 0..4).prop_map(TagPredicate::Or),
            ]
        })
    }

    proptest! {
        #[test]
        fn deletes_round_trip(predicate in any_predicate(), start: i64, end: i64, database: u32, policy: Option<u32>, kind in 0..3) {
            let measurements = match kind {
                0 => Measurements::All,
                1 => Measurements::Named("a,b".into()),
                _ => Measurements::Match(Regex::new("^cpu").unwrap()),
            };
            let delete = Delete {
                database: DatabaseId(database),
                policy: policy.map(RetentionPolicyId),
                measurements,
                predicate,
                range: TimeRange { start, end },
            };
            let back = Delete::decode(&delete.encode()).unwrap();
            prop_assert_eq!(format!("{back:?}"), format!("{delete:?}"));
        }

        #[test]
        fn damaged_bytes_never_panic(bytes: Vec<u8>) {
            let mut bytes = bytes;
            if let Some(first) = bytes.first_mut() { *first = VERSION; }
            drop(Delete::decode(&bytes));
        }
    }

    #[test]
    fn a_deep_predicate_is_refused() {
        let mut bytes = vec![VERSION, 1, 0, 0, 2, 0];
        for _ in 0..100_000 {
            bytes.extend([6, 1]);
        }
        bytes.push(0);
        assert_eq!(Delete::decode(&bytes).err(), Some(DeleteError::Damaged));
    }
}
