//! Randomness. [`Random`] is the only source of it, so that a seeded one makes a run repeatable.

use std::cell::RefCell;
use std::sync::Mutex;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Fills buffers with unpredictable bytes.
pub trait Random: Send + Sync + 'static {
    /// Fills the whole buffer.
    fn fill(&self, buffer: &mut [u8]);
}

impl dyn Random {
    /// `N` fresh bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

/// The operating system's generator, asked for a few hundred bytes at a time because a system call costs more than they do.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

struct Pool {
    bytes: Zeroizing<[u8; 512]>,
    used: usize,
}

thread_local! {
    static POOL: RefCell<Pool> = RefCell::new(Pool { bytes: Zeroizing::new([0; 512]), used: 512 });
}

impl Random for SystemRandom {
    /// # Panics
    /// When the operating system has no randomness to give: nothing safe can be done without it.
    fn fill(&self, buffer: &mut [u8]) {
        POOL.with_borrow_mut(|pool| pool.fill(buffer));
    }
}

impl Pool {
    #[allow(clippy::disallowed_methods)] // the one place that asks the system
    fn fill(&mut self, buffer: &mut [u8]) {
        for slot in buffer {
            if self.used == self.bytes.len() {
                getrandom::fill(&mut *self.bytes).expect("the operating system must provide randomness");
                self.used = 0;
            }
            // What was handed out is not kept: nothing in memory tells it later.
            *slot = std::mem::take(&mut self.bytes[self.used]);
            self.used += 1;
        }
    }
}

/// The same bytes for the same seed, for tests and simulations. Never use it to protect anything.
#[derive(Debug)]
pub struct SeededRandom {
    state: Mutex<(u64, u64)>,
}

impl SeededRandom {
    /// The sequence that belongs to `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: Mutex::new((seed, 0)) }
    }
}

impl Random for SeededRandom {
    fn fill(&self, buffer: &mut [u8]) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for chunk in buffer.chunks_mut(32) {
            let mut mac = Hmac::<Sha256>::new_from_slice(&state.0.to_be_bytes()).expect("any key length");
            mac.update(&state.1.to_be_bytes());
            state.1 += 1;
            chunk.copy_from_slice(&mac.finalize().into_bytes()[..chunk.len()]);
        }
    }
}
