//! How fast the disk of this node's Raft log is. A node whose fsyncs take too long does not lead: what it leads waits for
//! it, and others are as good.
//!
//! A disk is slow when the fsyncs between two looks took too long on average, or one that has not returned does already. It
//! is fast again when they took less than half of that for a while, so that leadership does not go to and fro.

use std::time::Duration;
use storage::log::LogStats;
use tokio::time::Instant;

/// How long a disk that was slow has to be fast before its node may lead again.
const RECOVERED_AFTER: Duration = Duration::from_secs(30);
/// Fewest fsyncs that say something. A quiet node has some all the same: purges and votes of its groups.
const SYNCS_MIN: u64 = 3;

/// What was seen of the disk.
#[derive(Debug)]
pub(super) struct DiskPace {
    /// An fsync that takes longer on average is slow; zero: none is.
    limit: Duration,
    /// Counters at the last look, `None` before the first.
    seen: Option<LogStats>,
    /// Whether it is slow, and since when it was not.
    slow: Option<Slow>,
}

#[derive(Debug, Clone, Copy)]
struct Slow {
    fast_since: Option<Instant>,
}

impl DiskPace {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, seen: None, slow: None }
    }

    /// Looks at the counters, and tells whether the disk is slow.
    pub(super) fn look(&mut self, stats: LogStats, now: Instant) -> bool {
        if self.limit.is_zero() {
            return false;
        }
        let took = self.took(&stats);
        match (took, &mut self.slow) {
            (Some(took), slow) if took >= self.limit => *slow = Some(Slow { fast_since: None }),
            (Some(took), Some(slow)) if took < self.limit / 2 => {
                let since = *slow.fast_since.get_or_insert(now);
                if now.duration_since(since) >= RECOVERED_AFTER {
                    self.slow = None;
                }
            }
            (Some(_), Some(slow)) => slow.fast_since = None,
            (Some(_) | None, _) => {}
        }
        self.slow.is_some()
    }

    /// How long fsyncs took since the last look; `None` if there were too few to tell.
    fn took(&mut self, stats: &LogStats) -> Option<Duration> {
        let running = Duration::from_nanos(stats.sync_running_ns);
        // A log that was opened again counts anew.
        let before = self.seen.filter(|seen| seen.syncs <= stats.syncs && seen.sync_ns <= stats.sync_ns);
        let (syncs, ns) = before.map_or((0, 0), |seen| (seen.syncs, seen.sync_ns));
        let count = stats.syncs - syncs;
        if running >= self.limit {
            return Some(running);
        }
        if before.is_some() && count < SYNCS_MIN {
            // They count at a later look.
            return None;
        }
        self.seen = Some(*stats);
        let mean = (stats.sync_ns - ns).checked_div(count).map(Duration::from_nanos);
        mean.filter(|_| before.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(500);

    fn stats(syncs: u64, sync_ms: u64, running_ms: u64) -> LogStats {
        let (sync_ns, sync_running_ns) = (sync_ms * 1_000_000, running_ms * 1_000_000);
        LogStats { syncs, sync_ns, sync_running_ns, ..LogStats::default() }
    }

    #[test]
    fn the_mean_since_the_last_look_decides() {
        let (mut pace, now) = (DiskPace::new(LIMIT), Instant::now());
        assert!(!pace.look(stats(1, 90_000, 0), now), "what was before the first look says nothing");
        assert!(!pace.look(stats(11, 91_000, 0), now), "100 ms each");
        assert!(!pace.look(stats(13, 93_000, 0), now), "two are too few");
        assert!(pace.look(stats(15, 95_000, 0), now), "four with a second each");
    }

    #[test]
    fn an_fsync_that_does_not_return_is_slow() {
        let (mut pace, now) = (DiskPace::new(LIMIT), Instant::now());
        pace.look(stats(5, 50, 0), now);
        assert!(!pace.look(stats(5, 50, 499), now));
        assert!(pace.look(stats(5, 50, 500), now));
    }

    #[test]
    fn it_is_fast_again_after_a_while_of_fast_ones() {
        let (mut pace, start) = (DiskPace::new(LIMIT), Instant::now());
        pace.look(stats(0, 0, 0), start);
        assert!(pace.look(stats(10, 10_000, 0), start));
        let mut syncs = 10;
        let mut look = |ms_each: u64, at: Duration| {
            syncs += 10;
            pace.look(stats(syncs, 10_000 + syncs * ms_each, 0), start + at)
        };
        assert!(look(10, Duration::ZERO));
        assert!(look(10, RECOVERED_AFTER / 2));
        assert!(!look(10, RECOVERED_AFTER));
    }

    #[test]
    fn half_fast_is_not_fast() {
        let (mut pace, start) = (DiskPace::new(LIMIT), Instant::now());
        pace.look(stats(0, 0, 0), start);
        assert!(pace.look(stats(10, 10_000, 0), start));
        assert!(pace.look(stats(20, 10_100, 0), start));
        assert!(pace.look(stats(30, 14_100, 0), start + RECOVERED_AFTER), "400 ms each");
        assert!(pace.look(stats(40, 14_200, 0), start + RECOVERED_AFTER));
        assert!(!pace.look(stats(50, 14_300, 0), start + 2 * RECOVERED_AFTER));
    }

    #[test]
    fn without_a_limit_nothing_is_slow() {
        let mut pace = DiskPace::new(Duration::ZERO);
        pace.look(stats(0, 0, 0), Instant::now());
        assert!(!pace.look(stats(10, 100_000, 90_000), Instant::now()));
    }

    #[test]
    fn a_log_that_was_opened_again_counts_anew() {
        let (mut pace, now) = (DiskPace::new(LIMIT), Instant::now());
        pace.look(stats(100, 10_000, 0), now);
        assert!(!pace.look(stats(4, 8_000, 0), now), "of all that was before this look");
        assert!(pace.look(stats(8, 16_000, 0), now));
    }
}
