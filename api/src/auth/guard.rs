//! How often somebody may be wrong: failed logins are counted by address and name, and by address alone, and above the
//! limit the next one has to wait. Asked by both ports before a secret is verified.
//!
//! What was right once from an address is let through while others fail there: a collector must not be locked out by
//! somebody who guesses its password behind the same address. Whoever waits is answered 429 with `Retry-After`, not 401:
//! a client may take 401 for the last word, and 429 is everywhere a word for "later".

use crate::error::Failure;
use axum::http::StatusCode;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use tokio::time::{Duration, Instant};

/// Time in which a name gets all its attempts back.
const WINDOW: Duration = Duration::from_secs(60);
/// Times the limit that failures may add up to: whoever guesses in parallel waits for an hour at most.
const DEBT_MAX: f64 = 60.0;
/// Attempts of an address for each that one of its names has.
const NAMES: u32 = 10;
/// Counts kept, about 100 bytes each; the oldest goes first. Who fills the table waits for its address all the same.
const COUNTED_MAX: usize = 10_000;
/// Secrets remembered that were right.
const RIGHT_MAX: usize = 10_000;

/// Who tries, and with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attempt {
    address: Option<IpAddr>,
    name: u64,
    secret: u64,
}

/// Failed logins of a listener.
#[derive(Debug)]
pub(crate) struct Guard {
    /// Failures in [`WINDOW`]; 0: nothing is counted.
    limit: u32,
    /// Its keys are of this process: nobody can make two names or secrets meet.
    hasher: RandomState,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    /// By address and name, and by address (name 0).
    failures: HashMap<(IpAddr, u64), Failures>,
    /// By address and secret: when it was right last.
    right: HashMap<(IpAddr, u64), Instant>,
}

/// A bucket that leaks.
#[derive(Debug, Clone, Copy)]
struct Failures {
    level: f64,
    at: Instant,
}

impl Failures {
    /// What is left of it, if so much leaks in [`WINDOW`].
    fn leaked(self, capacity: f64, now: Instant) -> f64 {
        let gone = now.saturating_duration_since(self.at).as_secs_f64() / WINDOW.as_secs_f64();
        (self.level - gone * capacity).max(0.0)
    }
}

impl Guard {
    /// One that lets `limit` logins fail a minute, for each name and address.
    pub(crate) fn new(limit: u32) -> Self {
        Self { limit, hasher: RandomState::new(), counted: Mutex::default() }
    }

    /// Whether a secret may be verified now.
    ///
    /// # Errors
    ///
    /// 429, and when to try again.
    pub(crate) fn admit(
        &self,
        address: Option<IpAddr>,
        name: &str,
        secret: &[u8],
    ) -> Result<Attempt, Failure> {
        let address = address.map(network);
        // 0 stands for the address as a whole.
        let name_key = self.hasher.hash_one(name) | 1;
        let attempt = Attempt { address, name: name_key, secret: self.hasher.hash_one((name, secret)) };
        let (Some(address), true) = (address, self.limit > 0) else { return Ok(attempt) };
        let now = Instant::now();
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = [(name_key, 1), (0, NAMES)].map(|(name, times)| {
            let capacity = f64::from(self.limit * times);
            let level = counted.failures.get(&(address, name)).map_or(0.0, |f| f.leaked(capacity, now));
            // Room for one more.
            WINDOW.mul_f64(((level + 1.0 - capacity) / capacity).max(0.0))
        });
        let wait = wait[0].max(wait[1]);
        if wait.is_zero() || counted.right.contains_key(&(address, attempt.secret)) {
            return Ok(attempt);
        }
        let seconds = u32::try_from(wait.as_secs() + 1).unwrap_or(u32::MAX);
        let text = format!("too many failed logins from this address; try again in {seconds} s");
        Err(Failure { retry_after: Some(seconds), ..Failure::new(StatusCode::TOO_MANY_REQUESTS, text) })
    }

    /// It was wrong.
    pub(crate) fn failed(&self, attempt: Attempt) {
        let (Some(address), true) = (attempt.address, self.limit > 0) else { return };
        let now = Instant::now();
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.right.remove(&(address, attempt.secret));
        for (name, times) in [(attempt.name, 1), (0, NAMES)] {
            let capacity = f64::from(self.limit * times);
            let key = (address, name);
            if !counted.failures.contains_key(&key) {
                make_room(&mut counted.failures, COUNTED_MAX, |failures| failures.at);
            }
            let failures = counted.failures.entry(key).or_insert(Failures { level: 0.0, at: now });
            // Guesses that were verified side by side are paid for one after the other.
            let level = (failures.leaked(capacity, now) + 1.0).min(capacity * DEBT_MAX);
            *failures = Failures { level, at: now };
        }
    }

