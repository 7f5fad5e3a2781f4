//! The batches of all groups while one body is prepared, and the commands they become.

use bytes::Bytes;
use hashbrown::HashMap;
use model::batch::{BatchHeader, BatchWriter, RowSeries};
use model::limits::COMMAND_BYTES_MAX;
use model::line_protocol::Field;
use model::{FieldId, GroupId, SeriesId};
use storage::KeyHash;

/// A command is closed when it reaches this many bytes: far below the hard limit, so that a group's leader never holds
/// up its heartbeats for one entry.
const COMMAND_BYTES_AIM: usize = COMMAND_BYTES_MAX / 8;
/// A row of a long line costs at most this part of its bytes; of short lines it takes more, and the buffer grows.
const LINE_BYTES_PER_ROW_BYTE: usize = 16;

/// Batches by group.
#[derive(Debug)]
pub(super) struct Batches {
    header: BatchHeader,
    row_bytes: usize,
    groups: Vec<GroupBatch>,
}

/// What goes to one group.
#[derive(Debug, Default)]
struct GroupBatch {
    writer: Option<BatchWriter>,
    /// Series the group lacks: their place in the command of this number.
    new: HashMap<KeyHash, (usize, RowSeries)>,
    closed: Vec<Bytes>,
}

/// A place for the rows of one point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'k> {
    pub(super) group: GroupId,
    pub(super) hash: KeyHash,
    /// The id, if the group knows the series.
    pub(super) series: Option<SeriesId>,
    /// The canonical key.
    pub(super) key: &'k [u8],
}

impl Batches {
    /// Empty batches, with room for the rows of a body of `body_bytes` in `groups` groups.
    pub(super) fn new(header: BatchHeader, body_bytes: usize, groups: usize) -> Self {
        let share = body_bytes / groups.max(1) / LINE_BYTES_PER_ROW_BYTE;
        Self { header, row_bytes: share.min(COMMAND_BYTES_AIM + (64 << 10)), groups: Vec::new() }
    }

    /// Appends a point: the fields whose places and ids are given.
    pub(super) fn push(&mut self, to: Target<'_>, time: i64, fields: &[Field<'_>], ids: &[(usize, FieldId)]) {
        let place = to.group.0 as usize;
        if self.groups.len() <= place {
            self.groups.resize_with(place + 1, GroupBatch::default);
        }
        let group = &mut self.groups[place];
        let mut writer = match group.writer.take() {
            Some(writer) => writer,
            None => BatchWriter::with_capacity(self.header, self.row_bytes),
        };
        let series = match to.series {
            Some(id) => RowSeries::Known(id),
            None => group.name(to, &mut writer),
        };
        for (field, id) in ids {
            writer.push_value(series, time, *id, &fields[*field].value);
        }
        if writer.encoded_len() >= COMMAND_BYTES_AIM {
            group.closed.push(raft::command::write(writer));
        } else {
            group.writer = Some(writer);
        }
    }

    /// The commands, in the order in which they must be submitted, group by group.
    pub(super) fn into_commands(self) -> Vec<(GroupId, Vec<Bytes>)> {
        let groups = self.groups.into_iter().enumerate();
        let commands = groups.map(|(group, mut batch)| {
            batch.closed.extend(batch.writer.map(raft::command::write));
            (GroupId(group as u32), batch.closed)
        });
        commands.filter(|(_, commands)| !commands.is_empty()).collect()
    }
}

impl GroupBatch {
    /// Names a new series in the command that is being filled, bringing its key if that has not been done.
    fn name(&mut self, to: Target<'_>, writer: &mut BatchWriter) -> RowSeries {
        let command = self.closed.len();
        if let Some((named_in, series)) = self.new.get(&to.hash)
            && *named_in == command
        {
            return *series;
        }
        let series = writer.add_series(to.key);
        self.new.insert(to.hash, (command, series));
        series
    }
}
