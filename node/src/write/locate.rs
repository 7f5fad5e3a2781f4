//! Which group and series the lines of a body belong to, many lines at a time.
//!
//! The bytes of a key as sent are placed, hashed and looked up as if they were canonical. Groups know canonical keys
//! only, so a hit is the series, and its tags need not be taken apart; what is not found goes the whole way: parsed,
//! made canonical, and looked up again if that changed it. A group's lock is taken once for all lines that go there.

use super::directory::SeriesDirectory;
use super::prepare::Surroundings;
use model::line_protocol::{LineReader, RawLines, Reason};
use model::placement::Slotter;
use model::{DatabaseId, GroupId, SeriesId};
use std::borrow::Cow;
use storage::KeyHash;

/// Lines located at once: enough that a lock costs a line nothing, few enough that their bytes stay in the cache until
/// the values are read.
const LINES_AT_ONCE: usize = 512;
/// Bytes of a short line, to guess how many a small body has.
const LINE_BYTES: usize = 32;

/// A line and where it belongs.
#[derive(Debug)]
pub(super) struct Located<'a> {
    /// The line.
    pub(super) text: &'a [u8],
    /// Bytes of the key in it.
    pub(super) key_len: u32,
    measurement_len: u32,
    key: Key<'a>,
    /// The group of its series; nothing if the key is wrong.
    pub(super) group: GroupId,
    /// Its series.
    pub(super) hash: KeyHash,
    /// The id of the series, if the group knows it.
    pub(super) series: Option<SeriesId>,
}

#[derive(Debug)]
enum Key<'a> {
    AsSent,
    Canonical(Cow<'a, [u8]>),
    Wrong(Reason),
}

impl Located<'_> {
    /// The canonical key, or what is wrong with it.
    pub(super) fn key(&self) -> Result<&[u8], &Reason> {
        match &self.key {
            Key::AsSent => Ok(&self.text[..self.key_len as usize]),
            Key::Canonical(key) => Ok(key),
            Key::Wrong(reason) => Err(reason),
        }
    }

    /// Bytes of the escaped measurement at the start of the canonical key.
    pub(super) fn measurement_len(&self) -> usize {
        self.measurement_len as usize
    }
}

/// Locates the lines of one body.
pub(super) struct Locator<'a, 'c> {
    lines: RawLines<'a>,
    series: &'c dyn SeriesDirectory,
    slots: &'c [GroupId],
    database: DatabaseId,
    slotter: Slotter,
    located: Vec<Located<'a>>,
    /// What is to be looked up, by group id.
    wanted: Vec<Wanted>,
    /// Lines whose keys must be parsed.
    unclear: Vec<usize>,
}

/// What is to be looked up in one group.
#[derive(Debug)]
struct Wanted {
    hashes: Vec<KeyHash>,
    lines: Vec<usize>,
    found: Vec<Option<SeriesId>>,
}

impl Wanted {
    fn with_capacity(lines: usize) -> Self {
        Self {
            hashes: Vec::with_capacity(lines),
            lines: Vec::with_capacity(lines),
            found: Vec::with_capacity(lines),
        }
    }
}

impl<'a, 'c> Locator<'a, 'c> {
    pub(super) fn new(body: &'a [u8], around: &Surroundings<'c>) -> Self {
        let groups = around.slots.iter().map(|group| group.0 as usize + 1).max().unwrap_or(0).max(2);
        let lines = (body.len() / LINE_BYTES).clamp(1, LINES_AT_ONCE);
        // The slots are spread evenly, but not that evenly.
        let share = 2 * lines / (groups - 1) + 1;
        let wanted = (0..groups).map(|_| Wanted::with_capacity(share)).collect();
        Self {
            lines: RawLines::new(body),
            series: around.series,
            slots: around.slots,
            database: around.database.id,
            slotter: Slotter::new(&around.database.name),
            located: Vec::with_capacity(lines),
            wanted,
            unclear: Vec::new(),
        }
    }

    /// The next lines, in their order; none at the end of the body.
    pub(super) fn next(&mut self, reader: &mut LineReader<'a>) -> &[Located<'a>] {
        self.located.clear();
        self.unclear.clear();
        self.scan();
        self.look_up();
        self.parse_unclear(reader);
        self.look_up();
        &self.located
    }

    /// Takes lines in and asks for their keys as they were sent.
    fn scan(&mut self) {
        for line in 0..LINES_AT_ONCE {
            let Some(raw) = self.lines.next() else { return };
            self.located.push(Located {
                text: raw.text,
                key_len: raw.key.map_or(0, |key| key.len),
                measurement_len: raw.key.map_or(0, |key| key.measurement_len),
                key: Key::AsSent,
                group: GroupId::META,
                hash: KeyHash::default(),
                series: None,
            });
            match raw.key {
                Some(key) => self.want(line, &raw.text[..key.len as usize]),
                None => self.unclear.push(line),
            }
        }
    }

    /// Asks for the series with this key; its line must be located already.
    fn want(&mut self, line: usize, key: &[u8]) {
        let slot = self.slotter.slot(key);
        let group = self.slots.get(usize::from(slot)).copied().unwrap_or(GroupId(1));
        let hash = KeyHash::of(self.database, key);
        let located = &mut self.located[line];
        located.group = group;
        located.hash = hash;
        let wanted = &mut self.wanted[group.0 as usize];
        wanted.hashes.push(hash);
        wanted.lines.push(line);
    }

    /// Answers all that was asked for; what is not known is unclear, unless its key is parsed already.
    fn look_up(&mut self) {
        for (group, wanted) in self.wanted.iter_mut().enumerate() {
            if wanted.lines.is_empty() {
                continue;
            }
            self.series.lookup(GroupId(group as u32), &wanted.hashes, &mut wanted.found);
            for (line, series) in wanted.lines.drain(..).zip(wanted.found.drain(..)) {
                let located = &mut self.located[line];
                located.series = series;
                if series.is_none() && matches!(located.key, Key::AsSent) {
                    self.unclear.push(line);
                }
            }
            wanted.hashes.clear();
        }
    }

    /// Parses the keys that are unclear, and asks for those that are not what was sent.
    fn parse_unclear(&mut self, reader: &mut LineReader<'a>) {
        for place in 0..self.unclear.len() {
            let line = self.unclear[place];
            let located = &mut self.located[line];
            let key = match reader.key(located.text) {
                Ok(key) => key,
                Err(reason) => {
                    located.key = Key::Wrong(reason);
                    continue;
                }
            };
            let asked =
                key.canonical.len() == located.key_len as usize && matches!(key.canonical, Cow::Borrowed(_));
            located.key_len = key.raw_len as u32;
            located.measurement_len = key.measurement_len;
            let canonical = key.canonical;
            if !asked {
                self.want(line, &canonical);
            }
            self.located[line].key = Key::Canonical(canonical);
        }
    }
}