    /// It was right.
    pub(crate) fn succeeded(&self, attempt: Attempt) {
        let (Some(address), true) = (attempt.address, self.limit > 0) else { return };
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (address, attempt.secret);
        if !counted.right.contains_key(&key) {
            make_room(&mut counted.right, RIGHT_MAX, |at| *at);
        }
        counted.right.insert(key, Instant::now());
    }
}

/// Takes the oldest half away when a table is full: a rare walk, in place of a second order to keep.
fn make_room<K: Copy + Eq + std::hash::Hash, V>(
    table: &mut HashMap<K, V>,
    max: usize,
    at: impl Fn(&V) -> Instant,
) {
    if table.len() < max {
        return;
    }
    let mut times: Vec<Instant> = table.values().map(&at).collect();
    let middle = times.len() / 2;
    let (_, &mut median, _) = times.select_nth_unstable(middle);
    table.retain(|_, value| at(value) > median);
}

/// What of an address tells one client from another: of IPv6 the part that a network gives out.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    /// Status of an attempt that is wrong.
    fn wrong(guard: &Guard, address: impl Into<Option<IpAddr>>, name: &str, secret: &str) -> u16 {
        match guard.admit(address.into(), name, secret.as_bytes()) {
            Ok(attempt) => {
                guard.failed(attempt);
                401
            }
            Err(failure) => failure.status.as_u16(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_fails_too_often_waits_and_nobody_else() {
        let guard = Guard::new(5);
        let right = guard.admit(Some(address(1)), "u", b"right").expect("nothing has failed");
        guard.succeeded(right);
        for attempt in 0..5 {
            assert_eq!(wrong(&guard, address(1), "u", &attempt.to_string()), 401);
        }
        assert_eq!(wrong(&guard, address(1), "u", "x"), 429);
        assert_eq!(wrong(&guard, address(1), "v", "x"), 401, "another name");
        assert_eq!(wrong(&guard, address(2), "u", "x"), 401, "another address");
        assert!(guard.admit(Some(address(1)), "u", b"right").is_ok(), "it was right before");
        let refused = guard.admit(Some(address(1)), "u", b"x").expect_err("too many");
        assert_eq!(refused.retry_after, Some(12 + 1));
        tokio::time::advance(Duration::from_secs(13)).await;
        assert_eq!(wrong(&guard, address(1), "u", "x"), 401, "one more");
        assert_eq!(wrong(&guard, address(1), "u", "x"), 429);
        assert_eq!(wrong(&guard, None, "u", "x"), 401, "who has no address is not counted");
    }

    #[tokio::test(start_paused = true)]
    async fn many_names_from_one_address_are_one_guesser() {
        let guard = Guard::new(2);
        let statuses: Vec<u16> =
            (0..30).map(|name| wrong(&guard, address(1), &format!("user{name}"), "x")).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 20);
        assert_eq!(wrong(&guard, address(2), "user0", "x"), 401);
        let [a, b] = ["2001:db8::1", "2001:db8::2"].map(|text| text.parse::<IpAddr>().expect("an address"));
        for _ in 0..2 {
            assert_eq!(wrong(&guard, a, "u", "x"), 401);
        }
        assert_eq!(wrong(&guard, b, "u", "x"), 429, "the same network");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_right_and_is_wrong_now_counts() {
        let guard = Guard::new(1);
        guard.succeeded(guard.admit(Some(address(1)), "u", b"old").expect("nothing has failed"));
        assert_eq!(wrong(&guard, address(1), "u", "old"), 401);
        assert_eq!(wrong(&guard, address(1), "u", "old"), 429);
    }

    #[tokio::test(start_paused = true)]
    async fn the_tables_are_bounded_and_none_is_counted_without_a_limit() {
        let guard = Guard::new(3);
        for n in 0..30_000_u32 {
            wrong(&guard, IpAddr::from(n.to_be_bytes()), "u", "x");
            if n.is_multiple_of(100) {
                tokio::time::advance(Duration::from_millis(1)).await;
            }
        }
        let counted = guard.counted.lock().expect("no panic").failures.len();
        assert!(counted <= COUNTED_MAX, "{counted}");
        let open = Guard::new(0);
        for _ in 0..100 {
            assert_eq!(wrong(&open, address(1), "u", "x"), 401);
        }
    }
}
