//! The bytes of all request bodies in flight. A request that finds no room waits a little: a collector that is turned
//! away drops its points.

use crate::error::Failure;
use crate::metrics::HttpMetrics;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes a permit stands for.
const PERMIT_BYTES: usize = 1024;

/// Room for bodies, shared by all requests.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    permits: Arc<Semaphore>,
    permits_max: usize,
    wait: Duration,
    metrics: Arc<HttpMetrics>,
}

impl Budget {
    pub(crate) fn new(bytes_max: usize, wait: Duration, metrics: Arc<HttpMetrics>) -> Self {
        let permits_max = (bytes_max / PERMIT_BYTES).clamp(1, u32::MAX as usize / 2);
        Self { permits: Arc::new(Semaphore::new(permits_max)), permits_max, wait, metrics }
    }

    /// Reserves room for a body.
    pub(crate) async fn reserve(&self, bytes: usize) -> Result<Reservation, Failure> {
        let mut reservation = Reservation { permit: None, permits: 0, budget: self.clone() };
        // An empty body takes a place as well.
        reservation.grow_to(bytes.max(1)).await?;
        Ok(reservation)
    }

    fn observe(&self) {
        let used = self.permits_max.saturating_sub(self.permits.available_permits());
        self.metrics.observe_bodies_in_flight(used * PERMIT_BYTES);
    }

    fn overloaded() -> Failure {
        Failure::unavailable("request throttled, too many bytes of request bodies in flight")
    }
}

/// Room that is given back on drop.
#[derive(Debug)]
pub(crate) struct Reservation {
    permit: Option<OwnedSemaphorePermit>,
    permits: usize,
    budget: Budget,
}

impl Reservation {
    /// Makes sure that the room is at least `bytes`, waiting for it.
    pub(crate) async fn grow_to(&mut self, bytes: usize) -> Result<(), Failure> {
        let Some(more) = self.missing(bytes)? else { return Ok(()) };
        let acquiring = Arc::clone(&self.budget.permits).acquire_many_owned(more);
        match tokio::time::timeout(self.budget.wait, acquiring).await {
            Ok(Ok(permit)) => {
                self.add(permit, more);
                Ok(())
            }
            Ok(Err(_)) | Err(_) => Err(Budget::overloaded()),
        }
    }

    /// As [`Self::grow_to`], without waiting: for blocking threads.
    pub(crate) fn try_grow_to(&mut self, bytes: usize) -> Result<(), Failure> {
        let Some(more) = self.missing(bytes)? else { return Ok(()) };
        let permit = Arc::clone(&self.budget.permits).try_acquire_many_owned(more);
        let permit = permit.map_err(|_| Budget::overloaded())?;
        self.add(permit, more);
        Ok(())
    }

    /// Permits that are missing; an error if there can never be as many.
    fn missing(&self, bytes: usize) -> Result<Option<u32>, Failure> {
        let wanted = bytes.div_ceil(PERMIT_BYTES);
        if wanted > self.budget.permits_max {
            return Err(Failure::too_large());
        }
        Ok(wanted.checked_sub(self.permits).filter(|&more| more > 0).map(|more| more as u32))
    }

    fn add(&mut self, permit: OwnedSemaphorePermit, more: u32) {
        self.permits += more as usize;
        match &mut self.permit {
            Some(held) => held.merge(permit),
            None => self.permit = Some(permit),
        }
        self.budget.observe();
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.permit = None;
        self.budget.observe();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn room_is_limited_and_given_back() {
        let budget = Budget::new(100 * PERMIT_BYTES, Duration::from_millis(5), Arc::default());
        let mut first = budget.reserve(60 * PERMIT_BYTES).await.expect("room");
        let refused = budget.reserve(41 * PERMIT_BYTES).await.expect_err("no room");
        assert_eq!(refused.status, 503);
        assert!(refused.retry_after.is_some());
        assert!(first.try_grow_to(101 * PERMIT_BYTES).is_err());
        first.try_grow_to(100 * PERMIT_BYTES).expect("room");
        drop(first);
        let all = budget.reserve(100 * PERMIT_BYTES).await.expect("room again");
        assert!(budget.metrics.render().contains("steadfast_http_bodies_in_flight_bytes 102400"));
        drop(all);
        assert!(budget.metrics.render().contains("steadfast_http_bodies_in_flight_bytes 0"));
    }
}
