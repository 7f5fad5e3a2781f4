//! Known bugs, put back on purpose to see whether the simulation catches them.
//!
//! Without the feature `bugs`, which no product is built with, there are none: [`is`] is a constant then, and what it
//! guards is not compiled in.

/// A bug that can be put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Bug {
    /// Entries are acknowledged before they are synced.
    AckBeforeFsync = 1,
    /// A vote is given before it is synced.
    VoteNotSynced = 2,
    /// Where the log begins is not kept when it is purged.
    LostPurgeMarker = 3,
    /// The marker of what is applied is flushed without the points.
    NoAtomicFlush = 4,
    /// An entry is applied again after the next one.
    ApplyTwice = 5,
    /// A replica answers without asking whether it is up to date.
    StaleRead = 6,
    /// What an entry does depends on the wall clock.
    ClockInApply = 7,
    /// An installed snapshot leaves the state of before in place.
    OldStateStays = 8,
    /// A retried write is stamped again.
    StampedAgain = 9,
    /// A snapshot counts as made before the state is flushed, and the log is purged up to it.
    PurgeBeforeFlush = 10,
    /// A node that lost its volume comes back under the id it had. The simulation does that by itself.
    NodeIdReused = 11,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::AckBeforeFsync,
        Self::VoteNotSynced,
        Self::LostPurgeMarker,
        Self::NoAtomicFlush,
        Self::ApplyTwice,
        Self::StaleRead,
        Self::ClockInApply,
        Self::OldStateStays,
        Self::StampedAgain,
        Self::PurgeBeforeFlush,
        Self::NodeIdReused,
    ];

    /// What it is, in words.
    pub fn text(self) -> &'static str {
        match self {
            Self::AckBeforeFsync => "entries are acknowledged before they are synced",
            Self::VoteNotSynced => "a vote is given before it is synced",
            Self::LostPurgeMarker => "where the log begins is not kept when it is purged",
            Self::NoAtomicFlush => "the marker of what is applied is flushed without the points",
            Self::ApplyTwice => "an entry is applied again after the next one",
            Self::StaleRead => "a replica answers without asking whether it is up to date",
            Self::ClockInApply => "what an entry does depends on the wall clock",
            Self::OldStateStays => "an installed snapshot leaves the state of before in place",
            Self::StampedAgain => "a retried write is stamped again",
            Self::PurgeBeforeFlush => "the log is purged up to what is applied, not to what is flushed",
            Self::NodeIdReused => "a node that lost its volume comes back under the id it had",
        }
    }
}

#[cfg(feature = "bugs")]
static CHOSEN: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);

/// Puts the bug with this number back.
#[cfg(feature = "bugs")]
pub fn choose(number: u8) {
    CHOSEN.store(number, std::sync::atomic::Ordering::Relaxed);
}

/// Whether the bug was put back.
#[cfg(feature = "bugs")]
pub fn is(bug: Bug) -> bool {
    CHOSEN.load(std::sync::atomic::Ordering::Relaxed) == bug as u8
}

/// Whether the bug was put back: never.
#[cfg(not(feature = "bugs"))]
pub const fn is(_bug: Bug) -> bool {
    false
}
