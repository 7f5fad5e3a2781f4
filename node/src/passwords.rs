//! Passwords: hashed with argon2id before they are stored, verified against what is stored. Asked by `users.rs` (for
//! statements) and by the HTTP surface (for requests); knows neither users nor the catalog.
//!
//! A hash costs tens of milliseconds and 19 MiB on purpose, too much for each request. So a password that was right is
//! remembered by a fast hash that is salted with a secret of this process and bound to the stored hash: it is right
//! until the stored hash is another one. A wrong one is remembered the same way: a collector that was set up wrongly asks
//! many times a second. No password is kept.

use api::coordinator::VerifyError;
use argon2::password_hash::{PasswordHash as ParsedHash, SaltString};
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use hashbrown::HashMap;
use model::catalog::PasswordHash;
use parking_lot::Mutex;
use raft::blocking;
use sha2::{Digest, Sha256};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use uuid::Uuid;

/// Hashes at work at once: each takes a core and 19 MiB.
const AT_ONCE: usize = 2;
/// How long one waits for its turn. Longer, and those behind it would never get theirs.
const WAIT: Duration = Duration::from_secs(5);
/// Passwords remembered, right ones and wrong ones each.
const REMEMBERED_MAX: usize = 4_096;

/// Why a password could not be hashed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HashError {
    /// Too many wait.
    #[error(transparent)]
    Busy(#[from] VerifyError),
    /// It is longer than the algorithm takes, or the thread died.
    #[error("the password cannot be hashed: {0}")]
    Failed(String),
}

/// A salted fast hash of a password and of the stored hash it was compared with.
type Fingerprint = [u8; 32];

/// Hashes and verifies, a few at once.
#[derive(Debug)]
pub(crate) struct Passwords {
    places: Semaphore,
    /// Of this process only, so that a fingerprint is worth nothing elsewhere.
    secret: [u8; 32],
    remembered: Mutex<HashMap<Fingerprint, bool>>,
}

impl Passwords {
    pub(crate) fn new() -> Self {
        let mut secret = [0; 32];
        let (first, second) = secret.split_at_mut(16);
        first.copy_from_slice(Uuid::new_v4().as_bytes());
        second.copy_from_slice(Uuid::new_v4().as_bytes());
        let remembered = Mutex::new(HashMap::new());
        Self { places: Semaphore::new(AT_ONCE), secret, remembered }
    }

    /// A new hash of a password, with a salt of its own.
    pub(crate) async fn hash(&self, password: &str) -> Result<PasswordHash, HashError> {
        let _place = self.place().await?;
        let password = password.to_owned();
        let hashing = blocking::run(move || {
            let salt = SaltString::encode_b64(Uuid::new_v4().as_bytes())?;
            let hash = Argon2::default().hash_password(password.as_bytes(), &salt)?;
            Ok::<_, argon2::password_hash::Error>(PasswordHash::new(&hash.to_string()))
        });
        let hash = hashing.await.map_err(|error| HashError::Failed(error.to_string()))?;
        hash.map_err(|error| HashError::Failed(error.to_string()))
    }

    /// Whether `password` is what `hash` was made of.
    pub(crate) async fn verify(&self, hash: &PasswordHash, password: &str) -> Result<bool, VerifyError> {
        let fingerprint = self.fingerprint(hash, password);
        if let Some(right) = self.remembered(&fingerprint) {
            return Ok(right);
        }
        let _place = self.place().await?;
        // Whoever waited here for the same password has the answer by now.
        if let Some(right) = self.remembered(&fingerprint) {
            return Ok(right);
        }
        let (hash, password) = (hash.clone(), password.to_owned());
        let verifying = blocking::run(move || {
            let parsed = ParsedHash::new(hash.text());
            parsed.is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
        });
        let right = verifying.await.map_err(|_| VerifyError)?;
        self.remember(fingerprint, right);
        Ok(right)
    }

    async fn place(&self) -> Result<SemaphorePermit<'_>, VerifyError> {
        match timeout(WAIT, self.places.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(VerifyError),
        }
    }

    fn fingerprint(&self, hash: &PasswordHash, password: &str) -> Fingerprint {
        let mut digest = Sha256::new();
        digest.update(self.secret);
        // The stored hash has a length of its own, so the two cannot be shifted against each other.
        digest.update((hash.text().len() as u64).to_le_bytes());
        digest.update(hash.text());
        digest.update(password);
        digest.finalize().into()
    }

    fn remembered(&self, fingerprint: &Fingerprint) -> Option<bool> {
        self.remembered.lock().get(fingerprint).copied()
    }

    /// Guesses must not push out the passwords that are in use: of each kind so many are kept, and a kind that is full
    /// begins anew.
    fn remember(&self, fingerprint: Fingerprint, right: bool) {
        let mut remembered = self.remembered.lock();
        if remembered.values().filter(|known| **known == right).count() >= REMEMBERED_MAX {
            remembered.retain(|_, known| *known != right);
        }
        remembered.insert(fingerprint, right);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_right_for_its_own_hash_only() {
        let passwords = Passwords::new();
        let one = passwords.hash("päss").await.unwrap();
        let two = passwords.hash("päss").await.unwrap();
        assert_ne!(one, two, "the salt is random");
        assert!(one.text().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", one.text());
        for _ in 0..2 {
            assert_eq!(passwords.verify(&one, "päss").await, Ok(true));
            assert_eq!(passwords.verify(&two, "päss").await, Ok(true));
            assert_eq!(passwords.verify(&one, "pass").await, Ok(false));
            assert_eq!(passwords.verify(&one, "").await, Ok(false));
        }
        assert_eq!(passwords.verify(&PasswordHash::new("no hash"), "").await, Ok(false));
    }

    #[test]
    fn guesses_do_not_push_out_what_is_right() {
        let passwords = Passwords::new();
        let hash = PasswordHash::new("h");
        let right = passwords.fingerprint(&hash, "right");
        passwords.remember(right, true);
        for guess in 0..2 * REMEMBERED_MAX {
            passwords.remember(passwords.fingerprint(&hash, &guess.to_string()), false);
        }
        assert_eq!(passwords.remembered(&right), Some(true));
        assert!(passwords.remembered.lock().len() <= REMEMBERED_MAX + 1);
    }
}
