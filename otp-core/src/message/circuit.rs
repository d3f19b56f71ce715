//! The circuit breaker of one provider: whether it is handed messages, by what became of the last ones.

use std::collections::BTreeMap;
use std::time::Duration;

use super::SendError;
use crate::clock::Timestamp;

/// Failures in a row after which a provider rests.
const FAILURES: u32 = 3;
/// A call that is not answered for so long, with no success since, tells that the provider hangs.
const STALLS_AFTER: Duration = Duration::from_secs(2);
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(60);
/// What a provider may ask for at most: a wrong number must not put it away for good.
const LONGEST_ASKED_FOR: Duration = Duration::from_secs(3_600);

/// Whether a provider is handed messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CircuitState {
    /// It is.
    Closed {
        /// Failures since the last success.
        failures: u32,
    },
    /// It rests.
    Open {
        /// When one message tries it again.
        until: Timestamp,
        /// How long it rests when that fails: as long as before, and as long again.
        rest: Duration,
        /// Whether it asked to be left alone, so that nothing but its end ends the rest.
        is_asked_for: bool,
    },
    /// One message is on its way to it; the others wait for what that comes to.
    HalfOpen {
        /// How long it rested before.
        rest: Duration,
        /// The call that the message is in.
        probe: CallId,
    },
}

/// A call of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallId(u64);

/// What a call tells of its provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// It works, whatever it thinks of the message.
    Works,
    /// It does not.
    Fails,
    /// It asks to be left alone for so long.
    AsksFor(Duration),
    /// The message alone may be the reason, or the call was given up.
    Nothing,
}

impl Sign {
    /// `has_own_sender`: that the sender is not the provider's own. A provider that does not know it refuses it and still
    /// works for the others, whom one tenant must not take it from.
    pub(super) fn of<T>(outcome: &Result<T, SendError>, has_own_sender: bool) -> Self {
        match outcome {
            Ok(_) | Err(SendError::Permanent { .. } | SendError::Recipient { .. }) => Sign::Works,
            Err(SendError::Temporary { retry_after: Some(rest), .. }) => Sign::AsksFor(*rest),
            Err(SendError::Unusable { .. }) if has_own_sender => Sign::Nothing,
            Err(SendError::Temporary { .. } | SendError::Unusable { .. }) => Sign::Fails,
        }
    }
}

#[derive(Debug)]
pub(super) struct Circuit {
    pub(super) state: CircuitState,
    /// Calls without an answer, and since when.
    calls: BTreeMap<CallId, Timestamp>,
    next: u64,
    worked_at: Option<Timestamp>,
}

impl Default for Circuit {
    fn default() -> Self {
        let state = CircuitState::Closed { failures: 0 };
        Self { state, calls: BTreeMap::new(), next: 0, worked_at: None }
    }
}

impl Circuit {
    /// A call that may be made now, or when to ask again.
    pub(super) fn admit(&mut self, now: Timestamp) -> Result<CallId, Timestamp> {
        if matches!(self.state, CircuitState::Closed { .. }) && self.is_stalled(now) {
            self.open(FIRST_REST, now);
        }
        let call = CallId(self.next);
        match self.state {
            CircuitState::Closed { .. } => (),
            CircuitState::Open { until, .. } if now < until => return Err(until),
            CircuitState::Open { rest, .. } => self.state = CircuitState::HalfOpen { rest, probe: call },
            CircuitState::HalfOpen { .. } => return Err(now + FIRST_REST),
        }
        self.next += 1;
        self.calls.insert(call, now);
        Ok(call)
    }

    /// Notes the end of a call. A provider that stands `alone` does not rest for its failures: there is no other to take the
    /// messages meanwhile, and each of them has a rest of its own.
    pub(super) fn end(&mut self, call: CallId, sign: Sign, alone: bool, now: Timestamp) {
        if self.calls.remove(&call).is_none() {
            return;
        }
        match (sign, self.state) {
            (Sign::Works, state) => {
                self.worked_at = Some(now);
                if !matches!(state, CircuitState::Open { is_asked_for: true, .. }) {
                    self.state = CircuitState::Closed { failures: 0 };
                }
            }
            (Sign::AsksFor(rest), state) => {
                let asked = now + rest.min(LONGEST_ASKED_FOR);
                let until = match state {
                    CircuitState::Open { until, .. } => until.max(asked),
                    _ => asked,
                };
                self.state = CircuitState::Open { until, rest: FIRST_REST, is_asked_for: true };
            }
            (Sign::Fails, CircuitState::Closed { failures }) if alone || failures + 1 < FAILURES => {
                self.state = CircuitState::Closed { failures: failures.saturating_add(1) };
            }
            (Sign::Fails, CircuitState::Closed { .. }) => self.open(FIRST_REST, now),
            (Sign::Fails, CircuitState::HalfOpen { rest, probe }) if probe == call => {
                self.open((2 * rest).min(LONGEST_REST), now);
            }
            (Sign::Nothing, CircuitState::HalfOpen { rest, probe }) if probe == call => {
                self.state = CircuitState::Open { until: now, rest, is_asked_for: false };
            }
            // It began before the rest did, and adds nothing to the reasons for it.
            (Sign::Fails | Sign::Nothing, _) => (),
        }
    }

    /// Until when it rests, if it does.
    pub(super) fn rests_until(&self, now: Timestamp) -> Option<Timestamp> {
        match self.state {
            CircuitState::Closed { .. } => None,
            CircuitState::Open { until, .. } => (now < until).then_some(until),
            CircuitState::HalfOpen { .. } => Some(now + FIRST_REST),
        }
    }

    /// Calls without an answer.
    pub(super) fn in_flight(&self) -> usize {
        self.calls.len()
    }

    fn open(&mut self, rest: Duration, now: Timestamp) {
        self.state = CircuitState::Open { until: now + rest, rest, is_asked_for: false };
    }

    fn is_stalled(&self, now: Timestamp) -> bool {
        // Calls begin in the order of their ids.
        let oldest = self.calls.values().find(|began| self.worked_at.is_none_or(|at| at <= **began));
        oldest.is_some_and(|began| *began + STALLS_AFTER < now)
    }
}
