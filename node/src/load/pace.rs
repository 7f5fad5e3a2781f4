//! When the next scrape is due and which timestamp it gets.
//!
//! Three ways: *live*, one scrape each interval of the wall clock, as Heapster does; *paced*, so many points a second
//! whatever the servers do; *unpaced*, as fast as the servers take them. The last two write history that ends about now,
//! because their timestamps run faster than the clock.

use crate::cli::LoadArgs;
use crate::clock::SystemClock;
use crate::shutdown::stopped;
use model::Clock;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// How far back an unpaced run without an end begins.
const UNKNOWN_SCRAPES: u64 = 8_640;

/// Hands out the timestamps of scrapes until the run is over.
#[derive(Debug)]
pub(super) struct Pace {
    mode: Mode,
    scrapes_left: u64,
    started: Instant,
    ends: Option<Instant>,
    points_sent: u64,
    interval_ns: i64,
    next_ns: i64,
    stop: watch::Receiver<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Live,
    /// Points a second.
    Paced(u64),
    Unpaced,
}

impl Pace {
    pub(super) fn new(args: &LoadArgs, points_per_scrape: u64, stop: watch::Receiver<bool>) -> Self {
        let mode = match (args.rate, args.scrapes) {
            (Some(0), _) | (None, Some(_)) => Mode::Unpaced,
            (Some(rate), _) => Mode::Paced(rate),
            (None, None) => Mode::Live,
        };
        let interval_ns = i64::try_from(args.interval.as_nanos()).unwrap_or(i64::MAX).max(1);
        let scrapes = expected_scrapes(args, mode, points_per_scrape);
        let now_ns = SystemClock.now_ns();
        let aligned_ns = now_ns - now_ns.rem_euclid(interval_ns);
        let history_ns =
            i64::try_from(scrapes.saturating_sub(1)).unwrap_or(i64::MAX).saturating_mul(interval_ns);
        let next_ns = match args.start {
            Some(seconds) => seconds.saturating_mul(1_000_000_000),
            None => aligned_ns.saturating_sub(history_ns),
        };
        let started = Instant::now();
        Self {
            mode,
            scrapes_left: args.scrapes.unwrap_or(u64::MAX),
            started,
            ends: args.duration.map(|duration| started + duration),
            points_sent: 0,
            interval_ns,
            next_ns,
            stop,
        }
    }

    /// The timestamp of the next scrape, once it is due; `None` when the run is over.
    pub(super) async fn next_scrape(&mut self) -> Option<i64> {
        if self.scrapes_left == 0 || self.is_over() {
            return None;
        }
        if self.mode == Mode::Live {
            let early_ns = u64::try_from(self.next_ns - SystemClock.now_ns()).unwrap_or(0);
            // A clock that was set back must not stop the load for longer than an interval.
            let wait = Duration::from_nanos(early_ns.min(self.interval_ns.unsigned_abs()));
            if !self.wait_until(Instant::now() + wait).await {
                return None;
            }
        }
        self.scrapes_left -= 1;
        let ns = self.next_ns;
        self.next_ns += self.interval_ns;
        Some(ns)
    }

    /// Waits until a batch of so many points is due; false when the run is over.
    pub(super) async fn before_batch(&mut self, points: u64) -> bool {
        if let Mode::Paced(rate) = self.mode {
            // An open loop: servers that are late do not slow the load down.
            let due = self.started + Duration::from_secs_f64(self.points_sent as f64 / rate as f64);
            if !self.wait_until(due).await {
                return false;
            }
        }
        self.points_sent += points;
        !self.is_over()
    }

    fn is_over(&self) -> bool {
        *self.stop.borrow() || self.ends.is_some_and(|ends| Instant::now() >= ends)
    }

    /// False when the run ended meanwhile.
    async fn wait_until(&mut self, due: Instant) -> bool {
        let wake = self.ends.map_or(due, |ends| ends.min(due));
        tokio::select! {
            () = sleep_until(wake) => !self.is_over(),
            () = stopped(&mut self.stop) => false,
        }
    }
}

fn expected_scrapes(args: &LoadArgs, mode: Mode, points_per_scrape: u64) -> u64 {
    let by_time = match (mode, args.duration) {
        (Mode::Live, _) => return 1,
        (Mode::Paced(rate), Some(duration)) => {
            let scrapes = rate as f64 * duration.as_secs_f64() / points_per_scrape.max(1) as f64;
            Some(scrapes.ceil() as u64)
        }
        (Mode::Paced(_) | Mode::Unpaced, _) => None,
    };
    match (args.scrapes, by_time) {
        (Some(scrapes), Some(by_time)) => scrapes.min(by_time),
        (Some(scrapes), None) => scrapes,
        (None, Some(by_time)) => by_time,
        (None, None) => UNKNOWN_SCRAPES,
    }
}
