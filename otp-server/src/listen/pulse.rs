//! What a connection is doing, and until when it may.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::Limits;
use super::greeting::Protocol;

/// The phase of a connection, told by its socket and its requests, judged by the task that drives it.
pub(super) struct Pulse {
    protocol: Protocol,
    state: Mutex<State>,
}

struct State {
    phase: Phase,
    /// Since when the peer takes nothing of what it is sent.
    blocked_since: Option<Instant>,
}

enum Phase {
    /// A request's head has begun.
    Head { since: Instant },
    /// Requests wait for their answers. They know their deadlines, but over HTTP/1.1 they must be polled then.
    Busy { open: u32, since: Instant },
    /// Nothing is asked. An answer may still be under way.
    Quiet { since: Instant },
}

/// What a look at the clock tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All is well; look again at this time.
    Until(Instant),
    /// The connection may stay, but nobody uses it.
    Idle,
    /// A deadline has passed.
    Overdue,
}

impl Pulse {
    /// A connection whose first byte came at `began_at`.
    pub(super) fn new(protocol: Protocol, began_at: Instant) -> Self {
        Self { protocol, state: Mutex::new(State { phase: Phase::Head { since: began_at }, blocked_since: None }) }
    }

    /// Bytes came. Over HTTP/2 they may be anything, so that only requests count there.
    pub(super) fn received(&self) {
        if self.protocol == Protocol::Http2 {
            return;
        }
        let mut state = self.state();
        if let Phase::Quiet { .. } = state.phase {
            state.phase = Phase::Head { since: Instant::now() };
        }
    }

    /// The peer took bytes. Over HTTP/2 they may be answers to pings, which keep nothing open.
    pub(super) fn sent(&self) {
        let mut state = self.state();
        state.blocked_since = None;
        if self.protocol == Protocol::Http1 && !matches!(state.phase, Phase::Busy { .. }) {
            state.phase = Phase::Quiet { since: Instant::now() };
        }
    }

    /// There are bytes to send, and the peer takes none.
    pub(super) fn blocked(&self) {
        self.state().blocked_since.get_or_insert_with(Instant::now);
    }

    /// A request's head is complete.
    pub(super) fn asked(&self, at: Instant) {
        let mut state = self.state();
        state.phase = match state.phase {
            Phase::Busy { open, since } => Phase::Busy { open: open + 1, since },
            _ => Phase::Busy { open: 1, since: at },
        };
    }

    /// A request has the head of its answer, or was given up.
    pub(super) fn answered(&self) {
        let mut state = self.state();
        state.phase = match state.phase {
            Phase::Busy { open, since } if open > 1 => Phase::Busy { open: open - 1, since },
            _ => Phase::Quiet { since: Instant::now() },
        };
    }

    /// Judges the connection at `now`; `closing_since` is when it was asked to close.
    pub(super) fn verdict(&self, limits: &Limits, closing_since: Option<Instant>, now: Instant) -> Verdict {
        let state = self.state();
        let look_again = now + limits.shortest();
        let of_writing = state.blocked_since.map_or(look_again, |since| since + limits.request);
        let of_phase = match (&state.phase, closing_since) {
            (Phase::Head { since }, _) => *since + limits.headers,
            (Phase::Busy { since, .. }, _) if *since + limits.request > now => *since + limits.request,
            (Phase::Busy { .. }, _) => look_again,
            (Phase::Quiet { since }, Some(closing_since)) => closing_since.max(*since) + limits.first_byte,
            (Phase::Quiet { since }, None) if *since + limits.idle <= now && of_writing > now => return Verdict::Idle,
            (Phase::Quiet { since }, None) => *since + limits.idle,
        };
        match of_phase.min(of_writing).min(look_again) {
            deadline if deadline <= now => Verdict::Overdue,
            deadline => Verdict::Until(deadline),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
