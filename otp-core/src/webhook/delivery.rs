//! Deliveries: one event on its way to one endpoint.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::transport::{Answer, Failure};
use crate::clock::Timestamp;
use crate::event::{Event, EventKind};
use crate::id::{DeliveryId, EndpointId, EventId};
use crate::random::Random;
use crate::secret::Digest32;
use crate::store::{Due, Key, Kind, SmallBytes, Stored};
use crate::tenant::Space;

/// What is waited after each try that failed, give or take a fifth.
const SCHEDULE: [Duration; 7] = [
    Duration::from_secs(5),
    Duration::from_secs(60),
    Duration::from_secs(300),
    Duration::from_secs(900),
    Duration::from_secs(3_600),
    Duration::from_secs(6 * 3_600),
    Duration::from_secs(24 * 3_600),
];
/// The longest wait that a receiver can ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3_600);
/// Attempts that are remembered: those of two rounds.
const MOST_ATTEMPTS: usize = 16;
/// Bytes of an answer that are kept.
const KEPT_OF_ANSWER: usize = 256;

/// How a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum DeliveryState {
    /// It is being sent, or will be.
    Pending,
    /// The endpoint takes nothing at present; it is sent when it is asked for again.
    Held,
    /// The receiver took it.
    Delivered {
        /// When.
        at: Timestamp,
    },
    /// It was given up.
    Failed {
        /// When.
        at: Timestamp,
    },
    /// There is nothing to be sent any more, or nobody to send it to.
    Dropped {
        /// Since when.
        at: Timestamp,
    },
}

impl DeliveryState {
    /// The name the wire uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            DeliveryState::Pending => "pending",
            DeliveryState::Held => "held",
            DeliveryState::Delivered { .. } => "delivered",
            DeliveryState::Failed { .. } => "failed",
            DeliveryState::Dropped { .. } => "dropped",
        }
    }

    /// The names of all.
    pub const NAMES: [&'static str; 5] = ["pending", "held", "delivered", "failed", "dropped"];
}

/// Who wanted an attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// The event, or the schedule.
    #[default]
    Schedule,
    /// The tenant.
    Manual,
}

impl Trigger {
    /// The name the wire uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Trigger::Schedule => "schedule",
            Trigger::Manual => "manual",
        }
    }
}

/// One attempt. What is as usual is not written: a row that grows when its delivery is settled moves others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it began.
    pub at: Timestamp,
    /// Milliseconds that it took.
    pub millis: u32,
    /// The HTTP status, if there was an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// How the answer begins: up to 256 bytes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub answer: String,
    /// Who wanted it.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub trigger: Trigger,
}

/// One event on its way to one endpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Delivery {
    /// Identifier.
    pub id: DeliveryId,
    /// Tenant and mode of the event.
    pub space: Space,
    /// Which event.
    pub event: EventId,
    /// Its name.
    pub kind: EventKind,
    /// Where to.
    pub endpoint: EndpointId,
    /// When it happened.
    pub at: Timestamp,
    /// When the event and this end.
    pub ends_at: Timestamp,
    /// Whether it is made up, to try the endpoint: there is no such event.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub sample: bool,
    /// How it stands.
    pub state: DeliveryState,
    /// Tries since it was last asked for.
    pub tries: u8,
    /// Who last asked for it.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub trigger: Trigger,
    /// The last attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// When it is sent next, and by whom.
    #[serde(skip)]
    pub due: Due,
}

fn is_usual<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    Taken,
    /// The receiver is gone for good.
    Gone,
    Refused,
}

impl Delivery {
    /// The id of the delivery of an event to an endpoint: the same however often that is decided. It sorts by the time of the
    /// event.
    pub fn id_of(event: EventId, endpoint: EndpointId) -> DeliveryId {
        let digest = Digest32::of(&[event.as_bytes().as_slice(), endpoint.as_bytes()].concat());
        let mut id: [u8; 16] = digest.0[..16].try_into().unwrap_or_default();
        id[..6].copy_from_slice(&event.as_bytes()[..6]);
        DeliveryId::from_bytes(id)
    }

