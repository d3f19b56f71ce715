//! Events: what happened, written in the same commit as what they tell of.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{EventId, UserId};
use crate::secret::Sealed;
use crate::store::{Key, Kind, SmallBytes, Stored};
use crate::subject::SubjectKey;
use crate::tenant::Space;

const KEPT_FOR: Duration = Duration::from_secs(30 * 86_400);

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EventKind {
    /// A code was asked for and is on its way.
    #[serde(rename = "otp.requested")]
    OtpRequested,
    /// A code was accepted.
    #[serde(rename = "otp.verified")]
    OtpVerified,
    /// A guess was wrong.
    #[serde(rename = "otp.failed")]
    OtpFailed,
    /// A subject verified for the first time.
    #[serde(rename = "user.created")]
    UserCreated,
    /// A session began.
    #[serde(rename = "user.logged_in")]
    UserLoggedIn,
    /// A session was ended by its user.
    #[serde(rename = "user.logged_out")]
    UserLoggedOut,
    /// A message will never arrive.
    #[serde(rename = "message.failed")]
    MessageFailed,
    /// A key was made.
    #[serde(rename = "api_key.created")]
    ApiKeyCreated,
    /// A key was replaced.
    #[serde(rename = "api_key.rotated")]
    ApiKeyRotated,
    /// A key was revoked.
    #[serde(rename = "api_key.revoked")]
    ApiKeyRevoked,
    /// A secret key was used from a browser.
    #[serde(rename = "api_key.exposed")]
    ApiKeyExposed,
    /// The tenant's standing changed.
    #[serde(rename = "customer.status_changed")]
    CustomerStatusChanged,
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
}

/// One event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Identifier; receivers tell repeats by it.
    pub id: EventId,
    /// Tenant and mode.
    pub space: Space,
    /// What happened.
    pub kind: EventKind,
    /// When.
    pub at: Timestamp,
    /// To whom, if to somebody.
    pub person: Option<Person>,
    /// What else there is to say; nothing personal and nothing secret.
    pub data: serde_json::Value,
}

impl Stored for Event {
    const KIND: Kind = Kind::Event;

    fn key(&self) -> Key {
        Key::new::<Self>(self.space.tenant, self.id.as_bytes())
    }

    fn owner(&self) -> Option<SmallBytes> {
        Some(self.space.owner())
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.at + KEPT_FOR)
    }
}
