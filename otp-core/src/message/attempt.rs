//! Tries to hand a message over, one by one.

use serde::{Deserialize, Serialize};

use super::{Receipt, SendError};
use crate::clock::Timestamp;

/// The tries that a message remembers: its last ones.
const KEPT: usize = 10;

/// One try to hand a message to a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The provider's name among several; `None` of a mailer that has no other beside it.
    pub provider: Option<String>,
    /// When the try began.
    pub at: Timestamp,
    /// What it came to.
    pub outcome: AttemptOutcome,
    /// The provider's own id of the message, if it took it and gave one.
    pub provider_id: Option<String>,
}

/// What a try came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum AttemptOutcome {
    /// The provider took the message.
    Taken,
    /// It did not.
    Refused {
        /// What it said.
        reason: String,
    },
}

/// Every try of one handing over, in order, and what the last one came to. No try at all is no mistake: all providers may
/// be resting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handover {
    /// The tries.
    pub attempts: Vec<Attempt>,
    /// What they came to.
    pub outcome: Result<Receipt, SendError>,
}

impl Handover {
    /// A single try, which began at `at`.
    pub fn once(at: Timestamp, outcome: Result<Receipt, SendError>) -> Self {
        Self { attempts: vec![Attempt::of(at, &outcome)], outcome }
    }
}

impl Attempt {
    fn of(at: Timestamp, outcome: &Result<Receipt, SendError>) -> Self {
        let (provider, provider_id, outcome) = match outcome {
            Ok(receipt) => (receipt.provider.clone(), receipt.provider_id.clone(), AttemptOutcome::Taken),
            Err(error) => (None, None, AttemptOutcome::Refused { reason: error.reason().to_owned() }),
        };
        Self { provider, at, outcome, provider_id }
    }

    /// Puts tries behind those that are remembered, and forgets the oldest beyond ten.
    pub(crate) fn note(remembered: &mut Vec<Attempt>, tries: Vec<Attempt>) {
        remembered.extend(tries);
        let beyond = remembered.len().saturating_sub(KEPT);
        remembered.drain(..beyond);
    }
}