    /// That of an event to an endpoint, under a lease.
    pub(crate) fn of(event: &Event, endpoint: EndpointId, due: Due) -> Self {
        Self {
            id: Self::id_of(event.id, endpoint),
            space: event.space,
            event: event.id,
            kind: event.kind(),
            endpoint,
            at: event.at,
            ends_at: event.expires_at().unwrap_or(event.at),
            sample: false,
            state: DeliveryState::Pending,
            tries: 0,
            trigger: Trigger::Schedule,
            attempts: Vec::new(),
            due,
        }
    }

    /// Where the record stands in the store.
    pub fn key_of(space: Space, id: DeliveryId) -> Key {
        Key::new::<Self>(space.tenant, id.as_bytes())
    }

    /// Whether it can be asked for again.
    pub fn is_over(&self) -> bool {
        !matches!(self.state, DeliveryState::Pending)
    }

    /// Begins anew, as the tenant wants.
    pub fn again(&self, now: Timestamp) -> Self {
        let due = Due { at: Some(now), lease: None };
        Self { state: DeliveryState::Pending, tries: 0, trigger: Trigger::Manual, due, ..self.clone() }
    }

    /// As it stands after an attempt.
    pub(crate) fn after(
        self,
        began: Timestamp,
        now: Timestamp,
        outcome: Result<Answer, Failure>,
        random: &dyn Random,
    ) -> (Self, Judged) {
        let judged = match &outcome {
            Ok(answer) if (200..300).contains(&answer.status) => Judged::Taken,
            Ok(answer) if answer.status == 410 => Judged::Gone,
            _ => Judged::Refused,
        };
        let wanted = outcome.as_ref().ok().and_then(wait_wanted);
        let trigger = self.trigger;
        let mut next = Self { tries: self.tries.saturating_add(1), due: Due::default(), ..self };
        next.note(Attempt {
            at: began,
            millis: now.since(began).as_millis().try_into().unwrap_or(u32::MAX),
            status: outcome.as_ref().ok().map(|answer| answer.status),
            failure: outcome.as_ref().err().copied(),
            answer: outcome.map(|answer| text(&answer.body)).unwrap_or_default(),
            trigger,
        });
        next.trigger = Trigger::Schedule;
        let again = if judged == Judged::Refused { next.again_at(now, wanted, random) } else { None };
        (next.state, next.due.at) = match (judged, again) {
            (Judged::Taken, _) => (DeliveryState::Delivered { at: now }, None),
            (_, Some(at)) => (DeliveryState::Pending, Some(at)),
            (_, None) => (DeliveryState::Failed { at: now }, None),
        };
        (next, judged)
    }

    fn note(&mut self, attempt: Attempt) {
        if self.attempts.len() >= MOST_ATTEMPTS {
            self.attempts.remove(0);
        }
        self.attempts.push(attempt);
    }

    /// When it is tried again; never, if all tries are used or the event would be gone by then. A sample is tried once.
    fn again_at(&self, now: Timestamp, wanted: Option<Duration>, random: &dyn Random) -> Option<Timestamp> {
        let usual = SCHEDULE.get(usize::from(self.tries) - 1).filter(|_| !self.sample)?;
        let fifths = u64::from(u16::from_be_bytes(random.bytes())) % 401;
        let usual = *usual * (800 + fifths as u32) / 1_000;
        let at = now + wanted.map_or(usual, |wanted| wanted.min(LONGEST_WAIT).max(usual));
        (at < self.ends_at).then_some(at)
    }
}

/// What a receiver that has too much to do asks for.
fn wait_wanted(answer: &Answer) -> Option<Duration> {
    answer.retry_after.filter(|_| matches!(answer.status, 429 | 503))
}

/// The first bytes as text.
fn text(body: &[u8]) -> String {
    let kept = String::from_utf8_lossy(&body[..body.len().min(KEPT_OF_ANSWER)]);
    kept.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).collect()
}

impl Stored for Delivery {
    const KIND: Kind = Kind::Delivery;

    fn key(&self) -> Key {
        Self::key_of(self.space, self.id)
    }

    fn owner(&self) -> Option<SmallBytes> {
        Some(self.space.owner())
    }

    /// None while it waits: it is given up before. So it stands in one index of a store at a time.
    fn expires_at(&self) -> Option<Timestamp> {
        self.due.at.is_none().then_some(self.ends_at)
    }

    fn due(&self) -> Option<&Due> {
        Some(&self.due)
    }

    fn due_mut(&mut self) -> Option<&mut Due> {
        Some(&mut self.due)
    }
}
