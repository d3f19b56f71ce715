//! Events: what happened, written in the same commit as what they tell of.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::api_key::KeyType;
use crate::clock::Timestamp;
use crate::id::{ChallengeId, EventId, KeyId, MessageId, SessionId, UserId};
use crate::message::Channel;
use crate::secret::Sealed;
use crate::store::{Key, Kind, SmallBytes, Stored};
use crate::subject::SubjectKey;
use crate::tenant::{Mode, Space, TenantStatus};

/// For how many days events and messages are kept, unless the tenant keeps those about people for less.
pub(crate) const KEPT_DAYS: u32 = 30;

pub(crate) const fn kept_days() -> u32 {
    KEPT_DAYS
}

/// So many days.
pub(crate) fn days(number: u32) -> Duration {
    Duration::from_secs(u64::from(number) * 86_400)
}

macro_rules! catalogue {
    ($($(#[$about:meta])* $kind:ident = $name:literal { $($(#[$told:meta])* $field:ident: $type:ty,)* })*) => {
        /// The names of what can happen.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum EventKind {
            $($(#[$about])* #[serde(rename = $name)] $kind,)*
        }

        /// What happened, and what there is to say of it: nothing personal and nothing secret.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind", content = "data", rename_all_fields = "camelCase")]
        pub enum EventData {
            $($(#[$about])* #[serde(rename = $name)] $kind { $($(#[$told])* $field: $type,)* },)*
        }

        impl EventKind {
            /// All of them.
            pub const ALL: &'static [EventKind] = &[$(EventKind::$kind,)*];

            /// The name the wire uses.
            pub const fn as_str(self) -> &'static str {
                match self { $(EventKind::$kind => $name,)* }
            }
        }

        impl EventData {
            /// Its name.
            pub const fn kind(&self) -> EventKind {
                match self { $(EventData::$kind { .. } => EventKind::$kind,)* }
            }

            /// What there is to say, as JSON.
            pub fn fields(&self) -> serde_json::Value {
                serde_json::to_value(self).map(|mut told| told["data"].take()).expect("plain data")
            }
        }
    };
}

catalogue! {
    /// A code was asked for and is on its way.
    OtpRequested = "otp.requested" {
        /// The challenge.
        challenge_id: ChallengeId,
        /// What the code is for.
        purpose: String,
        /// The way its message travels.
        channel: Channel,
        /// Whether the same code was sent before.
        repeated: bool,
        /// The message that carries it; none where the caller delivers it.
        #[serde(default)]
        message_id: Option<MessageId>,
        /// The caller's notes, sealed.
        sealed_metadata: Option<Sealed>,
    }
    /// A code was accepted.
    OtpVerified = "otp.verified" {
        /// The challenge.
        challenge_id: ChallengeId,
        /// What the code was for.
        purpose: String,
    }
    /// A guess was wrong.
    OtpFailed = "otp.failed" {
        /// The challenge.
        challenge_id: ChallengeId,
        /// Guesses left.
        remaining_attempts: u8,
    }
    /// A subject verified for the first time.
    UserCreated = "user.created" {}
    /// A session began.
    UserLoggedIn = "user.logged_in" {
        /// The session.
        session_id: SessionId,
        /// Whether it is the user's first.
        is_new_user: bool,
    }
    /// A session was ended by its user.
    UserLoggedOut = "user.logged_out" {
        /// The session; none when all were ended.
        session_id: Option<SessionId>,
        /// Whether all were ended.
        everywhere: bool,
        /// How many.
        sessions: usize,
    }
    /// A user was erased, with all that was held about them.
    UserDeleted = "user.deleted" {
        /// Who it was.
        user_id: UserId,
    }
    /// Most of the plan's quota is used.
    QuotaWarning = "quota.warning" {
        /// `day` or `month`.
        period: String,
        /// Codes asked for.
        used: u64,
        /// Codes that the plan includes.
        limit: u64,
        /// When it is renewed.
        renewed_at: Timestamp,
    }
    /// All of the plan's quota is used.
    QuotaExceeded = "quota.exceeded" {
        /// `day` or `month`.
        period: String,
        /// Codes asked for.
        used: u64,
        /// Codes that the plan includes.
        limit: u64,
        /// When it is renewed.
        renewed_at: Timestamp,
    }
    /// Too many requests fail. Told at most once an hour.
    ErrorRateHigh = "error_rate.high" {
        /// Requests that failed, without those that end users make fail.
        failed: u64,
        /// Requests in all.
        requests: u64,
        /// The one among the other, 0 to 1.
        error_rate: f64,
        /// Since when they were counted.
        since: Timestamp,
    }
    /// A message will never arrive.
    MessageFailed = "message.failed" {
        /// The message.
        message_id: MessageId,
        /// The way it was to travel.
        channel: Channel,
        /// What the provider said.
        reason: String,
    }
    /// A key was made.
    ApiKeyCreated = "api_key.created" {
        /// The key.
        key_id: KeyId,
        /// What it may do.
        #[serde(rename = "type")]
        key_type: KeyType,
        /// Whose data it reaches.
        mode: Mode,
        /// What its owner calls it.
        name: String,
    }
    /// A key was replaced.
    ApiKeyRotated = "api_key.rotated" {
        /// The new one.
        key_id: KeyId,
        /// The old one.
        old_key_id: KeyId,
        /// Seconds that the old one still works.
        grace_seconds: u64,
    }
    /// A key was revoked.
    ApiKeyRevoked = "api_key.revoked" {
        /// The key.
        key_id: KeyId,
    }
    /// A key ends within seven days. Told once, and not of an end that was no further ahead when it was set.
    ApiKeyExpiring = "api_key.expiring" {
        /// The key.
        key_id: KeyId,
        /// What it may do.
        #[serde(rename = "type")]
        key_type: KeyType,
        /// Whose data it reaches.
        mode: Mode,
        /// What its owner calls it.
        name: String,
        /// When it ends.
        expires_at: Timestamp,
    }
    /// A secret key was used from a browser.
    ApiKeyExposed = "api_key.exposed" {
        /// The key.
        key_id: KeyId,
    }
    /// The tenant's standing changed.
    CustomerStatusChanged = "customer.status_changed" {
        /// What it was.
        old_status: TenantStatus,
        /// What it is.
        new_status: TenantStatus,
        /// Why, in the words of whoever changed it.
        reason: Option<String>,
    }
}

/// Which events somebody wants to hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventFilter {
    /// All: `*`.
    All,
    /// Those of one kind.
    Kind(EventKind),
}

/// The text names no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no event; use `*` for all, or names such as {first}", first = EventKind::ALL[0].as_str())]
pub struct UnknownEvent(String);

impl FromStr for EventFilter {
    type Err = UnknownEvent;

    fn from_str(text: &str) -> Result<Self, UnknownEvent> {
        if text == "*" {
            return Ok(EventFilter::All);
        }
        let known = EventKind::ALL.iter().find(|kind| kind.as_str() == text);
        known.map(|kind| EventFilter::Kind(*kind)).ok_or_else(|| UnknownEvent(text.chars().take(64).collect()))
    }
}

impl Serialize for EventFilter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            EventFilter::All => "*",
            EventFilter::Kind(kind) => kind.as_str(),
        })
    }
}

