//! The audit trail: who changed what of a tenant, in the same commit as the change.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{AuditId, KeyId, TenantId};
use crate::secret::Sealed;
use crate::store::{Key, Kind, SmallBytes, Stored};

const KEPT_FOR: Duration = Duration::from_secs(90 * 86_400);

/// Who acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// Whoever runs the installation.
    Administrator,
    /// A tenant, by one of its keys.
    Key(KeyId),
    /// The program that links the library.
    Program,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// A tenant was created.
    #[serde(rename = "customer.created")]
    TenantCreated,
    /// A tenant's name, address or plan were changed.
    #[serde(rename = "customer.changed")]
    TenantChanged,
    /// A tenant's settings were changed.
    #[serde(rename = "config.changed")]
    ConfigurationChanged,
    /// A tenant's standing was changed.
    #[serde(rename = "customer.status_changed")]
    StatusChanged,
    /// A key was made.
    #[serde(rename = "api_key.created")]
    KeyCreated,
    /// A key's name, origins or networks were changed.
    #[serde(rename = "api_key.changed")]
    KeyChanged,
    /// A key was replaced.
    #[serde(rename = "api_key.rotated")]
    KeyRotated,
    /// A key was revoked.
    #[serde(rename = "api_key.revoked")]
    KeyRevoked,
    /// The tokens' signing key was replaced.
    #[serde(rename = "signing_key.rotated")]
    SigningKeyRotated,
    /// A code was handed to the caller instead of being sent.
    #[serde(rename = "otp.revealed")]
    OtpRevealed,
}

/// One line of the trail.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Audit {
    /// Identifier, sorted by time.
    pub id: AuditId,
    /// Whose trail.
    pub tenant: TenantId,
    /// When.
    pub at: Timestamp,
    /// What was done.
    pub action: Action,
    /// By whom.
    pub actor: Actor,
    /// To what: an identifier.
    pub target: String,
    /// Client address and user agent of the actor, sealed.
    pub client: Option<Sealed>,
    /// The request it was done by.
    pub request_id: Option<String>,
    /// What else there is to say; nothing secret.
    pub data: serde_json::Value,
}

impl Audit {
    /// Where `client` is sealed.
    pub const CLIENT: &'static [u8] = b"audit.client";
}

impl Stored for Audit {
    const KIND: Kind = Kind::Audit;

    fn key(&self) -> Key {
        Key::new::<Self>(self.tenant, self.id.as_bytes())
    }

    fn owner(&self) -> Option<SmallBytes> {
        Some(self.tenant.as_bytes().into())
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.at + KEPT_FOR)
    }
}
