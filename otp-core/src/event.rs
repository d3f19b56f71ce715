//! Events: what happened, written in the same commit as what they tell of.

mod filter;
mod sample;
mod schema;

use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize};

use crate::api_key::KeyType;
use crate::clock::Timestamp;
use crate::delivery::DeliveryStatus;
use crate::id::{ChallengeId, EndpointId, EventId, KeyId, MessageId, SessionId, UserId};
use crate::limit::{Guard, LimitOf};
use crate::message::Channel;
use crate::numbering::Country;
use crate::secret::Sealed;
use crate::store::{Due, Key, Kind, SmallBytes, Stored};
use crate::subject::SubjectKey;
use crate::tenant::{Mode, Space, TenantStatus};
use crate::webhook::Delivery;

pub use filter::{EventFilter, UnknownEvent};
use schema::{Field, NAMES, Told};

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
    ($($(#[doc = $about:literal])+ $kind:ident = $name:literal {
        $($(#[doc = $told:literal])+ $(#[serde($($serde:tt)*)])? $field:ident: $type:ty,)*
    })*) => {
        /// The names of what can happen.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum EventKind {
            $($(#[doc = $about])+ #[serde(rename = $name)] $kind,)*
        }

        /// What happened, and what there is to say of it: nothing personal and nothing secret.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind", content = "data", rename_all_fields = "camelCase")]
        pub enum EventData {
            $($(#[doc = $about])+ #[serde(rename = $name)] $kind {
                $($(#[doc = $told])+ $(#[serde($($serde)*)])? $field: $type,)*
            },)*
        }

        impl EventKind {
            /// All of them.
            pub const ALL: &'static [EventKind] = &[$(EventKind::$kind,)*];

            /// The name the wire uses.
            pub const fn as_str(self) -> &'static str {
                match self { $(EventKind::$kind => $name,)* }
            }

            /// What it tells of, in a sentence or two.
            pub fn about(self) -> String {
                match self { $(EventKind::$kind => concat!($($about),+).trim().to_owned(),)* }
            }

            /// What there is to say of it, beside whom it is about.
            pub(crate) fn fields(self) -> Vec<Field> {
                match self {
                    $(EventKind::$kind => vec![$(
                        Field::of::<$type>(stringify!($field), concat!($($told),+), concat!($(stringify!($($serde)*))?)),
                    )*],)*
                }
            }
        }

        impl EventData {
            /// Its name.
            pub const fn kind(&self) -> EventKind {
                match self { $(EventData::$kind { .. } => EventKind::$kind,)* }
            }

            /// Says it in the words of the wire, of what is sealed nothing, and leaves out one name.
            pub(crate) fn tell<M: SerializeMap>(&self, but: &str, map: &mut M) -> Result<(), M::Error> {
                match self {
                    $(EventData::$kind { $($field),* } => {
                        #[allow(unused_mut, unused_variables)] // some say nothing
                        let mut names = NAMES[EventKind::$kind as usize].iter().map(String::as_str);
                        $(if let Some(name) = names.next().filter(|name| *name != but) {
                            $field.tell(name, map)?;
                        })*
                    })*
                }
                Ok(())
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
        /// Messages that carry it later, unless it is said before.
        #[serde(default)]
        fallback_ids: Vec<MessageId>,
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
    /// A user's authenticator is in use.
    TotpEnabled = "totp.enabled" {}
    /// A user's authenticator is gone.
    TotpDisabled = "totp.disabled" {}
    /// A guess at a code of a user's authenticator, or at a recovery code, was wrong.
    TotpFailed = "totp.failed" {
        /// Guesses left for now.
        remaining_attempts: u8,
    }
    /// A user showed a recovery code in the place of the authenticator.
    RecoveryCodeUsed = "totp.recovery_code_used" {
        /// Recovery codes left.
        remaining: u8,
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
    /// A guard has stopped text and WhatsApp messages. Told once for a prefix that is switched off, and once a day of the cap.
    ChannelGuarded = "channel.guarded" {
        /// Which guard.
        guard: Guard,
        /// Where the message was to go that met it.
        country: Country,
        /// Until when.
        until: Timestamp,
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
    /// A message arrived, as its provider tells.
    MessageDelivered = "message.delivered" {
        /// The message.
        message_id: MessageId,
        /// The way it travelled.
        channel: Channel,
        /// Who said so.
        provider: String,
    }
    /// A message will never arrive, or its recipient calls it unwanted.
    MessageFailed = "message.failed" {
        /// The message.
        message_id: MessageId,
        /// The way it was to travel.
        channel: Channel,
        /// What the provider said.
        reason: String,
        /// Whether it was given up, returned or complained of.
        #[serde(default)]
        status: DeliveryStatus,
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
    /// A limit of requests for codes was reached. Told once for each recipient, client network or customer in an hour.
    RateLimitExceeded = "rate_limit.exceeded" {
        /// Whose limit it is.
        limit_of: LimitOf,
        /// Requests that it allows.
        limit: u64,
        /// When there is room again.
        reset_at: Timestamp,
    }
    /// Nothing happened: somebody tries an endpoint.
    WebhookTest = "webhook.test" {
        /// Says so.
        message: String,
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
    /// To which endpoints it is sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<EndpointId>,
    /// When it is sent to them, and by whom; settled once it is told or its deliveries are written down.
    #[serde(skip)]
    pub due: Due,
}

impl Event {
    /// The name of what happened.
    pub const fn kind(&self) -> EventKind {
        self.data.kind()
    }

    /// The messages it tells of.
    pub fn messages(&self) -> impl Iterator<Item = MessageId> + '_ {
        let (first, later) = match &self.data {
            EventData::OtpRequested { message_id, fallback_ids, .. } => (*message_id, fallback_ids.as_slice()),
            EventData::MessageDelivered { message_id, .. } | EventData::MessageFailed { message_id, .. } => {
                (Some(*message_id), [].as_slice())
            }
            _ => (None, [].as_slice()),
        };
        first.into_iter().chain(later.iter().copied())
    }

    /// Where it is on its way to endpoints: what goes when it goes.
    pub fn deliveries(&self) -> impl Iterator<Item = Key> {
        self.endpoints.iter().map(|endpoint| Delivery::key_of(self.space, Delivery::id_of(self.id, *endpoint)))
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

    /// Whether or not it was told: what nobody may see any more is not sent either.
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.at + days(self.person.as_ref().map_or(KEPT_DAYS, |person| person.days)))
    }

    fn due(&self) -> Option<&Due> {
        Some(&self.due)
    }

    fn due_mut(&mut self) -> Option<&mut Due> {
        Some(&mut self.due)
    }
}
