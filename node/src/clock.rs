//! The system's clock: the one place of the product that reads wall time. Everybody else takes a [`model::Clock`],
//! so that tests and simulations can bring their own.

mod agreed;

pub(crate) use agreed::{ClusterClock, agree};

use model::Clock;
use std::time::{SystemTime, UNIX_EPOCH};

/// The machine's wall clock. It may jump; nothing but default timestamps and `now()` may depend on it.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ns(&self) -> i64 {
        #[expect(clippy::disallowed_methods, reason = "this is the door to the wall clock")]
        let now = SystemTime::now();
        match now.duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_tells_this_century() {
        let ns = SystemClock.now_ns();
        assert!(ns > 1_600_000_000_000_000_000, "{ns}");
    }
}
