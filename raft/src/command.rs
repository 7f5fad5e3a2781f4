//! What a group can be told to do, as bytes of a log entry, and what it answers. The only place that knows the kinds.
//!
//! ```text
//! data group  kind u8, then: 1 a write batch (see model::batch) | 2 database u32 LE, its policies u32 each
//!             | 3 policy u32 | 4 token u64 | 5 policy u32, before i64
//!             | 6 CRC-32 u32 LE of the write batch behind it: what is written now in place of 1
//!             | 7 a delete (see model::delete)
//! meta group  a catalog command (protobuf; its first byte is never 4) | 4, token u64
//! reply       empty: done | 1, text: refused
//! ```
//!
//! A batch is encoded by the node that takes the write and decoded by whoever applies it. In between, its checksum says
//! that it is what some node encoded, without a look at each row.

pub(crate) mod known;

use crate::type_config::Reply;
use bytes::{BufMut, Bytes, BytesMut};
use model::batch::{BatchError, BatchReader, BatchWriter};
use model::catalog::CatalogCommand;
use model::delete::DeleteError;
use model::limits::COMMAND_BYTES_MAX;
use model::{DatabaseId, Delete, GroupId, RetentionPolicyId};
use proto::DecodeError;

const WRITE: u8 = 1;
const DROP_DATABASE: u8 = 2;
const DROP_POLICY: u8 = 3;
const CHECKSUM: u8 = 4;
const DROP_BEFORE: u8 = 5;
const CHECKED_WRITE: u8 = 6;
const DELETE: u8 = 7;

/// Bytes before the batch of a [`CHECKED_WRITE`].
const CHECKED_HEAD: usize = 5;

const REFUSED: u8 = 1;

/// A command of a data group. All are idempotent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataCommand<'a> {
    /// Points: a `model::batch`. Refused if its database or policy was dropped.
    Write(&'a [u8]),
    /// Forget all points and series of a database that has these retention policies.
    DropDatabase(DatabaseId, Vec<RetentionPolicyId>),
    /// Forget all points of a retention policy.
    DropPolicy(RetentionPolicyId),
    /// Compute the checksum of the state here, and keep it under the token.
    Checksum(u64),
    /// Forget the shard groups of a retention policy that end at or before this time, ns.
    DropBefore(RetentionPolicyId, i64),
    /// Delete points by tags and times: a `model::Delete`.
    Delete(&'a [u8]),
}

/// A command of the meta group.
#[derive(Debug, Clone, PartialEq)]
pub enum MetaCommand {
    /// Change the catalog.
    Catalog(CatalogCommand),
    /// As for data groups.
    Checksum(u64),
}

/// What applying a command came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Done,
    /// Nothing was changed; the text is for the client.
    Refused(String),
}

