//! Requests counted by who sent them, while somebody asks for it: `/debug/requests`.

use crate::auth::Caller;
use crate::error::Failure;
use crate::router::Endpoint;
use crate::serve::ClientAddress;
use axum::extract::Request;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Countings at a time.
const PROFILES_MAX: usize = 16;
/// Clients that one counting tells apart.
const CLIENTS_MAX: usize = 10_000;

/// Writes and queries of one client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Requests {
    pub(crate) writes: u64,
    pub(crate) queries: u64,
}

/// One counting.
type Profile = Mutex<BTreeMap<String, Requests>>;

/// The countings that go on.
#[derive(Debug, Default)]
pub(crate) struct Profiles {
    /// So that requests cost nothing while nobody counts.
    active: AtomicUsize,
    ids: AtomicU64,
    profiles: Mutex<BTreeMap<u64, Arc<Profile>>>,
}

/// Ends a counting, also when who asked for it left.
struct Counting<'a> {
    profiles: &'a Profiles,
    id: u64,
}

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        let mut profiles = self.profiles.profiles.lock().unwrap_or_else(PoisonError::into_inner);
        profiles.remove(&self.id);
        self.profiles.active.store(profiles.len(), Ordering::Relaxed);
    }
}

impl Profiles {
    /// Counts a request for everybody who counts now: by its user, if there is one, and its address.
    pub(crate) fn observe(&self, endpoint: Endpoint, caller: &Caller, request: &Request) {
        if self.active.load(Ordering::Relaxed) == 0 {
            return;
        }
        let (writes, queries) = match endpoint {
            Endpoint::Write | Endpoint::WriteV2 | Endpoint::PromWrite => (1, 0),
            Endpoint::Query | Endpoint::PromRead => (0, 1),
            _ => return,
        };
        let Some(ClientAddress(address)) = request.extensions().get::<ClientAddress>() else { return };
        let client = match caller {
            Caller::User(user) => format!("{}:{address}", user.name),
            Caller::Anybody | Caller::Nobody => address.to_string(),
        };
        let profiles = self.profiles.lock().unwrap_or_else(PoisonError::into_inner);
        for profile in profiles.values() {
            let mut counts = profile.lock().unwrap_or_else(PoisonError::into_inner);
            if counts.len() >= CLIENTS_MAX && !counts.contains_key(&client) {
                continue;
            }
            let counts = counts.entry(client.clone()).or_default();
            counts.writes += writes;
            counts.queries += queries;
        }
    }

    /// Counts for a while.
    pub(crate) async fn count(&self, length: Duration) -> Result<BTreeMap<String, Requests>, Failure> {
        let profile = Arc::new(Profile::default());
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        {
            let mut profiles = self.profiles.lock().unwrap_or_else(PoisonError::into_inner);
            if profiles.len() >= PROFILES_MAX {
                return Err(Failure::unavailable("too many requests are being counted by /debug/requests"));
            }
            profiles.insert(id, Arc::clone(&profile));
            self.active.store(profiles.len(), Ordering::Relaxed);
        }
        let counting = Counting { profiles: self, id };
        tokio::time::sleep(length).await;
        drop(counting);
        let counts = std::mem::take(&mut *profile.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use model::catalog::{Catalog, CatalogCommand, PasswordHash};

    #[tokio::test]
    async fn clients_are_told_apart_by_user_and_address() {
        let mut catalog = Catalog::default();
        let create =
            CatalogCommand::CreateUser { name: "u".to_owned(), hash: PasswordHash::new("p"), admin: false };
        catalog.apply(&create).unwrap();
        let user = Caller::User(Arc::clone(catalog.user("u").unwrap()));
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(ClientAddress([127, 0, 0, 1].into()));
        let profiles = Profiles::default();
        // Polled in this order: the counting has begun when the requests come.
        let (counted, ()) = tokio::join!(profiles.count(Duration::from_millis(1)), async {
            for caller in [&user, &user, &Caller::Anybody, &Caller::Nobody] {
                profiles.observe(Endpoint::Query, caller, &request);
            }
            profiles.observe(Endpoint::Write, &user, &request);
            profiles.observe(Endpoint::Ping, &user, &request);
        });
        let expected = [
            ("127.0.0.1", Requests { writes: 0, queries: 2 }),
            ("u:127.0.0.1", Requests { writes: 1, queries: 2 }),
        ];
        let expected = expected.map(|(client, requests)| (client.to_owned(), requests));
        assert_eq!(counted.unwrap(), expected.into());
    }
}
