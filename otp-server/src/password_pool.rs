//! Where passwords are hashed: beside the threads that answer, one at a time on each core, and few waiting.
//!
//! A hash keeps a core busy for some 50 ms. Without a bound anybody could make the server do nothing else.

use std::sync::Arc;
use std::thread::available_parallelism;

use async_trait::async_trait;
use otp_core::password::{Busy, Password, PasswordHash, PasswordHasher};
use tokio::sync::Semaphore;

/// Passwords that may wait for a core.
const QUEUE: usize = 16;

/// Hashes passwords on threads of their own, as many at a time as there are cores.
pub struct PasswordPool {
    /// For those at work and those that wait.
    places: Arc<Semaphore>,
    cores: Arc<Semaphore>,
}

impl PasswordPool {
    /// A pool for all cores of this machine.
    pub fn of_this_machine() -> Self {
        Self::new(available_parallelism().map_or(1, usize::from))
    }

    fn new(cores: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(cores + QUEUE)), cores: Arc::new(Semaphore::new(cores)) }
    }
}

#[async_trait]
impl PasswordHasher for PasswordPool {
    async fn hash(&self, password: &Password, salt: [u8; 16]) -> Result<PasswordHash, Busy> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Busy)?;
        let core = Arc::clone(&self.cores).acquire_owned().await.map_err(|_| Busy)?;
        let password = password.clone();
        let work = move || {
            let hash = password.hash(salt);
            // Held to the end of the work, and not of whoever waits for it.
            drop((place, core));
            hash
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| Busy)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use otp_core::Secret;

    use super::*;

    #[tokio::test]
    async fn what_does_not_fit_is_turned_away_at_once_and_the_rest_is_done() {
        let pool = PasswordPool::new(1);
        let password = Password::parse(Secret::from("eleven pears in a teapot".to_owned()), &[]).unwrap();
        let outcomes = join_all((0..QUEUE + 4).map(|number| pool.hash(&password, [number as u8; 16]))).await;
        let done: Vec<_> = outcomes.iter().flatten().map(PasswordHash::phc).collect();
        assert_eq!((done.len(), outcomes.len() - done.len()), (QUEUE + 1, 3));
        assert!(done.windows(2).all(|two| two[0] != two[1]), "each with its own salt");
        assert!(pool.hash(&password, [0; 16]).await.is_ok(), "there is room again");
    }
}