impl<'de> Deserialize<'de> for EventFilter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Who an event is about.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Person {
    /// Whose subject: where `address` and `client` are sealed.
    pub subject: SubjectKey,
    /// The user, once there is one.
    pub user: Option<UserId>,
    /// The address, sealed.
    pub address: Option<Sealed>,
    /// Client address and user agent, sealed.
    pub client: Option<Sealed>,
    /// For how many days events about them are kept.
    #[serde(default = "kept_days")]
    pub days: u32,
}

/// One event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Identifier; receivers tell repeats by it.
    pub id: EventId,
    /// Tenant and mode.
    pub space: Space,
    /// When.
    pub at: Timestamp,
    /// To whom, if to somebody.
    pub person: Option<Person>,
    /// What happened.
    pub data: EventData,
}

impl Event {
    /// The name of what happened.
    pub const fn kind(&self) -> EventKind {
        self.data.kind()
    }

    /// The message it tells of.
    pub fn message(&self) -> Option<MessageId> {
        match &self.data {
            EventData::OtpRequested { message_id, .. } => *message_id,
            EventData::MessageFailed { message_id, .. } => Some(*message_id),
            _ => None,
        }
    }
}

impl Stored for Event {
    const KIND: Kind = Kind::Event;

    fn key(&self) -> Key {
        Key::new::<Self>(self.space.tenant, self.id.as_bytes())
    }

    /// The subject it is about, so that it can be shown to them and erased with them; of others the space.
    fn owner(&self) -> Option<SmallBytes> {
        Some(self.person.as_ref().map_or_else(|| self.space.owner(), |person| person.subject.as_bytes().into()))
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.at + days(self.person.as_ref().map_or(KEPT_DAYS, |person| person.days)))
    }
}
