//! How many bytes a group's log holds, and from which entry on it holds so many: what purging by bytes asks.
//!
//! Kept in runs of entries, not entry by entry: a log of many small entries must not cost as much memory as they do.

use std::collections::VecDeque;

/// Bytes after which a run is full. Answers are right to about one run.
const RUN_BYTES: u64 = 128 << 10;

/// The bytes of the entries of one group, oldest first.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    runs: VecDeque<Run>,
    bytes: u64,
}

#[derive(Debug, Clone, Copy)]
struct Run {
    first: u64,
    last: u64,
    bytes: u64,
}

impl Sizes {
    /// Takes in the next entry.
    pub(super) fn push(&mut self, index: u64, len: usize) {
        let len = len as u64;
        self.bytes += len;
        match self.runs.back_mut() {
            Some(run) if run.bytes < RUN_BYTES => {
                run.last = index;
                run.bytes += len;
            }
            _ => self.runs.push_back(Run { first: index, last: index, bytes: len }),
        }
    }

    /// Forgets the entries from `end` on.
    pub(super) fn truncate(&mut self, end: u64) {
        while self.runs.back().is_some_and(|run| run.first >= end) {
            self.runs.pop_back();
        }
        if let Some(run) = self.runs.back_mut()
            && run.last >= end
        {
            let kept = part(run, end);
            *run = Run { last: end - 1, bytes: kept, ..*run };
        }
        self.bytes = self.runs.iter().map(|run| run.bytes).sum();
    }

    /// Forgets the entries below `first`.
    pub(super) fn purge(&mut self, first: u64) {
        while self.runs.front().is_some_and(|run| run.last < first) {
            self.runs.pop_front();
        }
        if let Some(run) = self.runs.front_mut()
            && run.first < first
        {
            let gone = part(run, first);
            *run = Run { first, bytes: run.bytes - gone, ..*run };
        }
        self.bytes = self.runs.iter().map(|run| run.bytes).sum();
    }

    /// Bytes of all entries.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The last entry to purge so that about `keep` bytes stay, those of the newest entries; `None` if no more are
    /// there.
    pub(super) fn excess(&self, keep: u64) -> Option<u64> {
        let mut kept = 0;
        for run in self.runs.iter().rev() {
            if kept + run.bytes > keep {
                let more = keep - kept;
                let entries = run.last - run.first + 1;
                let stay = u128::from(more) * u128::from(entries) / u128::from(run.bytes.max(1));
                return (run.last + 1).checked_sub(stay as u64 + 1);
            }
            kept += run.bytes;
        }
        None
    }
}

/// Bytes of the entries of a run below `end`, as if they were equal.
fn part(run: &Run, end: u64) -> u64 {
    let entries = run.last - run.first + 1;
    (u128::from(run.bytes) * u128::from(end - run.first) / u128::from(entries)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(entries: u64, len: usize) -> Sizes {
        let mut sizes = Sizes::default();
        (1..=entries).for_each(|index| sizes.push(index, len));
        sizes
    }

    #[test]
    fn the_newest_entries_stay() {
        let sizes = filled(1_000, 1_000);
        assert_eq!(sizes.bytes(), 1_000_000);
        assert_eq!(sizes.excess(1_000_000), None);
        assert_eq!(sizes.excess(100_000), Some(900));
        assert_eq!(sizes.excess(0), Some(1_000));
        assert_eq!(Sizes::default().excess(0), None);
    }

    proptest! {
        #[test]
        fn bytes_follow_every_change(len in 1usize..200_000, cut in 1u64..400, purge in 1u64..400) {
            let mut sizes = filled(300, len);
            sizes.truncate(cut);
            sizes.purge(purge);
            let left = cut.min(301).saturating_sub(purge);
            prop_assert!(sizes.bytes().abs_diff(left * len as u64) <= 2, "{} of {left}", sizes.bytes());
            sizes.push(cut.min(301).max(purge), len);
            prop_assert!(sizes.excess(0).is_some());
        }
    }
}
