//! Checksums that a replica computed at the index of a checksum command, for comparison with other replicas.

use parking_lot::Mutex;
use std::collections::VecDeque;

/// How many are remembered; the oldest goes first.
const KEPT: usize = 64;

/// The checksum of a group's state at a log index. Equal on all replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChecksumAt {
    /// The log index.
    pub index: u64,
    /// The checksum.
    pub value: u64,
}

/// Token → checksum, bounded.
#[derive(Debug, Default)]
pub(crate) struct Checksums(Mutex<VecDeque<(u64, ChecksumAt)>>);

impl Checksums {
    pub(crate) fn insert(&self, token: u64, checksum: ChecksumAt) {
        let mut kept = self.0.lock();
        kept.retain(|(known, _)| *known != token);
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back((token, checksum));
    }

    pub(crate) fn get(&self, token: u64) -> Option<ChecksumAt> {
        self.0.lock().iter().find(|(known, _)| *known == token).map(|(_, checksum)| *checksum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_kept() {
        let checksums = Checksums::default();
        for token in 0..=KEPT as u64 {
            checksums.insert(token, ChecksumAt { index: token, value: 0 });
        }
        assert_eq!(checksums.get(0), None);
        assert_eq!(checksums.get(1).map(|c| c.index), Some(1));
        checksums.insert(1, ChecksumAt { index: 99, value: 0 });
        assert_eq!(checksums.get(1).map(|c| c.index), Some(99));
        assert_eq!(checksums.get(2).map(|c| c.index), Some(2));
    }
}