/// Why bytes are no command.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The first byte is no kind known here, or nothing follows it.
    #[error("command kind {kind} is unknown or cut off")]
    Kind {
        /// The first byte; 0 if there is none.
        kind: u8,
    },
    /// Larger than an entry may be.
    #[error("command has {bytes} bytes, the limit is {COMMAND_BYTES_MAX}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The points are damaged.
    #[error("write batch")]
    Batch(#[from] BatchError),
    /// The points are not those that were encoded.
    #[error("write batch has checksum {found:08x}, expected {expected:08x}")]
    Checksum {
        /// What the bytes give.
        found: u32,
        /// What the command says.
        expected: u32,
    },
    /// The delete is damaged.
    #[error("delete")]
    Delete(#[from] DeleteError),
    /// The catalog command is damaged.
    #[error("catalog command")]
    Catalog(#[from] DecodeError),
}

/// The command that writes the points of a batch. It is refused where the batch's database or policy was dropped, and
/// only there.
pub fn write(batch: BatchWriter) -> Bytes {
    let mut out = Vec::with_capacity(batch.encoded_len() + CHECKED_HEAD);
    out.extend_from_slice(&[CHECKED_WRITE, 0, 0, 0, 0]);
    batch.finish(&mut out);
    let crc = crc32fast::hash(&out[CHECKED_HEAD..]);
    out[1..CHECKED_HEAD].copy_from_slice(&crc.to_le_bytes());
    out.into()
}

/// The command that forgets a database. `policies` are those it has, so that late writes to them are refused.
pub fn drop_database(database: DatabaseId, policies: Vec<RetentionPolicyId>) -> Bytes {
    encode(&DataCommand::DropDatabase(database, policies))
}

/// The command that forgets a retention policy.
pub fn drop_policy(policy: RetentionPolicyId) -> Bytes {
    encode(&DataCommand::DropPolicy(policy))
}

/// The command that forgets what is older than a retention policy keeps: shard groups that end at or before
/// `before_ns`.
pub fn drop_before(policy: RetentionPolicyId, before_ns: i64) -> Bytes {
    encode(&DataCommand::DropBefore(policy, before_ns))
}

/// The command that deletes points by tags and times. Every data group of the database's series must be told.
pub fn delete(delete: &Delete) -> Bytes {
    encode(&DataCommand::Delete(&delete.encode()))
}

/// The command, for any group, that makes every replica keep its checksum under `token`.
pub fn checksum(token: u64) -> Bytes {
    encode(&DataCommand::Checksum(token))
}

/// The command that changes the catalog.
pub fn catalog(command: &CatalogCommand) -> Bytes {
    proto::encode_catalog_command(command).into()
}

/// Whether a command stores points. Everything else goes on when the disk is nearly full: it frees space, or it is what
/// an operator needs to do so.
pub(crate) fn adds_data(group: GroupId, command: &[u8]) -> bool {
    !group.is_meta() && matches!(command.first(), Some(&(WRITE | CHECKED_WRITE)))
}

fn encode(command: &DataCommand<'_>) -> Bytes {
    let mut out = BytesMut::with_capacity(16);
    match command {
        DataCommand::Write(batch) => {
            out.put_u8(WRITE);
            out.put_slice(batch);
        }
        DataCommand::DropDatabase(database, policies) => {
            out.put_u8(DROP_DATABASE);
            out.put_u32_le(database.0);
            for policy in policies {
                out.put_u32_le(policy.0);
            }
        }
        DataCommand::DropPolicy(policy) => {
            out.put_u8(DROP_POLICY);
            out.put_u32_le(policy.0);
        }
        DataCommand::Checksum(token) => {
            out.put_u8(CHECKSUM);
            out.put_u64_le(*token);
        }
        DataCommand::DropBefore(policy, before) => {
            out.put_u8(DROP_BEFORE);
            out.put_u32_le(policy.0);
            out.put_i64_le(*before);
        }
        DataCommand::Delete(delete) => {
            out.put_u8(DELETE);
            out.put_slice(delete);
        }
    }
    out.freeze()
}

impl<'a> DataCommand<'a> {
    /// Reads a command. The rows of a write and the parts of a delete are not looked at, but a write's checksum is.
    ///
    /// # Errors
    ///
    /// [`CommandError::Kind`], [`CommandError::Checksum`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, CommandError> {
        let kind = bytes.first().copied().unwrap_or(0);
        let rest = bytes.get(1..).unwrap_or_default();
        let cut_off = || CommandError::Kind { kind };
        Ok(match kind {
            WRITE => Self::Write(rest),
            CHECKED_WRITE => {
                let expected = u32_at(rest, 0).ok_or_else(cut_off)?;
                let batch = &bytes[CHECKED_HEAD..];
                let found = crc32fast::hash(batch);
                if found != expected {
                    return Err(CommandError::Checksum { found, expected });
                }
                Self::Write(batch)
            }
            DROP_DATABASE if rest.len() % 4 == 0 => {
                let policies = (4..rest.len()).step_by(4).filter_map(|at| u32_at(rest, at));
                Self::DropDatabase(
                    DatabaseId(u32_at(rest, 0).ok_or_else(cut_off)?),
                    policies.map(RetentionPolicyId).collect(),
                )
            }
            DROP_POLICY => Self::DropPolicy(RetentionPolicyId(u32_at(rest, 0).ok_or_else(cut_off)?)),
            CHECKSUM => Self::Checksum(u64_at(rest, 0).ok_or_else(cut_off)?),
            DROP_BEFORE => Self::DropBefore(
                RetentionPolicyId(u32_at(rest, 0).ok_or_else(cut_off)?),
                u64_at(rest, 4).ok_or_else(cut_off)? as i64,
            ),
            DELETE => Self::Delete(rest),
            _ => return Err(cut_off()),
        })
    }
}

impl MetaCommand {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, CommandError> {
        match bytes.split_first() {
            Some((&CHECKSUM, rest)) => {
                Ok(Self::Checksum(u64_at(rest, 0).ok_or(CommandError::Kind { kind: CHECKSUM })?))
            }
            _ => Ok(Self::Catalog(proto::decode_catalog_command(bytes)?)),
        }
    }
}

/// Makes sure that a command can be applied before it is proposed: what stands in the log must be applicable everywhere,
/// because a replica that cannot apply an entry stops. A write batch of a version known here whose checksum is right is
/// what a node encoded, so its rows are not decoded; those of a batch without a checksum are.
///
/// # Errors
///
/// [`CommandError`].
pub(crate) fn check(group: GroupId, bytes: &[u8]) -> Result<(), CommandError> {
    if bytes.len() > COMMAND_BYTES_MAX {
        return Err(CommandError::TooLarge { bytes: bytes.len() });
    }
    if group.is_meta() {
        MetaCommand::decode(bytes)?;
        return Ok(());
    }
    match DataCommand::decode(bytes)? {
        DataCommand::Write(batch) => {
            let rows = BatchReader::new(batch)?;
            if bytes.first() == Some(&WRITE) {
                for row in rows {
                    row?;
                }
            }
        }
        DataCommand::Delete(delete) => drop(Delete::decode(delete)?),
        DataCommand::DropDatabase(..)
        | DataCommand::DropPolicy(_)
        | DataCommand::Checksum(_)
        | DataCommand::DropBefore(..) => {}
    }
    Ok(())
}

impl Outcome {
    pub(crate) fn encode(&self) -> Reply {
        let mut out = BytesMut::new();
        match self {
            Self::Done => {}
            Self::Refused(text) => {
                out.put_u8(REFUSED);
                out.put_slice(text.as_bytes());
            }
        }
        Reply(out.freeze())
    }
}

impl Reply {
    /// What the state machine did. Bytes of a later version read as done: they come only after applying.
    pub fn outcome(&self) -> Outcome {
        match self.0.split_first() {
            Some((&REFUSED, text)) => Outcome::Refused(String::from_utf8_lossy(text).into_owned()),
            _ => Outcome::Done,
        }
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::batch::BatchHeader;
    use model::time::ShardOrigin;
    use proptest::prelude::*;

    #[test]
    fn commands_come_back_as_they_were() {
        let policy = RetentionPolicyId(7);
        for command in [
            DataCommand::DropDatabase(DatabaseId(3), vec![]),
            DataCommand::DropDatabase(DatabaseId(3), vec![policy, RetentionPolicyId(8)]),
            DataCommand::DropPolicy(policy),
            DataCommand::Checksum(u64::MAX),
            DataCommand::DropBefore(policy, -5),
            DataCommand::Delete(b"delete"),
            DataCommand::Write(b"batch"),
            DataCommand::Write(b""),
        ] {
            assert_eq!(DataCommand::decode(&encode(&command)).unwrap(), command);
        }
        assert_eq!(MetaCommand::decode(&checksum(9)).unwrap(), MetaCommand::Checksum(9));
        let drop = CatalogCommand::DropDatabase { name: "d".into() };
        assert_eq!(MetaCommand::decode(&catalog(&drop)).unwrap(), MetaCommand::Catalog(drop));
    }

    #[test]
    fn replies_come_back_as_they_were() {
        for outcome in [Outcome::Done, Outcome::Refused("database not found: x".into())] {
            assert_eq!(outcome.encode().outcome(), outcome);
        }
        assert_eq!(Reply::default().outcome(), Outcome::Done);
    }

    #[test]
    fn what_cannot_be_applied_is_not_proposed() {
        let data = GroupId(1);
        let header = BatchHeader {
            database: DatabaseId(1),
            policy: RetentionPolicyId(1),
            shard_duration_ns: 1,
            shard_origin: ShardOrigin::YearOne,
        };
        check(data, &write(BatchWriter::new(header))).unwrap();
        assert!(check(data, b"").is_err());
        assert!(check(data, &[WRITE, 99]).is_err());
        assert!(check(data, &[DROP_POLICY, 1, 2, 3]).is_err());
        assert!(check(data, &[DROP_DATABASE, 1, 2, 3, 4, 5]).is_err());
        assert!(check(data, &[200, 1]).is_err());
        let everything = Delete {
            database: DatabaseId(1),
            policy: None,
            measurements: model::delete::Measurements::All,
            predicate: model::TagPredicate::All,
            range: model::TimeRange::ALL,
        };
        check(data, &delete(&everything)).unwrap();
        assert!(check(data, &[DELETE]).is_err());
        assert!(check(data, &[DELETE, 1, 1, 0, 0, 2, 2, 1, b'(', 0]).is_err());
        assert!(check(data, &vec![0; COMMAND_BYTES_MAX + 1]).is_err());
        assert!(check(GroupId::META, b"").is_err());
    }

    fn one_row() -> Bytes {
        let header = BatchHeader {
            database: DatabaseId(1),
            policy: RetentionPolicyId(1),
            shard_duration_ns: 1,
            shard_origin: ShardOrigin::YearOne,
        };
        let mut batch = BatchWriter::new(header);
        let series = batch.add_series(b"m,a=1");
        let value = model::value::ValueRef::Integer(7);
        batch.push(&model::batch::Row { series, time: 5, field: model::FieldId(3), value });
        write(batch)
    }

    #[test]
    fn a_write_without_a_checksum_is_still_read() {
        let checked = one_row();
        let DataCommand::Write(batch) = DataCommand::decode(&checked).unwrap() else { panic!() };
        let old = encode(&DataCommand::Write(batch));
        assert_eq!(old[0], WRITE);
        check(GroupId(1), &old).unwrap();
        assert_eq!(DataCommand::decode(&old).unwrap(), DataCommand::Write(batch));
        assert!(check(GroupId(1), &old[..old.len() - 1]).is_err(), "its rows are looked at");
    }

    #[test]
    fn a_flipped_bit_in_a_write_is_neither_proposed_nor_applied() {
        let good = one_row();
        check(GroupId(1), &good).unwrap();
        for bit in 8..good.len() * 8 {
            let mut flipped = good.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(check(GroupId(1), &flipped), Err(CommandError::Checksum { .. })), "bit {bit}");
            assert!(DataCommand::decode(&flipped).is_err());
        }
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(kind in 0u8..9, bytes: Vec<u8>) {
            let bytes = [&[kind], &bytes[..]].concat();
            drop(check(GroupId(1), &bytes));
            drop(check(GroupId::META, &bytes));
        }
    }
}
